"""A member's rollout in environments that are compiled, too: all steps in one call.

Acting does what `networks/distributions.py`, `networks/gaussians.py` and `networks/normaliser.py`
define.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from environments.compiled.worlds import Ends, Worlds, step_all
from numerics.compiler import entry, jit
from numerics.functions import ONE, clamp, exp, f32, tanh
from ppo.compiled import layers
from ppo.compiled.arguments import Inputs, Network, Policy, Workspace
from ppo.compiled.distributions import log_density, log_softmax
from ppo.compiled.inputs import copy, gathered_inputs

_LIMIT = f32(10)  # as in `networks/normaliser.py`


class Actor(NamedTuple):
    """Who acts.

    Attributes:
        network, policy: as for learning.
        weights: (P,).
        mean, deviation: (K,), by which observations are normalised; (0,) where they aren't.
        low, high: (A,), bounds of continuous actions; (0,) for choices.
        forces: (N,), memory for these.
        bootstraps: whether the values of what is observed last in episodes that were cut off count.
        work: memory.
        none: (0,) int64.
    """

    network: Network
    policy: Policy
    weights: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    low: np.ndarray
    high: np.ndarray
    forces: np.ndarray
    bootstraps: bool
    work: Workspace
    none: np.ndarray


class Experience(NamedTuple):
    """A rollout of T steps by N workers.

    Attributes:
        observations: (T, N, K) float32.
        choices: (T, N) int64, of the only branch; (1, 0) for Gaussians.
        draws: (T, N, 1) float32, of Gaussians; without steps for choices.
        log_probabilities: (1, T, N) float32.
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


@entry
def collect(
    actor: Actor,
    worlds: Worlds,
    observed: np.ndarray,
    ends: Ends,
    noise: np.ndarray,
    experience: Experience,
    episodes: np.ndarray,
) -> int:
    """Takes T steps with N workers, and returns how many episodes ended.

    Args:
        actor: who acts.
        worlds: the environments.
        observed: (N, K), what they observe now, and in the end what they observe then.
        ends: memory.
        noise: (T, N, O), of which actions are made.
        experience: becomes what was experienced.
        episodes: (T * N, 3) float64, become worker, return and length of each episode that ended.
    """
    count = 0
    for time in range(len(noise)):
        copy(observed, experience.observations[time])
        _act(actor, observed, noise[time], experience, time)
        choices, forces = experience.choices, actor.forces
        if len(actor.policy.branches):
            step_all(worlds, choices[time], forces[:0], observed, ends)
        else:
            _find_forces(actor, experience.draws[time])
            step_all(worlds, choices[0], forces, observed, ends)
        copy(ends.rewards.reshape(1, -1), experience.rewards[time].reshape(1, -1))
        for worker in range(len(observed)):
            is_cut_off = ends.truncated[worker]
            is_end = ends.terminated[worker] or is_cut_off
            experience.ends[time, worker] = is_end
            experience.final_values[time, worker] = f32(0)
            if is_cut_off and actor.bootstraps:
                value = _value(actor, ends.finals[worker : worker + 1])
                experience.final_values[time, worker] = value
            if is_end:
                episodes[count, 0] = worker
                episodes[count, 1], episodes[count, 2] = ends.returns[worker], ends.lengths[worker]
                count += 1
    return count


@jit
def _act(
    actor: Actor, observed: np.ndarray, noise: np.ndarray, experience: Experience, time: int
) -> None:
    """Draws the actions of one step, and notes how likely they were."""
    network, policy, work = actor.network, actor.policy, actor.work
    most = len(work.observed)
    for begin in range(0, len(observed), most):
        rows = min(most, len(observed) - begin)
        inputs = _take_in(actor, observed[begin : begin + rows])
        features = layers.forward(
            network.trunk, network.activation, actor.weights, inputs, rows, work
        )
        layers.head_forward(network.policy_head, actor.weights, features, work.outputs[:rows])
        logs = experience.log_probabilities[0, time, begin:]
        if len(policy.branches):
            _choose(rows, noise[begin:], experience.choices[time, begin:], work)
            log_softmax(policy.branches, rows, work)
            for row in range(rows):
                logs[row] = work.outputs[row, experience.choices[time, begin + row]]
        else:
            log_deviations = actor.weights[network.free_parameters :]
            draws = experience.draws[time, begin:]
            _draw(policy, rows, log_deviations, noise[begin:], draws, logs, work)


@jit
def _take_in(actor: Actor, observed: np.ndarray) -> Inputs:
    """Writes observations (R, K), normalised, to where the network looks for them."""
    inputs = Inputs(observed, actor.none, actor.none)
    gathered = gathered_inputs(inputs, len(observed), actor.work)
    for row in range(observed.shape[0]):
        for column in range(observed.shape[1]):
            value = observed[row, column]
            if len(actor.mean):
                value = (value - actor.mean[column]) / actor.deviation[column]
                value = clamp(value, -_LIMIT, _LIMIT)
            gathered[row, column] = value
    return inputs


@jit
def _choose(rows: int, noise: np.ndarray, choices: np.ndarray, work: Workspace) -> None:
    """The greatest of the noisy logits (R, O)."""
    logits = work.outputs
    for row in range(rows):
        chosen, greatest = 0, logits[row, 0] + noise[row, 0]
        for choice in range(1, logits.shape[1]):
            noisy = logits[row, choice] + noise[row, choice]
            if noisy > greatest:
                chosen, greatest = choice, noisy
        choices[row] = chosen


@jit
def _draw(
    policy: Policy,
    rows: int,
    log_deviations: np.ndarray,
    noise: np.ndarray,
    draws: np.ndarray,
    logs: np.ndarray,
    work: Workspace,
) -> None:
    """Gaussian actions (R, A), as they are before they are squashed or clipped; and their densities."""
    means = work.outputs
    for row in range(rows):
        total = f32(0)
        for place in range(noise.shape[1]):
            mean, log_deviation = means[row, place], log_deviations[place]
            action = mean + exp(log_deviation) * noise[row, place]
            draws[row, place] = action
            total += log_density(policy, place, action, mean, log_deviation)
        logs[row] = total


@jit
def _find_forces(actor: Actor, draws: np.ndarray) -> None:
    """What the environments get of drawn actions (N, 1)."""
    low, high, half_width = actor.low, actor.high, actor.policy.half_width
    for worker in range(len(draws)):
        action = draws[worker, 0]
        if len(half_width):
            actor.forces[worker] = low[0] + (tanh(action) + ONE) * half_width[0]
        else:
            actor.forces[worker] = clamp(action, low[0], high[0])


@jit
def _value(actor: Actor, observed: np.ndarray) -> float:
    """The value of an observation (1, K)."""
    network, work = actor.network, actor.work
    inputs = _take_in(actor, observed)
    features = layers.forward(
        network.value_trunk, network.activation, actor.weights, inputs, 1, work
    )
    layers.head_forward(network.value_head, actor.weights, features, work.estimates[:1])
    return work.estimates[0, 0]
