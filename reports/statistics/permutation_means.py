"""Fits each permutation's mean and each seed's effect by least squares, with the means' covariance.

Permutations may have different numbers of repetitions, and noise of different size. Then means are
correlated, because they share the estimated effects of seeds.

`scores` are (permutations, repetitions); a column is a seed, and NaN stands for a run without a score.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from reports.statistics.averages import Array, counts, means
from reports.statistics.contrasts import Contrast
from reports.statistics.variances import fit_prior, moderate, residual_variances, wild

_ROUNDING = 1e-9  # of the greatest eigenvalue; smaller ones are 0
_COMMON = 2 / 3  # of the permutations; repetitions that fewer have were added for some of them


@dataclass(frozen=True)
class MeansFit:
    """The least-squares fit "permutation + seed" to scores.

    Attributes:
        mean: mean of each permutation, (permutations,).
        seeds: effect of each seed, 0 on average, (repetitions,).
        pooled: variance of a score between seeds, the same for all permutations.
        freedom: residual degrees of freedom; with none, variances are 0.
        variance: variance of each permutation's scores; `pooled` on average, and for a single score,
            (permutations,).
        moderated: these variances pulled towards each other, which tells better how unequal they are,
            (permutations,).
        weight: degrees of freedom of `moderated`, (permutations,).
        shares: share of each score in its permutation's mean, (permutations, repetitions).
        solver: pseudo-inverse of the normal equations of the seeds, (repetitions, repetitions).
    """

    mean: Array
    seeds: Array
    pooled: float
    freedom: int
    variance: Array
    moderated: Array
    weight: Array
    shares: Array
    solver: Array

    @property
    def is_balanced(self) -> bool:
        """Whether each permutation has a score for each seed."""
        return bool((self.shares > 0).all())

    @cached_property
    def error(self) -> tuple[Array, Array]:
        """The two parts of the means' covariance, diag(first) + shares @ second @ shares'.

        They are the squared errors of means if the seeds' effects were known (permutations,), and the
        covariance of the seeds' effects (repetitions, repetitions).
        """
        return self._error(self.variance)

    def expected(self, contrast: Contrast) -> float:
        """Return the sum of squares that noise alone adds to a contrast of the means."""
        direct, seeds = self.error
        total = contrast.rank / len(direct) * float(direct.sum())
        if not self.is_balanced:
            total += float(np.sum((self.shares.T @ contrast.of(self.shares)) * seeds))
        return total

    def contrast_freedom(self, contrast: Contrast) -> tuple[float, float]:
        """Return the degrees of freedom of a contrast's sum of squares and of its expectation.

        They are the contrast's rank and the residual ones if all variances are equal, and smaller
        otherwise (Brunner, Dette and Munk 1997, "Box-type approximations in nonparametric factorial
        designs").
        """
        direct, seeds = self._error(self.moderated)
        first = contrast.rank / len(direct) * float(direct.sum())
        second = float(np.sum(direct * contrast.squared_of(direct)))
        if not self.is_balanced:
            projected = contrast.of(self.shares)
            inner = self.shares.T @ projected @ seeds
            first += float(np.trace(inner))
            second += 2 * float(np.sum((projected.T @ (direct[:, None] * projected)) * seeds))
            second += float(np.sum(inner * inner.T))
        tested = min(first**2 / second, contrast.rank) if second > 0 else contrast.rank
        return float(tested), self.freedom_of(np.ones(len(direct)))

    def variances_of(self, weights: Array) -> Array:
        """Return the variances of weighted sums of the means, (sums,).

        Args:
            weights: (sums, permutations).
        """
        direct, seeds = self.error
        by_seed = weights @ self.shares
        variances: Array = weights**2 @ direct + np.sum((by_seed @ seeds) * by_seed, axis=1)
        return variances

    def freedom_of(self, weights: Array) -> float:
        """Return the degrees of freedom of a weighted sum's variance (Satterthwaite 1946).

        Args:
            weights: weights of the means, (permutations,).
        """
        parts = weights**2 * self.moderated * self.shares.max(axis=1)
        # Without any weight, the variance has no degrees of freedom.
        with np.errstate(divide="ignore"):
            squares = np.divide(
                parts**2, self.weight, out=np.zeros_like(parts), where=parts > 0
            ).sum()
        return min(float(parts.sum()) ** 2 / squares, self.freedom) if squares > 0 else self.freedom

    def _error(self, variances: Array) -> tuple[Array, Array]:
        present = (self.shares > 0).astype(float)
        # The covariance of each seed's sum of deviations from permutations' means.
        sums = np.diag(present.T @ variances) - (self.shares.T * variances) @ present
        return variances * self.shares.max(axis=1), self.solver @ sums @ self.solver


def fit_means(scores: Array) -> MeansFit:
    """Fit means and seeds' effects.

    Args:
        scores: each permutation with a score, (permutations, repetitions).
    """
    present, count = ~np.isnan(scores), counts(scores)
    shares = present / count[:, None]
    mean = means(scores)
    deviations = np.where(present, scores - mean[:, None], 0.0)
    # The normal equations of the seeds once each permutation's mean is eliminated.
    equations = np.diag(present.sum(axis=0).astype(float)) - present.T @ shares
    size, vectors = np.linalg.eigh(equations)
    # Rounding mustn't add a large number to all seeds' effects.
    counted = size > _ROUNDING * max(float(size.max()), 1.0)
    size, vectors = size[counted], vectors[:, counted]
    solver = (vectors / size) @ vectors.T
    seeds = solver @ deviations.sum(axis=0)
    mean = mean - shares @ seeds
    residuals = np.where(present, scores - mean[:, None] - seeds, 0.0)
    freedom = int(present.sum()) - len(scores) - len(size)
    pooled = _pooled(scores, residuals, freedom)
    variances = _variances(scores, pooled, freedom)
    return MeansFit(mean, seeds, pooled, freedom, *variances, shares, solver)


def common_repetitions(scores: Array) -> Array:
    """Return scores without the repetitions that were added for some permutations.

    Those permutations were chosen by their scores, so that the added ones aren't a fair sample.
    Repetitions that few permutations have stay if noise is unknown without them, or a permutation would
    have no score. Permutations without a seed in common with most others lose their scores, because the
    seeds' effects can't be told from theirs.

    Args:
        scores: (permutations, repetitions).

    Returns:
        (permutations, kept repetitions).
    """
    present = ~np.isnan(scores)
    scored = int(present.any(axis=1).sum())
    share = present.sum(axis=0) / max(scored, 1)
    order = np.argsort(-share, kind="stable")
    number = int((share >= _COMMON).sum())
    while number < int((share > 0).sum()) and not _suffices(present[:, order[:number]], scored):
        number += 1
    kept = scores[:, np.sort(order[:number])]
    return np.where(_connected(kept)[:, None], kept, np.nan)


def _suffices(present: NDArray[np.bool_], scored: int) -> bool:
    """Return whether each scored permutation has a score, and the noise is known."""
    has = present.any(axis=1).sum()
    return bool(has == scored and present.sum() > has + present.shape[1] - 1)


def _connected(scores: Array) -> NDArray[np.bool_]:
    """Return which permutations share seeds with the most frequent one, by way of others too."""
    present = ~np.isnan(scores)
    seeds = np.zeros(scores.shape[1], dtype=bool)
    seeds[np.argmax(present.sum(axis=0)) if len(seeds) else []] = True
    while True:
        rows: NDArray[np.bool_] = np.any(present[:, seeds], axis=1)
        reached = np.any(present[rows], axis=0) | seeds
        if (reached == seeds).all():
            return rows
        seeds = reached


def _pooled(scores: Array, residuals: Array, freedom: int) -> float:
    if freedom < 1:
        return 0.0
    pooled = float((residuals**2).sum()) / freedom
    # Rounding mustn't turn equal scores into differences.
    rounding = (1e-10 * float(np.nanmax(np.abs(scores)))) ** 2 * scores.size
    return pooled * (pooled > rounding)


def _variances(scores: Array, pooled: float, freedom: int) -> tuple[Array, Array, Array]:
    """Return variances, the moderated ones, and the latter's degrees of freedom, (permutations,)."""
    own = residual_variances(scores)
    moderated = moderate(own, fit_prior(own.of(~wild(scores))))
    known = own.freedom > 0
    mean = float(np.average(own.variance, weights=own.freedom)) if known.any() else 0.0
    scale = pooled / mean if mean > 0 else 0.0
    # Effects of seeds cost degrees of freedom.
    left = freedom / max(float(own.freedom.sum()), 1.0)
    borrowed = moderated.freedom > 0
    return (
        np.where(known & (scale > 0), own.variance * scale, pooled),
        np.where(borrowed, moderated.variance, pooled),
        np.where(borrowed, moderated.freedom * left, float(freedom)),
    )
