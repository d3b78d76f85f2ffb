"""Limits for the means of scores that have bounds.

Student's t has nothing to work with where all runs of a permutation reach the same score. How often such
a permutation fails is unknown, but it can't fail so often that all of its runs would likely have shown
it: with probability q of reaching the score, n runs all do so with probability q ** n. That gives the
limits here, without any assumption about the distribution (Anderson 1969, "Confidence limits for the
expected value of an arbitrary bounded random variable", for this case).

`scores` are (permutations, repetitions); a column is a seed, and NaN stands for a run without a score.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from reports.statistics.averages import Array, counts, means

_EQUAL = 1e-9  # relative difference of scores that count as equal
_PILE = 3  # runs with the same extreme score that show a bound
_ENOUGH = 30  # scores of a grid that show the range of its scores


@dataclass(frozen=True)
class Bounds:
    """The range of possible scores; infinite where it is unknown.

    Attributes:
        low: the least possible score.
        high: the greatest possible score.
    """

    low: float = -np.inf
    high: float = np.inf

    def within(self, other: Bounds) -> Bounds:
        """Return the part of this range that another one contains."""
        return Bounds(max(self.low, other.low), min(self.high, other.high))

    def negated(self) -> Bounds:
        """Return the range of the scores' negatives."""
        return Bounds(-self.high, -self.low)


def piled_bounds(scores: Array) -> Bounds:
    """Return the bounds at which scores pile up.

    A return such as CartPole's 500 can't be exceeded: several runs reach exactly the same score. An
    extreme score counts as a bound if three runs of different permutations on different seeds have it.

    Args:
        scores: (permutations, repetitions).
    """
    if np.isnan(scores).all():
        return Bounds()
    low, high = float(np.nanmin(scores)), float(np.nanmax(scores))
    if low == high:
        return Bounds()
    return Bounds(
        low if _is_pile(_are_equal(scores, low)) else -np.inf,
        high if _is_pile(_are_equal(scores, high)) else np.inf,
    )


def agreeing(scores: Array) -> NDArray[np.bool_]:
    """Return whether all scores of a permutation are equal, (permutations,); False below two."""
    known = counts(scores) > 1
    found = np.zeros(len(scores), dtype=bool)
    low, high = (
        extreme(scores[known], axis=1, initial=start, where=~np.isnan(scores[known]))
        for extreme, start in ((np.min, np.inf), (np.max, -np.inf))
    )
    found[known] = high - low <= _EQUAL * np.maximum(np.abs(low), np.abs(high))
    return found


def limits(scores: Array, bounds: Bounds, level: float) -> tuple[Array, Array]:
    """Return one-sided limits for the means of permutations with equal scores, (permutations,) each.

    Args:
        scores: (permutations, repetitions).
        bounds: the range of possible scores. Where it is unknown, the range of the grid's scores takes
            its place, once there are enough of them.
        level: probability that a limit is wrong.

    Returns:
        Lower and upper limits; infinite where neither range is known.
    """
    mean, count = means(scores), counts(scores)
    known = scores[~np.isnan(scores)]
    # Scores that are all equal show nothing of how much a failure costs.
    if len(known) >= _ENOUGH and known.min() < known.max():
        bounds = Bounds(
            bounds.low if np.isfinite(bounds.low) else float(known.min()),
            bounds.high if np.isfinite(bounds.high) else float(known.max()),
        )
    # The share of runs that may differ from those seen.
    unseen = 1 - level ** (1 / np.maximum(count, 1))
    return mean - unseen * (mean - bounds.low), mean + unseen * (bounds.high - mean)


def pile_limits(scores: Array, level: float) -> tuple[Array, Array]:
    """Return one-sided limits for permutations with half or more of their runs at exactly one score.

    Such scores are those of runs that reach a cap, or fail, and others that don't. The fewer runs
    differ, the smaller is the variance, so that Student's t is most certain where it was luckiest. The
    share of runs at this score has the limits of a binomial proportion (Clopper and Pearson 1934, "The
    use of confidence or fiducial limits"), and the other runs keep their mean.

    Args:
        scores: (permutations, repetitions).
        level: probability that a limit is wrong.

    Returns:
        Lower and upper limits, (permutations,) each; infinite without such a score, and where all
        scores are equal (see `limits`).
    """
    low, high = np.full(len(scores), -np.inf), np.full(len(scores), np.inf)
    for place, row in enumerate(scores):
        values, number = np.unique(row[~np.isnan(row)], return_counts=True)
        piled, count = int(number.max(initial=0)), int(number.sum())
        if len(values) < 2 or piled < 2 or 2 * piled < count:
            continue
        pile = values[number.argmax()]
        others = float((number @ values - piled * pile) / (count - piled))
        ends = [others + share * (pile - others) for share in _proportion(piled, count, level)]
        low[place], high[place] = min(ends), max(ends)
    return low, high


def _proportion(successes: int, count: int, level: float) -> tuple[float, float]:
    """Return one-sided limits of a binomial proportion that is neither 0 nor 1."""
    fails = count - successes
    return (
        float(special.betaincinv(successes, fails + 1, level)),
        float(special.betaincinv(successes + 1, fails, 1 - level)),
    )


def _is_pile(found: NDArray[np.bool_]) -> bool:
    several = found.any(axis=0).sum() > 1 and found.any(axis=1).sum() > 1
    return bool(found.sum() >= _PILE and several)


def _are_equal(scores: Array, value: float) -> NDArray[np.bool_]:
    equal: NDArray[np.bool_] = np.abs(scores - value) <= _EQUAL * abs(value)
    return equal
