"""Which hyperparameter matters: the variance of a complete grid, decomposed exactly.

On a complete grid each hyperparameter's effect can be told from all others without a model (analysis
of variance of a randomised block design; Fisher 1925, Hutter 2014 calls it functional ANOVA). Seeds
are the blocks: what a seed does to all permutations is taken out, and what is left between repetitions
is the noise.
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
_Effects = tuple[tuple[int, ...], ...]  # each the keys that take part in it


@dataclass(frozen=True)
class Effect:
    """What one hyperparameter does by itself, or two do together beyond that.

    Attributes:
        keys: one or two names.
        share: of the variance between permutations, without noise; NaN where they don't differ beyond
            it.
        low: lower end of the share's interval; NaN with fewer than three repetitions.
        high: its upper end.
        p_value: probability of an effect as large by noise alone; NaN where the noise isn't known.
    """

    keys: tuple[str, ...]
    share: float
    low: float
    high: float
    p_value: float

    @property
    def matters(self) -> bool | None:
        """Whether it exceeds the noise; None where the noise isn't known."""
        return None if np.isnan(self.p_value) else self.p_value < 0.05


@dataclass(frozen=True)
class Importance:
    """What makes the difference between permutations.

    Attributes:
        method: "analysis of variance", or "fANOVA" where a model estimated it.
        main: what each hyperparameter does by itself, averaged over all others.
        total: the same with all interactions that it takes part in; these overlap, so their sum may
            exceed 1.
        interactions: what each two do together beyond their main effects.
        noise: share of the variance of single runs that their seeds make; NaN where it isn't known.
    """

    method: str
    main: tuple[Effect, ...]
    total: tuple[Effect, ...]
    interactions: tuple[Effect, ...]
    noise: float

    def matters(self, key: str) -> bool | None:
        """Whether a hyperparameter exceeds the noise, by itself or by what it does to others.

        Args:
            key: its name.

        Returns:
            None where the noise isn't known.
        """
        values = [effect.p_value for effect in self.main + self.total if effect.keys == (key,)]
        # Two tests for one answer (Bonferroni).
        return None if np.isnan(values).any() else min(values) * len(values) < 0.05


@dataclass(frozen=True)
class _Parts:
    """The variance of a grid's means in parts.

    Attributes:
        between: of all permutations, noise included.
        effect: of each effect, noise included, (effects,).
        freedom: degrees of freedom of each effect, (effects,).
        noise: what each degree of freedom adds to these by noise; 0 where it isn't known.
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
    """Whether permutations are a whole product of choices, each once and each with a score.

    Args:
        choices: which choice of each key a permutation has, (permutations, keys).
        scores: (permutations, repetitions), NaN where there is none.
    """
    product = int(np.prod([len(np.unique(column)) for column in choices.T]))
    once = len(np.unique(choices, axis=0)) == len(choices)
    return once and product == len(choices) and bool((counts(scores) > 0).all())


def decompose(keys: Sequence[str], choices: Choices, scores: Array) -> Importance:
    """Decomposes the variance of a complete grid into the effects of its keys.

    Scores that are missing are filled with what permutation and seed suggest, and cost their degree of
    freedom (Yates 1933, "The analysis of replicated experiments when the field results are incomplete").

    Args:
        keys: names of the hyperparameters.
        choices: which choice of each key a permutation has, (permutations, keys).
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
    """Whether the best choice is the last of its list, so that a better one may lie beyond.

    Args:
        choices: of a hyperparameter.
        best: one of them.

    Returns:
        "lowest" or "highest"; None where it lies within, or where the choices aren't different numbers.
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
    """Splits the variance of a grid's means.

    Args:
        grid: (choices of the first key, ..., of the last, repetitions).
        effects: the keys of each.
        total: whether all interactions with other keys belong to an effect.
    """
    # Rounding mustn't make differences of equal scores.
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
    """Variance and degrees of freedom of an effect without those that are contained in it."""
    margin = mean.mean(axis=tuple(axis for axis in range(mean.ndim) if axis not in effect))
    for axis in range(margin.ndim):
        margin = margin - margin.mean(axis=axis, keepdims=True)
    freedom = np.prod([mean.shape[axis] - 1 for axis in effect])
    return float(np.mean(margin**2)), float(freedom)


def _total_effect(mean: Array, effect: tuple[int, ...]) -> tuple[float, float]:
    """Variance and degrees of freedom of what changes along the axes of an effect."""
    residual = mean - mean.mean(axis=effect, keepdims=True)
    others = mean.size / np.prod([mean.shape[axis] for axis in effect])
    return float(np.mean(residual**2)), float(mean.size - others)


def _shares(parts: _Parts) -> Array:
    """The share of each effect once the noise is taken out, unclipped; NaN if nothing is left."""
    if parts.signal <= 0:
        return np.full(len(parts.effect), np.nan)
    return (parts.effect - parts.freedom * parts.noise) / parts.signal


def _intervals(grid: Array, effects: _Effects, total: bool, share: Array) -> tuple[Array, Array]:
    """Jackknife intervals over seeds (Tukey 1958); 0 to 1 where a seed left out leaves nothing."""
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
    """F-tests of effects against the noise between repetitions."""
    permutations, repetitions = grid.size // grid.shape[-1], grid.shape[-1]
    freedom = (permutations - 1) * (repetitions - 1) - missing
    if freedom < 1:
        return np.full(len(parts.effect), np.nan)
    # Filled scores have no residual of their own.
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
    """Scores by their choices: (choices of the first key, ..., of the last, repetitions)."""
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
