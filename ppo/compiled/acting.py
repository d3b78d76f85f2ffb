"""What a fully connected network does with observations, as `networks/distributions.py`,
`networks/gaussians.py` and `networks/normaliser.py` define it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from numerics.compiler import entry, jit
from numerics.functions import clamp, exp, f32
from ppo.compiled import layers
from ppo.compiled.arguments import Network, Policy, Workspace
from ppo.compiled.distributions import FORBIDDEN, forbid, log_density, log_softmax
from ppo.compiled.inputs import gathered_inputs

_LIMIT = f32(10)  # as in `networks/normaliser.py`


class Actor(NamedTuple):
    """Who acts.

    Attributes:
        network, policy: as for learning.
        weights: (P,).
        mean, deviation: (K,), by which observations are normalised; (0,) where they aren't.
        work: memory.
        places: (K,) int64, memory for places of an observation.
    """

    network: Network
    policy: Policy
    weights: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    work: Workspace
    places: np.ndarray


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
    actor: Actor,
    observed: np.ndarray,
    sparse: np.ndarray,
    masks: np.ndarray,
    noise: np.ndarray,
    actions: Actions,
) -> None:
    """As `act`, for calls by Python."""
    act(actor, observed, sparse, masks, noise, actions)


@entry
def find_values(actor: Actor, observed: np.ndarray, sparse: np.ndarray, values: np.ndarray) -> None:
    """Finds the values (N,) of what is observed; the arguments are those of `act`."""
    network, most = actor.network, len(actor.work.observed)
    for begin in range(0, len(values), most):
        rows = min(most, len(values) - begin)
        own = slice(begin, begin + rows)
        if len(sparse):
            _first_products(actor, network.value_trunk, sparse[own])
        else:
            take_in(actor, network.value_trunk, observed[own])
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
    actor: Actor,
    observed: np.ndarray,
    sparse: np.ndarray,
    masks: np.ndarray,
    noise: np.ndarray,
    actions: Actions,
) -> None:
    """Draws the actions of N workers, and finds how likely they were.

    Args:
        actor: who acts.
        observed: (N, K) float32, what they observe; (0, 0) where it is given by `sparse`.
        sparse: (N, K) uint8, most of which are zero; (0, 0) where it is given by `observed`.
        masks: (N, O) uint8, 0 where a choice is forbidden; (0, 0) where none is.
        noise: (N, O), of which actions are made.
        actions: become these.
    """
    network, policy, work = actor.network, actor.policy, actor.work
    most = len(work.observed)
    for begin in range(0, len(noise), most):
        rows = min(most, len(noise) - begin)
        own = slice(begin, begin + rows)
        if len(sparse):
            _first_products(actor, network.trunk, sparse[own])
        else:
            take_in(actor, network.trunk, observed[own])
        features = layers.forward_rest(network.trunk, network.activation, actor.weights, rows, work)
        layers.head_forward(network.policy_head, actor.weights, features, work.outputs[:rows])
        logs = actions.log_probabilities[own]
        if len(policy.branches):
            if masks.size:
                forbid(work.outputs, masks[own], FORBIDDEN)
            _choose(policy, noise[own], actions.choices[own], logs, work)
        else:
            log_deviations = actor.weights[network.free_parameters :]
            _draw(policy, log_deviations, noise[own], actions.draws[own], logs, work)


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
def _first_products(actor: Actor, trunk: np.ndarray, sparse: np.ndarray) -> None:
    """Finds the products of a trunk's first layer with observations (R, K), most of them zero."""
    layer, places = trunk[0], actor.places
    weight, outputs = layers.weight_of(layer, actor.weights), actor.work.values[0]
    for row in range(len(sparse)):
        count = 0
        for place in range(sparse.shape[1]):
            # Written in any case, as a processor would often guess wrong whether to.
            places[count] = place
            count += sparse[row, place] != 0
        for column in range(weight.shape[1]):
            outputs[row, column] = f32(0)
        for place in places[:count]:
            value = f32(sparse[row, place])
            for column in range(weight.shape[1]):
                outputs[row, column] += value * weight[place, column]


@jit
def _choose(
    policy: Policy, noise: np.ndarray, choices: np.ndarray, logs: np.ndarray, work: Workspace
) -> None:
    """The greatest of the noisy logits (R, O) of each branch."""
    logits, rows = work.outputs, len(noise)
    for row in range(rows):
        begin = 0
        for branch in range(len(policy.branches)):
            end = begin + policy.branches[branch]
            chosen, greatest = begin, logits[row, begin] + noise[row, begin]
            for choice in range(begin + 1, end):
                noisy = logits[row, choice] + noise[row, choice]
                if noisy > greatest:
                    chosen, greatest = choice, noisy
            choices[row, branch] = chosen - begin
            begin = end
    log_softmax(policy.branches, rows, work)
    for row in range(rows):
        begin = 0
        for ratio in range(policy.ratios):
            logs[row, ratio] = f32(0)
        for branch in range(len(policy.branches)):
            logs[row, branch % policy.ratios] += work.outputs[row, begin + choices[row, branch]]
            begin += policy.branches[branch]


@jit
def _draw(
    policy: Policy,
    log_deviations: np.ndarray,
    noise: np.ndarray,
    draws: np.ndarray,
    logs: np.ndarray,
    work: Workspace,
) -> None:
    """Gaussian actions (R, A), and the logarithms (R, 1) of their densities."""
    means = work.outputs
    for row in range(len(noise)):
        total = f32(0)
        for place in range(noise.shape[1]):
            mean, log_deviation = means[row, place], log_deviations[place]
            action = mean + exp(log_deviation) * noise[row, place]
            draws[row, place] = action
            total += log_density(policy, place, action, mean, log_deviation)
        logs[row, 0] = total
