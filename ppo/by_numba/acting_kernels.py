"""Kernels that choose actions and estimate values with a fully connected network.

The results are those of `distributions.py`, `gaussians.py` and `normaliser.py` in `networks/`.

Axes: N workers, R of those at once, K inputs, H units of a layer, O outputs of the policy, A dimensions
of an action, P weights.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from numerics.compiler import entry, jit
from numerics.functions import clamp, exp, f32
from ppo.by_numba import layers
from ppo.by_numba.distributions import FORBIDDEN, forbid, log_density, log_softmax
from ppo.by_numba.inputs import gathered_inputs
from ppo.by_numba.kernel_arguments import NetworkLayout, PolicyArrays, Workspace

_LIMIT = f32(10)  # as in `networks/normaliser.py`


class Actor(NamedTuple):
    """A member's network, as acting kernels take it.

    Attributes:
        network: the positions of the layers.
        policy: the kind of the distribution over actions.
        weights: (P,).
        mean, deviation: (K,), mean and standard deviation that normalise observations; (0,) if there is
            nothing to normalise.
        work: scratch arrays.
    """

    network: NetworkLayout
    policy: PolicyArrays
    weights: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    work: Workspace


class ActionArrays(NamedTuple):
    """The actions of N workers in one step.

    Attributes:
        discrete: (N, branches) int64; (0, 0) for Gaussians.
        continuous: (N, A) float32, before they are squashed or clipped; (0, 0) for categorical
            distributions.
        log_probabilities: (N, ratios) float32.
    """

    discrete: np.ndarray
    continuous: np.ndarray
    log_probabilities: np.ndarray


@entry
def act_on_floats(
    actor: Actor, observed: np.ndarray, masks: np.ndarray, noise: np.ndarray, actions: ActionArrays
) -> None:
    """Call `choose_actions`, for callers in Python."""
    choose_actions(actor, observed, masks, noise, actions)


@entry
def values_of_floats(actor: Actor, observed: np.ndarray, values: np.ndarray) -> None:
    """Write the values (N,) of observations (N, K) float32 into `values`."""
    most = len(actor.work.observed)
    for begin in range(0, len(values), most):
        own = slice(begin, min(begin + most, len(values)))
        project_inputs(actor, actor.network.value_trunk, observed[own])
        values_from_projection(actor, values[own])


@jit
def values_from_projection(actor: Actor, values: np.ndarray) -> None:
    """Write the values (R,) of the projected inputs into `values`."""
    network, work, rows = actor.network, actor.work, len(values)
    features = layers.forward_from_projection(
        network.value_trunk, network.activation, actor.weights, rows, work
    )
    layers.head_forward(network.value_head, actor.weights, features, work.estimates[:rows])
    for row in range(rows):
        values[row] = work.estimates[row, 0]


@jit
def choose_actions(
    actor: Actor, observed: np.ndarray, masks: np.ndarray, noise: np.ndarray, actions: ActionArrays
) -> None:
    """Sample the actions of N workers, and compute their log-probabilities.

    Args:
        actor: the network.
        observed: (N, K) float32, observations.
        masks: (N, O) uint8, 0 where a choice is forbidden; (0, 0) without masks.
        noise: (N, O), random numbers: Gumbel for categorical distributions, else standard normal.
        actions: the result, written in place.
    """
    outputs, most = actor.work.outputs, len(actor.work.observed)
    for begin in range(0, len(noise), most):
        rows = min(most, len(noise) - begin)
        own = slice(begin, begin + rows)
        project_inputs(actor, actor.network.trunk, observed[own])
        outputs_from_projection(actor, rows)
        if masks.size:
            forbid(outputs, masks[own], FORBIDDEN)
        if len(actor.policy.branches):
            log_softmax(actor.policy.branches, rows, actor.work)
        numbers = actor.work.rows[:rows]
        for row in range(rows):
            numbers[row] = row
        part = ActionArrays(
            actions.discrete[own], actions.continuous[own], actions.log_probabilities[own]
        )
        sample_actions(actor, outputs, numbers, noise[own], part)


@jit
def outputs_from_projection(actor: Actor, rows: int) -> None:
    """Compute the policy's outputs (R, O) from the projected inputs, into the workspace."""
    network, weights, work = actor.network, actor.weights, actor.work
    features = layers.forward_from_projection(
        network.trunk, network.activation, weights, rows, work
    )
    layers.head_forward(network.policy_head, weights, features, work.outputs[:rows])


@jit
def sample_actions(
    actor: Actor, outputs: np.ndarray, rows: np.ndarray, noise: np.ndarray, actions: ActionArrays
) -> None:
    """Sample the actions of R workers.

    Args:
        actor: the network.
        outputs: (D, O), log-probabilities of choices, or means of Gaussians.
        rows: (R,) int64, each worker's row of `outputs`.
        noise: (R, O), random numbers.
        actions: the result, written in place.
    """
    logs, policy = actions.log_probabilities, actor.policy
    if len(policy.branches):
        _sample_categorical(
            policy.branches, policy.ratios, outputs, rows, noise, actions.discrete, logs
        )
    else:
        log_deviations = actor.weights[actor.network.free_parameters :]
        _sample_gaussians(policy, outputs, rows, log_deviations, noise, actions.continuous, logs)


@jit
def project_inputs(actor: Actor, trunk: np.ndarray, observed: np.ndarray) -> None:
    """Normalise observations (R, K), and multiply them by the weight of a trunk's first layer.

    The products (R, H), without bias or activation, are `work.values[0]` afterwards.
    """
    gathered = gathered_inputs(observed.shape[1], len(observed), actor.work)
    for row in range(observed.shape[0]):
        for column in range(observed.shape[1]):
            value = observed[row, column]
            if len(actor.mean):
                value = (value - actor.mean[column]) / actor.deviation[column]
                value = clamp(value, -_LIMIT, _LIMIT)
            gathered[row, column] = value
    weight = layers.weight_of(trunk[0], actor.weights)
    np.dot(gathered, weight, actor.work.values[0][: len(observed)])


@jit
def _sample_categorical(
    branches: np.ndarray,
    ratios: int,
    outputs: np.ndarray,
    rows: np.ndarray,
    noise: np.ndarray,
    discrete: np.ndarray,
    logs: np.ndarray,
) -> None:
    """Choose, in each branch, the maximum of log-probabilities plus Gumbel noise."""
    for worker in range(len(rows)):
        row, begin = rows[worker], 0
        for ratio in range(ratios):
            logs[worker, ratio] = f32(0)
        for branch in range(len(branches)):
            end = begin + branches[branch]
            chosen, highest = begin, outputs[row, begin] + noise[worker, begin]
            for choice in range(begin + 1, end):
                noisy = outputs[row, choice] + noise[worker, choice]
                if noisy > highest:
                    chosen, highest = choice, noisy
            discrete[worker, branch] = chosen - begin
            logs[worker, branch % ratios] += outputs[row, chosen]
            begin = end


@jit
def _sample_gaussians(
    policy: PolicyArrays,
    means: np.ndarray,
    rows: np.ndarray,
    log_deviations: np.ndarray,
    noise: np.ndarray,
    continuous: np.ndarray,
    logs: np.ndarray,
) -> None:
    """Sample Gaussian actions (R, A), and compute their log-densities (R, 1)."""
    for worker in range(len(rows)):
        total = f32(0)
        for place in range(noise.shape[1]):
            mean, log_deviation = means[rows[worker], place], log_deviations[place]
            action = mean + exp(log_deviation) * noise[worker, place]
            continuous[worker, place] = action
            total += log_density(policy, place, action, mean, log_deviation)
        logs[worker, 0] = total
