"""Estimates the importance of hyperparameters on an incomplete grid, by least squares.

Each permutation's mean is modelled as a sum of the main effects of its choices. An effect is tested
against what is left: interactions and noise together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from reports.statistics.averages import Array
from reports.statistics.contrasts import all_effects
from reports.statistics.importance import (
    Choices,
    Effect,
    Importance,
    judged,
)
from reports.statistics.permutation_means import MeansFit, fit_means
from reports.statistics.shares import Variance, share_interval, share_of, variance_without_noise
from reports.statistics.variances import f_tail

_ROUNDING = 1e-9  # of the largest singular value; smaller ones are 0


@dataclass(frozen=True)
class _Test:
    """The F test of a main effect, all others given (type II).

    Attributes:
        squares: sum of squares of the effect beyond all others.
        freedom: degrees of freedom of the effect.
        scale: sum of squares for each unit of the variance between the key's choices; 0 if the effect
            can't be told from the others.
    """

    squares: float
    freedom: int
    scale: float


def estimate_importance(keys: Sequence[str], choices: Choices, scores: Array) -> Importance | None:
    """Estimate each key's share of the variance between permutations.

    Args:
        keys: names of the hyperparameters.
        choices: number of each permutation's choice of each key, (permutations, keys).
        scores: scores of each permutation that has any, (permutations, repetitions).

    Returns:
        The importance with main effects only; None if there are too few permutations. A key that can't
        be told from the others has the share NaN.
    """
    fit = fit_means(scores)
    parts = [coded(column) for column in choices.T]
    everything = np.hstack([np.ones((len(scores), 1)), *parts])
    basis = _basis(everything)
    freedom = len(scores) - basis.shape[1]
    if freedom < 1:
        return None
    rounding = (1e-10 * float(np.nanmax(np.abs(scores)))) ** 2 * len(scores)
    left = float((_residual(fit.mean, basis) ** 2).sum())
    residual = left * (left > rounding) / freedom
    tests = [_test(fit.mean, parts, key, rounding) for key in range(len(keys))]
    return _importance(keys, fit, tests, residual, freedom)


def coded(column: Choices) -> Array:
    """Return columns of a linear model for a key's choices that occur, their effects 0 on average.

    Args:
        column: number of each permutation's choice, (permutations,).

    Returns:
        (permutations, choices - 1).
    """
    present = (column[:, None] == np.unique(column)).astype(float)
    return present[:, :-1] - present[:, -1:]


def _importance(
    keys: Sequence[str], fit: MeansFit, tests: Sequence[_Test], residual: float, freedom: int
) -> Importance:
    squares, tested, scale = (
        np.array([getattr(test, name) for test in tests], dtype=float)
        for name in ("squares", "freedom", "scale")
    )
    known = scale > 0
    unit = np.where(known, scale, 1.0)
    tested = np.where(known, tested, 1.0)
    effect = variance_without_noise(
        np.where(known, squares / unit, 0.0),
        np.where(known, tested * residual / unit, 0.0),
        tested,
        np.full(len(keys), float(freedom)),
    )
    interactions = _interactions(fit, residual, freedom)
    rest = _others(effect, interactions)
    whole = float(effect.value.sum() + interactions.value[0])
    share = share_of(effect.value, rest.value) if whole > 0 else np.full(len(keys), np.nan)
    low, high = share_interval(effect, rest)
    if residual > 0:
        p_value = f_tail(squares / tested / residual, tested, freedom)
    else:
        p_value = np.where(squares > 0, 0.0, 1.0)
    columns = [np.where(known, each, np.nan) for each in (share, low, high, p_value)]
    main = tuple(
        Effect((key,), *map(float, numbers)) for key, *numbers in zip(keys, *columns, strict=True)
    )
    runs = fit.pooled / (fit.pooled + whole) if fit.freedom > 0 and whole > 0 else float("nan")
    found = judged(Importance("main effects", main, (), (), runs))
    # An effect that isn't shown may be none.
    shown = tuple(effect if effect.matters else replace(effect, low=0.0) for effect in found.main)
    return replace(found, main=shown)


def _interactions(fit: MeansFit, residual: float, freedom: int) -> Variance:
    """Return the variance that neither main effects nor noise explain, (1,)."""
    left = np.array([residual])
    if fit.freedom < 1:
        return Variance(left, 0.0 * left, left)  # it may all be noise
    noise = fit.expected(all_effects((len(fit.mean),))) / max(len(fit.mean) - 1, 1)
    freedoms = np.array([[freedom], [fit.freedom]], dtype=float)
    return variance_without_noise(left, np.array([noise]), *freedoms)


def _others(effect: Variance, interactions: Variance) -> Variance:
    """Return the variances of all other effects and of interactions, for each effect."""
    value = effect.value.sum() + interactions.value - effect.value
    # They may all be as small as their lower ends, as estimates of none are never below 0.
    low = effect.low.sum() + interactions.low - effect.low
    above = (effect.high - effect.value) ** 2
    whole = above.sum() + (interactions.high - interactions.value) ** 2
    return Variance(value, low, value + np.sqrt(np.maximum(whole - above, 0.0)))


def _test(mean: Array, parts: Sequence[Array], key: int, rounding: float) -> _Test:
    others = np.hstack([np.ones((len(mean), 1)), *parts[:key], *parts[key + 1 :]])
    beyond = _residual(parts[key], _basis(others))
    own = _basis(beyond, float(np.abs(parts[key]).max(initial=0.0)))
    number = parts[key].shape[1]
    if own.shape[1] < number or number == 0:
        return _Test(0.0, 0, 0.0)
    squares = float(((own.T @ mean) ** 2).sum())
    # The trace over orthonormal contrasts of the choices' effects.
    inner = beyond.T @ beyond @ np.linalg.inv(np.eye(number) + 1.0)
    scale = float(np.trace(inner)) / number * (number + 1)
    return _Test(squares * (squares > rounding), number, scale)


def _basis(columns: Array, largest: float = 1.0) -> Array:
    """Return an orthonormal basis of the space that columns span."""
    left, size, _ = np.linalg.svd(columns, full_matrices=False)
    limit = _ROUNDING * max(largest * np.sqrt(len(columns)), float(size.max(initial=0.0)))
    return left[:, size > limit]


def _residual(values: Array, basis: Array) -> Array:
    residual: Array = values - basis @ (basis.T @ values)
    return residual
