"""Estimates each permutation's mean score over seeds, with an interval.

`scores` are (permutations, repetitions); a column is a seed, and NaN stands for a run without a score.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from reports.statistics.averages import Array, counts, means
from reports.statistics.bounds import Bounds, agreeing, limits
from reports.statistics.variances import WEAK, Prior, moderate, sample_variances, score_prior

FEWEST_FOR_QUARTILES = 8  # scores; below, too few remain without a quarter at each end
_APART = 0.6  # share of the grid's range; at a half, noise would pass for humps in small grids


@dataclass(frozen=True)
class Estimates:
    """The estimated scores of permutations; each array is (permutations,), NaN if unknown.

    Attributes:
        count: number of repetitions with a score.
        mean: mean of these scores.
        low: lower end of the mean's interval.
        high: upper end of the interval.
        interquartile_mean: mean of the middle half of the scores, from eight repetitions on.
        two_humped: whether the scores fall into two groups too far apart to trust the interval.
    """

    count: NDArray[np.int64]
    mean: Array
    low: Array
    high: Array
    interquartile_mean: Array
    two_humped: NDArray[np.bool_]


def estimate(
    scores: Array,
    prior: Prior | None = None,
    confidence: float = 0.95,
    bounds: Bounds | None = None,
) -> Estimates:
    """Estimate means with Student's t intervals; their variances borrow from each other.

    Where all scores of a permutation are equal and the others say too little of their variance, the
    limits for bounded scores take t's place. No interval leaves the bounds.

    Args:
        scores: (permutations, repetitions).
        prior: prior of the variances; None fits it to these scores.
        confidence: probability that an interval contains the true mean.
        bounds: the range of possible scores; None if it is unknown.
    """
    prior, bounds = prior or score_prior(scores), bounds or Bounds()
    own = sample_variances(scores)
    variances = moderate(own, prior)
    mean, count = means(scores), counts(scores)
    sayable = (variances.freedom > 0) & (count > 0)
    half = np.full(len(scores), np.nan)
    quantile = special.stdtrit(variances.freedom[sayable], (1 + confidence) / 2)
    half[sayable] = quantile * np.sqrt(variances.variance[sayable] / count[sayable])
    low, high = mean - half, mean + half
    silent = agreeing(scores) & ((prior.freedom < WEAK) | (variances.variance == 0))
    least, greatest = limits(scores, bounds, (1 - confidence) / 2)
    known = silent & np.isfinite(least) & np.isfinite(greatest)
    low = np.where(silent, np.where(known, least, np.nan), np.maximum(low, bounds.low))
    high = np.where(silent, np.where(known, greatest, np.nan), np.minimum(high, bounds.high))
    return Estimates(count, mean, low, high, interquartile_means(scores), two_humped(scores))


def interquartile_means(scores: Array) -> Array:
    """Return the mean of each permutation's middle half (Agarwal 2021, "Statistical precipice").

    A quarter of the scores, rounded down, is left out at each end, as in `scipy.stats.trim_mean`.

    Args:
        scores: (permutations, repetitions).

    Returns:
        (permutations,), NaN below eight scores.
    """
    count = counts(scores)[:, None]
    place = np.arange(scores.shape[1])
    # NaN sorts to the end, outside the middle half.
    middle = (place >= count // 4) & (place < count - count // 4)
    inner = means(np.where(middle, np.sort(scores, axis=1), np.nan))
    return np.where(count[:, 0] >= FEWEST_FOR_QUARTILES, inner, np.nan)


def two_humped(scores: Array) -> NDArray[np.bool_]:
    """Return whether each permutation's scores fall into two groups, as if some solved the task.

    The criterion is a gap between neighbouring scores of more than three fifths of the range of the
    whole grid. No test could decide it from three scores alone.

    Args:
        scores: (permutations, repetitions).

    Returns:
        (permutations,).
    """
    if scores.shape[1] < 2 or np.isnan(scores).all():
        return np.zeros(len(scores), dtype=bool)
    gaps = np.diff(np.sort(scores, axis=1), axis=1)
    widest = np.where(np.isnan(gaps), 0.0, gaps).max(axis=1)
    apart: NDArray[np.bool_] = widest > _APART * (np.nanmax(scores) - np.nanmin(scores))
    return apart
