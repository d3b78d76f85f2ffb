"""Averages permutations' scores over their repetitions. Needs NumPy alone, so that all can use it.

`scores` are (permutations, repetitions) throughout; a column is a seed, and NaN stands for a run
without a score.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_ROUNDING = 1e-9  # share of the greatest mean; means closer than this are equal


def counts(scores: Array) -> NDArray[np.int64]:
    """Return how many scores each permutation has, (permutations,)."""
    number: NDArray[np.int64] = (~np.isnan(scores)).sum(axis=1)
    return number


def means(scores: Array) -> Array:
    """Return the mean of each permutation's scores, (permutations,); NaN where it has none."""
    count = counts(scores)
    sums: Array = np.nansum(scores, axis=1)
    return np.divide(sums, count, out=np.full(len(scores), np.nan), where=count > 0)


def seed_effects(scores: Array) -> Array:
    """Return each seed's effect on all permutations' scores, by least squares; 0 on average.

    If no score is missing, this is the mean of a seed's column minus the mean of all scores. If some
    are missing, no permutation gains because its score on a hard seed is missing.

    Args:
        scores: (permutations, repetitions).

    Returns:
        (repetitions,).
    """
    scores = scores[counts(scores) > 0]
    present = (~np.isnan(scores)).astype(float)
    count = present.sum(axis=1, keepdims=True)
    deviations = np.where(present > 0, scores - means(scores)[:, None], 0.0)
    # The normal equations of the seeds once each permutation's mean is eliminated.
    equations = np.diag(present.sum(axis=0)) - present.T @ (present / count)
    # The limit keeps rounding from adding a large number to all effects.
    inverse = np.linalg.pinv(equations, rcond=1e-9, hermitian=True)
    effects: Array = inverse @ deviations.sum(axis=0)
    return effects


def seedless_means(scores: Array) -> Array:
    """Return the mean of each permutation's scores without the seeds' effects, (permutations,).

    If no score is missing, these means differ from the plain ones by a constant. If some are missing,
    no permutation gains because it has run on easy seeds only.

    Args:
        scores: (permutations, repetitions).

    Returns:
        (permutations,), NaN where a permutation has no score.
    """
    return means(scores - seed_effects(scores))


def deviations(scores: Array) -> Array:
    """Return the standard deviation of each permutation's scores, (permutations,); NaN below two."""
    freedom = counts(scores) - 1
    squares = np.nansum((scores - means(scores)[:, None]) ** 2, axis=1)
    return np.sqrt(np.divide(squares, freedom, out=np.full(len(scores), np.nan), where=freedom > 0))


def best_first(mean: Array) -> NDArray[np.int64]:
    """Return the places of permutations, the greatest mean first and those without a mean last.

    Equal means are in the order of their places; rounding doesn't decide between them.

    Args:
        mean: (permutations,), NaN where a permutation has no score.
    """
    scored = np.flatnonzero(~np.isnan(mean))
    ordered = scored[np.argsort(-mean[scored], kind="stable")]
    known = mean[ordered]
    rounding = _ROUNDING * np.abs(known).max(initial=0.0)
    ties = np.cumsum(-np.diff(known, prepend=known[:1]) > rounding)
    return np.concatenate([ordered[np.lexsort((ordered, ties))], np.flatnonzero(np.isnan(mean))])
