"""Estimates the mean of each choice of a key, as if all permutations had run on all seeds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from reports.statistics.averages import Array, counts, means
from reports.statistics.importance import Choices, is_complete
from reports.statistics.intervals import estimate
from reports.statistics.main_effects import coded
from reports.statistics.permutation_means import MeansFit, common_repetitions, fit_means


@dataclass(frozen=True)
class ChoiceMeans:
    """The means of a key's choices with 95 % intervals; each array is (choices,), NaN if unknown."""

    mean: Array
    low: Array
    high: Array


def choice_means(choices: Choices, scores: Array) -> list[ChoiceMeans]:
    """Estimate the mean of each choice of each key, averaged over all other keys and over seeds.

    If all permutations have the same seeds, this is the mean over seeds. Otherwise, it is the mean by
    least squares; on an incomplete grid, of a model with main effects alone. The intervals cover the
    seeds, because another set of seeds would change all scores alike.

    Args:
        choices: number of each permutation's choice of each key, (permutations, keys).
        scores: (permutations, repetitions), NaN where there is none.

    Returns:
        An estimate for each key.
    """
    numbers = [int(column.max()) + 1 for column in choices.T]
    scores = common_repetitions(scores)
    scored = counts(scores) > 0
    choices, scores = choices[scored], scores[scored]
    complete = bool(scored.all()) and is_complete(choices, scores)
    keys = range(choices.shape[1])
    members = [(choices[:, key] == np.arange(numbers[key])[:, None]).astype(float) for key in keys]
    if complete and not np.isnan(scores).any():
        return [_by_seed(member, scores) for member in members]
    fit = fit_means(scores)
    model = None if complete else _model(fit, choices)
    return [
        _averaged(fit, member) if model is None else _modelled(fit, model, key, member)
        for key, member in enumerate(members)
    ]


@dataclass(frozen=True)
class _Model:
    """A model of main effects.

    Attributes:
        design: columns of the model, (permutations, columns).
        inverse: pseudo-inverse of the design, (columns, permutations).
        starts: place of each key's first column, and the end of the last's.
        codes: each key's columns for its choices that occur, (choices, columns) each.
        residual: variance of the permutations' means that the model leaves.
        freedom: degrees of freedom of that variance.
    """

    design: Array
    inverse: Array
    starts: list[int]
    codes: list[Array]
    residual: float
    freedom: int


def _by_seed(members: Array, scores: Array) -> ChoiceMeans:
    """Estimate from each seed's mean over the permutations with a choice.

    Args:
        members: 1 where a permutation has a choice, else 0, (choices, permutations).
        scores: (permutations, repetitions), without NaN.
    """
    found = estimate(np.array([means(scores[member > 0].T) for member in members]))
    return ChoiceMeans(found.mean, found.low, found.high)


def _averaged(fit: MeansFit, members: Array) -> ChoiceMeans:
    """Estimate by the average of the means of the permutations with a choice."""
    weights = members / np.maximum(members.sum(axis=1, keepdims=True), 1.0)
    freedom = np.array([fit.freedom_of(own) for own in weights])
    found = _with_seeds(fit, weights @ fit.mean, fit.variances_of(weights), freedom)
    occurs = members.any(axis=1)
    columns = (np.where(occurs, each, np.nan) for each in (found.mean, found.low, found.high))
    return ChoiceMeans(*columns)


def _model(fit: MeansFit, choices: Choices) -> _Model | None:
    """Return a model of the permutations' means; None if there are too few permutations."""
    parts = [coded(column) for column in choices.T]
    design = np.hstack([np.ones((len(choices), 1)), *parts])
    inverse = np.linalg.pinv(design)
    freedom = len(design) - round(float(np.sum(inverse * design.T)))
    if freedom < 1:
        return None
    left = float(((fit.mean - design @ (inverse @ fit.mean)) ** 2).sum())
    starts = np.cumsum([1, *(part.shape[1] for part in parts)]).tolist()
    codes = [coded(np.unique(column)) for column in choices.T]
    return _Model(design, inverse, starts, codes, left / freedom, freedom)


def _modelled(fit: MeansFit, model: _Model, key: int, members: Array) -> ChoiceMeans:
    """Estimate by a model of main effects, or by averages if it can't tell the choices apart."""
    code = model.codes[key]
    wanted = np.zeros((len(code), model.design.shape[1]))
    wanted[:, 0] = 1.0
    wanted[:, model.starts[key] : model.starts[key + 1]] = code
    weights = wanted @ model.inverse
    if not np.allclose(weights @ model.design, wanted):
        return _averaged(fit, members)
    variance = (weights**2).sum(axis=1) * model.residual
    freedom = np.full(len(code), float(model.freedom))
    found = _with_seeds(fit, weights @ fit.mean, variance, freedom)
    columns = np.full((3, len(members)), np.nan)
    columns[:, members.any(axis=1)] = found.mean, found.low, found.high
    return ChoiceMeans(*columns)


def _with_seeds(fit: MeansFit, mean: Array, variance: Array, freedom: Array) -> ChoiceMeans:
    """Return means with intervals that cover the choice of seeds.

    Args:
        fit: fit of the permutations' means.
        mean: mean of each choice, (choices,).
        variance: squared error of each mean on these seeds, (choices,).
        freedom: degrees of freedom of that variance, (choices,).
    """
    repetitions = len(fit.seeds)
    if repetitions < 2 or fit.freedom < 1:
        unknown = np.full(len(mean), np.nan)
        return ChoiceMeans(mean, unknown, unknown)
    # A little of the noise is in it too, which makes up for its few degrees of freedom.
    seeds = float(fit.seeds.var(ddof=1)) / repetitions
    squares = variance**2 / freedom + seeds**2 / (repetitions - 1)
    whole = variance + seeds
    freedom = np.divide(whole**2, squares, out=np.ones_like(whole), where=squares > 0)
    half = special.stdtrit(freedom, 0.975) * np.sqrt(whole)
    return ChoiceMeans(mean, mean - half, mean + half)
