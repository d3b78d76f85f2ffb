"""Finds the action mask of a Gymnasium environment, and adds it to the observations.

Environments have three ways to offer one: an observation `action_mask`, a value `action_mask` in `info`
(Gymnasium's Taxi does), or a method `action_masks()`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.wrappers import TransformObservation

from environments.interface import ACTION_MASK, EnvironmentFailure, Observations
from schema.errors import UserError

# Returns the mask, given an observation and its info; None allows every choice.
_Find = Callable[[Observations, dict[str, Any]], Any]

_NO_MASK = np.empty(0, np.uint8)


def with_action_mask(
    environment: gymnasium.Env, name: str, wanted: Literal["auto"] | bool = "auto"
) -> gymnasium.Env:
    """Add the observation `ACTION_MASK` to an environment with discrete actions that offers a mask.

    Args:
        environment: an environment with named observations and trainable actions.
        name: the environment's name in errors.
        wanted: whether to use a mask; "auto": only if it is there after a reset. With True, an `info`
            without a mask allows every choice if the first reset has none and the first step has one.

    Raises:
        UserError: The mask doesn't fit the actions.
    """
    actions = environment.action_space
    if wanted is False or not isinstance(actions, spaces.MultiDiscrete):
        return environment
    # An environment doesn't declare what its info holds; only a reset shows it.
    observation, info = environment.reset(seed=0)
    find = _offer(environment, info)
    if find is None and wanted is True:
        observation, _, _, _, info = environment.step(np.zeros(len(actions.nvec), np.int64))
        find = _info_offer(info)
    if find is None:
        return environment
    mask = find(observation, info)
    offered, choices = None if mask is None else len(_joined(mask)), int(actions.nvec.sum())
    if offered not in (None, choices):
        raise UserError(
            f"environment.name: {name} offers an action mask of {offered} numbers for "
            f"{choices} choices"
        )
    return ActionMask(environment, name, find)


def without_action_mask(environment: gymnasium.Env) -> gymnasium.Env:
    """Drop the observation `ACTION_MASK`, so that every choice is allowed."""
    observed = environment.observation_space
    assert isinstance(observed, spaces.Dict)
    if ACTION_MASK not in observed.spaces:
        return environment
    rest = {name: space for name, space in observed.items() if name != ACTION_MASK}
    return TransformObservation(
        environment,
        lambda observation: {name: observation[name] for name in rest},
        spaces.Dict(rest),
    )


def _offer(environment: gymnasium.Env, info: dict[str, Any]) -> _Find | None:
    """Return how to find the mask that an environment offers after a reset; None if it offers none."""
    observed = environment.observation_space
    assert isinstance(observed, spaces.Dict)
    if ACTION_MASK in observed.spaces:
        return lambda observation, _: observation[ACTION_MASK]
    if ACTION_MASK in info:
        return lambda _, info: info.get(ACTION_MASK, _NO_MASK)
    if environment.has_wrapper_attr("action_masks"):
        method = environment.get_wrapper_attr("action_masks")
        return lambda _, __: method()
    return None


def _info_offer(info: dict[str, Any]) -> _Find | None:
    """Return how to find the mask in the info of steps; None if a step's info has none."""
    return (lambda _, info: info.get(ACTION_MASK)) if ACTION_MASK in info else None


class ActionMask(gymnasium.Wrapper):
    """Adds the action mask to the observations, and checks that it allows an action in each branch.

    Args:
        environment: an environment with named observations and `MultiDiscrete` actions.
        name: the environment's name in errors.
        find: returns the mask of an observation and its info: one array, or one for each branch; None
            allows every choice.
    """

    def __init__(self, environment: gymnasium.Env, name: str, find: _Find) -> None:
        super().__init__(environment)
        actions, observed = environment.action_space, environment.observation_space
        assert isinstance(actions, spaces.MultiDiscrete) and isinstance(observed, spaces.Dict)
        self._name = name
        self._find = find
        self._all = np.ones(actions.nvec.sum(), np.uint8)
        self._starts = np.cumsum(actions.nvec) - actions.nvec
        mask = spaces.Box(0, 1, self._all.shape, np.uint8)
        self.observation_space = spaces.Dict({**observed.spaces, ACTION_MASK: mask})

    def reset(self, **arguments: Any) -> tuple[Observations, dict[str, Any]]:
        """Start an episode."""
        observation, info = self.env.reset(**arguments)
        return {**observation, ACTION_MASK: self._mask(observation, info)}, info

    def step(self, action: Any) -> tuple[Observations, float, bool, bool, dict[str, Any]]:
        """Take a step."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        # No action follows an end, and many environments then offer an empty mask.
        ended = terminated or truncated
        mask = self._all.copy() if ended else self._mask(observation, info)
        return {**observation, ACTION_MASK: mask}, float(reward), terminated, truncated, info

    def _mask(self, observation: Observations, info: dict[str, Any]) -> np.ndarray:
        """Return the checked mask (sum of branches,) uint8."""
        found = self._find(observation, info)
        if found is None:
            return self._all.copy()
        try:
            mask = _joined(found)
        except (TypeError, ValueError):
            raise EnvironmentFailure(f"{self._name} gave {found!r} as an action mask") from None
        if mask.shape != self._all.shape:
            raise EnvironmentFailure(
                f"{self._name} gave an action mask of {len(mask)} numbers for {len(self._all)} choices"
            )
        is_open = np.logical_or.reduceat(mask, self._starts)
        if not is_open.all():
            raise EnvironmentFailure(
                f"{self._name} gave an action mask that allows no choice of action branch "
                f"{int(is_open.argmin()) + 1} of {len(is_open)}"
            )
        return mask


def _joined(mask: Any) -> np.ndarray:
    """Convert one mask of all branches, or one mask for each, to one of shape (numbers,) uint8."""
    joined = mask.ravel() if isinstance(mask, np.ndarray) else np.hstack(mask)
    return (joined != 0).astype(np.uint8)
