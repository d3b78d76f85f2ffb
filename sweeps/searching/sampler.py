"""Asks Optuna's samplers for permutations.

A study lives in memory, for one batch. It is built from the trials that the journal holds, so a search
that was interrupted asks for the same permutations as one that wasn't.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial
from threadpoolctl import threadpool_limits

from sweeps.search_space.choices import canonical, show
from sweeps.search_space.keys import Axis
from sweeps.search_space.ranges import Range
from sweeps.search_space.trials import SearchSpace, Values
from sweeps.searching.plan import LEARNING

_MOST_ASKED = 20  # proposals for one permutation that were known already or aren't allowed
_MOST_DRAWN = 1000  # the same, by chance
_MOST_LISTED = 1_000_000  # combinations to go through for what was never drawn
_SEEDS = 2**32  # of Optuna's generators

# Optuna's loggers tell of each trial, and its samplers are marked as experimental.
optuna.logging.set_verbosity(optuna.logging.ERROR)


@dataclass(frozen=True)
class Tried:
    """A permutation that a search has tried.

    Attributes:
        values: the value of each tuned key.
        score: its mean score, greater is better; None if all its runs failed, or if it was pruned.
        pruned: its mean scores at the rungs, by their updates, if it was pruned; else empty.
    """

    values: Values
    score: float | None
    pruned: Mapping[int, float] = field(default_factory=dict)


class _Sobol(optuna.samplers.QMCSampler):
    """Optuna's QMC sampler, which would draw the first trial of a study from no sequence.

    Args:
        space: the distribution of each key.
        seed: seed of the sequence's scrambling.
    """

    def __init__(self, space: dict[str, BaseDistribution], seed: int) -> None:
        super().__init__(scramble=True, seed=seed, warn_independent_sampling=False)
        self._space = space

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return all keys."""
        return self._space


def propose(
    space: SearchSpace, sampler: str, seed: int, tried: Sequence[Tried], count: int
) -> list[Values]:
    """Return the next permutations of a search: allowed ones that it hasn't tried, if there are any.

    Args:
        space: the search space.
        sampler: name of the sampler, one of `SAMPLERS`.
        seed: seed of the search; equal arguments have equal results.
        tried: the permutations tried before, in their order.
        count: maximum number of permutations.
    """
    # Their matrices are small, so more threads would only wait for each other.
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return list(islice(_proposals(space, sampler, seed, tried), count))


def _proposals(
    space: SearchSpace, sampler: str, seed: int, tried: Sequence[Tried]
) -> Iterator[Values]:
    distributions = {axis.label: distribution(axis) for axis in space.axes}
    learns = sampler in LEARNING
    if learns:
        # Another seed for each batch, as its study is new.
        seed += len(tried)
    study = optuna.create_study(
        sampler=_sampler(sampler, distributions, seed % _SEEDS), direction="maximize"
    )
    if learns:
        study.add_trials([_trial(space, distributions, each) for each in tried])
    by_chance = optuna.create_study(sampler=optuna.samplers.RandomSampler((seed + 1) % _SEEDS))
    seen = {_key(each.values) for each in tried}
    # Samplers that don't learn begin their sequence again, with what was tried already.
    most = _MOST_ASKED + (0 if learns else len(tried))
    rest = islice(space.combinations(), _MOST_LISTED) if math.isfinite(space.size) else iter(())
    while True:
        sources = (
            islice(_asked(study, distributions, space), most),
            islice(_asked(by_chance, distributions, space), _MOST_DRAWN),
            rest,
        )
        new = (values for values in chain(*sources) if _key(values) not in seen)
        values = next(filter(space.allows, new), None)
        if values is None:
            return
        seen.add(_key(values))
        yield values


def _asked(
    study: optuna.Study, distributions: dict[str, BaseDistribution], space: SearchSpace
) -> Iterator[Values]:
    """Yield the permutations that a study asks for; those asked before count as running."""
    while True:
        trial = study.ask(distributions)
        yield tuple(_value(axis, trial) for axis in space.axes)


def _value(axis: Axis, trial: Trial) -> Any:
    drawn = trial.params[axis.label]
    if axis.range is None:
        return axis.choices[choice_texts(axis.choices).index(drawn)]
    return axis.range.rounded(drawn)


def _trial(
    space: SearchSpace, distributions: dict[str, BaseDistribution], tried: Tried
) -> FrozenTrial:
    """Return a permutation as a trial that is over."""
    pairs = zip(space.axes, tried.values, strict=True)
    params = {axis.label: _parameter(axis, value) for axis, value in pairs}
    state = TrialState.COMPLETE
    if tried.score is None:
        state = TrialState.PRUNED if tried.pruned else TrialState.FAIL
    return create_trial(
        state=state,
        params=params,
        distributions=distributions,
        value=tried.score,
        intermediate_values=dict(tried.pruned),
    )


def _parameter(axis: Axis, value: Any) -> Any:
    if axis.range is not None:
        return value
    place = axis.position(value)
    assert place is not None
    return choice_texts(axis.choices)[place]


def _key(values: Values) -> str:
    return canonical(list(values))


def _sampler(
    name: str, space: dict[str, BaseDistribution], seed: int
) -> optuna.samplers.BaseSampler:
    if name == "random":
        return optuna.samplers.RandomSampler(seed)
    if name == "qmc":
        return _Sobol(space, seed)
    if name == "tpe":
        # Trials of the same batch count as bad ones, which keeps them apart.
        return optuna.samplers.TPESampler(seed=seed, constant_liar=True)
    return optuna.samplers.GPSampler(seed=seed)


def distribution(axis: Axis) -> BaseDistribution:
    """Return the distribution of a key's values."""
    if axis.range is None:
        return CategoricalDistribution(choice_texts(axis.choices))
    return range_distribution(axis.range)


def range_distribution(span: Range) -> BaseDistribution:
    """Return the distribution of the numbers of a range."""
    high = span.high
    if span.step is not None:
        high = span.value(int(span.count) - 1)
    if span.whole:
        return IntDistribution(int(span.low), int(high), log=span.log, step=int(span.step or 1))
    return FloatDistribution(span.low, high, log=span.log, step=span.step)


def choice_texts(choices: Sequence[Any]) -> list[str]:
    """Return a distinct text for each choice; Optuna can't tell 1 from true, and takes no lists."""
    texts = list(map(show, choices))
    return texts if len(set(texts)) == len(texts) else list(map(canonical, choices))
