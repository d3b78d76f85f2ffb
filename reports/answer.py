"""The answer that a sweep gives: which permutation, how sure, and which hyperparameter matters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from reports.outcome import LESS_IS_BETTER, Metric, Outcome, Permutation, area, steps_until
from reports.statistics.contenders import Comparison, compare, repetitions_needed
from reports.statistics.importance import Importance, Levels, at_edge, decompose, is_complete
from reports.statistics.intervals import Estimates, estimate
from reports.statistics.selection import best_probabilities, confirm, selection_bias
from reports.statistics.surrogate import estimate_importance
from reports.statistics.variances import Array, means
from schema.errors import UserError
from sweeps.journal.runs import FAILURES, RunRecord, RunState
from sweeps.search_space.choices import number_or_text

_SEED = 0  # of what is drawn, so that the same results have the same answer


@dataclass(frozen=True)
class Score:
    """One permutation and how well it did.

    Attributes:
        permutation: whose.
        values: what each repetition reached; None where it didn't.
        area: mean return while training, averaged over the repetitions.
        steps: environment steps until the threshold, averaged over the repetitions that reached it.
        seconds: wall time, averaged over the repetitions.
        failed: how many repetitions failed or diverged.
        mean: of the values, in which failures count as the worst of all; None without any.
        low: lower end of its 95 % interval; None where it isn't known.
        high: its upper end.
        interquartile_mean: of the middle half of the values, from eight repetitions on; else None.
        is_doubtful: whether the values disagree so much that the interval can't be trusted.
        could_be_best: whether it can't be told from the best.
        probability: of being the best; None where it isn't known.
        confirmed: what leaders reached on fresh seeds: mean and the ends of its interval.
    """

    permutation: Permutation
    values: tuple[float | None, ...]
    area: float | None
    steps: float | None
    seconds: float | None
    failed: int
    mean: float | None = None
    low: float | None = None
    high: float | None = None
    interquartile_mean: float | None = None
    is_doubtful: bool = False
    could_be_best: bool = False
    probability: float | None = None
    confirmed: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class Level:
    """One choice of a key, over all permutations that have it.

    Attributes:
        choice: as text.
        mean: of their means; None without any.
        low: lower end of its interval; None where it isn't known.
        high: its upper end.
    """

    choice: str
    mean: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Answer:
    """What a sweep says.

    Attributes:
        outcome: what it is read from.
        metric: what runs are judged by.
        threshold: the return that `steps` waits for; None where nobody asked.
        scores: the best permutation first, those without a score last.
        decided: whether there are repetitions enough to tell permutations apart.
        bias: how much too high the leader's mean is to be expected, as it was selected; None where it
            isn't known.
        more_repetitions: how many more would likely leave only the leader; None where that isn't known
            or too many.
        importance: which keys matter; None where it can't be said.
        levels: of each key that is varied, what its choices reached on average.
        edges: of each key whose best choice is the last of its list, "lowest" or "highest".
    """

    outcome: Outcome
    metric: Metric
    threshold: float | None
    scores: tuple[Score, ...]
    decided: bool = False
    bias: float | None = None
    more_repetitions: int | None = None
    importance: Importance | None = None
    levels: dict[str, tuple[Level, ...]] = field(default_factory=dict)
    edges: dict[str, str] = field(default_factory=dict)

    @property
    def leader(self) -> Score | None:
        """The best permutation; None while none has a score."""
        return self.scores[0] if self.scores and self.scores[0].mean is not None else None

    @property
    def contenders(self) -> list[Score]:
        """Those that could be the best."""
        return [score for score in self.scores if score.could_be_best]

    def matters(self, label: str) -> bool | None:
        """Whether a key's effect exceeds the noise; None where that isn't known."""
        return None if self.importance is None else self.importance.matters(label)


def answer(
    outcome: Outcome,
    metric: Metric = "final",
    threshold: float | None = None,
    confirmed: Outcome | None = None,
) -> Answer:
    """Draws the conclusions from a sweep.

    A run that failed counts as the worst score of all: hyperparameters with which one training of three
    breaks down are no good choice, however well the other two went.

    Args:
        outcome: of the sweep.
        metric: what runs are judged by.
        threshold: the return that `steps` waits for.
        confirmed: the sweep in which leaders were trained again on fresh seeds.
    """
    sign = -1.0 if metric in LESS_IS_BETTER else 1.0
    reached = outcome.scores(metric, threshold)
    judged = _with_failures(outcome, sign * reached)
    if np.isnan(judged).all():
        scores = [_score(outcome, place, reached, threshold) for place in range(len(judged))]
        return Answer(outcome, metric, threshold, tuple(scores))
    rng = np.random.default_rng(_SEED)
    comparison = compare(judged)
    sayings = _Sayings(comparison, best_probabilities(comparison, rng), estimate(judged), sign)
    order = np.argsort(np.where(np.isnan(comparison.mean), np.inf, -comparison.mean), kind="stable")
    found = _confirmed(outcome, confirmed, judged, metric, threshold, sign)
    scores = [
        _score(outcome, place, reached, threshold, sayings, found.get(int(place)))
        for place in order
    ]
    return Answer(
        outcome,
        metric,
        threshold,
        tuple(scores),
        comparison.decided,
        _known(selection_bias(comparison, rng)),
        repetitions_needed(comparison),
        _importance(outcome, judged, rng),
        {label: _levels(outcome, label, judged, sign) for label in outcome.varied},
        _edges(outcome, scores[0]),
    )


def leaders(answer: Answer, count: int) -> list[Score]:
    """The best permutations that have a score, without those that repeat another."""
    distinct = {score.permutation.choices: score for score in reversed(answer.scores)}
    return [
        score
        for score in answer.scores
        if score.mean is not None and distinct[score.permutation.choices] is score
    ][:count]


def best_run(answer: Answer) -> RunRecord | None:
    """The leader's best run; None while there is none."""
    if answer.leader is None:
        return None
    sign = -1.0 if answer.metric in LESS_IS_BETTER else 1.0
    runs = zip(answer.leader.values, answer.leader.permutation.runs, strict=False)
    valued = [(sign * value, run) for value, run in runs if value is not None]
    return max(valued, key=lambda pair: pair[0])[1] if valued else None


@dataclass(frozen=True)
class _Sayings:
    """What is known of all permutations; greater is better, but for `sign`."""

    comparison: Comparison
    probabilities: Array
    estimates: Estimates
    sign: float

    def added_to(self, score: Score, place: int) -> Score:
        """The score of the permutation at a place with what is known by comparison with others."""
        found, could = self.estimates, self.comparison.could_be_best[place]
        low, high = np.sort(self.sign * np.array([found.low[place], found.high[place]]))
        return replace(
            score,
            mean=_known(self.sign * found.mean[place]),
            low=_known(low),
            high=_known(high),
            interquartile_mean=_known(self.sign * found.interquartile_mean[place]),
            is_doubtful=bool(found.two_humped[place]),
            could_be_best=self.comparison.decided and bool(could),
            probability=_known(self.probabilities[place]),
        )


def _with_failures(outcome: Outcome, values: Array) -> Array:
    """Scores in which what failed has the worst of all, but for permutations without any other."""
    judged = values.copy()
    if np.isnan(values).all():
        return judged
    for place, permutation in enumerate(outcome.permutations):
        if not np.isnan(values[place]).all():
            for record in permutation.runs:
                if record.state in FAILURES:
                    judged[place, record.run.repetition] = np.nanmin(values)
    return judged


def _score(
    outcome: Outcome,
    place: int,
    reached: Array,
    threshold: float | None,
    sayings: _Sayings | None = None,
    confirmed: tuple[float, float, float] | None = None,
) -> Score:
    permutation = outcome.permutations[place]
    ended = [run for run in permutation.runs if run.state == RunState.FINISHED]
    steps = [steps_until(run.curve, threshold) for run in ended]
    score = Score(
        permutation,
        values=tuple(map(_known, reached[place])),
        area=_mean([area(run.curve) for run in ended]),
        steps=_mean(steps),
        seconds=_mean([run.wall_time_seconds for run in ended]),
        failed=sum(run.state in FAILURES for run in permutation.runs),
        confirmed=confirmed,
    )
    return score if sayings is None else sayings.added_to(score, place)


def _confirmed(
    outcome: Outcome,
    confirmed: Outcome | None,
    judged: Array,
    metric: Metric,
    threshold: float | None,
    sign: float,
) -> dict[int, tuple[float, float, float]]:
    """By its place, what each permutation that was trained again reached, and its interval."""
    if confirmed is None:
        return {}
    fresh = _with_failures(confirmed, sign * confirmed.scores(metric, threshold))
    places = {each.name: place for place, each in enumerate(outcome.permutations)}
    pairs = [
        (places[each.name], own)
        for own, each in enumerate(confirmed.permutations)
        if each.name in places and not np.isnan(fresh[own]).all()
    ]
    if not pairs:
        return {}
    leaders, own = map(list, zip(*pairs, strict=True))
    found = confirm(judged[leaders], fresh[own], judged)
    ends = np.sort(sign * np.stack([found.low, found.high]), axis=0)
    columns = (sign * found.confirmed, *ends)
    return {
        place: (float(mean), float(low), float(high))
        for place, mean, low, high in zip(leaders, *columns, strict=True)
    }


def _importance(outcome: Outcome, judged: Array, rng: np.random.Generator) -> Importance | None:
    """Which keys matter; None where nothing varies, or where only a model that is missing could tell."""
    labels = outcome.varied
    if not labels:
        return None
    levels = _levels_of(outcome, labels)
    # Choices that a list repeats are trained alike, and would count twice.
    _, first = np.unique(levels, axis=0, return_index=True)
    first.sort()
    levels, judged = levels[first], judged[first]
    if is_complete(levels, judged):
        return decompose(labels, levels, judged)
    scored = ~np.isnan(judged).all(axis=1)
    if len({tuple(row) for row in levels[scored]}) <= len(labels):
        return None
    try:
        return estimate_importance(labels, levels[scored], judged[scored], rng)
    except UserError:
        return None


def _levels_of(outcome: Outcome, labels: Sequence[str]) -> Levels:
    """Which choice of each key a permutation has, (permutations, keys)."""
    columns = []
    for label in labels:
        number = {choice: place for place, choice in enumerate(outcome.choices_of(label))}
        place = outcome.labels.index(label)
        columns.append([number[each.choices[place]] for each in outcome.permutations])
    return np.array(columns, dtype=np.int64).T


def _levels(outcome: Outcome, label: str, judged: Array, sign: float) -> tuple[Level, ...]:
    """What the choices of a key reached: means over seeds of the means over all other keys."""
    place = outcome.labels.index(label)
    choices = outcome.choices_of(label)
    own = np.array([choices.index(each.choices[place]) for each in outcome.permutations])
    # A seed's mean over the permutations of a choice, (choices, repetitions).
    per_seed = np.array([means(judged[own == number].T) for number in range(len(choices))])
    found = estimate(per_seed)
    ends = np.sort(sign * np.stack([found.low, found.high]), axis=0)
    columns = (map(_known, column) for column in (sign * found.mean, *ends))
    return tuple(
        Level(choice, *numbers) for choice, *numbers in zip(choices, *columns, strict=True)
    )


def _edges(outcome: Outcome, best: Score) -> dict[str, str]:
    """The keys whose best choice is the last of its list, and at which end."""
    edges = {}
    for label in outcome.varied:
        choices = [number_or_text(choice) for choice in outcome.choices_of(label)]
        own = number_or_text(best.permutation.choices[outcome.labels.index(label)])
        edge = at_edge(choices, own)
        if edge is not None and len(choices) > 2:
            edges[label] = edge
    return edges


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
