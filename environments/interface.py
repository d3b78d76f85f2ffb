"""What every environment offers to the trainer, whichever suite it comes from.

Axes: E environments side by side (members x workers), then the shape of one observation.
An episode that ends is followed by the next one within the same step: the observation that `step`
returns belongs to the new episode already, and the one that ended it is in `final_observations`.
So there is no step that only resets, and none that must not be trained on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

# Arrays by name. Three dimensions (height, width, channels; uint8) make a visual observation, one
# dimension makes a vector observation.
Observations = dict[str, np.ndarray]

# Name of the observation that says which choices of discrete actions are allowed: (sum of branches,)
# uint8, 1 where a choice is allowed. The network doesn't see it; it limits the policy.
ACTION_MASK = "action_mask"

# Key of a step's info in single environments: a life was lost, and the game goes on.
LIFE_LOST = "life_lost"

# The level (the seed of the reset) for an environment's index and an episode's number.
Levels = Callable[[int, int], int]


class EnvironmentFailure(RuntimeError):  # noqa: N818  # the environment's, not the caller's
    """An environment, or the process that it lives in, broke down.

    Args:
        line: what happened, on one line.
        details: where it happened, in as many lines as that takes; may be empty.
    """

    def __init__(self, line: str, details: str = "") -> None:
        super().__init__(line)
        self.details = details


@dataclass(frozen=True)
class Spaces:
    """What one environment observes and does.

    Either `branches` or `bounds` is empty.

    Attributes:
        observations: shape and NumPy type name of each observation, by name.
        branches: number of choices of each action branch; one entry for a discrete action space,
            several for a multi-discrete one.
        bounds: least and greatest value of each dimension of a continuous action; may be infinite.
    """

    observations: dict[str, tuple[tuple[int, ...], str]]
    branches: tuple[int, ...] = ()
    bounds: tuple[tuple[float, float], ...] = ()

    @property
    def has_images(self) -> bool:
        """Whether an image is among what is observed."""
        return any(len(shape) == 3 for shape, _ in self.observations.values())

    @property
    def action_size(self) -> int:
        """How many numbers make an action."""
        return len(self.branches) or len(self.bounds)

    @property
    def action_type(self) -> str:
        """The NumPy type name of actions."""
        return "int64" if self.branches else "float32"


@dataclass
class Step:
    """The outcome of one step of E environments.

    Attributes:
        observations: arrays of shape (E, ...). The next step reuses them: copy what you keep.
        rewards: (E,) float32, what is learnt from: their signs where the config clips rewards.
        terminated: (E,) bool, the episode reached a real end; or lost a life, where the config takes
            that for an end: then its game goes on, and `episodes` has nothing of it.
        truncated: (E,) bool, the episode was cut off (by its time limit, say) and had no real end.
        final_observations: for each environment whose episode was truncated, its index and what it
            observed last (arrays without the axis E), from which the return is bootstrapped.
        episodes: for each episode that ended, the index of its environment and its statistics:
            `return` (of unclipped rewards), `length` (steps) and every number that the environment
            reported at its end.
        crashes: for each environment that broke down and was replaced, its index and the reason. Its
            episode counts as truncated, has no statistics, and is begun again.
        failures: for each environment that failed for good, its index and why. It isn't stepped any
            more, nor are the other environments of its agent; what they observe means nothing.
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
        spaces: what each of them observes and does.
        backend: "gymnasium", "envpool", "compiled" or "unity"; states of one can't be restored with
            another.
    """

    spaces: Spaces
    backend: str

    def __len__(self) -> int:
        """The number E of environments."""

    def reset(self) -> Observations:
        """Begins the first episode of each environment and returns (E, ...) observations."""

    def step(self, actions: np.ndarray) -> Step:
        """Takes one step with actions (E, action_size) of the spaces' action type, within bounds."""

    def renew(self) -> Observations | None:
        """Begins new episodes if getting back into the present ones takes long, else returns None."""

    def states(self) -> list[EpisodeState]:
        """Where each environment is, for a checkpoint."""

    def restore(self, states: Sequence[EpisodeState]) -> Observations:
        """Brings each environment to where it was and returns (E, ...) observations."""

    def close(self) -> None:
        """Ends every process and frees every resource; calling it again does nothing."""
