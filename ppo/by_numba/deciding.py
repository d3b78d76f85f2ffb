"""What a fully connected network does with observations, as `networks/distributions.py`,
`networks/gaussians.py` and `networks/normaliser.py` define it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from numerics.compiler import entry, jit
from numerics.functions import clamp, exp, f32
from ppo.by_numba import layers
from ppo.by_numba.arguments import Network, Policy, Workspace
from ppo.by_numba.distributions import FORBIDDEN, forbid, log_density, log_softmax
from ppo.by_numba.inputs import gathered_inputs

_LIMIT = f32(10)  # as in `networks/normaliser.py`


class Actor(NamedTuple):
    """Who acts.

    Attributes:
        network, policy: as for learning.
        weights: (P,).
        mean, deviation: (K,), by which observations are normalised; (0,) where they aren't.
        work: memory.
    """

    network: Network
    policy: Policy
    weights: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    work: Workspace


class Actions(NamedTuple):
    """What N workers do.

    Attributes:
        choices: (N, branches) int64; (0, 0) for Gaussians.
        draws: (N, A) float32, of Gaussians as they are before they are squashed or clipped; else (0, 0).
        log_probabilities: (N, ratios) float32.
    """

    choices: np.ndarray
    draws: np.ndarray
    log_probabilities: np.ndarray


@entry
def decide(
    actor: Actor, observed: np.ndarray, masks: np.ndarray, noise: np.ndarray, actions: Actions
) -> None:
    """As `act`, for calls by Python."""
    act(actor, observed, masks, noise, actions)


@entry
def find_values(actor: Actor, observed: np.ndarray, values: np.ndarray) -> None:
    """Finds the values (N,) of what is observed, (N, K) float32."""
    most = len(actor.work.observed)
    for begin in range(0, len(values), most):
        own = slice(begin, min(begin + most, len(values)))
        take_in(actor, actor.network.value_trunk, observed[own])
        values_of_taken_in(actor, values[own])


@jit
def values_of_taken_in(actor: Actor, values: np.ndarray) -> None:
    """Finds the values (R,) of what was taken in."""
    network, work, rows = actor.network, actor.work, len(values)
    features = layers.forward_rest(
        network.value_trunk, network.activation, actor.weights, rows, work
    )
    layers.head_forward(network.value_head, actor.weights, features, work.estimates[:rows])
    for row in range(rows):
        values[row] = work.estimates[row, 0]


@jit
def act(
    actor: Actor, observed: np.ndarray, masks: np.ndarray, noise: np.ndarray, actions: Actions
) -> None:
    """Draws the actions of N workers, and finds how likely they were.

    Args:
        actor: who acts.
        observed: (N, K) float32, what they observe.
        masks: (N, O) uint8, 0 where a choice is forbidden; (0, 0) where none is.
        noise: (N, O), of which actions are made.
        actions: become these.
    """
    outputs, most = actor.work.outputs, len(actor.work.observed)
    for begin in range(0, len(noise), most):
        rows = min(most, len(noise) - begin)
        own = slice(begin, begin + rows)
        take_in(actor, actor.network.trunk, observed[own])
        outputs_of_taken_in(actor, rows)
        if masks.size:
            forbid(outputs, masks[own], FORBIDDEN)
        if len(actor.policy.branches):
            log_softmax(actor.policy.branches, rows, actor.work)
        numbers = actor.work.rows[:rows]
        for row in range(rows):
            numbers[row] = row
        part = Actions(actions.choices[own], actions.draws[own], actions.log_probabilities[own])
        choose_or_draw(actor, outputs, numbers, noise[own], part)


@jit
def outputs_of_taken_in(actor: Actor, rows: int) -> None:
    """Finds the policy's outputs (R, O) of what was taken in."""
    network, weights, work = actor.network, actor.weights, actor.work
    features = layers.forward_rest(network.trunk, network.activation, weights, rows, work)
    layers.head_forward(network.policy_head, weights, features, work.outputs[:rows])


@jit
def choose_or_draw(
    actor: Actor, outputs: np.ndarray, rows: np.ndarray, noise: np.ndarray, actions: Actions
) -> None:
    """Draws the actions of R workers.

    Args:
        actor: who acts.
        outputs: (D, O), logarithms of choices' probabilities, or means.
        rows: (R,) int64, which of these each worker has.
        noise: (R, O).
        actions: become what they do.
    """
    logs, policy = actions.log_probabilities, actor.policy
    if len(policy.branches):
        _choose(policy.branches, policy.ratios, outputs, rows, noise, actions.choices, logs)
    else:
        log_deviations = actor.weights[actor.network.free_parameters :]
        _draw(policy, outputs, rows, log_deviations, noise, actions.draws, logs)


@jit
def take_in(actor: Actor, trunk: np.ndarray, observed: np.ndarray) -> None:
    """Finds the products of a trunk's first layer with observations (R, K), normalised before."""
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
def _choose(
    branches: np.ndarray,
    ratios: int,
    outputs: np.ndarray,
    rows: np.ndarray,
    noise: np.ndarray,
    choices: np.ndarray,
    logs: np.ndarray,
) -> None:
    """The greatest of the noisy logarithms of probabilities of each branch."""
    for worker in range(len(rows)):
        row, begin = rows[worker], 0
        for ratio in range(ratios):
            logs[worker, ratio] = f32(0)
        for branch in range(len(branches)):
            end = begin + branches[branch]
            chosen, greatest = begin, outputs[row, begin] + noise[worker, begin]
            for choice in range(begin + 1, end):
                noisy = outputs[row, choice] + noise[worker, choice]
                if noisy > greatest:
                    chosen, greatest = choice, noisy
            choices[worker, branch] = chosen - begin
            logs[worker, branch % ratios] += outputs[row, chosen]
            begin = end


@jit
def _draw(
    policy: Policy,
    means: np.ndarray,
    rows: np.ndarray,
    log_deviations: np.ndarray,
    noise: np.ndarray,
    draws: np.ndarray,
    logs: np.ndarray,
) -> None:
    """Gaussian actions (R, A), and the logarithms (R, 1) of their densities."""
    for worker in range(len(rows)):
        total = f32(0)
        for place in range(noise.shape[1]):
            mean, log_deviation = means[rows[worker], place], log_deviations[place]
            action = mean + exp(log_deviation) * noise[worker, place]
            draws[worker, place] = action
            total += log_density(policy, place, action, mean, log_deviation)
        logs[worker, 0] = total
