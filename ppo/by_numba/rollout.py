"""A member's rollout in environments that are compiled, too: all steps in one call."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from environments.compiled.worlds import StepResults, Worlds, step_all
from numerics.compiler import entry, jit
from numerics.functions import ONE, clamp, f32, tanh
from ppo.by_numba.deciding import Actions, Actor, act, take_in, values_of_taken_in
from ppo.by_numba.inputs import copy


class Experience(NamedTuple):
    """A rollout of T steps by N workers, whose actions are single numbers.

    Attributes:
        observations: (T, N, K) float32.
        choices: (T, N, 1) int64; without workers for Gaussians.
        draws: (T, N, 1) float32, of Gaussians; without workers for choices.
        log_probabilities: (T, N, 1) float32.
        rewards, final_values: (T, N) float32.
        ends: (T, N) bool.
    """

    observations: np.ndarray
    choices: np.ndarray
    draws: np.ndarray
    log_probabilities: np.ndarray
    rewards: np.ndarray
    final_values: np.ndarray
    ends: np.ndarray


class Bounds(NamedTuple):
    """What environments take.

    Attributes:
        low, high: (1,) float32, bounds of continuous actions; (0,) for choices.
        forces: (N,) float32, memory for these.
        bootstraps: whether the values of what is observed last in episodes that were cut off count.
    """

    low: np.ndarray
    high: np.ndarray
    forces: np.ndarray
    bootstraps: bool


@entry
def collect(
    actor: Actor,
    bounds: Bounds,
    worlds: Worlds,
    observed: np.ndarray,
    ends: StepResults,
    noise: np.ndarray,
    experience: Experience,
    episodes: np.ndarray,
) -> int:
    """Takes T steps with N workers, and returns how many episodes ended.

    Args:
        actor: who acts.
        bounds: of the actions.
        worlds: the environments.
        observed: (N, K), what they observe now, and in the end what they observe then.
        ends: memory.
        noise: (T, N, O), of which actions are made.
        experience: becomes what was experienced.
        episodes: (T * N, 2) float64, become return and length of each episode that ended.
    """
    count, no_bytes = 0, np.zeros((0, 0), np.uint8)
    for time in range(len(noise)):
        choices, draws = experience.choices[time], experience.draws[time]
        copy(observed, experience.observations[time])
        actions = Actions(choices, draws, experience.log_probabilities[time])
        act(actor, observed, no_bytes, noise[time], actions)
        _find_forces(actor.policy.half_width, bounds, draws)
        forces = bounds.forces[: len(draws)]
        step_all(worlds, choices.reshape(-1), forces, observed, ends)
        for worker in range(len(observed)):
            experience.rewards[time, worker] = ends.rewards[worker]
            is_end = ends.terminated[worker] or ends.truncated[worker]
            experience.ends[time, worker] = is_end
            experience.final_values[time, worker] = f32(0)
            if is_end:
                episodes[count, 0], episodes[count, 1] = ends.returns[worker], ends.lengths[worker]
                count += 1
            if ends.truncated[worker] and bounds.bootstraps:
                take_in(actor, actor.network.value_trunk, ends.finals[worker : worker + 1])
                values_of_taken_in(actor, experience.final_values[time, worker : worker + 1])
    return count


@jit
def _find_forces(half_width: np.ndarray, bounds: Bounds, draws: np.ndarray) -> None:
    """What the environments get of drawn actions (N, 1)."""
    low, high = bounds.low, bounds.high
    for worker in range(len(draws)):
        action = draws[worker, 0]
        if len(half_width):
            bounds.forces[worker] = low[0] + (tanh(action) + ONE) * half_width[0]
        else:
            bounds.forces[worker] = clamp(action, low[0], high[0])
