"""What picking the best of many does to its score, and what training it again says.

The best of many means is partly the best and partly the luckiest. Greater is better.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reports.statistics.averages import Array, means
from reports.statistics.contenders import Comparison, shrunken_means
from reports.statistics.intervals import estimate
from reports.statistics.variances import score_prior

_SAMPLES = 2000
_CELLS = 2_000_000  # numbers drawn at once


@dataclass(frozen=True)
class ConfirmedScore:
    """The scores of leaders that were trained again on fresh seeds; each array is (leaders,).

    Attributes:
        selected: the score by which each was selected.
        confirmed: the score on the fresh seeds alone, which is unbiased.
        low: lower end of the confirmed score's interval.
        high: its upper end.
        luck: how much of the selected score didn't repeat.
    """

    selected: Array
    confirmed: Array
    low: Array
    high: Array
    luck: Array


def best_probabilities(
    comparison: Comparison, rng: np.random.Generator, samples: int = _SAMPLES
) -> Array:
    """The probability that each permutation is the best.

    True means are drawn from what is known of them: around the shrunken means, by Student's t. Drawing
    seeds anew from the few there are (a bootstrap) is much too sure of the leader.

    Args:
        comparison: of the scores.
        rng: the generator of the draws.
        samples: how many draws.

    Returns:
        (permutations,), their sum 1; all NaN where there is one repetition only.
    """
    if not comparison.decided:
        return np.full(len(comparison.mean), np.nan)
    scored = np.flatnonzero(~np.isnan(comparison.mean))
    shrunken, between = shrunken_means(comparison)
    noise = comparison.error[scored] ** 2
    total = np.where(between + noise > 0, between + noise, 1.0)
    spread = np.sqrt(between * noise / total)
    freedom = np.maximum(comparison.variances.freedom[scored], 1.0)
    wins = np.zeros(len(scored))
    for size in _batches(samples, len(scored)):
        drawn = shrunken[scored] + spread * rng.standard_t(freedom, size=(size, len(scored)))
        # Where nothing tells permutations apart, they share the win.
        best = drawn == drawn.max(axis=1, keepdims=True)
        wins += (best / best.sum(axis=1, keepdims=True)).sum(axis=0)
    probabilities = np.zeros(len(comparison.mean))
    probabilities[scored] = wins / samples
    return probabilities


def selection_bias(
    comparison: Comparison, rng: np.random.Generator, samples: int = _SAMPLES
) -> float:
    """How much too high the score of the leader is to be expected, for having been selected.

    The selection is played again with noise of the known size around means that differ as much as the
    true ones do (Louis 1984, "Estimating a population of parameter values using Bayes and empirical
    Bayes methods").

    Args:
        comparison: of the scores.
        rng: the generator of the draws.
        samples: how often it is played.

    Returns:
        A number of at least 0; NaN where there is one repetition only.
    """
    if not comparison.decided:
        return float("nan")
    scored = ~np.isnan(comparison.mean)
    mean, error = comparison.mean[scored], comparison.error[scored]
    _, between = shrunken_means(comparison)
    total = between + error**2
    share = np.divide(between, total, out=np.ones_like(total), where=total > 0)
    truth = mean.mean() + np.sqrt(share) * (mean - mean.mean())
    excess = 0.0
    for size in _batches(samples, len(mean)):
        noise = error * rng.standard_normal((size, len(mean)))
        winner = (truth + noise).argmax(axis=1)
        excess += float(noise[np.arange(size), winner].sum())
    return max(excess / samples, 0.0)


def confirm(selected: Array, confirmed: Array, sweep: Array) -> ConfirmedScore:
    """Sets scores on fresh seeds beside those by which leaders were selected.

    Args:
        selected: the leaders' scores in the sweep, (leaders, repetitions).
        confirmed: their scores on seeds that the sweep didn't use, (leaders, fresh repetitions).
        sweep: the scores of the whole sweep, (permutations, repetitions), whose variances help with
            the interval.
    """
    fresh = estimate(confirmed, score_prior(sweep))
    before = means(selected)
    return ConfirmedScore(before, fresh.mean, fresh.low, fresh.high, before - fresh.mean)


def _batches(samples: int, width: int) -> list[int]:
    """How many samples to draw at a time so that large grids fit into memory."""
    size = max(_CELLS // max(width, 1), 1)
    return [min(size, samples - start) for start in range(0, samples, size)]
