"""The interface between the trainer and the environments of all suites.

Axes: E environments side by side (members x workers), then the shape of one observation.
When an episode ends, the next one starts within the same step: the observation that `step` returns
belongs to the new episode already, and the last one of an episode that was cut off is in
`final_observations`. So no step only resets, and every step can be trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

# Arrays by name. Three dimensions (height, width, channels; uint8) make a visual observation, one
# dimension makes a vector observation.
Observations = dict[str, np.ndarray]

# Name of the observation that masks discrete actions: (sum of branches,) uint8, 1 where an action is
# allowed. It limits the policy; the network doesn't see it.
ACTION_MASK = "action_mask"

# Least height and width in pixels of images that convolutions can read: the convolutional layers
# (8x8 by 4, 4x4 by 2, 3x3 by 1) reduce 36 pixels to one.
LEAST_IMAGE_SIZE = 36

# Key in the info of a single environment's step: a life was lost, and the game continues.
LIFE_LOST = "life_lost"

# Maps an environment's index and an episode's number to a level (the seed of the reset).
Levels = Callable[[int, int], int]


class EnvironmentFailure(RuntimeError):  # noqa: N818  # the environment's, not the caller's
    """An environment, or its process, failed.

    Args:
        line: the failure, on one line.
        details: where it happened, on any number of lines; may be empty.
    """

    def __init__(self, line: str, details: str = "") -> None:
        super().__init__(line)
        self.details = details


@dataclass(frozen=True)
class Spaces:
    """The observations and actions of one environment.

    Either `branches` or `bounds` is empty.

    Attributes:
        observations: shape and NumPy type name of each observation, by name.
        branches: the number of actions in each branch; one entry for a discrete action space,
            several for a multi-discrete one.
        bounds: least and greatest value of each dimension of a continuous action; may be infinite.
    """

    observations: dict[str, tuple[tuple[int, ...], str]]
    branches: tuple[int, ...] = ()
    bounds: tuple[tuple[float, float], ...] = ()

    @property
    def has_images(self) -> bool:
        """Whether an observation is an image."""
        return any(len(shape) == 3 for shape, _ in self.observations.values())

    @property
    def action_size(self) -> int:
        """The number of numbers in an action."""
        return len(self.branches) or len(self.bounds)

    @property
    def action_type(self) -> str:
        """The NumPy type name of actions."""
        return "int64" if self.branches else "float32"


@dataclass
class Step:
    """The results of one step of E environments.

    Attributes:
        observations: arrays of shape (E, ...). The next step reuses them: copy what you keep.
        rewards: (E,) float32, the rewards to learn from; their signs where the config clips rewards.
        terminated: (E,) bool, whether the episode reached a real end. With
            `terminal_on_life_loss`, a lost life counts as an end, too: then the game continues and
            `episodes` has no entry for it.
        truncated: (E,) bool, whether the episode was cut off (by its time limit, say).
        final_observations: for each truncated episode, the index of its environment and its last
            observation (arrays without the axis E), from which the return is bootstrapped.
        episodes: for each episode that ended, the index of its environment and its statistics:
            `return` (of unclipped rewards), `length` (steps) and every number that the environment
            reported at its end.
        crashes: for each environment that crashed and was replaced, its index and the reason. Its
            episode counts as truncated, has no statistics, and starts again.
        failures: for each environment that failed for good, its index and the failure. It is no
            longer stepped, nor are the other workers of its member; their observations are
            meaningless.
    """

    observations: Observations
    rewards: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    final_observations: list[tuple[int, Observations]]
    episodes: list[tuple[int, dict[str, float]]]
    crashes: list[tuple[int, str]] = field(default_factory=list)
    failures: list[tuple[int, EnvironmentFailure]] = field(default_factory=list)


@dataclass
class EpisodeState:
    """The state of one environment in a checkpoint, from which its episode resumes.

    Attributes:
        episode: the number of the present episode, from 0. With the environment backend "envpool",
            the number of the present pool, from 0: a pool can't start at a chosen episode.
        resume_data: what leads back into the episode, depending on the environment backend.
            "gymnasium": the episode's actions so far, (steps, action_size) of the spaces' action type.
            "envpool": all actions since the pool was made, (steps, action_size) of the smallest
            unsigned type that holds them.
            "compiled": the state itself, (1, S + 2) float64: the task's S numbers, the steps and the
            return of the episode so far.
            "unity": nothing, (0, action_size): a player's state can't be set, so the episode starts
            again.
    """

    episode: int
    resume_data: np.ndarray


class VectorEnvironment(Protocol):
    """E environments that are stepped together.

    Attributes:
        spaces: the observations and actions of each environment.
        backend: the environment backend: "gymnasium", "envpool", "compiled" or "unity". Only the
            environment backend that made a state can restore it.
    """

    spaces: Spaces
    backend: str

    def __len__(self) -> int:
        """Return the number E of environments."""

    def reset(self) -> Observations:
        """Start the first episode of each environment; return observations (E, ...)."""

    def step(self, actions: np.ndarray) -> Step:
        """Take one step with actions (E, action_size) of the spaces' action type, within bounds."""

    def renew(self) -> Observations | None:
        """Start new episodes if restoring the present ones would take long.

        Returns:
            The first observations (E, ...); None where the present episodes continue.
        """

    def states(self) -> list[EpisodeState]:
        """Return the state of each environment, for a checkpoint."""

    def restore(self, states: Sequence[EpisodeState]) -> Observations:
        """Restore the state of each environment; return observations (E, ...)."""

    def close(self) -> None:
        """Stop every process and free every resource; calling it again does nothing."""
