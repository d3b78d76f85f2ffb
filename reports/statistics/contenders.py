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

from reports.statistics.averages import Array, best_first, counts, means, seedless_means
from reports.statistics.bounds import Bounds, limits, pile_limits
from reports.statistics.variances import (
    Prior,
    Variances,
    are_silent,
    fit_prior,
    moderate,
    residual_variances,
    wild,
)

_RIVALS = 100  # best permutations that each one is compared with; worse ones exclude nothing


@dataclass(frozen=True)
class Margins:
    """The numbers that bound the difference of any two permutations; each array is (permutations,).

    All differences from one permutation hold together with the confidence of the comparison.

    Attributes:
        mean: mean score less the effects of its seeds; NaN without a score.
        error: its standard error.
        limit: the standard errors of t's margin; infinite if unknown.
        low: the least mean that it may have, where t has nothing to work with; else the mean itself.
        high: the greatest mean, likewise.
        rest: the standard error; 0 where t has nothing to work with.
    """

    mean: Array
    error: Array
    limit: Array
    low: Array
    high: Array
    rest: Array

    def differences(self, one: int) -> tuple[Array, Array]:
        """Return a permutation's least and greatest difference to each one, (permutations,) each."""
        limit = np.maximum(self.limit, self.limit[one])
        by_t = _times(limit, np.hypot(self.error, self.error[one]))
        by_rest = _times(limit, np.hypot(self.rest, self.rest[one]))
        mean, low, high = self.mean[one], self.low[one], self.high[one]
        least = np.minimum(mean - self.mean - by_t, low - self.high - by_rest)
        greatest = np.maximum(mean - self.mean + by_t, high - self.low + by_rest)
        return least, greatest


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
        behind_best: the most by which a permutation may be worse than the best; NaN if not decided.
        wild: whether its noise is too large to say anything of the others.
        margins: the margins of the permutations' differences; None if not decided.
    """

    mean: Array
    count: NDArray[np.int64]
    variances: Variances
    could_be_best: NDArray[np.bool_]
    decided: bool
    behind_best: Array
    wild: NDArray[np.bool_]
    margins: Margins | None = None

    @property
    def leader(self) -> int:
        """The place of the permutation with the greatest mean."""
        return int(best_first(self.mean)[0])

    @property
    def center(self) -> float:
        """The mean of all permutations that aren't wild."""
        return float(np.nanmean(self.mean[~self.wild]))

    @property
    def error(self) -> Array:
        """The standard error of each mean, (permutations,)."""
        error: Array = np.sqrt(self.variances.variance / np.maximum(self.count, 1))
        return error


def compare(scores: Array, confidence: float = 0.95, bounds: Bounds | None = None) -> Comparison:
    """Find the permutations that could be the best.

    Args:
        scores: (permutations, repetitions), at least one of them not NaN.
        confidence: probability that the best permutation is among those found.
        bounds: the range of possible scores; None if it is unknown.
    """
    strange = wild(scores)
    own = residual_variances(scores)
    prior = fit_prior(own.of(~strange))
    variances = moderate(own, prior)
    count = counts(scores)
    mean = seedless_means(scores)
    decided = bool((own.freedom > 0).any())
    could = ~np.isnan(mean)
    behind, margins = np.full(len(mean), np.nan), None
    if decided:
        margins = _margins(scores, mean, variances, prior, bounds or Bounds(), confidence)
        least, behind = _distances(margins)
        could &= ~(least > _rounding(mean))
    return Comparison(mean, count, variances, could, decided, behind, strange, margins)


def _margins(
    scores: Array,
    mean: Array,
    variances: Variances,
    prior: Prior,
    bounds: Bounds,
    confidence: float,
) -> Margins:
    number = int((~np.isnan(mean)).sum())
    level = 1 - _confidence_of_each(number, confidence)
    error = np.sqrt(variances.variance / np.maximum(counts(scores), 1))
    silent = are_silent(scores, variances, prior)
    # From plain means to those less the effects of seeds.
    shift = mean - means(scores)
    low, high = (limit + shift for limit in limits(scores, bounds, level))
    least, greatest = (limit + shift for limit in pile_limits(scores, level))
    piled = np.isfinite(least)
    return Margins(
        mean,
        error,
        _limits(variances, number, confidence),
        np.select([silent, piled], [low, least], mean),
        np.select([silent, piled], [high, greatest], mean),
        np.where(silent | piled, 0.0, error),
    )


def confidence_of_look(look: int, confidence: float = 0.95) -> float:
    """Return the confidence with which a look at a growing sweep may exclude permutations.

    Repetitions are added until few permutations are left, and each look at the results can exclude the
    best one by chance. So later looks ask for more: the k-th one has the error of the first one times
    2 / (k (k + 1)). All looks together have at most twice the first one's error.

    Args:
        look: number of the look, from 1.
        confidence: confidence of the first look.
    """
    return 1 - (1 - confidence) * 2 / (look * (look + 1))


def confidence_of_round(number: int, confidence: float = 0.95) -> float:
    """Return the confidence with which a round of a race may exclude permutations.

    The k-th round has an error of 1 / (k (k + 1)) of the race's; all rounds together have at most the
    race's error (Bonferroni), however many there are.

    Args:
        number: number of the round, from 1.
        confidence: confidence of the whole race.
    """
    return 1 - (1 - confidence) / (number * (number + 1))


def repetitions_needed(
    comparison: Comparison, confidence: float = 0.95, power: float = 0.8, most: int = 100
) -> float:
    """Return how many more repetitions of the contenders would likely leave only the leader.

    The true means are assumed to be the shrunken ones (`shrunken_means`).

    Args:
        comparison: the comparison of the scores so far.
        confidence: confidence of the comparison.
        power: probability that only the leader is left.
        most: largest number of repetitions to consider.

    Returns:
        The number, 0 if the leader is alone already; infinity if more than `most` are needed; NaN if it
        is unknown: with a single repetition, or as long as contenders show no variance at all.
    """
    others = comparison.could_be_best.copy()
    others[comparison.leader] = False
    if not others.any():
        return 0.0
    variance = comparison.variances.variance
    if not comparison.decided or (variance[others] + variance[comparison.leader] == 0).any():
        return np.nan

    def suffice(more: int) -> bool:
        probabilities = _exclusion_probabilities(comparison, others, more, confidence)
        return bool((1 - probabilities).sum() <= 1 - power)

    # More repetitions never make an exclusion less likely.
    needed = 1 + bisect_left(range(1, most + 1), True, key=suffice)
    return float(needed) if needed <= most else np.inf


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
    tame = ~comparison.wild[scored]
    between = 0.0
    if tame.sum() > 1:
        between = max(float(mean[tame].var(ddof=1) - noise[tame].mean()), 0.0)
    shrunken, center = comparison.mean.copy(), comparison.center
    shrunken[scored] = center + _weight(between, noise) * (mean - center)
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


def _distances(margins: Margins) -> tuple[Array, Array]:
    """Return how far each permutation is behind the best, at least and at most, (permutations,) each.

    Multiple comparisons with the best (Hsu 1984, "Constrained simultaneous confidence intervals for
    multiple comparisons with the best"). "At least" is negative where it may be the best.
    """
    mean = margins.mean
    rivals = best_first(mean)[:_RIVALS]
    least, most = np.full(len(mean), -np.inf), np.zeros(len(mean))
    for rival in rivals[~np.isnan(mean[rivals])]:
        lead, behind = margins.differences(rival)
        behind[rival] = 0.0
        least, most = np.maximum(least, lead), np.maximum(most, behind)
    return least, most


def _times(limit: Array, error: Array) -> Array:
    """Return a limit in units of the scores; a limit that is unknown stays infinite."""
    return np.where(np.isfinite(limit), np.where(np.isfinite(limit), limit, 0.0) * error, np.inf)


def _rounding(mean: Array) -> Array:
    """Return the differences that rounding can make, (permutations,).

    They are those of each permutation and the best one: a wild one mustn't hide differences of others.
    """
    return 1e-9 * np.maximum(np.abs(mean), np.abs(np.nanmax(mean)))


def _weight(between: float, noise: Array) -> Array:
    """Return the share of a mean's distance to the others that isn't noise."""
    total = between + noise
    return np.divide(between, total, out=np.ones_like(noise), where=total > 0)
