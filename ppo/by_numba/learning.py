"""A member's update: all epochs and mini-batches in one call."""

from __future__ import annotations

import numpy as np

from numerics.compiler import entry, inlined, jit
from numerics.functions import f32
from ppo.by_numba import distributions, layers, optimiser
from ppo.by_numba.arguments import Batch, Chunk, Update, Workspace
from ppo.by_numba.inputs import gather, set_zero
from ppo.by_numba.losses import (
    CLIPPED,
    DIVERGENCE,
    ENTROPY,
    POLICY,
    VALUE,
    advantage_moments,
    policy_loss,
    value_loss,
)


@entry
def run(update: Update, batches: np.ndarray, logged: np.ndarray, values: np.ndarray) -> int:
    """Estimates values where there is room for some, else learns.

    It is the only function that Python calls, so that all of this is either kept from before or compiled
    anew: Numba may mistake functions for each other where it has both kinds.

    Args:
        update: what it is made of.
        batches: as for `learn`.
        logged: as for `learn`.
        values: (D,) as for `estimate_values`, or (0,).

    Returns:
        How many mini-batches were looked at.
    """
    if len(values):
        estimate_values(update, values)
        return 0
    return learn(update, batches, logged)


@jit
def learn(update: Update, batches: np.ndarray, logged: np.ndarray) -> int:
    """Takes an optimiser step for each mini-batch, and returns how many mini-batches were looked at.

    It ends before a step from a policy that has gone too far from the one that acted.

    Args:
        update: what it is made of.
        batches: (mini-batches of all epochs, steps) int64, positions in the rollout. Those of equal
            observations lie one after another, so that the network sees these once.
        logged: (mini-batches, 7), becomes the policy's, the value's and the total loss, entropy,
            divergence, share of clipped ratios, and the gradient's norm before clipping.
    """
    settings, gradient = update.settings, update.parameters.gradient
    set_zero(gradient.reshape(1, -1))
    for number in range(len(batches)):
        means, row = evaluate(update, batches[number]), logged[number]
        row[0], row[1], row[3] = means[POLICY], means[VALUE], means[ENTROPY]
        row[2] = row[0] + settings.value_coefficient * row[1] - settings.beta * row[3]
        row[4], row[5], row[6] = means[DIVERGENCE], means[CLIPPED], 0.0
        if row[4] > settings.kl_limit:
            return number + 1
        row[6] = optimiser.clip_norm(gradient, settings.max_grad_norm)
        optimiser.step(update.parameters, settings)
    return len(batches)


@inlined
def evaluate(update: Update, steps: np.ndarray) -> np.ndarray:
    """The mean losses (5,) of a mini-batch (see `objective.py`), whose gradient is added up.

    Args:
        update: what it is made of.
        steps: (B,), positions in the rollout.
    """
    mean, deviation = f32(0), f32(1)
    if update.settings.normalise:
        mean, deviation = advantage_moments(update.rollout.advantages, steps)
    batch = Batch(len(steps), mean, deviation, np.zeros(5))
    network, weights, work = update.network, update.parameters.weights, update.work
    layers.transpose(network.trunk, weights, work.transposed[0])
    if not network.shared:
        layers.transpose(network.value_trunk, weights, work.transposed[1])
    begin = 0
    while begin < len(steps):
        chunk = _chunk(update.rollout.observed, steps[begin:], work)
        gather(update.rollout.inputs, chunk.observed, work)
        _learn_policy(update, batch, chunk)
        _learn_values(update, batch, chunk)
        begin += len(chunk.steps)
    return batch.sums / len(steps)


@jit
def _chunk(observed: np.ndarray, steps: np.ndarray, work: Workspace) -> Chunk:
    """The first of steps (S,), as many as have R different observations.

    Where steps have the same observation, they must lie one after another.
    """
    count = -1
    end = len(steps)
    for number in range(len(steps)):
        observation = observed[steps[number]]
        if count < 0 or observation != work.observed[count]:
            count += 1
            if count == len(work.observed):
                end = number
                break
            work.observed[count] = observation
        work.rows[number] = count
    return Chunk(steps[:end], work.rows[:end], work.observed[: min(count + 1, len(work.observed))])


@inlined
def _learn_policy(update: Update, batch: Batch, chunk: Chunk) -> None:
    """Adds the losses of a chunk's actions, and their gradient.

    Where the value function shares the hidden layers, the gradient of their outputs is left for it.
    """
    network, parameters, work = update.network, update.parameters, update.work
    inputs, rows, weights = update.rollout.inputs, len(chunk.observed), parameters.weights
    features = layers.forward(network.trunk, network.activation, weights, inputs, rows, work)
    layers.head_forward(network.policy_head, weights, features, work.outputs[:rows])
    distributions.evaluate(update, chunk)
    policy_loss(update, batch, chunk)
    distributions.backward(update, f32(-update.settings.beta / batch.size), chunk)
    layers.head_backward(
        network.policy_head,
        parameters,
        features,
        work.by_outputs[:rows],
        work.by_features[:rows],
        work.product,
    )
    if not network.shared:
        layers.backward(network.trunk, parameters, work.transposed[0], inputs, rows, work)


@inlined
def _learn_values(update: Update, batch: Batch, chunk: Chunk) -> None:
    """Adds the losses of a chunk's values, and their gradient."""
    network, parameters, work = update.network, update.parameters, update.work
    inputs, rows, weights = update.rollout.inputs, len(chunk.observed), parameters.weights
    by_features, by_outputs = work.by_features[:rows], work.by_estimates[:rows]
    if network.shared:
        features = work.values[len(network.trunk) - 1][:rows]
        by_features = work.by_more_features[:rows]
    else:
        features = layers.forward(
            network.value_trunk, network.activation, weights, inputs, rows, work
        )
    layers.head_forward(network.value_head, weights, features, work.estimates[:rows])
    value_loss(update, batch, chunk)
    layers.head_backward(
        network.value_head, parameters, features, by_outputs, by_features, work.product
    )
    if network.shared:
        _add(work.by_features, by_features)
    transposed = work.transposed[0 if network.shared else 1]
    layers.backward(network.value_trunk, parameters, transposed, inputs, rows, work)


@jit
def _add(values: np.ndarray, others: np.ndarray) -> None:
    """Adds others (R, H) to values (R or more, H)."""
    for row in range(others.shape[0]):
        for column in range(others.shape[1]):
            values[row, column] += others[row, column]


@jit
def estimate_values(update: Update, values: np.ndarray) -> None:
    """The values (D,) of all observations."""
    network, inputs, work = update.network, update.rollout.inputs, update.work
    weights = update.parameters.weights
    most = len(work.observed)
    for begin in range(0, len(values), most):
        observed = np.arange(begin, min(begin + most, len(values)))
        gather(inputs, observed, work)
        rows = len(observed)
        features = layers.forward(
            network.value_trunk, network.activation, weights, inputs, rows, work
        )
        layers.head_forward(network.value_head, weights, features, work.estimates[:rows])
        for row in range(rows):
            values[begin + row] = work.estimates[row, 0]
