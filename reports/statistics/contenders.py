"""Finds the permutations that could be the best, and the repetitions that would separate them.

Runs of a repetition share their seed, so the seed's effect on all permutations is subtracted first. A
permutation is excluded if another one is significantly better after correcting for all comparisons:
subset selection (Gupta 1965, "On some multiple decision rules"), which keeps the best one with the
given confidence. Greater is better.

`scores` are (permutations, repetitions); a column is a seed, and NaN stands for a run without a score.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from reports.statistics.averages import Array, best_first, counts, seedless_means
from reports.statistics.variances import Variances, fit_prior, moderate, residual_variances

_RIVALS = 100  # best permutations that each one is compared with; worse ones exclude nothing


@dataclass(frozen=True)
class Comparison:
    """A comparison of permutations; each array is (permutations,).

    Attributes:
        mean: mean score less the effects of its seeds; NaN without a score.
        count: number of scores.
        variances: variances of the scores without the effects of seeds.
        could_be_best: whether the data can't tell a permutation from the best.
        decided: whether there are enough repetitions to exclude any permutation; with one repetition
            there aren't.
    """

    mean: Array
    count: NDArray[np.int64]
    variances: Variances
    could_be_best: NDArray[np.bool_]
    decided: bool

    @property
    def leader(self) -> int:
        """The place of the permutation with the greatest mean."""
        return int(best_first(self.mean)[0])

    @property
    def error(self) -> Array:
        """The standard error of each mean, (permutations,)."""
        error: Array = np.sqrt(self.variances.variance / np.maximum(self.count, 1))
        return error


def compare(scores: Array, confidence: float = 0.95) -> Comparison:
    """Find the permutations that could be the best.

    Args:
        scores: (permutations, repetitions), at least one of them not NaN.
        confidence: probability that the best permutation is among those found.
    """
    own = residual_variances(scores)
    variances = moderate(own, fit_prior(own))
    count = counts(scores)
    mean = seedless_means(scores)
    decided = bool((own.freedom > 0).any())
    could = ~np.isnan(mean)
    if decided:
        limit = _limits(variances, int(could.sum()), confidence)
        could &= ~_excluded(mean, np.sqrt(variances.variance / np.maximum(count, 1)), limit)
    return Comparison(mean, count, variances, could, decided)


def repetitions_needed(
    comparison: Comparison, confidence: float = 0.95, power: float = 0.8, most: int = 1000
) -> int | None:
    """Return how many more repetitions of the contenders would likely leave only the leader.

    The true means are assumed to be the shrunken ones (`shrunken_means`).

    Args:
        comparison: the comparison of the scores so far.
        confidence: confidence of the comparison.
        power: probability that each of the others is excluded.
        most: largest number of repetitions to consider.

    Returns:
        The number, 0 if the leader is alone already; None if more than `most` are needed, or with a
        single repetition.
    """
    others = comparison.could_be_best.copy()
    others[comparison.leader] = False
    if not others.any():
        return 0
    if not comparison.decided:
        return None

    def suffice(more: int) -> bool:
        probabilities = _exclusion_probabilities(comparison, others, more, confidence)
        return bool((probabilities >= power).all())

    # More repetitions never make an exclusion less likely.
    needed = 1 + bisect_left(range(1, most + 1), True, key=suffice)
    return needed if needed <= most else None


def shrunken_means(comparison: Comparison) -> tuple[Array, float]:
    """Shrink means towards the grid's mean; noisier means shrink more.

    Empirical Bayes with a normal prior (Efron and Morris 1975, "Data analysis using Stein's estimator").

    Args:
        comparison: the comparison of the scores.

    Returns:
        The shrunken means (permutations,), and the variance between the true means.
    """
    scored = ~np.isnan(comparison.mean)
    noise = comparison.error[scored] ** 2
    mean = comparison.mean[scored]
    between = max(float(mean.var(ddof=1) - noise.mean()), 0.0) if len(mean) > 1 else 0.0
    shrunken = comparison.mean.copy()
    shrunken[scored] = mean.mean() + _weight(between, noise) * (mean - mean.mean())
    return shrunken, between


def _exclusion_probabilities(
    comparison: Comparison, others: NDArray[np.bool_], more: int, confidence: float
) -> Array:
    """Return the probability that each of the others is excluded after more repetitions, (others,)."""
    leader = comparison.leader
    shrunken, _ = shrunken_means(comparison)
    lead = shrunken[leader] - shrunken[others]
    variance = comparison.variances.variance / (comparison.count + more)
    error = np.sqrt(variance[others] + variance[leader])
    freedom = np.minimum(comparison.variances.freedom[others], comparison.variances.freedom[leader])
    number = int((~np.isnan(comparison.mean)).sum())
    limit = special.stdtrit(freedom + more, _confidence_of_each(number, confidence))
    # Without any variance, any lead suffices, and equal means never do.
    certain = np.where(lead > 0, np.inf, -np.inf)
    probabilities: Array = special.ndtr(
        np.divide(lead, error, out=certain, where=error > 0) - limit
    )
    return probabilities


def _limits(variances: Variances, number: int, confidence: float) -> Array:
    """Return the standard errors by which a rival must lead, (permutations,); infinite if unknown."""
    freedom, place = np.unique(variances.freedom, return_inverse=True)
    limit = np.full(len(freedom), np.inf)
    limit[freedom > 0] = special.stdtrit(
        freedom[freedom > 0], _confidence_of_each(number, confidence)
    )
    return limit[place]


def _confidence_of_each(number: int, confidence: float) -> float:
    """Return the confidence of each comparison for which all hold together (Bonferroni)."""
    return 1 - (1 - confidence) / max(number - 1, 1)


def _excluded(mean: Array, error: Array, limit: Array) -> NDArray[np.bool_]:
    """Return whether each permutation is significantly worse than another one, (permutations,)."""
    rivals = np.argsort(np.where(np.isnan(mean), np.inf, -mean), kind="stable")[:_RIVALS]
    excluded = np.zeros(len(mean), dtype=bool)
    # Rounding mustn't decide between equal means when nothing varies.
    rounding = 1e-9 * np.nanmax(np.abs(mean))
    for rival in rivals:
        needed = np.maximum(limit, limit[rival])
        known = np.isfinite(needed)
        needed[known] *= np.hypot(error, error[rival])[known]
        excluded |= mean[rival] - mean > rounding + needed
    return excluded


def _weight(between: float, noise: Array) -> Array:
    """Return the share of a mean's distance to the others that isn't noise."""
    total = between + noise
    return np.divide(between, total, out=np.ones_like(noise), where=total > 0)
