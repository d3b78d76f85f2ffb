"""Converts a scene's observations and actions between ML-Agents' form and named arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from gymnasium import spaces
from mlagents_envs.base_env import ActionTuple, BehaviorSpec

from environments.interface import ACTION_MASK, Observations
from environments.spaces import VECTOR, VISUAL, vector_space
from schema.environment import EnvironmentConfig
from schema.errors import UserError


class Scene:
    """A scene of any kind, with the behaviour to train.

    Axes: S seats (one for each ML-Agents agent of the behaviour), or a part of them.

    Args:
        config: the environment's config.
        behavior: the behaviour's name.
        spec: ML-Agents' description of the behaviour.

    Attributes:
        observation_space: the observation space of one seat.
        action_space: the action space of one seat.

    Raises:
        UserError: The behaviour's actions or observations can't be trained.
    """

    def __init__(self, config: EnvironmentConfig, behavior: str, spec: BehaviorSpec) -> None:
        self.config = config
        self.behavior = behavior
        self._visual: dict[str, int] = {}
        self._vector: list[int] = []
        for index, observed in enumerate(spec.observation_specs):
            if len(observed.shape) == 3:
                name = f"{VISUAL}_{len(self._visual)}" if self._visual else VISUAL
                self._visual[name] = index
            else:
                self._vector.append(index)
        self.action_space = self._actions(spec)
        self.observation_space = spaces.Dict(self._observed(spec))

    def _actions(self, spec: BehaviorSpec) -> spaces.Space:
        actions = spec.action_spec
        if actions.continuous_size and actions.discrete_size:
            raise UserError(
                f"environment.name: the behaviour {self.behavior} has {actions.continuous_size} "
                f"continuous and {actions.discrete_size} discrete actions; only one kind at a time "
                "can be trained"
            )
        if actions.discrete_size:
            return spaces.MultiDiscrete(actions.discrete_branches)
        if actions.continuous_size:
            return spaces.Box(-1.0, 1.0, (actions.continuous_size,), np.float32)
        raise UserError(f"environment.name: the behaviour {self.behavior} has no actions")

    def _observed(self, spec: BehaviorSpec) -> dict[str, spaces.Space]:
        shapes = [observed.shape for observed in spec.observation_specs]
        observed: dict[str, spaces.Space] = {
            name: spaces.Box(0, 255, shapes[index], np.uint8)
            for name, index in self._visual.items()
        }
        if self._vector:
            length = sum(int(np.prod(shapes[index])) for index in self._vector)
            observed[VECTOR] = vector_space(length, np.float32)
        if not observed:
            raise UserError(f"environment.name: the behaviour {self.behavior} observes nothing")
        if isinstance(self.action_space, spaces.MultiDiscrete):
            choices = int(self.action_space.nvec.sum())
            observed[ACTION_MASK] = spaces.Box(0, 1, (choices,), np.uint8)
        return observed

    def observe(
        self, arrays: Sequence[np.ndarray], forbidden: Sequence[np.ndarray] | None
    ) -> list[Observations]:
        """Return the observations of each seat.

        Args:
            arrays: each sensor's observations, (S, ...) float32; images are within 0 and 1.
            forbidden: for each branch, (S, actions) bool, the forbidden actions; None forbids none.
        """
        count = len(arrays[0])
        named: Observations = {
            name: np.rint(np.clip(arrays[index], 0.0, 1.0) * 255.0).astype(np.uint8)
            for name, index in self._visual.items()
        }
        if self._vector:
            flat = [arrays[index].reshape(count, -1) for index in self._vector]
            named[VECTOR] = np.concatenate(flat, 1).astype(np.float32)
        mask = self.observation_space.spaces.get(ACTION_MASK)
        if mask is not None:
            allowed = np.ones((count, *mask.shape), np.uint8)  # type: ignore[misc]
            if forbidden is not None:
                allowed -= np.concatenate(forbidden, 1).astype(np.uint8)
            named[ACTION_MASK] = allowed
        return [{name: array[row] for name, array in named.items()} for row in range(count)]

    def actions(self, actions: np.ndarray) -> ActionTuple:
        """Convert actions (S, size) to ML-Agents' form."""
        if isinstance(self.action_space, spaces.MultiDiscrete):
            return ActionTuple(discrete=actions.astype(np.int32))
        return ActionTuple(continuous=np.clip(actions, -1.0, 1.0).astype(np.float32))

    @staticmethod
    def parameters(config: EnvironmentConfig, level: int) -> dict[str, float]:
        """Return the parameters to send to the player before an episode of that level."""
        return {**(config.reset_params.model_extra or {}), "seed": float(level)}

    def statistics(self, arrays: Sequence[np.ndarray], row: int) -> dict[str, float]:
        """Return the statistics of an episode that ended.

        Args:
            arrays: each sensor's last observations, (S, ...) float32.
            row: the episode's row in them.
        """
        return {}

    @property
    def picture(self) -> str | None:
        """The name of the observation to make videos of; None if there is no image."""
        return next(iter(self._visual), None)


def choose_behavior(specs: Mapping[str, BehaviorSpec], wanted: str | None) -> str:
    """Return the name of the behaviour to train.

    Args:
        specs: the scene's behaviours by name.
        wanted: the name in the config, with or without a team (`?team=0`); None for the only one.

    Raises:
        UserError: There are several behaviours and none is named, or none has the name.
    """
    found = [name for name in specs if wanted in (None, name, name.partition("?")[0])]
    if len(found) == 1:
        return found[0]
    has = f"the scene has {_listed(specs)}"
    if wanted is None:
        raise UserError(f"environment.unity.behavior: {has}; name the one to be trained")
    raise UserError(f"environment.unity.behavior: {wanted} names {len(found)} behaviours; {has}")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
