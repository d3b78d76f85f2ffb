"""Environments side by side whose steps are compiled, whatever the task.

Axes: environments E, numbers S of a state, numbers K of an observation.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from environments.compiled import acrobot, cart_pole, mountain_car, pendulum
from environments.compiled.tasks import ACROBOT, CART_POLE, CONTINUOUS_MOUNTAIN_CAR, MOUNTAIN_CAR
from numerics.compiler import entry, jit


class Worlds(NamedTuple):
    """Where E environments are.

    Attributes:
        task: its number.
        positions_only: whether every other number of an observation is left out, the velocities.
        limit: steps after which an episode is cut off.
        seeds: (E,) uint64.
        states: (E, S) float64.
        steps: (E,) int64, of the present episode.
        episodes: (E,) int64, the number of the present one.
        returns: (E,) float64, the rewards of the present one.
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
        """Some of the environments, on the same memory."""
        return self._replace(
            seeds=self.seeds[own],
            states=self.states[own],
            steps=self.steps[own],
            episodes=self.episodes[own],
            returns=self.returns[own],
        )


class Ends(NamedTuple):
    """How a step left each of E environments.

    Attributes:
        rewards: (E,) float32.
        terminated, truncated: (E,) bool, never both.
        returns, lengths: (E,) float64, of the episodes that ended; else without a meaning.
        finals: (E, K) float32, what was observed last in an episode that was cut off.
    """

    rewards: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    returns: np.ndarray
    lengths: np.ndarray
    finals: np.ndarray

    def part(self, own: slice) -> Ends:
        """Those of some environments, on the same memory."""
        return Ends(*(values[own] for values in self))


@jit
def begin(worlds: Worlds, number: int, episode: int) -> None:
    """Begins the episode of a number in one environment."""
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
def observe(worlds: Worlds, number: int, observation: np.ndarray) -> None:
    """Writes what one environment observes into (K,) float32."""
    state = worlds.states[number]
    if worlds.task == ACROBOT:
        acrobot.observe(state, observation)
    elif worlds.task < ACROBOT:
        stride = 2 if worlds.positions_only else 1
        for place in range(len(observation)):
            observation[place] = state[place * stride]
    else:
        pendulum.observe(state, observation)


@jit
def step(
    worlds: Worlds, number: int, choice: int, force: float, observation: np.ndarray, ends: Ends
) -> None:
    """Takes a step with one environment, which begins its next episode where one ended.

    Args:
        worlds: all environments.
        number: which one.
        choice: the action, where actions are discrete.
        force: the action, where they are continuous.
        observation: (K,) float32, becomes what is observed then.
        ends: becomes how the step left it.
    """
    state = worlds.states[number]
    if worlds.task == CART_POLE:
        reward, terminated = cart_pole.step(state, choice)
    elif worlds.task == MOUNTAIN_CAR:
        reward, terminated = mountain_car.step(state, choice)
    elif worlds.task == CONTINUOUS_MOUNTAIN_CAR:
        reward, terminated = mountain_car.step_continuous(state, force)
    elif worlds.task == ACROBOT:
        reward, terminated = acrobot.step(state, choice)
    else:
        reward, terminated = pendulum.step(state, force)
    worlds.steps[number] += 1
    worlds.returns[number] += reward
    truncated = not terminated and worlds.steps[number] >= worlds.limit
    ends.rewards[number] = reward
    ends.terminated[number], ends.truncated[number] = terminated, truncated
    observe(worlds, number, observation)
    if not terminated and not truncated:
        return
    ends.returns[number], ends.lengths[number] = worlds.returns[number], worlds.steps[number]
    if truncated:
        ends.finals[number] = observation
    begin(worlds, number, worlds.episodes[number] + 1)
    observe(worlds, number, observation)


@entry
def look(worlds: Worlds, observations: np.ndarray, anew: bool) -> None:
    """Observes all environments.

    Args:
        worlds: the environments.
        observations: (E, K) float32, become what is observed.
        anew: whether their first episodes are begun before.
    """
    for number in range(len(worlds.steps)):
        if anew:
            begin(worlds, number, 0)
        observe(worlds, number, observations[number])


@jit
def step_all(
    worlds: Worlds, choices: np.ndarray, forces: np.ndarray, observations: np.ndarray, ends: Ends
) -> None:
    """Takes a step with all environments.

    Args:
        worlds: the environments.
        choices: (E,) int64, actions of discrete tasks; else (0,).
        forces: (E,) float32, actions of continuous tasks; else (0,).
        observations: (E, K) float32, become what is observed then.
        ends: become how the step left them.
    """
    for number in range(len(worlds.steps)):
        choice = choices[number] if len(choices) else 0
        force = forces[number] if len(forces) else np.float32(0)
        step(worlds, number, choice, force, observations[number], ends)


@entry
def play(
    worlds: Worlds, choices: np.ndarray, forces: np.ndarray, observations: np.ndarray, ends: Ends
) -> None:
    """As `step_all`, for calls by Python."""
    step_all(worlds, choices, forces, observations, ends)
