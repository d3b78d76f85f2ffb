"""Decomposes the variance of a complete grid into the effects of its hyperparameters, exactly.

On a complete grid, analysis of variance separates each hyperparameter's effect from all others without
a model (randomised block design, Fisher 1925; Hutter 2014 calls it functional ANOVA). Seeds are the
blocks: a seed's effect on all permutations is subtracted, and the remaining differences between
repetitions are the noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import special

from reports.statistics.averages import Array, counts, means, seed_effects
from reports.statistics.variances import f_tail

Choices = NDArray[np.int64]
_Effects = tuple[tuple[int, ...], ...]  # the keys of each effect


@dataclass(frozen=True)
class Effect:
    """The main effect of one hyperparameter, or the interaction of two.

    Attributes:
        keys: names of the one or two hyperparameters.
        share: share of the variance between permutations, without noise; NaN if they don't differ
            beyond the noise.
        low: lower end of the share's 95 % interval; NaN below three repetitions.
        high: upper end of the interval.
        p_value: probability that noise alone gives an effect as large; NaN if the noise is unknown.
    """

    keys: tuple[str, ...]
    share: float
    low: float
    high: float
    p_value: float

    @property
    def matters(self) -> bool | None:
        """Whether the effect exceeds the noise; None if the noise is unknown."""
        return None if np.isnan(self.p_value) else self.p_value < 0.05


@dataclass(frozen=True)
class Importance:
    """The importance of the hyperparameters.

    Attributes:
        method: "analysis of variance", or "fANOVA" if a model estimated the importance.
        main: main effect of each hyperparameter, averaged over all others.
        total: main effect of each with all its interactions; these overlap, so the sum of their shares
            may exceed 1.
        interactions: interaction of each pair beyond the main effects.
        noise: share of the seeds in the variance of single runs; NaN if unknown.
    """

    method: str
    main: tuple[Effect, ...]
    total: tuple[Effect, ...]
    interactions: tuple[Effect, ...]
    noise: float

    def matters(self, key: str) -> bool | None:
        """Return whether a hyperparameter's main or total effect exceeds the noise.

        Args:
            key: name of the hyperparameter.

        Returns:
            Whether it does; None if the noise is unknown.
        """
        values = [effect.p_value for effect in self.main + self.total if effect.keys == (key,)]
        # Two tests for one answer (Bonferroni).
        return None if np.isnan(values).any() else min(values) * len(values) < 0.05


@dataclass(frozen=True)
class _Parts:
    """The parts of the variance of a grid's means.

    Attributes:
        between: variance between all permutations, noise included.
        effect: variance of each effect, noise included, (effects,).
        freedom: degrees of freedom of each effect, (effects,).
        noise: variance that noise adds per degree of freedom; 0 if unknown.
        size: number of permutations.
    """

    between: float
    effect: Array
    freedom: Array
    noise: float
    size: int

    @property
    def signal(self) -> float:
        """The variance between permutations, without noise."""
        return self.between - (self.size - 1) * self.noise


def is_complete(choices: Choices, scores: Array) -> bool:
    """Return whether permutations are a whole product of choices, each once and with a score.

    Args:
        choices: number of each permutation's choice of each key, (permutations, keys).
        scores: (permutations, repetitions), NaN where there is none.
    """
    product = int(np.prod([len(np.unique(column)) for column in choices.T]))
    once = len(np.unique(choices, axis=0)) == len(choices)
    return once and product == len(choices) and bool((counts(scores) > 0).all())


def decompose(keys: Sequence[str], choices: Choices, scores: Array) -> Importance:
    """Decompose the variance of a complete grid into the effects of its keys.

    A missing score is replaced by the sum of its permutation's and its seed's effects, and costs a
    degree of freedom (Yates 1933, "The analysis of replicated experiments when the field results are
    incomplete").

    Args:
        keys: names of the hyperparameters.
        choices: number of each permutation's choice of each key, (permutations, keys).
        scores: (permutations, repetitions), NaN where there is none; complete (`is_complete`).
    """
    missing = int(np.isnan(scores).sum())
    grid = _as_grid(choices, _filled(scores))
    single = tuple((axis,) for axis in range(len(keys)))
    pairs = tuple(combinations(range(len(keys)), 2))
    main = _effects(keys, grid, single, missing)
    total = _effects(keys, grid, single, missing, total=True)
    parts = _parts(grid, (), False)
    repetitions = scores.shape[1]
    per_run = parts.noise * len(scores) * repetitions
    signal = max(parts.signal, 0.0)
    noise = per_run / (per_run + signal) if repetitions > 1 and per_run + signal > 0 else np.nan
    interactions = _effects(keys, grid, pairs, missing)
    return Importance("analysis of variance", main, total, interactions, float(noise))


def at_edge(choices: Sequence[object], best: object) -> str | None:
    """Return the end of the list at which the best choice lies; a better one may lie beyond it.

    Args:
        choices: choices of a hyperparameter.
        best: the best of them.

    Returns:
        "lowest" or "highest"; None if the best lies between, or if the choices aren't different numbers.
    """
    numbers = [c for c in choices if isinstance(c, int | float) and not isinstance(c, bool)]
    if len(numbers) < len(choices) or len(set(numbers)) < 2:
        return None
    return {min(numbers): "lowest", max(numbers): "highest"}.get(best)  # type: ignore[call-overload]


def _effects(
    keys: Sequence[str], grid: Array, effects: _Effects, missing: int, total: bool = False
) -> tuple[Effect, ...]:
    parts = _parts(grid, effects, total)
    share = _shares(parts)
    low, high = _intervals(grid, effects, total, share)
    p_value = _p_values(parts, grid, missing)
    return tuple(
        Effect(tuple(keys[axis] for axis in effect), *map(float, numbers))
        for effect, *numbers in zip(effects, _clipped(share), low, high, p_value, strict=True)
    )


def _parts(grid: Array, effects: _Effects, total: bool) -> _Parts:
    """Split the variance of a grid's means.

    Args:
        grid: (choices of the first key, ..., of the last, repetitions).
        effects: keys of each effect.
        total: whether an effect includes all its interactions with other keys.
    """
    # Rounding mustn't turn equal scores into differences.
    rounding = (1e-10 * float(np.abs(grid).max())) ** 2
    mean = grid.mean(axis=-1)
    between = float(mean.var())
    split = _total_effect if total else _own_effect
    found = [split(mean, effect) for effect in effects]
    repetitions = grid.shape[-1]
    noise = 0.0
    if repetitions > 1 and mean.size > 1:
        residual = grid - mean[..., None]
        residual = residual - residual.reshape(-1, repetitions).mean(axis=0)
        freedom = (mean.size - 1) * (repetitions - 1)
        noise = float((residual**2).sum()) / freedom / grid.size
    variances = np.array([variance for variance, _ in found])
    freedoms = np.array([freedom for _, freedom in found])
    return _Parts(
        between * (between > rounding),
        variances * (variances > rounding),
        freedoms,
        noise * (noise > rounding),
        mean.size,
    )


def _own_effect(mean: Array, effect: tuple[int, ...]) -> tuple[float, float]:
    """Return the variance and degrees of freedom of an effect without the effects that it contains."""
    margin = mean.mean(axis=tuple(axis for axis in range(mean.ndim) if axis not in effect))
    for axis in range(margin.ndim):
        margin = margin - margin.mean(axis=axis, keepdims=True)
    freedom = np.prod([mean.shape[axis] - 1 for axis in effect])
    return float(np.mean(margin**2)), float(freedom)


def _total_effect(mean: Array, effect: tuple[int, ...]) -> tuple[float, float]:
    """Return the variance and degrees of freedom of all changes along an effect's axes."""
    residual = mean - mean.mean(axis=effect, keepdims=True)
    others = mean.size / np.prod([mean.shape[axis] for axis in effect])
    return float(np.mean(residual**2)), float(mean.size - others)


def _shares(parts: _Parts) -> Array:
    """Return each effect's share without noise, unclipped; NaN if all variance is noise."""
    if parts.signal <= 0:
        return np.full(len(parts.effect), np.nan)
    return (parts.effect - parts.freedom * parts.noise) / parts.signal


def _intervals(grid: Array, effects: _Effects, total: bool, share: Array) -> tuple[Array, Array]:
    """Return jackknife intervals over seeds (Tukey 1958); 0 to 1 if a subset has nothing but noise."""
    repetitions = grid.shape[-1]
    if repetitions < 3 or np.isnan(share).any():
        unknown = np.full(len(share), np.nan)
        return unknown, unknown
    # seeds left out x effects
    without = np.array(
        [
            _shares(_parts(np.delete(grid, seed, axis=-1), effects, total))
            for seed in range(repetitions)
        ]
    )
    deviations = without - without.mean(axis=0)
    error = np.sqrt((repetitions - 1) / repetitions * (deviations**2).sum(axis=0))
    half = special.stdtrit(repetitions - 1, 0.975) * error
    low = np.where(np.isnan(half), 0.0, share - half)
    high = np.where(np.isnan(half), 1.0, share + half)
    return _clipped(low), _clipped(high)


def _p_values(parts: _Parts, grid: Array, missing: int) -> Array:
    """Return p-values of F-tests of effects against the noise between repetitions."""
    permutations, repetitions = grid.size // grid.shape[-1], grid.shape[-1]
    freedom = (permutations - 1) * (repetitions - 1) - missing
    if freedom < 1:
        return np.full(len(parts.effect), np.nan)
    # Replaced scores have no residuals.
    noise = parts.noise * (freedom + missing) / freedom
    needed = parts.freedom * noise
    ratio = np.divide(
        parts.effect,
        needed,
        out=np.where(parts.effect > 0, np.inf, 0.0),
        where=needed > 0,
    )
    # A key with one choice has no effect.
    tested = np.where(parts.freedom > 0, parts.freedom, 1.0)
    return np.where(parts.freedom > 0, f_tail(ratio, tested, freedom), 1.0)


def _as_grid(choices: Choices, scores: Array) -> Array:
    """Arrange scores by choices: (choices of the first key, ..., of the last, repetitions)."""
    ranks = [np.unique(column, return_inverse=True)[1] for column in choices.T]
    shape = [int(rank.max()) + 1 for rank in ranks]
    grid = np.empty((*shape, scores.shape[1]))
    grid[tuple(ranks)] = scores
    return grid


def _filled(scores: Array) -> Array:
    effects = seed_effects(scores)
    expected = means(scores - effects)[:, None] + effects
    return np.where(np.isnan(scores), expected, scores)


def _clipped(share: Array) -> Array:
    return np.clip(share, 0.0, 1.0)
