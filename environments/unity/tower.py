"""Obstacle Tower: a scene with a smaller set of actions, and with keys and time as a vector."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from gymnasium import spaces
from mlagents_envs.base_env import ActionTuple, BehaviorSpec

from environments.interface import Observations
from environments.spaces import VECTOR, vector_space
from environments.unity.scene import Scene
from schema.environment import EnvironmentConfig
from schema.errors import UserError

# Walk (none, forwards, backwards), turn (none, left, right), jump, sidestep.
_BRANCHES = [3, 3, 2, 3]
_REDUCED = [2, 3, 2]
# The player's vector: the number of keys (one-hot), the number of steps left, the floor.
_KEYS = 6
_TIME, _FLOOR = 6, 7
_STEPS_OF_ONE = 1000.0  # steps per unit of time, to scale time like the other numbers


class Tower(Scene):
    """The tower, with one seat.

    It observes "visual" and a "vector" (7,): the number of keys, one-hot for 0 to 5, and the steps left
    in thousands. An episode's statistics have the `floor` that was reached.
    """

    def _actions(self, spec: BehaviorSpec) -> spaces.Space:
        shapes = [observed.shape for observed in spec.observation_specs]
        if list(spec.action_spec.discrete_branches) != _BRANCHES or (_FLOOR + 1,) not in shapes:
            raise UserError(
                "environment.name: this player is no Obstacle Tower; set environment.type to Unity"
            )
        return spaces.MultiDiscrete(_BRANCHES if self.config.full_actions else _REDUCED)

    def _observed(self, spec: BehaviorSpec) -> dict[str, spaces.Space]:
        return {
            name: vector_space(_KEYS + 1, np.float32) if name == VECTOR else space
            for name, space in super()._observed(spec).items()
            if name in (VECTOR, *self._visual)
        }

    def observe(
        self, arrays: Sequence[np.ndarray], forbidden: Sequence[np.ndarray] | None
    ) -> list[Observations]:
        """Return the observations of each seat; the tower forbids no action."""
        observed = super().observe(arrays, None)
        for observation in observed:
            vector = observation[VECTOR]
            observation[VECTOR] = np.append(vector[:_KEYS], vector[_TIME] / _STEPS_OF_ONE)
        return observed

    def actions(self, actions: np.ndarray) -> ActionTuple:
        """Convert actions (S, size) to ML-Agents' form; branches beyond the smaller set are 0."""
        whole = np.zeros((len(actions), len(_BRANCHES)), np.int32)
        whole[:, : actions.shape[1]] = actions
        return ActionTuple(discrete=whole)

    @staticmethod
    def parameters(config: EnvironmentConfig, level: int) -> dict[str, float]:
        """Return the parameters to send before the tower of that level is built."""
        chosen = config.reset_params.model_dump(by_alias=True, exclude={"start_seed", "num_seeds"})
        return {name: float(value) for name, value in {**chosen, "tower-seed": level}.items()}

    def statistics(self, arrays: Sequence[np.ndarray], row: int) -> dict[str, float]:
        """Return the floor that was reached."""
        return {"floor": float(arrays[self._vector[0]][row, _FLOOR])}
