"""Computes log-probabilities and entropies of actions, and their gradients, in kernels.

The results are those of `networks/distributions.py`, `networks/gaussians.py` and torch's autograd.

Axes: S steps of a chunk, R distinct observations in it, O outputs of the policy, A dimensions of an
action.
"""

from __future__ import annotations

import math

import numpy as np

from numerics.compiler import inlined, jit
from numerics.functions import ONE, exp, f32
from ppo.by_numba.inputs import set_zero
from ppo.by_numba.kernel_arguments import Chunk, PolicyArrays, RolloutArrays, Update, Workspace

_ZERO, _TWO, _HALF = f32(0), f32(2), f32(0.5)
FORBIDDEN = f32(-1e8)  # as in `networks/distributions.py`
_LOG_2 = f32(math.log(2))
_LOG_ROOT_TWO_PI = f32(0.5 * math.log(2 * math.pi))


@inlined
def evaluate(update: Update, chunk: Chunk) -> None:
    """Compute log-probabilities (ratios, S) of a chunk's actions, and entropies (R,), from the outputs.

    The outputs of categorical distributions are replaced by log-probabilities.
    """
    if len(update.policy.branches):
        _evaluate_categorical(update.policy, update.rollout, chunk, update.work)
    else:
        _evaluate_gaussians(update, chunk)


@inlined
def backward(update: Update, grad_entropy: float, chunk: Chunk) -> None:
    """Compute the gradient of the policy's outputs, after `evaluate`.

    Args:
        update: its workspace has the gradient of the log-probabilities.
        grad_entropy: the gradient of each step's entropy.
        chunk: the steps.
    """
    set_zero(update.work.grad_outputs[: len(chunk.observed)])
    if len(update.policy.branches):
        _categorical_backward(update.policy, update.rollout, grad_entropy, chunk, update.work)
    else:
        _gaussians_backward(update, grad_entropy, chunk)


@inlined
def _evaluate_categorical(
    policy: PolicyArrays, rollout: RolloutArrays, chunk: Chunk, work: Workspace
) -> None:
    rows = len(chunk.observed)
    if rollout.masks.size:
        forbid_observed(work.outputs, rollout.masks, chunk.observed, FORBIDDEN)
    log_softmax(policy.branches, rows, work)
    outputs, logs, choices = work.outputs, work.log_probabilities, rollout.discrete_actions
    for number in range(len(chunk.steps)):
        row, step = chunk.rows[number], chunk.steps[number]
        for ratio in range(policy.ratios):
            logs[ratio, number] = _ZERO
        begin = 0
        for branch in range(len(policy.branches)):
            # Either all branches share one ratio, or each has its own.
            ratio = branch % policy.ratios
            logs[ratio, number] += outputs[row, begin + choices[step, branch]]
            begin += policy.branches[branch]


@jit
def forbid_observed(
    values: np.ndarray, masks: np.ndarray, observed: np.ndarray, value: float
) -> None:
    """Set values (R, O) to `value` where the masks (D, O) of observations (R,) forbid a choice."""
    for row in range(len(observed)):
        forbid(values[row : row + 1], masks[observed[row] : observed[row] + 1], value)


@jit
def forbid(values: np.ndarray, masks: np.ndarray, value: float) -> None:
    """Set values (R, O) to `value` where masks (R, O) forbid a choice."""
    for row in range(len(masks)):
        for choice in range(masks.shape[1]):
            if masks[row, choice] == 0:
                values[row, choice] = value


@jit
def log_softmax(branches: np.ndarray, rows: int, work: Workspace) -> None:
    """Replace logits (R, O) by log-probabilities; also compute probabilities (R, O) and entropies (R,).

    Args:
        branches: (branches,), number of logits of each.
        rows: R.
        work: `outputs` has the logits; the results are written to `outputs`, `probabilities` and
            `entropies`.
    """
    outputs, probabilities = work.outputs[:rows], work.probabilities[:rows]
    _subtract_highest(branches, outputs)
    # A separate loop, so that the compiler can use SIMD instructions.
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
def _subtract_highest(branches: np.ndarray, logits: np.ndarray) -> None:
    for row in range(logits.shape[0]):
        begin = 0
        for choices in branches:
            highest = logits[row, begin]
            for choice in range(begin + 1, begin + choices):
                highest = max(highest, logits[row, choice])
            for choice in range(begin, begin + choices):
                logits[row, choice] -= highest
            begin += choices


@inlined
def _categorical_backward(
    policy: PolicyArrays, rollout: RolloutArrays, grad_entropy: float, chunk: Chunk, work: Workspace
) -> None:
    counts, gradient = work.counts, work.grad_outputs
    counts[: len(chunk.observed)] = _ZERO
    for number in range(len(chunk.steps)):
        row, step, begin = chunk.rows[number], chunk.steps[number], 0
        counts[row] += ONE
        for branch in range(len(policy.branches)):
            choice = begin + rollout.discrete_actions[step, branch]
            gradient[row, choice] += work.log_probabilities[branch % policy.ratios, number]
            begin += policy.branches[branch]
    _log_softmax_backward(policy.branches, grad_entropy, len(chunk.observed), work)
    if rollout.masks.size:
        forbid_observed(gradient, rollout.masks, chunk.observed, _ZERO)


@jit
def _log_softmax_backward(
    branches: np.ndarray, grad_entropy: float, rows: int, work: Workspace
) -> None:
    """Turn the gradient of log-probabilities into the gradient of logits.

    With p = softmax(logits) and the entropy H, the derivative of a choice's log-probability is
    [chosen] - p, and that of the entropy is -p (log p + H).
    """
    logs, probabilities, gradient = work.outputs, work.probabilities, work.grad_outputs
    for row in range(rows):
        begin, grad_own_entropy = 0, work.counts[row] * grad_entropy
        for choices in branches:
            mean_log, total = _ZERO, _ZERO
            for choice in range(begin, begin + choices):
                mean_log += probabilities[row, choice] * logs[row, choice]
                total += gradient[row, choice]
            for choice in range(begin, begin + choices):
                derivative = grad_own_entropy * (mean_log - logs[row, choice]) - total
                gradient[row, choice] += probabilities[row, choice] * derivative
            begin += choices


@jit
def _log_deviations(update: Update, row: np.ndarray) -> np.ndarray:
    """Return the log standard deviations (A,), or their gradient, from a row (P,)."""
    begin = update.network.free_parameters
    return row[begin : begin + update.rollout.continuous_actions.shape[1]]


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
                expected, grad_mean, grad_log_deviation = _expected_log_derivative(
                    policy, work.outputs[row, place], log_deviations[place]
                )
                entropy += expected + math.log(policy.half_width[place])
                work.entropy_gradients[0, row, place] = grad_mean
                work.entropy_gradients[1, row, place] = grad_log_deviation
        work.entropies[row] = entropy
    for number in range(len(chunk.steps)):
        total = _ZERO
        for place in range(len(log_deviations)):
            action = update.rollout.continuous_actions[chunk.steps[number], place]
            mean = work.outputs[chunk.rows[number], place]
            total += log_density(policy, place, action, mean, log_deviations[place])
        work.log_probabilities[0, number] = total


@jit
def log_density(
    policy: PolicyArrays, place: int, action: float, mean: float, log_deviation: float
) -> float:
    """Return the log-density of one dimension of an action; `action` is its value before squashing."""
    standardised = (action - mean) / math.exp(log_deviation)
    logarithm = -(_HALF * standardised * standardised + log_deviation + _LOG_ROOT_TWO_PI)
    if len(policy.half_width):
        logarithm -= _log_tanh_derivative(action) + math.log(policy.half_width[place])
    return logarithm


@jit
def _gaussians_backward(update: Update, grad_entropy: float, chunk: Chunk) -> None:
    work = update.work
    log_deviations = _log_deviations(update, update.parameters.weights)
    grad_log_deviations = _log_deviations(update, update.parameters.gradient)
    squashed = len(update.policy.half_width) > 0
    for number in range(len(chunk.steps)):
        row, grad_log_density = chunk.rows[number], work.log_probabilities[0, number]
        for place in range(len(log_deviations)):
            deviation = math.exp(log_deviations[place])
            action = update.rollout.continuous_actions[chunk.steps[number], place]
            standardised = (action - work.outputs[row, place]) / deviation
            grad_mean = grad_log_density * standardised / deviation
            grad_log_deviation = (
                grad_log_density * (standardised * standardised - ONE) + grad_entropy
            )
            if squashed:
                grad_mean += grad_entropy * work.entropy_gradients[0, row, place]
                grad_log_deviation += grad_entropy * work.entropy_gradients[1, row, place]
            work.grad_outputs[row, place] += grad_mean
            grad_log_deviations[place] += grad_log_deviation


@jit
def _log_tanh_derivative(action: float) -> float:
    """Return the logarithm of tanh's derivative, log(4 / (e^x + e^-x)^2), in a form exact for any x."""
    return _TWO * (_LOG_2 - abs(action) - math.log1p(math.exp(-_TWO * abs(action))))


@jit
def _expected_log_derivative(
    policy: PolicyArrays, mean: float, log_deviation: float
) -> tuple[float, float, float]:
    """Return the mean of `_log_tanh_derivative` over a Gaussian, and its gradients.

    The gradients are with respect to the Gaussian's mean and log standard deviation. Computed by
    Gauss-Hermite quadrature.
    """
    deviation = math.exp(log_deviation)
    expected, grad_mean, grad_log_deviation = _ZERO, _ZERO, _ZERO
    for number in range(len(policy.nodes)):
        node, weight = policy.nodes[number], policy.node_weights[number]
        move = deviation * node
        expected += weight * _log_tanh_derivative(mean + move)
        derivative = -_TWO * weight * math.tanh(mean + move)
        grad_mean += derivative
        grad_log_deviation += derivative * move
    return expected, grad_mean, grad_log_deviation
