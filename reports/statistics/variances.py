"""Estimates the variance of each permutation's score between seeds, with help from all others.

A handful of repetitions says little about a variance, but a grid has many of them. Empirical Bayes
averages each permutation's own variance with a prior that is fitted to all of them, weighted by degrees
of freedom (Smyth 2004, "Linear models and empirical Bayes methods for assessing differential
expression").

`scores` are (permutations, repetitions) throughout; a column is a seed, and NaN stands for a run
without a score.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from reports.statistics.averages import Array, counts, means, seed_effects
from reports.statistics.bounds import agreeing

_WEAK = 8.0  # degrees of freedom below which a prior says too little of runs that all agree
_FEWEST = 3  # variances that a prior can be fitted to
# A variance that the prior exceeds with a smaller probability isn't pulled towards it.
_OUTLIER = 0.1
# A variance that smaller ones exceed with a smaller probability says nothing of them...
_WILD = 1e-4
_SHARE_OF_WILD, _MOST_WILD = 8, 32  # ... but at most one in eight is left out, and 32 in all,
_FEWEST_WITH_WILD = 4  # or one of four to seven.


@dataclass(frozen=True)
class Prior:
    """The expected variance of a permutation before its own scores are seen.

    Attributes:
        variance: scale of the prior.
        freedom: weight of the prior, in degrees of freedom; 0 means that there is none.
    """

    variance: float
    freedom: float


@dataclass(frozen=True)
class Variances:
    """The variances of permutations between seeds.

    Attributes:
        variance: (permutations,).
        freedom: degrees of freedom, (permutations,); 0 if the variance is unknown.
    """

    variance: Array
    freedom: Array

    def of(self, places: NDArray[Any]) -> Variances:
        """Return the variances of some of the permutations."""
        return Variances(self.variance[places], self.freedom[places])


def sample_variances(scores: Array) -> Variances:
    """Return the sample variance of each permutation's scores.

    Args:
        scores: (permutations, repetitions).
    """
    return _variances(scores, counts(scores))


def residual_variances(scores: Array) -> Variances:
    """Return the variance of each permutation's scores without the effects of seeds.

    Residuals of the fit "permutation + seed" mix a permutation's own noise with a little of all others'.
    Grubbs (1948, "On estimating precision of measuring instruments") separates them,
    which needs three permutations.

    Args:
        scores: (permutations, repetitions).
    """
    count, strange = counts(scores), wild(scores)
    mixed = _variances(scores - seed_effects(scores[~strange]), count)
    known = mixed.freedom > 0
    number = int((known & ~strange).sum())
    if number < 2:
        return sample_variances(scores)
    mean = mixed.variance[known & ~strange].mean() * number / (number - 1)
    if number == 2:
        return Variances(np.where(known, mean, 0.0), mixed.freedom)
    own = np.maximum((mixed.variance - mean / number) / (1 - 2 / number), 0.0)
    # No part of a wild permutation's noise is in the seeds' effects.
    own = np.where(strange, np.maximum(mixed.variance - mean / number, 0.0), own)
    return Variances(np.where(known, own, 0.0), mixed.freedom)


def wild(scores: Array) -> NDArray[np.bool_]:
    """Return which permutations' noise says nothing of the others', (permutations,).

    One permutation with returns of minus a million would make all others look as noisy. A variance
    counts as wild if the prior of all smaller ones makes it improbable (F test, 0.01 %, or 5 % shared by
    all permutations if that is less); so do all greater ones. At most one in eight permutations is wild,
    or one of four to seven. A permutation that only one run takes apart isn't: others may fail once in a
    while, too.

    Args:
        scores: (permutations, repetitions).
    """
    variances, number = sample_variances(scores), len(scores)
    calmer = sample_variances(_without_farthest(scores))
    order = np.argsort(-variances.variance, kind="stable")
    found = np.zeros(number, dtype=bool)
    most = max(number // _SHARE_OF_WILD, int(number >= _FEWEST_WITH_WILD))
    for place in range(min(most, _MOST_WILD)):
        rest, own = order[place + 1 :], order[[place]]
        prior = fit_prior(variances.of(rest))
        if prior.freedom == 0 or prior.variance == 0:
            break
        if calmer.freedom[own] > 0:
            occasional = _tail(calmer, own, prior) > _OUTLIER
        else:
            # Of two scores, one is like those of others.
            others = scores[rest]
            occasional = bool(
                ((scores[own] >= np.nanmin(others)) & (scores[own] <= np.nanmax(others))).any()
            )
        if _tail(variances, own, prior) < min(_WILD, 0.05 / number) and not occasional:
            found[order[: place + 1]] = True
    return found


def _tail(variances: Variances, places: NDArray[np.int64], prior: Prior) -> float:
    """Return the probability that a variance exceeds one of the prior by so much."""
    ratio = variances.variance[places] / prior.variance
    return float(f_tail(ratio, np.maximum(variances.freedom[places], 1.0), prior.freedom)[0])


def _without_farthest(scores: Array) -> Array:
    """Return each permutation's scores without the one farthest from the middle one."""
    ordered = np.sort(scores, axis=1)  # NaN last
    middle = np.take_along_axis(ordered, np.maximum(counts(scores) - 1, 0)[:, None] // 2, axis=1)
    distance = np.abs(scores - middle)
    farthest = np.argmax(np.where(np.isnan(distance), -1.0, distance), axis=1)
    calmer = scores.copy()
    calmer[np.arange(len(scores)), farthest] = np.nan
    return calmer


def score_prior(scores: Array) -> Prior:
    """Return the prior of `sample_variances`, given that permutations share seeds.

    Shared seeds make the variances similar by chance, so they carry less information: if the scores of
    two permutations correlate by r, their variances correlate by r squared.

    Args:
        scores: (permutations, repetitions).
    """
    tame = ~wild(scores)
    own = sample_variances(scores).of(tame)
    mean = own.variance.mean()
    apart = residual_variances(scores).of(tame).variance.mean()
    shared = np.clip(1 - apart / mean, 0.0, 1.0) ** 2 if mean > 0 else 0.0
    number = int((own.freedom > 0).sum())
    return fit_prior(own, number / (1 + max(number - 1, 0) * float(shared)))


def fit_prior(variances: Variances, independent: float = np.inf) -> Prior:
    """Fit a prior to a grid's variances, by their first two moments.

    Variances are assumed to follow a scaled inverse chi-squared distribution. Smyth matches the moments
    of the logarithm, which fails for variances of zero: those of runs that all solve a task.

    Args:
        variances: variances of the grid's permutations.
        independent: number of independent variances that they are worth.
    """
    known = variances.freedom > 0
    variance, freedom = variances.variance[known], variances.freedom[known]
    number = len(variance)
    if number < _FEWEST:
        return Prior(0.0, 0.0)
    # The moments of few variances are uncertain themselves.
    most = min(number / 2, independent)
    mean = float(variance.mean())
    squared_mean = mean**2 - float(variance.var(ddof=1)) / number
    mean_square = float(np.mean(variance**2 / (1 + 2 / freedom)))  # of the true variances
    if mean_square <= squared_mean:
        return Prior(mean, most)
    # An inverse chi-squared with a squared coefficient of variation v has 4 + 2 / v degrees of freedom.
    fitted = 4 + 2 * max(squared_mean, 0.0) / (mean_square - squared_mean)
    return Prior(mean * (1 - 2 / fitted), min(fitted, most))


def moderate(variances: Variances, prior: Prior) -> Variances:
    """Pull variances towards a prior, except those far beyond it.

    Args:
        variances: variances of the permutations, (permutations,).
        prior: prior of their grid.
    """
    own, freedom = variances.variance, variances.freedom
    total = freedom + prior.freedom
    weighted = freedom * own + prior.freedom * prior.variance
    pulled = np.divide(weighted, total, out=np.zeros_like(own), where=total > 0)
    beyond = _is_beyond(variances, prior)
    return Variances(np.where(beyond, own, pulled), np.where(beyond, freedom, total))


def are_silent(scores: Array, variances: Variances, prior: Prior) -> NDArray[np.bool_]:
    """Return where scores agree and neither they nor the grid tell their variance, (permutations,).

    Args:
        scores: (permutations, repetitions).
        variances: their variances, pulled towards the prior.
        prior: prior of their grid.
    """
    return agreeing(scores) & ((prior.freedom < _WEAK) | (variances.variance == 0))


def f_tail(ratio: Array, tested: Array, freedom: Array | float) -> Array:
    """Return the probability that a ratio of two variances is greater by chance (F distribution).

    Args:
        ratio: the tested variance divided by the other one.
        tested: degrees of freedom of the tested variance.
        freedom: degrees of freedom of the other one; may be infinite.
    """
    # `scipy.stats` would take half a second to load; `scipy.special` gives no tail at 0.
    tail: Array = np.where(ratio > 0, special.fdtrc(tested, freedom, ratio), 1.0)
    return tail


def _is_beyond(variances: Variances, prior: Prior) -> NDArray[np.bool_]:
    """Return whether each variance is too large for the prior, (permutations,)."""
    if prior.freedom == 0 or prior.variance == 0:
        return variances.variance > prior.variance
    known = variances.freedom > 0
    ratio = variances.variance / prior.variance
    beyond: NDArray[np.bool_] = np.zeros(len(known), dtype=bool)
    beyond[known] = f_tail(ratio[known], variances.freedom[known], prior.freedom) < _OUTLIER
    return beyond


def _variances(scores: Array, count: NDArray[np.int64]) -> Variances:
    freedom = np.maximum(count - 1, 0).astype(float)
    squares: Array = np.nansum((scores - means(scores)[:, None]) ** 2, axis=1)
    variance = np.divide(squares, freedom, out=np.zeros(len(scores)), where=freedom > 0)
    return Variances(variance, freedom)
