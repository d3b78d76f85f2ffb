"""What the compiled functions are given, in groups that belong together.

Axes: B steps of a rollout, D different observations among them, R of those at once, K inputs, L hidden
layers of H units, O outputs of the policy's last layer, P weights. Arrays are contiguous and, where
nothing else is said, float32. Arrays that a task doesn't need have no elements, so that all tasks have
the same types and everything is compiled once.
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


class Inputs(NamedTuple):
    """What the network sees.

    Attributes:
        values: (D, K).
        used, groups: (U,) int64, where only a part of the inputs of the first layer is given: its
            weight (all inputs, H) has these rows for it, whose sums by group are its weight (K, H).
            Empty where all are given.
    """

    values: np.ndarray
    used: np.ndarray
    groups: np.ndarray


class Rollout(NamedTuple):
    """What is learnt from.

    Attributes:
        inputs: what the network sees.
        observed: (B,) int64, which of the D observations each step has.
        masks: (D, O) uint8, 0 where a choice is forbidden; empty where none ever is.
        choices: (B, branches) int64, actions of categorical distributions.
        draws: (B, A), actions of Gaussians.
        log_probabilities: (ratios, B), of the actions when they were taken.
        values, advantages, returns: (B,).
    """

    inputs: Inputs
    observed: np.ndarray
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
    """Scratch arrays for R distinct observations at once, and all steps of a mini-batch that see them.

    Its content means nothing between calls.

    Attributes:
        inputs: (R * the greatest K,), what the network sees.
        weight: of the first layer, where its rows are summed by group.
        values, slopes: (L, R, H), outputs of hidden layers and derivatives of activations.
        transposed: (2, L, H, H), weights of the policy's and of the value function's hidden layers.
        by_features, by_more_features: (R, H), gradients of hidden layers' outputs.
        outputs, by_outputs: (R, O), of the policy's last layer, and their gradient.
        estimates, by_estimates: (R, 1), of the values, and their gradient.
        probabilities: (R, O), of choices.
        entropies: (R,).
        counts: (R,), how many steps each observation has.
        entropy_slopes: (2, R, O), of squashed Gaussians, by mean and by logarithm of the deviation.
        product: (the greatest number of weights in a layer,).
        observed: (R,) int64, which observations they are.
        rows: (steps of a mini-batch,) int64, which of the R each step has.
        log_probabilities: (ratios, steps of a mini-batch), then their slopes.
    """

    inputs: np.ndarray
    weight: np.ndarray
    values: np.ndarray
    slopes: np.ndarray
    transposed: np.ndarray
    by_features: np.ndarray
    by_more_features: np.ndarray
    outputs: np.ndarray
    by_outputs: np.ndarray
    estimates: np.ndarray
    by_estimates: np.ndarray
    probabilities: np.ndarray
    entropies: np.ndarray
    counts: np.ndarray
    entropy_slopes: np.ndarray
    product: np.ndarray
    observed: np.ndarray
    rows: np.ndarray
    log_probabilities: np.ndarray


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


class Chunk(NamedTuple):
    """Steps of a mini-batch with at most R different observations.

    Attributes:
        steps: (S,) int64, positions in the rollout.
        rows: (S,) int64, which of the R observations each has.
        observed: (R,) int64, which of the rollout's they are.
    """

    steps: np.ndarray
    rows: np.ndarray
    observed: np.ndarray
