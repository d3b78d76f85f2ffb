"""Trains a member in one call: all epochs and mini-batches of an update.

Axes as in `kernel_arguments.py`.
"""

from __future__ import annotations

import numpy as np

from numerics.compiler import entry, inlined, jit
from numerics.functions import f32
from ppo.by_numba import distributions, layers, optimiser
from ppo.by_numba.inputs import gather, set_zero
from ppo.by_numba.kernel_arguments import Chunk, MiniBatchStatistics, Update, Workspace
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
    """Estimate values if `values` isn't empty; else learn.

    Python calls only this function, so that all of the machine code comes from the cache or all of it is
    new: Numba may confuse functions if it has some of each.

    Args:
        update: what the update reads and writes.
        batches: see `learn`.
        logged: see `learn`.
        values: (D,), the estimated values, written in place; (0,) to learn.

    Returns:
        The number of mini-batches evaluated.
    """
    if len(values):
        estimate_values(update, values)
        return 0
    return learn(update, batches, logged)


@jit
def learn(update: Update, batches: np.ndarray, logged: np.ndarray) -> int:
    """Take an optimiser step for each mini-batch, and return the number of mini-batches evaluated.

    Learning stops before a step from a policy that is too far from the one that acted.

    Args:
        update: what the update reads and writes.
        batches: (mini-batches of all epochs, steps) int64, positions in the rollout. Steps with equal
            observations follow one another, so that the network computes each observation once.
        logged: (mini-batches, 7), written in place: policy loss, value loss, total loss, entropy,
            divergence, share of clipped ratios, and the gradient's norm before clipping.
    """
    settings, gradient = update.settings, update.parameters.gradient
    set_zero(gradient.reshape(1, -1))
    for number in range(len(batches)):
        means, row = mini_batch_losses(update, batches[number]), logged[number]
        row[0], row[1], row[3] = means[POLICY], means[VALUE], means[ENTROPY]
        row[2] = row[0] + settings.value_coefficient * row[1] - settings.beta * row[3]
        row[4], row[5], row[6] = means[DIVERGENCE], means[CLIPPED], 0.0
        if row[4] > settings.kl_limit:
            return number + 1
        row[6] = optimiser.clip_norm(gradient, settings.max_grad_norm)
        optimiser.step(update.parameters, settings)
    return len(batches)


@inlined
def mini_batch_losses(update: Update, steps: np.ndarray) -> np.ndarray:
    """Return the mean losses (5,) of a mini-batch (see `losses.py`), and add their gradient.

    Args:
        update: what the update reads and writes.
        steps: (steps,), positions in the rollout.
    """
    mean, deviation = f32(0), f32(1)
    if update.settings.normalise:
        mean, deviation = advantage_moments(update.rollout.advantages, steps)
    batch = MiniBatchStatistics(len(steps), mean, deviation, np.zeros(5))
    network, weights, work = update.network, update.parameters.weights, update.work
    layers.transpose(network.trunk, weights, work.transposed[0])
    if not network.shared:
        layers.transpose(network.value_trunk, weights, work.transposed[1])
    begin = 0
    while begin < len(steps):
        chunk = _next_chunk(update.rollout.observed, steps[begin:], work)
        gather(update.rollout.inputs, chunk.observed, work)
        _add_policy_losses(update, batch, chunk)
        _add_value_losses(update, batch, chunk)
        begin += len(chunk.steps)
    return batch.sums / len(steps)


@jit
def _next_chunk(observed: np.ndarray, steps: np.ndarray, work: Workspace) -> Chunk:
    """Return a chunk of the first steps, as many as have at most R distinct observations.

    Steps with equal observations must follow one another.
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
def _add_policy_losses(update: Update, batch: MiniBatchStatistics, chunk: Chunk) -> None:
    """Add a chunk's policy losses to `batch.sums`, and their gradient to the weights' gradient.

    If the value function shares the hidden layers, `_add_value_losses` continues from the gradient of
    their outputs.
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
        work.grad_outputs[:rows],
        work.grad_features[:rows],
        work.product,
    )
    if not network.shared:
        layers.backward(network.trunk, parameters, work.transposed[0], inputs, rows, work)


@inlined
def _add_value_losses(update: Update, batch: MiniBatchStatistics, chunk: Chunk) -> None:
    """Add a chunk's value losses to `batch.sums`, and their gradient to the weights' gradient."""
    network, parameters, work = update.network, update.parameters, update.work
    inputs, rows, weights = update.rollout.inputs, len(chunk.observed), parameters.weights
    grad_features, grad_outputs = work.grad_features[:rows], work.grad_estimates[:rows]
    if network.shared:
        features = work.values[len(network.trunk) - 1][:rows]
        grad_features = work.grad_more_features[:rows]
    else:
        features = layers.forward(
            network.value_trunk, network.activation, weights, inputs, rows, work
        )
    layers.head_forward(network.value_head, weights, features, work.estimates[:rows])
    value_loss(update, batch, chunk)
    layers.head_backward(
        network.value_head, parameters, features, grad_outputs, grad_features, work.product
    )
    if network.shared:
        _add(work.grad_features, grad_features)
    transposed = work.transposed[0 if network.shared else 1]
    layers.backward(network.value_trunk, parameters, transposed, inputs, rows, work)


@jit
def _add(values: np.ndarray, others: np.ndarray) -> None:
    """Add others (R, H) to values (R or more, H)."""
    for row in range(others.shape[0]):
        for column in range(others.shape[1]):
            values[row, column] += others[row, column]


@jit
def estimate_values(update: Update, values: np.ndarray) -> None:
    """Write the values (D,) of all distinct observations into `values`."""
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
