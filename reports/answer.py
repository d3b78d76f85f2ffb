"""The answer that a sweep gives: which permutation, how sure, and which hyperparameter matters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from reports.outcome import Metric, Outcome, area, steps_until
from reports.ranking import Ranking, Score, known, rank, sign_of
from reports.statistics.averages import Array, means
from reports.statistics.contenders import Comparison, compare, repetitions_needed
from reports.statistics.importance import Choices, Importance, at_edge, decompose, is_complete
from reports.statistics.intervals import Estimates, estimate
from reports.statistics.selection import best_probabilities, confirm, selection_bias
from reports.statistics.surrogate import estimate_importance
from schema.errors import UserError
from sweeps.journal.runs import RunRecord, RunState
from sweeps.search_space.choices import number_or_text

_SEED = 0  # of what is drawn, so that the same results have the same answer


@dataclass(frozen=True)
class ChoiceScore:
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
        choice_scores: of each key that is varied, what its choices reached on average.
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
    choice_scores: dict[str, tuple[ChoiceScore, ...]] = field(default_factory=dict)
    edges: dict[str, str] = field(default_factory=dict)

    @property
    def leader(self) -> Score | None:
        """The best permutation; None while none has a score."""
        return self.scores[0] if self.scores and self.scores[0].mean is not None else None

    @property
    def best_run(self) -> RunRecord | None:
        """The leader's best run; None while there is none."""
        return None if self.leader is None else self.leader.best_run(self.metric)

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
    ranking = rank(outcome, metric, threshold)
    judged, sign = ranking.judged, sign_of(metric)
    if np.isnan(judged).all():
        unscored = [_score(ranking, int(place), threshold) for place in ranking.order]
        return Answer(outcome, metric, threshold, tuple(unscored))
    rng = np.random.default_rng(_SEED)
    comparison = compare(judged)
    statistics = _Statistics(
        comparison, best_probabilities(comparison, rng), estimate(judged), sign
    )
    found = _confirmed(outcome, confirmed, judged, metric, threshold)
    scores = [
        statistics.added_to(_score(ranking, place, threshold, found.get(place)), place)
        for place in map(int, ranking.order)
    ]
    return Answer(
        outcome,
        metric,
        threshold,
        tuple(scores),
        comparison.decided,
        known(selection_bias(comparison, rng)),
        repetitions_needed(comparison),
        _importance(outcome, judged, rng),
        {label: _choice_scores(outcome, label, judged, sign) for label in outcome.varied},
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


@dataclass(frozen=True)
class _Statistics:
    """What comparing all permutations says of each; greater is better, but for `sign`."""

    comparison: Comparison
    probabilities: Array
    estimates: Estimates
    sign: float

    def added_to(self, score: Score, place: int) -> Score:
        """Return the score of the permutation at a place with its statistics."""
        found, could = self.estimates, self.comparison.could_be_best[place]
        low, high = np.sort(self.sign * np.array([found.low[place], found.high[place]]))
        return replace(
            score,
            low=known(low),
            high=known(high),
            interquartile_mean=known(self.sign * found.interquartile_mean[place]),
            is_doubtful=bool(found.two_humped[place]),
            could_be_best=self.comparison.decided and bool(could),
            probability=known(self.probabilities[place]),
        )


def _score(
    ranking: Ranking,
    place: int,
    threshold: float | None,
    confirmed: tuple[float, float, float] | None = None,
) -> Score:
    score = ranking.score(place)
    finished = [run for run in score.permutation.runs if run.state == RunState.FINISHED]
    return replace(
        score,
        area=_mean([area(run.curve) for run in finished]),
        steps=_mean([steps_until(run.curve, threshold) for run in finished]),
        seconds=_mean([run.wall_time_seconds for run in finished]),
        confirmed=confirmed,
    )


def _confirmed(
    outcome: Outcome,
    confirmed: Outcome | None,
    judged: Array,
    metric: Metric,
    threshold: float | None,
) -> dict[int, tuple[float, float, float]]:
    """By its place, what each permutation that was trained again reached, and its interval."""
    if confirmed is None:
        return {}
    sign, fresh = sign_of(metric), rank(confirmed, metric, threshold).judged
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
    choices = _choices_of(outcome, labels)
    # Choices that a list repeats are trained alike, and would count twice.
    _, first = np.unique(choices, axis=0, return_index=True)
    first.sort()
    choices, judged = choices[first], judged[first]
    if is_complete(choices, judged):
        return decompose(labels, choices, judged)
    scored = ~np.isnan(judged).all(axis=1)
    if len({tuple(row) for row in choices[scored]}) <= len(labels):
        return None
    try:
        return estimate_importance(labels, choices[scored], judged[scored], rng)
    except UserError:
        return None


def _choices_of(outcome: Outcome, labels: Sequence[str]) -> Choices:
    """Which choice of each key a permutation has, (permutations, keys)."""
    columns = []
    for label in labels:
        number = {choice: place for place, choice in enumerate(outcome.choices_of(label))}
        place = outcome.labels.index(label)
        columns.append([number[each.choices[place]] for each in outcome.permutations])
    return np.array(columns, dtype=np.int64).T


def _choice_scores(
    outcome: Outcome, label: str, judged: Array, sign: float
) -> tuple[ChoiceScore, ...]:
    """What the choices of a key reached: means over seeds of the means over all other keys."""
    place = outcome.labels.index(label)
    choices = outcome.choices_of(label)
    own = np.array([choices.index(each.choices[place]) for each in outcome.permutations])
    # A seed's mean over the permutations of a choice, (choices, repetitions).
    per_seed = np.array([means(judged[own == number].T) for number in range(len(choices))])
    found = estimate(per_seed)
    ends = np.sort(sign * np.stack([found.low, found.high]), axis=0)
    columns = (map(known, column) for column in (sign * found.mean, *ends))
    return tuple(
        ChoiceScore(choice, *numbers) for choice, *numbers in zip(choices, *columns, strict=True)
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
