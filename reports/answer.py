"""Draws conclusions from a sweep: the best permutation, its certainty, the keys that matter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

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

_SEED = 0  # of all random draws, so that the same results have the same answer
MOST_MODELLED = (
    10_000  # runs; the importance of larger incomplete grids would take minutes to hours
)


@dataclass(frozen=True)
class ChoiceScore:
    """The score of one choice of a key, averaged over all permutations with that choice.

    Attributes:
        choice: the choice as text.
        mean: mean of the permutations' scores; None without any.
        low: lower end of the mean's 95 % interval; None if unknown.
        high: upper end of the interval.
    """

    choice: str
    mean: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Answer:
    """The conclusions from a sweep.

    Attributes:
        outcome: the sweep.
        metric: what runs are judged by.
        threshold: the return that the metric `steps` waits for; None if there is none.
        scores: scores of all permutations, best first, those without a score last.
        decided: whether there are enough repetitions to tell permutations apart.
        bias: the amount by which selection likely raised the leader's mean; None if unknown.
        more_repetitions: number of further repetitions that would likely leave only the leader; None
            if unknown or too large.
        importance: importance of the keys; None if it can't be estimated.
        choice_scores: for each varied key, the scores of its choices.
        edges: for each key with its best choice at an end of the list, "lowest" or "highest".
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
        """The score of the best permutation; None while none has a score."""
        return self.scores[0] if self.scores and self.scores[0].mean is not None else None

    @property
    def best_run(self) -> RunRecord | None:
        """The best run of the leader; None while there is none."""
        return None if self.leader is None else self.leader.best_run(self.metric)

    @property
    def contenders(self) -> list[Score]:
        """The scores of the permutations that could be the best."""
        return [score for score in self.scores if score.could_be_best]

    @property
    def is_too_large_for_a_model(self) -> bool:
        """Whether the importance is left out because a model of so many runs takes too long."""
        has_keys = self.leader is not None and bool(self.outcome.varied)
        return has_keys and self.importance is None and len(self.outcome.runs) > MOST_MODELLED

    def matters(self, label: str) -> bool | None:
        """Return whether a key's effect exceeds the noise; None if unknown."""
        return None if self.importance is None else self.importance.matters(label)


def answer(
    outcome: Outcome,
    metric: Metric = "final",
    threshold: float | None = None,
    confirmed: Outcome | None = None,
) -> Answer:
    """Draw the conclusions from a sweep.

    Permutations are ranked as in `reports.ranking`: a failed run counts as the worst score.

    Args:
        outcome: the sweep.
        metric: what runs are judged by.
        threshold: the return that the metric `steps` waits for.
        confirmed: the sweep that trained the leaders again on fresh seeds.
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
    """Return the best permutations that have a score, each combination of choices once."""
    distinct = {score.permutation.choices: score for score in reversed(answer.scores)}
    return [
        score
        for score in answer.scores
        if score.mean is not None and distinct[score.permutation.choices] is score
    ][:count]


@dataclass(frozen=True)
class _Statistics:
    """The statistics of all permutations, in which greater is better; `sign` turns them back."""

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


def _updates(outcome: Outcome) -> Any:
    """Return the number of updates in a sweep's base config."""
    return outcome.base.get("trainer", {}).get("updates")


def _confirmed(
    outcome: Outcome,
    confirmed: Outcome | None,
    judged: Array,
    metric: Metric,
    threshold: float | None,
) -> dict[int, tuple[float, float, float]]:
    """Return the mean on fresh seeds and its interval, by the permutation's place in the sweep."""
    if confirmed is None or _updates(confirmed) != _updates(outcome):
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
    """Return the importance of the keys; None if it can't be estimated."""
    labels = outcome.varied
    if not labels:
        return None
    choices = _choices_of(outcome, labels)
    # A choice that a list repeats would count twice.
    _, first = np.unique(choices, axis=0, return_index=True)
    first.sort()
    choices, judged = choices[first], judged[first]
    if is_complete(choices, judged):
        return decompose(labels, choices, judged)
    if len(outcome.runs) > MOST_MODELLED:
        return None
    scored = ~np.isnan(judged).all(axis=1)
    if len({tuple(row) for row in choices[scored]}) <= len(labels):
        return None
    try:
        return estimate_importance(labels, choices[scored], judged[scored], rng)
    except UserError:
        return None


def _choices_of(outcome: Outcome, labels: Sequence[str]) -> Choices:
    """Return the number of each permutation's choice of each key, (permutations, keys)."""
    columns = []
    for label in labels:
        number = {choice: place for place, choice in enumerate(outcome.choices_of(label))}
        place = outcome.labels.index(label)
        columns.append([number[each.choices[place]] for each in outcome.permutations])
    return np.array(columns, dtype=np.int64).T


def _choice_scores(
    outcome: Outcome, label: str, judged: Array, sign: float
) -> tuple[ChoiceScore, ...]:
    """Return the scores of a key's choices: means over seeds of the means over all other keys."""
    place = outcome.labels.index(label)
    choices = outcome.choices_of(label)
    own = np.array([choices.index(each.choices[place]) for each in outcome.permutations])
    # Each seed's mean over the permutations with a choice, (choices, repetitions).
    per_seed = np.array([means(judged[own == number].T) for number in range(len(choices))])
    found = estimate(per_seed)
    ends = np.sort(sign * np.stack([found.low, found.high]), axis=0)
    columns = (map(known, column) for column in (sign * found.mean, *ends))
    return tuple(
        ChoiceScore(choice, *numbers) for choice, *numbers in zip(choices, *columns, strict=True)
    )


def _edges(outcome: Outcome, best: Score) -> dict[str, str]:
    """Return the keys with their best choice at an end of the list, and that end."""
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
