"""Log-probabilities and entropies of actions, and their gradients, as `networks/distributions.py` and
`networks/gaussians.py` define them.
"""

from __future__ import annotations

import math

import numpy as np

from numerics.compiler import inlined, jit
from numerics.functions import ONE, exp, f32
from ppo.by_numba.arguments import Chunk, Policy, Rollout, Update, Workspace
from ppo.by_numba.inputs import set_zero

_ZERO, _TWO, _HALF = f32(0), f32(2), f32(0.5)
FORBIDDEN = f32(-1e8)  # as in `networks/distributions.py`
_LOG_2 = f32(math.log(2))
_LOG_ROOT_TWO_PI = f32(0.5 * math.log(2 * math.pi))


@inlined
def evaluate(update: Update, chunk: Chunk) -> None:
    """Finds log-probabilities (ratios, S) of a chunk's actions, and entropies (R,), from the outputs.

    Outputs of categorical distributions become logarithms of probabilities.
    """
    if len(update.policy.branches):
        _evaluate_choices(update.policy, update.rollout, chunk, update.work)
    else:
        _evaluate_gaussians(update, chunk)


@inlined
def backward(update: Update, by_entropy: float, chunk: Chunk) -> None:
    """Finds the gradient of the outputs that `evaluate` left.

    Args:
        update: has the slopes of the loss by each log-probability.
        by_entropy: the slope of the loss by the entropy of a step.
        chunk: the steps.
    """
    set_zero(update.work.by_outputs[: len(chunk.observed)])
    if len(update.policy.branches):
        _choices_backward(update.policy, update.rollout, by_entropy, chunk, update.work)
    else:
        _gaussians_backward(update, by_entropy, chunk)


@inlined
def _evaluate_choices(policy: Policy, rollout: Rollout, chunk: Chunk, work: Workspace) -> None:
    rows = len(chunk.observed)
    if rollout.masks.size:
        forbid_observed(work.outputs, rollout.masks, chunk.observed, FORBIDDEN)
    log_softmax(policy.branches, rows, work)
    outputs, logs, choices = work.outputs, work.log_probabilities, rollout.choices
    for number in range(len(chunk.steps)):
        row, step = chunk.rows[number], chunk.steps[number]
        for ratio in range(policy.ratios):
            logs[ratio, number] = _ZERO
        begin = 0
        for branch in range(len(policy.branches)):
            # The only ratio, or each branch's own.
            ratio = branch % policy.ratios
            logs[ratio, number] += outputs[row, begin + choices[step, branch]]
            begin += policy.branches[branch]


@jit
def forbid_observed(
    values: np.ndarray, masks: np.ndarray, observed: np.ndarray, value: float
) -> None:
    """Sets the values (R, O) of what the masks (D, O) of some observations (R,) forbid."""
    for row in range(len(observed)):
        forbid(values[row : row + 1], masks[observed[row] : observed[row] + 1], value)


@jit
def forbid(values: np.ndarray, masks: np.ndarray, value: float) -> None:
    """Sets the values (R, O) of what masks (R, O) forbid."""
    for row in range(len(masks)):
        for choice in range(masks.shape[1]):
            if masks[row, choice] == 0:
                values[row, choice] = value


@jit
def log_softmax(branches: np.ndarray, rows: int, work: Workspace) -> None:
    """Logits (R, O) become logarithms of probabilities; finds these, and entropies (R,).

    Args:
        branches: how many logits each has.
        rows: R.
        work: has the logits among its outputs, and takes what is found.
    """
    outputs, probabilities = work.outputs[:rows], work.probabilities[:rows]
    _subtract_greatest(branches, outputs)
    # On its own, so that whole vectors are computed at once.
    exponents, powers = outputs.reshape(-1), probabilities.reshape(-1)
    for place in range(len(exponents)):
        powers[place] = exp(exponents[place])
    entropies = work.entropies
    for row in range(rows):
        entropy, begin = _ZERO, 0
        for choices in branches:
            total = _ZERO
            for choice in range(begin, begin + choices):
                total += probabilities[row, choice]
            log_total, per_total = math.log(total), ONE / total
            for choice in range(begin, begin + choices):
                outputs[row, choice] -= log_total
                probabilities[row, choice] *= per_total
                entropy -= probabilities[row, choice] * outputs[row, choice]
            begin += choices
        entropies[row] = entropy


@jit
def _subtract_greatest(branches: np.ndarray, logits: np.ndarray) -> None:
    for row in range(logits.shape[0]):
        begin = 0
        for choices in branches:
            greatest = logits[row, begin]
            for choice in range(begin + 1, begin + choices):
                greatest = max(greatest, logits[row, choice])
            for choice in range(begin, begin + choices):
                logits[row, choice] -= greatest
            begin += choices


@inlined
def _choices_backward(
    policy: Policy, rollout: Rollout, by_entropy: float, chunk: Chunk, work: Workspace
) -> None:
    counts, gradient = work.counts, work.by_outputs
    counts[: len(chunk.observed)] = _ZERO
    for number in range(len(chunk.steps)):
        row, step, begin = chunk.rows[number], chunk.steps[number], 0
        counts[row] += ONE
        for branch in range(len(policy.branches)):
            choice = begin + rollout.choices[step, branch]
            gradient[row, choice] += work.log_probabilities[branch % policy.ratios, number]
            begin += policy.branches[branch]
    _log_softmax_backward(policy.branches, by_entropy, len(chunk.observed), work)
    if rollout.masks.size:
        forbid_observed(gradient, rollout.masks, chunk.observed, _ZERO)


@jit
def _log_softmax_backward(
    branches: np.ndarray, by_entropy: float, rows: int, work: Workspace
) -> None:
    """The slopes by the logarithms of probabilities become those by logits.

    With p = softmax(logits) and the entropy H, the logarithm of a choice's probability has the slope
    [chosen] - p, and the entropy -p (log p + H).
    """
    logs, probabilities, gradient = work.outputs, work.probabilities, work.by_outputs
    for row in range(rows):
        begin, by_own_entropy = 0, work.counts[row] * by_entropy
        for choices in branches:
            mean_log, total = _ZERO, _ZERO
            for choice in range(begin, begin + choices):
                mean_log += probabilities[row, choice] * logs[row, choice]
                total += gradient[row, choice]
            for choice in range(begin, begin + choices):
                slope = by_own_entropy * (mean_log - logs[row, choice]) - total
                gradient[row, choice] += probabilities[row, choice] * slope
            begin += choices


@jit
def _log_deviations(update: Update, row: np.ndarray) -> np.ndarray:
    """The logarithms (A,) of the Gaussians' deviations, or their gradient, in a row (P,) of all."""
    begin = update.network.free_parameters
    return row[begin : begin + update.rollout.draws.shape[1]]


@jit
def _evaluate_gaussians(update: Update, chunk: Chunk) -> None:
    policy, work = update.policy, update.work
    log_deviations = _log_deviations(update, update.parameters.weights)
    squashed = len(policy.half_width) > 0
    for row in range(len(chunk.observed)):
        entropy = _ZERO
        for place in range(len(log_deviations)):
            entropy += log_deviations[place] + (_HALF + _LOG_ROOT_TWO_PI)
            if squashed:
                expected, by_mean, by_log_deviation = _mean_log_slope(
                    policy, work.outputs[row, place], log_deviations[place]
                )
                entropy += expected + math.log(policy.half_width[place])
                work.entropy_slopes[0, row, place] = by_mean
                work.entropy_slopes[1, row, place] = by_log_deviation
        work.entropies[row] = entropy
    for number in range(len(chunk.steps)):
        total = _ZERO
        for place in range(len(log_deviations)):
            action = update.rollout.draws[chunk.steps[number], place]
            mean = work.outputs[chunk.rows[number], place]
            total += log_density(policy, place, action, mean, log_deviations[place])
        work.log_probabilities[0, number] = total


@jit
def log_density(
    policy: Policy, place: int, action: float, mean: float, log_deviation: float
) -> float:
    """The logarithm of the density of one number of an action, as it was before it was squashed."""
    standardised = (action - mean) / math.exp(log_deviation)
    logarithm = -(_HALF * standardised * standardised + log_deviation + _LOG_ROOT_TWO_PI)
    if len(policy.half_width):
        logarithm -= _log_slope(action) + math.log(policy.half_width[place])
    return logarithm


@jit
def _gaussians_backward(update: Update, by_entropy: float, chunk: Chunk) -> None:
    work = update.work
    log_deviations = _log_deviations(update, update.parameters.weights)
    by_log_deviations = _log_deviations(update, update.parameters.gradient)
    squashed = len(update.policy.half_width) > 0
    for number in range(len(chunk.steps)):
        row, by_log_density = chunk.rows[number], work.log_probabilities[0, number]
        for place in range(len(log_deviations)):
            deviation = math.exp(log_deviations[place])
            action = update.rollout.draws[chunk.steps[number], place]
            standardised = (action - work.outputs[row, place]) / deviation
            by_mean = by_log_density * standardised / deviation
            by_log_deviation = by_log_density * (standardised * standardised - ONE) + by_entropy
            if squashed:
                by_mean += by_entropy * work.entropy_slopes[0, row, place]
                by_log_deviation += by_entropy * work.entropy_slopes[1, row, place]
            work.by_outputs[row, place] += by_mean
            by_log_deviations[place] += by_log_deviation


@jit
def _log_slope(action: float) -> float:
    """The logarithm of the slope of tanh, exact far from 0 too: log(4 / (e^x + e^-x)^2)."""
    return _TWO * (_LOG_2 - abs(action) - math.log1p(math.exp(-_TWO * abs(action))))


@jit
def _mean_log_slope(
    policy: Policy, mean: float, log_deviation: float
) -> tuple[float, float, float]:
    """The expected `_log_slope` of a normal number, and its slopes by mean and by log-deviation.

    Gauss-Hermite quadrature.
    """
    deviation = math.exp(log_deviation)
    expected, by_mean, by_log_deviation = _ZERO, _ZERO, _ZERO
    for number in range(len(policy.places)):
        place, share = policy.places[number], policy.shares[number]
        move = deviation * place
        expected += share * _log_slope(mean + move)
        slope = -_TWO * share * math.tanh(mean + move)
        by_mean += slope
        by_log_deviation += slope * move
    return expected, by_mean, by_log_deviation
