"""Groups the arrays and numbers that kernels, functions compiled by Numba, take as arguments.

Axes: B steps of a rollout, D distinct observations among them, R of those at once, K inputs of the
network, L hidden layers of H units, O outputs of the policy's last layer, A dimensions of an action, P
weights. Arrays are contiguous and float32 unless stated otherwise. An array that a task doesn't need is
empty, so that all tasks have the same types and each kernel is compiled once.

A name `grad_x` is the gradient of the loss with respect to `x`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class NetworkLayout(NamedTuple):
    """The positions of a network's layers in its row of weights (see `layers.py`).

    Attributes:
        trunk, value_trunk: (L, 4) int64, hidden layers of policy and value function; the same layers if
            `shared`.
        policy_head, value_head: (4,) int64, last layers.
        free_parameters: the index of the Gaussians' first log standard deviation.
        activation: the index in `activations.ACTIVATIONS`.
        shared: whether policy and value function share their hidden layers.
    """

    trunk: np.ndarray
    value_trunk: np.ndarray
    policy_head: np.ndarray
    value_head: np.ndarray
    free_parameters: int
    activation: int
    shared: bool


class PolicyArrays(NamedTuple):
    """The kind of a policy's distribution over actions.

    Attributes:
        branches: (branches,) int64, number of choices of each categorical distribution; empty for
            Gaussians.
        ratios: the number of probability ratios of an action.
        half_width: (A,), half the width of each squashed action's interval; empty without squashing.
        nodes, node_weights: (32,), of the Gauss-Hermite quadrature for a squashed Gaussian's entropy.
    """

    branches: np.ndarray
    ratios: int
    half_width: np.ndarray
    nodes: np.ndarray
    node_weights: np.ndarray


class Inputs(NamedTuple):
    """The network's inputs.

    Attributes:
        values: (D, K).
        used, groups: (U,) int64, for one-hot observations with columns left out or merged: the rows of
            the first layer's weight that are in use, and the column of `values` that each belongs to.
            Empty if `values` has all columns.
    """

    values: np.ndarray
    used: np.ndarray
    groups: np.ndarray


class RolloutArrays(NamedTuple):
    """A member's rollout, as learning reads it.

    Attributes:
        inputs: the network's inputs.
        observed: (B,) int64, index of each step's observation, from 0 to D - 1.
        masks: (D, O) uint8, 0 where a choice is forbidden; empty without masks.
        discrete_actions: (B, branches) int64; empty for Gaussians.
        continuous_actions: (B, A), before they are squashed or clipped; empty for categorical
            distributions.
        log_probabilities: (ratios, B), of the actions under the policy that acted.
        values, advantages, returns: (B,).
    """

    inputs: Inputs
    observed: np.ndarray
    masks: np.ndarray
    discrete_actions: np.ndarray
    continuous_actions: np.ndarray
    log_probabilities: np.ndarray
    values: np.ndarray
    advantages: np.ndarray
    returns: np.ndarray


class Settings(NamedTuple):
    """The hyperparameters of one update (see `schema/trainer.py`).

    Attributes:
        kl_limit: the divergence of a mini-batch above which the update stops; infinite for no limit.
        normalise: whether advantages are normalised in each mini-batch.
    """

    learning_rate: float
    clip_range: float
    beta: float
    value_coefficient: float
    clip_value: bool
    max_grad_norm: float
    epsilon: float
    weight_decay: float
    kl_limit: float
    normalise: bool


class Parameters(NamedTuple):
    """A member's weights and the state of its optimiser.

    Attributes:
        weights, gradient, first_moments, second_moments: (P,).
        steps: (1,), number of optimiser steps so far.
    """

    weights: np.ndarray
    gradient: np.ndarray
    first_moments: np.ndarray
    second_moments: np.ndarray
    steps: np.ndarray


class Workspace(NamedTuple):
    """Scratch arrays for R distinct observations, and for all steps of a mini-batch that have them.

    Their content means nothing between calls.

    Attributes:
        inputs: (R * the largest K,), the network's inputs.
        weight: (the largest K * H,), the first layer's weight with merged rows.
        values, derivatives: (L, R, H), outputs of hidden layers and derivatives of activations.
        transposed: (2, L, H, H), transposed weights of the policy's and the value function's trunk.
        grad_features, grad_more_features: (R, H), gradients of hidden layers' outputs.
        outputs, grad_outputs: (R, O), outputs of the policy's last layer, and their gradient.
        estimates, grad_estimates: (R, 1), estimated values, and their gradient.
        probabilities: (R, O), of the choices.
        entropies: (R,).
        counts: (R,), number of steps with each observation.
        entropy_gradients: (2, R, O), gradients of a squashed Gaussian's entropy with respect to mean and
            log standard deviation.
        product: (the largest number of weights in a layer,), the gradient of one chunk.
        observed: (R,) int64, index of each observation, from 0 to D - 1.
        rows: (steps of a mini-batch,) int64, index of each step's observation, from 0 to R - 1.
        log_probabilities: (ratios, steps of a mini-batch), later their gradient.
    """

    inputs: np.ndarray
    weight: np.ndarray
    values: np.ndarray
    derivatives: np.ndarray
    transposed: np.ndarray
    grad_features: np.ndarray
    grad_more_features: np.ndarray
    outputs: np.ndarray
    grad_outputs: np.ndarray
    estimates: np.ndarray
    grad_estimates: np.ndarray
    probabilities: np.ndarray
    entropies: np.ndarray
    counts: np.ndarray
    entropy_gradients: np.ndarray
    product: np.ndarray
    observed: np.ndarray
    rows: np.ndarray
    log_probabilities: np.ndarray


class Update(NamedTuple):
    """Everything that one member's update reads and writes."""

    network: NetworkLayout
    policy: PolicyArrays
    rollout: RolloutArrays
    settings: Settings
    parameters: Parameters
    work: Workspace


class MiniBatchStatistics(NamedTuple):
    """The size, advantages' moments and summed losses of a mini-batch.

    Attributes:
        size: the number of steps.
        mean, deviation: mean and standard deviation that normalise the advantages.
        sums: (5,) float64, sums of the losses so far (see `losses.py`).
    """

    size: int
    mean: float
    deviation: float
    sums: np.ndarray


class Chunk(NamedTuple):
    """Steps of a mini-batch with at most R distinct observations.

    Attributes:
        steps: (S,) int64, positions in the rollout.
        rows: (S,) int64, index of each step's observation, from 0 to R - 1.
        observed: (R,) int64, index of each observation in the rollout, from 0 to D - 1.
    """

    steps: np.ndarray
    rows: np.ndarray
    observed: np.ndarray
