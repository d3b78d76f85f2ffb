"""Steps environments of any compiled task, side by side.

Axes: environments E, numbers S of a state, numbers K of an observation.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from environments.compiled import acrobot, cart_pole, mountain_car, pendulum
from environments.compiled.tasks import (
    ACROBOT,
    CART_POLE,
    CONTINUOUS_MOUNTAIN_CAR,
    MOUNTAIN_CAR,
    PENDULUM,
)
from numerics.compiler import entry, jit


class Worlds(NamedTuple):
    """The states of E environments.

    Attributes:
        task: the task's number.
        positions_only: whether observations leave out the velocities, every second number.
        limit: the number of steps after which an episode is cut off.
        seeds: (E,) uint64, seeds of the initial states.
        states: (E, S) float64.
        steps: (E,) int64, steps of the present episode so far.
        episodes: (E,) int64, number of the present episode.
        returns: (E,) float64, sum of the present episode's rewards so far.
    """

    task: int
    positions_only: bool
    limit: int
    seeds: np.ndarray
    states: np.ndarray
    steps: np.ndarray
    episodes: np.ndarray
    returns: np.ndarray

    def part(self, own: slice) -> Worlds:
        """Return some of the environments, as views of the same memory."""
        return self._replace(
            seeds=self.seeds[own],
            states=self.states[own],
            steps=self.steps[own],
            episodes=self.episodes[own],
            returns=self.returns[own],
        )


class StepResults(NamedTuple):
    """The results of one step of E environments.

    Attributes:
        rewards: (E,) float32.
        terminated, truncated: (E,) bool, never both.
        returns, lengths: (E,) float64, of the episodes that ended; meaningless elsewhere.
        finals: (E, K) float32, last observations of the episodes that ended; meaningless elsewhere.
    """

    rewards: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    returns: np.ndarray
    lengths: np.ndarray
    finals: np.ndarray

    def part(self, own: slice) -> StepResults:
        """Return the results of some environments, as views of the same memory."""
        return StepResults(*(values[own] for values in self))


@jit
def begin(worlds: Worlds, number: int, episode: int) -> None:
    """Start the episode of that number in one environment."""
    worlds.episodes[number] = episode
    worlds.steps[number] = 0
    worlds.returns[number] = 0.0
    state, seed = worlds.states[number], worlds.seeds[number]
    if worlds.task == CART_POLE:
        cart_pole.begin(state, seed, episode)
    elif worlds.task == ACROBOT:
        acrobot.begin(state, seed, episode)
    elif worlds.task == MOUNTAIN_CAR or worlds.task == CONTINUOUS_MOUNTAIN_CAR:
        mountain_car.begin(state, seed, episode)
    else:
        pendulum.begin(state, seed, episode)


@jit
def observe(worlds: Worlds, own: slice, observations: np.ndarray) -> None:
    """Write some environments' observations into their rows of (E, K) float32."""
    states, observed = worlds.states[own], observations[own]
    if worlds.task == ACROBOT:
        acrobot.observe(states, observed)
    elif worlds.task == PENDULUM:
        pendulum.observe(states, observed)
    else:
        stride = 2 if worlds.positions_only else 1
        for number in range(len(observed)):
            for place in range(observed.shape[1]):
                observed[number, place] = states[number, place * stride]


@jit
def step_all(
    worlds: Worlds,
    choices: np.ndarray,
    forces: np.ndarray,
    observations: np.ndarray,
    results: StepResults,
) -> None:
    """Take a step with all environments; where episodes end, start the next ones.

    Args:
        worlds: the environments.
        choices: (E,) int64, actions of a task with discrete actions; else (0,).
        forces: (E,) float32, actions of a task with continuous actions; else (0,).
        observations: (E, K) float32, filled with the next observations.
        results: filled with the step's results.
    """
    _move(worlds, choices, forces, results.rewards, results.terminated)
    observe(worlds, slice(0, len(observations)), observations)
    for number in range(len(observations)):
        worlds.steps[number] += 1
        worlds.returns[number] += results.rewards[number]
        is_late = worlds.steps[number] >= worlds.limit
        results.truncated[number] = is_late and not results.terminated[number]
        if is_late or results.terminated[number]:
            results.returns[number] = worlds.returns[number]
            results.lengths[number] = worlds.steps[number]
            results.finals[number] = observations[number]
            begin(worlds, number, worlds.episodes[number] + 1)
            observe(worlds, slice(number, number + 1), observations)


@jit
def _move(
    worlds: Worlds,
    choices: np.ndarray,
    forces: np.ndarray,
    rewards: np.ndarray,
    terminated: np.ndarray,
) -> None:
    """Advance all states by one step, within their episodes."""
    if worlds.task == CART_POLE:
        cart_pole.step(worlds.states, choices, rewards, terminated)
    elif worlds.task == MOUNTAIN_CAR:
        mountain_car.step(worlds.states, choices, rewards, terminated)
    elif worlds.task == CONTINUOUS_MOUNTAIN_CAR:
        mountain_car.step_continuous(worlds.states, forces, rewards, terminated)
    elif worlds.task == ACROBOT:
        acrobot.step(worlds.states, choices, rewards, terminated)
    else:
        pendulum.step(worlds.states, forces, rewards, terminated)


@entry
def observe_all(worlds: Worlds, observations: np.ndarray, starts: bool) -> None:
    """Observe all environments.

    Args:
        worlds: the environments.
        observations: (E, K) float32, filled with the observations.
        starts: whether to start their first episodes before.
    """
    if starts:
        for number in range(len(observations)):
            begin(worlds, number, 0)
    observe(worlds, slice(0, len(observations)), observations)


@entry
def step_from_python(
    worlds: Worlds,
    choices: np.ndarray,
    forces: np.ndarray,
    observations: np.ndarray,
    results: StepResults,
) -> None:
    """Call `step_all` from Python."""
    step_all(worlds, choices, forces, observations, results)
