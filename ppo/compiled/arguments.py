"""What the compiled functions are given, in groups that belong together.

Axes: B steps of a rollout or a mini-batch, R steps of a chunk, K inputs, L hidden layers of H units, O
outputs of the policy's last layer, P weights. Arrays are contiguous and, where nothing else is said,
float32. Arrays that a task doesn't need have no elements, so that all tasks have the same types and
everything is compiled once.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Network(NamedTuple):
    """Where in a row of weights the layers are (see `layers.py`).

    Attributes:
        trunk, value_trunk: (L, 4) int64, hidden layers; they are the same ones where `shared`.
        policy_head, value_head: (4,) int64.
        free_parameters: where the logarithms of the Gaussians' deviations begin.
        activation: its number.
        shared: whether policy and value function share their hidden layers.
    """

    trunk: np.ndarray
    value_trunk: np.ndarray
    policy_head: np.ndarray
    value_head: np.ndarray
    free_parameters: int
    activation: int
    shared: bool


class Policy(NamedTuple):
    """The kind of distribution over actions.

    Attributes:
        branches: (branches,) int64, choices of each categorical distribution; empty for Gaussians.
        ratios: how many probability ratios an action has.
        half_width: (A,), by which squashed actions are stretched; empty where none are squashed.
        places, shares: (32,), of the quadrature of a squashed Gaussian's entropy.
    """

    branches: np.ndarray
    ratios: int
    half_width: np.ndarray
    places: np.ndarray
    shares: np.ndarray


class Rollout(NamedTuple):
    """What is learnt from.

    Attributes:
        inputs: (B, K), what the network sees.
        masks: (B, O) uint8, 0 where a choice is forbidden; empty where none ever is.
        choices: (B, branches) int64, actions of categorical distributions.
        draws: (B, A), actions of Gaussians.
        log_probabilities: (ratios, B), of the actions when they were taken.
        values, advantages, returns: (B,).
    """

    inputs: np.ndarray
    masks: np.ndarray
    choices: np.ndarray
    draws: np.ndarray
    log_probabilities: np.ndarray
    values: np.ndarray
    advantages: np.ndarray
    returns: np.ndarray


class Settings(NamedTuple):
    """Hyperparameters as they are in this update (see `schema/trainer.py`).

    Attributes:
        kl_limit: divergence of a mini-batch at which the update ends; infinite for never.
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
    """What is trained, and the optimiser's state.

    Attributes:
        weights, gradient, first_moments, second_moments: (P,).
        steps: (1,), of the optimiser so far.
    """

    weights: np.ndarray
    gradient: np.ndarray
    first_moments: np.ndarray
    second_moments: np.ndarray
    steps: np.ndarray


class Workspace(NamedTuple):
    """Memory for a chunk, of any content between calls.

    Attributes:
        inputs: (R, K).
        values, slopes: (L, R, H), outputs of hidden layers and derivatives of activations.
        by_features, by_more_features: (R, H), gradients of hidden layers' outputs.
        outputs: (R, O), of the policy's last layer, then their gradient.
        estimates: (R, 1), of the values, then their gradient.
        log_probabilities: (ratios, R), then their slopes.
        entropies: (R,).
        entropy_slopes: (2, R, O), of squashed Gaussians, by mean and by logarithm of the deviation.
        product: (the greatest number of weights in a layer,).
    """

    inputs: np.ndarray
    values: np.ndarray
    slopes: np.ndarray
    by_features: np.ndarray
    by_more_features: np.ndarray
    outputs: np.ndarray
    estimates: np.ndarray
    log_probabilities: np.ndarray
    entropies: np.ndarray
    entropy_slopes: np.ndarray
    product: np.ndarray


class Update(NamedTuple):
    """All of the above: what an update of a member is made of."""

    network: Network
    policy: Policy
    rollout: Rollout
    settings: Settings
    parameters: Parameters
    work: Workspace


class Batch(NamedTuple):
    """A mini-batch.

    Attributes:
        size: how many steps it has.
        mean, deviation: by which advantages are normalised.
        sums: (5,) float64, of its losses so far (see `objective.py`).
    """

    size: int
    mean: float
    deviation: float
    sums: np.ndarray
