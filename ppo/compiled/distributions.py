"""Log-probabilities and entropies of actions, and their gradients, as `networks/distributions.py` and
`networks/gaussians.py` define them.
"""

from __future__ import annotations

import math

import numpy as np

from ppo.compiled.arguments import Chunk, Policy, Rollout, Update, Workspace
from ppo.compiled.compiler import jit
from ppo.compiled.functions import ONE, exp, f32
from ppo.compiled.inputs import set_zero

_ZERO, _TWO, _HALF = f32(0), f32(2), f32(0.5)
_FORBIDDEN = f32(-1e8)  # as in `networks/distributions.py`
_LOG_2 = f32(math.log(2))
_LOG_ROOT_TWO_PI = f32(0.5 * math.log(2 * math.pi))


@jit
def evaluate(update: Update, chunk: Chunk) -> None:
    """Finds log-probabilities (ratios, S) of a chunk's actions, and entropies (R,), from the outputs.

    Outputs of categorical distributions become logarithms of probabilities.
    """
    if len(update.policy.branches):
        _evaluate_choices(update.policy, update.rollout, chunk, update.work)
    else:
        _evaluate_gaussians(update, chunk)


@jit
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


@jit
def _evaluate_choices(policy: Policy, rollout: Rollout, chunk: Chunk, work: Workspace) -> None:
    for row in range(len(chunk.observed)):
        work.entropies[row] = _ZERO
        begin = 0
        for choices in policy.branches:
            logits = work.outputs[row, begin : begin + choices]
            if rollout.masks.size:
                mask = rollout.masks[chunk.observed[row], begin : begin + choices]
                _forbid(logits, mask, _FORBIDDEN)
            work.entropies[row] += _log_softmax(logits)
            begin += choices
    set_zero(work.log_probabilities[:, : len(chunk.steps)])
    for number in range(len(chunk.steps)):
        begin = 0
        for branch in range(len(policy.branches)):
            choice = begin + rollout.choices[chunk.steps[number], branch]
            # The only ratio, or each branch's own.
            ratio = branch % policy.ratios
            work.log_probabilities[ratio, number] += work.outputs[chunk.rows[number], choice]
            begin += policy.branches[branch]


@jit
def _forbid(values: np.ndarray, mask: np.ndarray, value: float) -> None:
    for choice in range(len(values)):
        if mask[choice] == 0:
            values[choice] = value


@jit
def _log_softmax(logits: np.ndarray) -> float:
    """Logits become logarithms of probabilities; returns their entropy."""
    greatest = logits[0]
    for choice in range(1, len(logits)):
        greatest = max(greatest, logits[choice])
    total = _ZERO
    for choice in range(len(logits)):
        logits[choice] -= greatest
        total += exp(logits[choice])
    log_total = math.log(total)
    entropy = _ZERO
    for choice in range(len(logits)):
        logits[choice] -= log_total
        entropy -= exp(logits[choice]) * logits[choice]
    return entropy


@jit
def _choices_backward(
    policy: Policy, rollout: Rollout, by_entropy: float, chunk: Chunk, work: Workspace
) -> None:
    counts = np.zeros(len(chunk.observed), np.float32)
    for number in range(len(chunk.steps)):
        row, begin = chunk.rows[number], 0
        counts[row] += ONE
        for branch in range(len(policy.branches)):
            choice = begin + rollout.choices[chunk.steps[number], branch]
            ratio = branch % policy.ratios
            work.by_outputs[row, choice] += work.log_probabilities[ratio, number]
            begin += policy.branches[branch]
    for row in range(len(chunk.observed)):
        begin = 0
        for choices in policy.branches:
            logs = work.outputs[row, begin : begin + choices]
            gradient = work.by_outputs[row, begin : begin + choices]
            _log_softmax_backward(logs, counts[row] * by_entropy, gradient)
            if rollout.masks.size:
                mask = rollout.masks[chunk.observed[row], begin : begin + choices]
                _forbid(gradient, mask, _ZERO)
            begin += choices


@jit
def _log_softmax_backward(logs: np.ndarray, by_entropy: float, gradient: np.ndarray) -> None:
    """The slopes by the logarithms of probabilities become those by logits.

    With p = softmax(logits) and the entropy H, the logarithm of a choice's probability has the slope
    [chosen] - p, and the entropy -p (log p + H).
    """
    mean_log, total = _ZERO, _ZERO
    for choice in range(len(logs)):
        mean_log += exp(logs[choice]) * logs[choice]
        total += gradient[choice]
    for choice in range(len(logs)):
        gradient[choice] += exp(logs[choice]) * (by_entropy * (mean_log - logs[choice]) - total)


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
        log_density = _ZERO
        for place in range(len(log_deviations)):
            action, log_deviation = (
                update.rollout.draws[chunk.steps[number], place],
                log_deviations[place],
            )
            mean = work.outputs[chunk.rows[number], place]
            standardised = (action - mean) / math.exp(log_deviation)
            log_density -= _HALF * standardised * standardised + log_deviation + _LOG_ROOT_TWO_PI
            if squashed:
                log_density -= _log_slope(action) + math.log(policy.half_width[place])
        work.log_probabilities[0, number] = log_density


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
