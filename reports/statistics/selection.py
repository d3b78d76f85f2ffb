"""Corrects for selection: the best of many means is partly good and partly lucky.

Greater is better.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reports.statistics.averages import Array, counts, means, seed_effects
from reports.statistics.contenders import Comparison, shrunken_means
from reports.statistics.intervals import estimate
from reports.statistics.variances import score_prior

_SAMPLES = 2000  # draws
_ROUNDING = 1e-9  # relative difference of means that count as equal
_CELLS = 2_000_000  # random numbers held at a time


@dataclass(frozen=True)
class ConfirmedScore:
    """The scores of leaders on fresh seeds; each array is (leaders,).

    Attributes:
        selected: score in the sweep that selected the leader.
        confirmed: score on the fresh seeds alone, which is unbiased.
        low: lower end of the confirmed score's interval.
        high: upper end of the interval.
        luck: selected score less the confirmed one.
    """

    selected: Array
    confirmed: Array
    low: Array
    high: Array
    luck: Array


def best_probabilities(
    comparison: Comparison, rng: np.random.Generator, samples: int = _SAMPLES
) -> Array:
    """Return the probability that each permutation is the best.

    Draws the variance of each mean from its posterior, and then the true mean around the shrunken one.
    A bootstrap over so few seeds would be far too certain of the leader.

    Args:
        comparison: the comparison of the scores.
        rng: generator of the draws.
        samples: number of draws.

    Returns:
        (permutations,), with a sum of 1; all NaN with a single repetition.
    """
    if not comparison.decided:
        return np.full(len(comparison.mean), np.nan)
    scored = np.flatnonzero(~np.isnan(comparison.mean))
    _, between = shrunken_means(comparison)
    center = comparison.center
    lead = comparison.mean[scored] - center
    noise = comparison.error[scored] ** 2
    freedom = np.maximum(comparison.variances.freedom[scored], 1.0)
    wins = np.zeros(len(scored))
    for size in _batches(samples, len(scored)):
        # A noise that is hardly known may be large, but then the mean is pulled to all others'.
        drawn = noise * freedom / rng.chisquare(freedom, size=(size, len(scored)))
        total = np.where(between + drawn > 0, between + drawn, 1.0)
        weight = np.where(between + drawn > 0, between / total, 1.0)
        spread = np.sqrt(between * drawn / total)
        truth = center + weight * lead + spread * rng.standard_normal((size, len(scored)))
        # Equal permutations share the win.
        best = truth == truth.max(axis=1, keepdims=True)
        wins += (best / best.sum(axis=1, keepdims=True)).sum(axis=0)
    probabilities = np.zeros(len(comparison.mean))
    probabilities[scored] = wins / samples
    return probabilities


def selection_bias(scores: Array) -> float:
    """Return the expected luck of the leader: the part of its score that its selection explains.

    Each seed in turn judges the permutation that leads on the other seeds. What the leader loses on
    that seed is luck, whatever the distribution of scores. That is the luck of one repetition less, so
    it is scaled by the standard errors. Permutations that lead together share the judgement.

    Args:
        scores: (permutations, repetitions), NaN where a run has none; greater is better.

    Returns:
        A number of at least 0; NaN if no permutation has two scores.
    """
    count = counts(scores)
    if count.max(initial=0) < 2:
        return float("nan")
    own = scores - seed_effects(scores)
    sums, losses = np.nansum(own, axis=1), []
    for seed in range(scores.shape[1]):
        judged = ~np.isnan(own[:, seed]) & (count > 1)
        if judged.any():
            others = (sums[judged] - own[judged, seed]) / (count[judged] - 1)
            leading = others >= others.max() - _ROUNDING * abs(others.max())
            losses.append(float((others - own[judged, seed])[leading].mean()))
    typical = float(np.median(count[count > 1]))
    return max(float(np.mean(losses)) * np.sqrt(1 - 1 / typical), 0.0)


def confirm(selected: Array, confirmed: Array, sweep: Array) -> ConfirmedScore:
    """Compare leaders' scores on fresh seeds with those that selected them.

    Args:
        selected: leaders' scores in the sweep, (leaders, repetitions).
        confirmed: leaders' scores on seeds that the sweep didn't use, (leaders, fresh repetitions).
        sweep: scores of the whole sweep, (permutations, repetitions); their variances narrow the
            intervals.
    """
    fresh = estimate(confirmed, score_prior(sweep))
    before = means(selected)
    return ConfirmedScore(before, fresh.mean, fresh.low, fresh.high, before - fresh.mean)


def _batches(samples: int, width: int) -> list[int]:
    """Return sizes of batches of samples that fit into memory, also for large grids."""
    size = max(_CELLS // max(width, 1), 1)
    return [min(size, samples - start) for start in range(0, samples, size)]
