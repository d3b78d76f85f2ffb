"""How much a permutation's score differs between seeds, with help from all other permutations.

A handful of repetitions says little about a variance, but a grid has many of them. Empirical Bayes
takes each permutation's own variance and a prior that all of them together suggest, weighted by their
degrees of freedom (Smyth 2004, "Linear models and empirical Bayes methods for assessing differential
expression").

`scores` are (permutations, repetitions) throughout; a column is a seed, and NaN stands for a run
without a score.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from reports.statistics.averages import Array, counts, means, seed_effects

_FEWEST = 3  # variances that suggest a prior
_OUTLIER = (
    0.1  # a variance that the prior exceeds with a lesser probability isn't pulled towards it
)


@dataclass(frozen=True)
class Prior:
    """What variance to expect of a permutation before its own scores are seen.

    Attributes:
        variance: the scale of the prior.
        freedom: its weight, in degrees of freedom; 0 says nothing.
    """

    variance: float
    freedom: float


@dataclass(frozen=True)
class Variances:
    """The variances of permutations between seeds.

    Attributes:
        variance: (permutations,).
        freedom: the degrees of freedom of each, (permutations,); 0 where nothing is known.
    """

    variance: Array
    freedom: Array


def sample_variances(scores: Array) -> Variances:
    """The usual variance of each permutation's scores.

    Args:
        scores: (permutations, repetitions).
    """
    return _variances(scores, counts(scores))


def residual_variances(scores: Array) -> Variances:
    """The variance of each permutation's scores once what a seed does to all of them is taken out.

    Residuals of the fit "permutation + seed" mix a permutation's own noise with a little of
    everybody's; Grubbs (1948, "On estimating precision of measuring instruments") separates them,
    which needs three permutations.

    Args:
        scores: (permutations, repetitions).
    """
    count = counts(scores)
    mixed = _variances(scores - seed_effects(scores), count)
    known = mixed.freedom > 0
    number = int(known.sum())
    if number < 2:
        return sample_variances(scores)
    mean = mixed.variance[known].mean() * number / (number - 1)
    if number == 2:
        return Variances(np.where(known, mean, 0.0), mixed.freedom)
    own = np.maximum((mixed.variance - mean / number) / (1 - 2 / number), 0.0)
    return Variances(np.where(known, own, 0.0), mixed.freedom)


def score_prior(scores: Array) -> Prior:
    """The prior of `sample_variances`, where seeds may do the same to all permutations.

    What they share makes their variances alike by chance, so that they say less: those of two
    permutations that correlate by r correlate by r squared.

    Args:
        scores: (permutations, repetitions).
    """
    own = sample_variances(scores)
    mean = own.variance.mean()
    apart = residual_variances(scores).variance.mean()
    shared = np.clip(1 - apart / mean, 0.0, 1.0) ** 2 if mean > 0 else 0.0
    number = int((own.freedom > 0).sum())
    return fit_prior(own, number / (1 + max(number - 1, 0) * float(shared)))


def fit_prior(variances: Variances, independent: float = np.inf) -> Prior:
    """The prior that a grid's variances suggest, by their first two moments.

    A variance is taken to be drawn from a scaled inverse chi-squared distribution. Smyth matches the
    moments of its logarithm, which variances of zero ruin; those are what runs that all solve a task
    have.

    Args:
        variances: of the grid's permutations.
        independent: how many independent ones they are worth.
    """
    known = variances.freedom > 0
    variance, freedom = variances.variance[known], variances.freedom[known]
    number = len(variance)
    if number < _FEWEST:
        return Prior(0.0, 0.0)
    # The moments of so few variances are uncertain themselves.
    most = min(number / 2, independent)
    mean = float(variance.mean())
    squared_mean = mean**2 - float(variance.var(ddof=1)) / number
    mean_square = float(np.mean(variance**2 / (1 + 2 / freedom)))  # of the true variances
    if mean_square <= squared_mean:
        return Prior(mean, most)
    # Of an inverse chi-squared's squared variation v, the degrees of freedom are 4 + 2 / v.
    fitted = 4 + 2 * max(squared_mean, 0.0) / (mean_square - squared_mean)
    return Prior(mean * (1 - 2 / fitted), min(fitted, most))


def moderate(variances: Variances, prior: Prior) -> Variances:
    """Pulls variances towards a prior, but not those that are far beyond it.

    Args:
        variances: (permutations,).
        prior: of the grid that they are from.
    """
    own, freedom = variances.variance, variances.freedom
    total = freedom + prior.freedom
    weighted = freedom * own + prior.freedom * prior.variance
    pulled = np.divide(weighted, total, out=np.zeros_like(own), where=total > 0)
    beyond = _is_beyond(variances, prior)
    return Variances(np.where(beyond, own, pulled), np.where(beyond, freedom, total))


def f_tail(ratio: Array, tested: Array, freedom: Array | float) -> Array:
    """The probability that a ratio of two variances is greater by chance (F distribution).

    Args:
        ratio: of the tested variance to the other one.
        tested: degrees of freedom of the tested one.
        freedom: of the other one; may be infinite.
    """
    # Of `scipy.special`, as `scipy.stats` takes half a second to load; it knows no 0 there.
    tail: Array = np.where(ratio > 0, special.fdtrc(tested, freedom, ratio), 1.0)
    return tail


def _is_beyond(variances: Variances, prior: Prior) -> NDArray[np.bool_]:
    """Where a variance is so large that the prior doesn't hold for it, (permutations,)."""
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
