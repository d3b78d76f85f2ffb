"""Log-probabilities and entropies of actions, and their gradients, as `networks/distributions.py` and
`networks/gaussians.py` define them.

`steps` (R,) are the positions in the rollout of a chunk's steps.
"""

from __future__ import annotations

import math

import numpy as np

from ppo.compiled.arguments import Policy, Rollout, Update, Workspace
from ppo.compiled.compiler import jit
from ppo.compiled.functions import ONE, exp, f32

_ZERO, _TWO, _HALF = f32(0), f32(2), f32(0.5)
_FORBIDDEN = f32(-1e8)  # as in `networks/distributions.py`
_LOG_2 = f32(math.log(2))
_LOG_ROOT_TWO_PI = f32(0.5 * math.log(2 * math.pi))


@jit
def evaluate(update: Update, steps: np.ndarray) -> None:
    """Finds log-probabilities and entropies of a chunk's steps (R,) from the policy's outputs.

    Outputs of categorical distributions become logarithms of probabilities.
    """
    if len(update.policy.branches):
        _evaluate_choices(update.policy, update.rollout, steps, update.work)
    else:
        _evaluate_gaussians(update, steps)


@jit
def backward(update: Update, by_entropy: float, steps: np.ndarray) -> None:
    """Turns the outputs that `evaluate` left into their gradient.

    Args:
        update: has the slopes of the loss by each log-probability.
        by_entropy: the slope of the loss by each entropy.
        steps: (R,), of the chunk.
    """
    if len(update.policy.branches):
        _choices_backward(update.policy, update.rollout, by_entropy, steps, update.work)
    else:
        _gaussians_backward(update, by_entropy, steps)


@jit
def _evaluate_choices(policy: Policy, rollout: Rollout, steps: np.ndarray, work: Workspace) -> None:
    masked = rollout.masks.size > 0
    for row in range(len(steps)):
        step, logits = steps[row], work.outputs[row]
        work.entropies[row] = _ZERO
        work.log_probabilities[:, row] = _ZERO
        begin = 0
        for branch in range(len(policy.branches)):
            end = begin + policy.branches[branch]
            if masked:
                _forbid(logits[begin:end], rollout.masks[step, begin:end], _FORBIDDEN)
            work.entropies[row] += _log_softmax(logits[begin:end])
            chosen = logits[begin + rollout.choices[step, branch]]
            # The only one, or each branch's own.
            work.log_probabilities[branch % policy.ratios, row] += chosen
            begin = end


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
    policy: Policy, rollout: Rollout, by_entropy: float, steps: np.ndarray, work: Workspace
) -> None:
    masked = rollout.masks.size > 0
    for row in range(len(steps)):
        step, begin = steps[row], 0
        for branch in range(len(policy.branches)):
            end = begin + policy.branches[branch]
            by_chosen = work.log_probabilities[branch % policy.ratios, row]
            gradient = work.outputs[row, begin:end]
            _log_softmax_backward(gradient, by_chosen, by_entropy)
            gradient[rollout.choices[step, branch]] += by_chosen
            if masked:
                _forbid(gradient, rollout.masks[step, begin:end], _ZERO)
            begin = end


@jit
def _log_softmax_backward(logs: np.ndarray, by_chosen: float, by_entropy: float) -> None:
    """Logarithms of probabilities become the gradient of logits, but for that of the chosen one.

    With p = softmax(logits) and the entropy H, the logarithm of a choice's probability has the slope
    [chosen] - p, and the entropy -p (log p + H).
    """
    mean_log = _ZERO
    for choice in range(len(logs)):
        mean_log += exp(logs[choice]) * logs[choice]
    for choice in range(len(logs)):
        slope = by_entropy * (mean_log - logs[choice]) - by_chosen
        logs[choice] = exp(logs[choice]) * slope


@jit
def _log_deviations(update: Update, row: np.ndarray) -> np.ndarray:
    """The logarithms (A,) of the Gaussians' deviations, or their gradient, in a row (P,) of all."""
    begin = update.network.free_parameters
    return row[begin : begin + update.rollout.draws.shape[1]]


@jit
def _evaluate_gaussians(update: Update, steps: np.ndarray) -> None:
    policy, draws, work = update.policy, update.rollout.draws, update.work
    log_deviations = _log_deviations(update, update.parameters.weights)
    squashed = len(policy.half_width) > 0
    for row in range(len(steps)):
        log_density, entropy = _ZERO, _ZERO
        for number in range(len(log_deviations)):
            mean, log_deviation = work.outputs[row, number], log_deviations[number]
            action = draws[steps[row], number]
            standardised = (action - mean) / math.exp(log_deviation)
            log_density -= _HALF * standardised * standardised + log_deviation + _LOG_ROOT_TWO_PI
            entropy += log_deviation + (_HALF + _LOG_ROOT_TWO_PI)
            if squashed:
                log_half_width = math.log(policy.half_width[number])
                log_density -= _log_slope(action) + log_half_width
                expected, by_mean, by_log_deviation = _mean_log_slope(policy, mean, log_deviation)
                entropy += expected + log_half_width
                work.entropy_slopes[0, row, number] = by_mean
                work.entropy_slopes[1, row, number] = by_log_deviation
        work.log_probabilities[0, row], work.entropies[row] = log_density, entropy


@jit
def _gaussians_backward(update: Update, by_entropy: float, steps: np.ndarray) -> None:
    draws, work = update.rollout.draws, update.work
    log_deviations = _log_deviations(update, update.parameters.weights)
    by_log_deviations = _log_deviations(update, update.parameters.gradient)
    squashed = len(update.policy.half_width) > 0
    for row in range(len(steps)):
        by_log_density = work.log_probabilities[0, row]
        for number in range(len(log_deviations)):
            deviation = math.exp(log_deviations[number])
            standardised = (draws[steps[row], number] - work.outputs[row, number]) / deviation
            by_mean = by_log_density * standardised / deviation
            by_log_deviation = by_log_density * (standardised * standardised - ONE) + by_entropy
            if squashed:
                by_mean += by_entropy * work.entropy_slopes[0, row, number]
                by_log_deviation += by_entropy * work.entropy_slopes[1, row, number]
            work.outputs[row, number] = by_mean
            by_log_deviations[number] += by_log_deviation


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
