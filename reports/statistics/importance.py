"""Decomposes the variance of a complete grid into the effects of its hyperparameters, exactly.

On a complete grid, analysis of variance separates each hyperparameter's effect from all others without
a model (randomised block design, Fisher 1925; Hutter 2014 calls it functional ANOVA). Seeds are the
blocks: a seed's effect on all permutations is subtracted, and the remaining differences between
repetitions are the noise. Permutations may have different numbers of repetitions and different noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import special

from reports.statistics.averages import Array, counts
from reports.statistics.contrasts import Contrast, all_effects, own_effect, total_effect
from reports.statistics.permutation_means import MeansFit, fit_means
from reports.statistics.shares import share_interval, variance_without_noise
from reports.statistics.variances import f_tail

Choices = NDArray[np.int64]
_LEVEL = 0.05  # probability of naming any key without effect


@dataclass(frozen=True)
class Effect:
    """The main effect of one hyperparameter, or the interaction of two.

    Attributes:
        keys: names of the one or two hyperparameters.
        share: share of the variance between permutations, without noise; NaN if they don't differ
            beyond the noise.
        low: lower end of the share's 95 % interval; NaN if the noise is unknown.
        high: upper end of the interval; also the limit of a share that isn't shown.
        p_value: probability that noise alone gives an effect as large; NaN if the noise is unknown.
        adjusted: p-value for all effects of the grid together (`judged`).
    """

    keys: tuple[str, ...]
    share: float
    low: float
    high: float
    p_value: float
    adjusted: float = float("nan")

    @property
    def matters(self) -> bool | None:
        """Whether the effect exceeds the noise; None if the noise is unknown."""
        return None if np.isnan(self.adjusted) else bool(self.adjusted < _LEVEL)


@dataclass(frozen=True)
class Importance:
    """The importance of the hyperparameters.

    Attributes:
        method: "analysis of variance" of a complete grid, or "main effects" of an incomplete one.
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
        adjusted = _of_keys(self.main, self.total)[key]
        return None if np.isnan(adjusted) else bool(adjusted < _LEVEL)


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

    Args:
        keys: names of the hyperparameters.
        choices: number of each permutation's choice of each key, (permutations, keys).
        scores: (permutations, repetitions), NaN where there is none; complete (`is_complete`).
    """
    shape, scores = _in_order(choices, scores)
    axes = range(len(keys))
    pairs = list(combinations(axes, 2))
    grid = _Grid(
        shape, fit_means(scores), _without_each_seed(scores), float(np.nanmax(np.abs(scores)))
    )
    names = [(key,) for key in keys]
    return judged(
        Importance(
            "analysis of variance",
            grid.effects(names, [own_effect(shape, (axis,)) for axis in axes]),
            grid.effects(names, [total_effect(shape, axis) for axis in axes]),
            grid.effects(
                [(keys[one], keys[other]) for one, other in pairs],
                [own_effect(shape, pair) for pair in pairs],
            ),
            grid.noise,
        )
    )


def judged(importance: Importance) -> Importance:
    """Return the importance with p-values that hold for all its effects together.

    The smaller p-value of a key's main and total effect is doubled (Bonferroni), and corrected for the
    number of keys (Holm 1979, "A simple sequentially rejective multiple test procedure"). An effect is
    judged no better than its keys, and interactions are also corrected for their number. So no effect is
    shown of a key that doesn't matter.
    """
    of_key = _of_keys(importance.main, importance.total)

    def adjusted(effects: tuple[Effect, ...], p_values: Sequence[float]) -> tuple[Effect, ...]:
        return tuple(
            replace(effect, adjusted=float(max(p_value, *(of_key[key] for key in effect.keys))))
            for effect, p_value in zip(effects, p_values, strict=True)
        )

    def own(effects: tuple[Effect, ...]) -> list[float]:
        return [effect.p_value for effect in effects]

    return replace(
        importance,
        main=adjusted(importance.main, own(importance.main)),
        total=adjusted(importance.total, own(importance.total)),
        interactions=adjusted(importance.interactions, list(_holm(own(importance.interactions)))),
    )


@dataclass(frozen=True)
class _Grid:
    """A complete grid's fit.

    Attributes:
        shape: number of choices of each key.
        fit: fit to all scores.
        without: fits without each seed; empty if one of them is impossible.
        largest: largest absolute score.
    """

    shape: tuple[int, ...]
    fit: MeansFit
    without: list[MeansFit]
    largest: float

    def effects(
        self, names: Sequence[tuple[str, ...]], contrasts: Sequence[Contrast]
    ) -> tuple[Effect, ...]:
        """Return effects with p-values of their own (`judged` adjusts them).

        Args:
            names: keys of each effect.
            contrasts: projection onto each effect.
        """
        share = self._shares(self.fit, contrasts)
        low = high = p_value = np.full(len(share), np.nan)
        if self.fit.freedom > 0:
            tests = np.array([self._test(each) for each in contrasts]).reshape(-1, 4).T
            p_value = tests[0]
            if not np.isnan(share).any():
                low, high = (
                    self._jackknife(share, contrasts)
                    if self.without
                    else self._by_noncentrality(contrasts, *tests[1:])
                )
        columns = (np.clip(share, 0.0, 1.0), np.clip(low, 0.0, 1.0), np.clip(high, 0.0, 1.0))
        return tuple(
            Effect(name, *map(float, numbers))
            for name, *numbers in zip(names, *columns, p_value, strict=True)
        )

    @property
    def noise(self) -> float:
        """The share of the seeds in the variance of single runs; NaN if unknown."""
        signal = max(self._signal(self.fit), 0.0)
        whole = self.fit.pooled + signal
        return self.fit.pooled / whole if self.fit.freedom > 0 and whole > 0 else np.nan

    def _shares(self, fit: MeansFit, contrasts: Sequence[Contrast]) -> Array:
        """Return each effect's share without noise, unclipped; NaN if all variance is noise."""
        signal = self._signal(fit)
        if signal <= 0:
            return np.full(len(contrasts), np.nan)
        variances = [self._squares(fit, each) - fit.expected(each) for each in contrasts]
        return np.array(variances) / len(fit.mean) / signal

    def _signal(self, fit: MeansFit) -> float:
        """Return the variance between permutations, without noise."""
        everything = all_effects(self.shape)
        return (self._squares(fit, everything) - fit.expected(everything)) / len(fit.mean)

    def _squares(self, fit: MeansFit, contrast: Contrast) -> float:
        """Return an effect's sum of squares, noise included."""
        squares = float((contrast.of(fit.mean) ** 2).sum())
        # Rounding mustn't turn equal scores into differences.
        return squares * (squares > (1e-10 * self.largest) ** 2 * len(fit.mean))

    def _test(self, contrast: Contrast) -> tuple[float, float, float, float]:
        """Return an effect's p-value, expected square by noise, and the test's degrees of freedom."""
        if contrast.rank == 0:
            return 1.0, 0.0, 0.0, self.fit.freedom  # a key with one choice has no effect
        squares, noise = self._squares(self.fit, contrast), self.fit.expected(contrast)
        tested, freedom = self.fit.contrast_freedom(contrast)
        if noise == 0:
            return float(squares == 0), 0.0, tested, freedom
        p_value = float(f_tail(np.array(squares / noise), np.array(tested), freedom))
        return p_value, noise / len(self.fit.mean), tested, freedom

    def _jackknife(self, share: Array, contrasts: Sequence[Contrast]) -> tuple[Array, Array]:
        """Return intervals over seeds (Tukey 1958); 0 to 1 if a subset has nothing but noise."""
        repetitions = len(self.without)
        without = np.array([self._shares(fit, contrasts) for fit in self.without])
        deviations = without - without.mean(axis=0)
        error = np.sqrt((repetitions - 1) / repetitions * (deviations**2).sum(axis=0))
        half = special.stdtrit(repetitions - 1, 0.975) * error
        unknown = np.isnan(half)
        return np.where(unknown, 0.0, share - half), np.where(unknown, 1.0, share + half)

    def _by_noncentrality(
        self, contrasts: Sequence[Contrast], noise: Array, tested: Array, freedom: Array
    ) -> tuple[Array, Array]:
        """Return intervals by the noncentral F distribution of an effect and of all others."""
        size = len(self.fit.mean)
        everything = all_effects(self.shape)
        squares = np.array([self._squares(self.fit, each) for each in contrasts]) / size
        others = np.array([size - 1 - each.rank for each in contrasts])
        left = self._squares(self.fit, everything) / size - squares
        unexplained = self.fit.expected(everything) / size - noise
        effect = variance_without_noise(squares, noise, tested, freedom)
        rest = variance_without_noise(
            np.where(others > 0, np.maximum(left, 0.0), 0.0),
            np.where(others > 0, np.maximum(unexplained, 0.0), 0.0),
            np.maximum(others, 1).astype(float),
            freedom,
        )
        return share_interval(effect, rest)


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


def _in_order(choices: Choices, scores: Array) -> tuple[tuple[int, ...], Array]:
    """Return the grid's shape, and scores in the order of the grid."""
    ranks = [np.unique(column, return_inverse=True)[1] for column in choices.T]
    shape = tuple(int(rank.max()) + 1 for rank in ranks)
    return shape, scores[np.argsort(np.ravel_multi_index(ranks, shape))]


def _without_each_seed(scores: Array) -> list[MeansFit]:
    """Return a fit without each seed; none if there are fewer than three, or one is impossible."""
    repetitions = scores.shape[1]
    if repetitions < 3:
        return []
    subsets = [np.delete(scores, seed, axis=1) for seed in range(repetitions)]
    if any((counts(subset) == 0).any() for subset in subsets):
        return []
    fits = [fit_means(subset) for subset in subsets]
    return fits if all(fit.freedom > 0 for fit in fits) else []


def _of_keys(main: tuple[Effect, ...], total: tuple[Effect, ...]) -> dict[str, float]:
    """Return each key's adjusted p-value; NaN if the noise is unknown."""
    p_values: dict[str, list[float]] = {}
    for effect in main + total:
        p_values.setdefault(effect.keys[0], []).append(effect.p_value)
    # Two tests for one answer (Bonferroni).
    smallest = [float(np.min(own)) * len(own) for own in p_values.values()]
    return dict(zip(p_values, _holm(smallest), strict=True))


def _holm(p_values: Sequence[float]) -> Array:
    """Return p-values corrected for their number; unknown ones stay NaN."""
    adjusted = np.array(p_values, dtype=float)
    known = np.flatnonzero(~np.isnan(adjusted))
    order = known[np.argsort(adjusted[known], kind="stable")]
    steps = adjusted[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted
