"""A permutation's score with its interval: what repetitions say about the score of one more seed.

`scores` are (permutations, repetitions); a column is a seed, and NaN stands for a run without a score.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from reports.statistics.averages import Array, counts, means
from reports.statistics.variances import Prior, moderate, sample_variances, score_prior

FEWEST_FOR_QUARTILES = 8  # scores of which a quarter can be left out at both ends
_APART = 0.6  # of the grid's range; half of it would take noise for humps in small grids


@dataclass(frozen=True)
class Estimates:
    """The scores of permutations, each array (permutations,); NaN is what can't be said.

    Attributes:
        count: how many repetitions a score rests on.
        mean: of those repetitions.
        low: lower end of the interval of the mean.
        high: its upper end.
        interquartile_mean: mean of the middle half of the repetitions, from eight on.
        two_humped: whether the repetitions fall into two groups that lie so far apart that the
            interval can't be trusted.
    """

    count: NDArray[np.int64]
    mean: Array
    low: Array
    high: Array
    interquartile_mean: Array
    two_humped: NDArray[np.bool_]


def estimate(scores: Array, prior: Prior | None = None, confidence: float = 0.95) -> Estimates:
    """Means with Student's t intervals, whose variances borrow from each other.

    Args:
        scores: (permutations, repetitions).
        prior: from which variances borrow; by default that of these scores.
        confidence: probability with which an interval is to hold the true mean.
    """
    own = sample_variances(scores)
    variances = moderate(own, prior or score_prior(scores))
    mean, count = means(scores), counts(scores)
    sayable = (variances.freedom > 0) & (count > 0)
    half = np.full(len(scores), np.nan)
    quantile = special.stdtrit(variances.freedom[sayable], (1 + confidence) / 2)
    half[sayable] = quantile * np.sqrt(variances.variance[sayable] / count[sayable])
    return Estimates(
        count, mean, mean - half, mean + half, interquartile_means(scores), two_humped(scores)
    )


def interquartile_means(scores: Array) -> Array:
    """The mean of each permutation's middle half (Agarwal 2021, "Statistical precipice").

    A quarter of the scores, rounded down, is left out at both ends, as `scipy.stats.trim_mean` does.

    Args:
        scores: (permutations, repetitions).

    Returns:
        (permutations,), NaN where there are fewer than eight.
    """
    count = counts(scores)[:, None]
    place = np.arange(scores.shape[1])
    # NaN sorts to the end, where no place is within the middle half.
    middle = (place >= count // 4) & (place < count - count // 4)
    inner = means(np.where(middle, np.sort(scores, axis=1), np.nan))
    return np.where(count[:, 0] >= FEWEST_FOR_QUARTILES, inner, np.nan)


def two_humped(scores: Array) -> NDArray[np.bool_]:
    """Where repetitions fall into two groups: some solve the task and some don't.

    That is said where two neighbouring scores of a permutation lie further apart than three fifths of
    the distance between the best and the worst score of the whole grid. No test could say it of three
    numbers by themselves.

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
