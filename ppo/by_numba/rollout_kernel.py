"""Collects a member's rollout in one call of a kernel, which steps compiled environments, too."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from environments.compiled.worlds import StepResults, Worlds, step_all
from numerics.compiler import entry, jit
from numerics.functions import ONE, clamp, f32, tanh
from ppo.by_numba.acting_kernels import (
    ActionArrays,
    Actor,
    choose_actions,
    project_inputs,
    values_from_projection,
)
from ppo.by_numba.inputs import copy


class Experience(NamedTuple):
    """The arrays that a rollout of T steps by N workers fills; an action has one dimension.

    Attributes:
        observations: (T, N, K) float32.
        discrete_actions: (T, N, 1) int64; (T, 0, 1) for Gaussians.
        continuous_actions: (T, N, 1) float32, before they are squashed or clipped; (T, 0, 1) for
            categorical distributions.
        log_probabilities: (T, N, 1) float32.
        rewards, final_values: (T, N) float32.
        ends: (T, N) bool.
    """

    observations: np.ndarray
    discrete_actions: np.ndarray
    continuous_actions: np.ndarray
    log_probabilities: np.ndarray
    rewards: np.ndarray
    final_values: np.ndarray
    ends: np.ndarray


class Bounds(NamedTuple):
    """The bounds of actions, and whether truncated episodes are bootstrapped.

    Attributes:
        low, high: (1,) float32, bounds of continuous actions; (0,) for discrete ones.
        forces: (N,) float32, scratch array for continuous actions as environments take them.
        bootstraps: whether to estimate the values of the last observations of truncated episodes.
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
    """Take T steps with N workers, and return the number of episodes that ended.

    Args:
        actor: the network.
        bounds: the bounds of actions.
        worlds: the environments' states.
        observed: (N, K), the present observations; replaced by those after the last step.
        ends: scratch arrays for the results of a step.
        noise: (T, N, O), random numbers: Gumbel for categorical distributions, else standard normal.
        experience: the rollout, written in place.
        episodes: (T * N, 2) float64, return and length of each episode that ended, written in place.
    """
    count, no_bytes = 0, np.zeros((0, 0), np.uint8)
    for time in range(len(noise)):
        discrete = experience.discrete_actions[time]
        continuous = experience.continuous_actions[time]
        copy(observed, experience.observations[time])
        actions = ActionArrays(discrete, continuous, experience.log_probabilities[time])
        choose_actions(actor, observed, no_bytes, noise[time], actions)
        _compute_forces(actor.policy.half_width, bounds, continuous)
        forces = bounds.forces[: len(continuous)]
        step_all(worlds, discrete.reshape(-1), forces, observed, ends)
        for worker in range(len(observed)):
            experience.rewards[time, worker] = ends.rewards[worker]
            is_end = ends.terminated[worker] or ends.truncated[worker]
            experience.ends[time, worker] = is_end
            experience.final_values[time, worker] = f32(0)
            if is_end:
                episodes[count, 0], episodes[count, 1] = ends.returns[worker], ends.lengths[worker]
                count += 1
            if ends.truncated[worker] and bounds.bootstraps:
                project_inputs(actor, actor.network.value_trunk, ends.finals[worker : worker + 1])
                values_from_projection(actor, experience.final_values[time, worker : worker + 1])
    return count


@jit
def _compute_forces(half_width: np.ndarray, bounds: Bounds, continuous: np.ndarray) -> None:
    """Squash or clip continuous actions (N, 1) to the environments' bounds, into `bounds.forces`."""
    low, high = bounds.low, bounds.high
    for worker in range(len(continuous)):
        action = continuous[worker, 0]
        if len(half_width):
            bounds.forces[worker] = low[0] + (tanh(action) + ONE) * half_width[0]
        else:
            bounds.forces[worker] = clamp(action, low[0], high[0])
