"""Draws conclusions from a sweep: the best permutation, its certainty, the keys that matter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from reports.outcome import Metric, Outcome, area, steps_until
from reports.ranking import Confirmed, Ranking, Score, known, ordered, rank, sign_of
from reports.statistics.averages import Array
from reports.statistics.bounds import Bounds, piled_bounds
from reports.statistics.choice_means import choice_means
from reports.statistics.contenders import (
    Comparison,
    Margins,
    compare,
    confidence_of_look,
    confidence_of_round,
    repetitions_needed,
)
from reports.statistics.importance import Choices, Importance, at_edge, decompose, is_complete
from reports.statistics.intervals import Estimates, estimate
from reports.statistics.main_effects import estimate_importance
from reports.statistics.permutation_means import common_repetitions
from reports.statistics.selection import best_probabilities, confirm, selection_bias
from sweeps.journal.runs import RunRecord, RunState
from sweeps.search_space.choices import number_or_text

# Keys that decide which task is played, so that returns of their choices can't be compared.
TASKS = ("environment.type", "environment.name")
_ROUNDING = 1e-9  # relative difference of means that counts as none
_SEED = 0  # of all random draws, so that the same results have the same answer


@dataclass(frozen=True)
class ChoiceScore:
    """The score of one choice of a key, averaged over all other keys (`choice_means`).

    Attributes:
        choice: the choice as text.
        mean: mean score; None without any.
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
        metric: the score by which runs are judged.
        threshold: the return that the metric `steps` waits for; None if there is none.
        scores: scores of all permutations, best first, those without a score last.
        decided: whether there are enough repetitions to tell permutations apart.
        bias: the amount by which selection likely raised the leader's mean; None if unknown.
        more_repetitions: number of further repetitions that would likely leave only the leader;
            infinite if too large, None if unknown.
        compares_tasks: whether the permutations play different environments, so that their returns
            can't be compared.
        importance: importance of the keys; None if it can't be estimated.
        choice_scores: for each varied key, the scores of its choices, or of the parts of its range.
        edges: for each key with its best choice at an end of the list, "lowest" or "highest".
        indifference: the difference of scores that makes no difference to the user; None without one.
        margins: the margins of differences, in the grid's order; greater is better. None if not decided.
    """

    outcome: Outcome
    metric: Metric
    threshold: float | None
    scores: tuple[Score, ...]
    decided: bool = False
    bias: float | None = None
    more_repetitions: float | None = None
    importance: Importance | None = None
    choice_scores: dict[str, tuple[ChoiceScore, ...]] = field(default_factory=dict)
    edges: dict[str, str] = field(default_factory=dict)
    compares_tasks: bool = False
    indifference: float | None = None
    margins: Margins | None = None

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
    def behind(self) -> float | None:
        """The most by which any contender may be worse than the best (95 %); None if unknown."""
        behind = [score.behind_best for score in self.contenders]
        known = [each for each in behind if each is not None]
        return max(known) if known and len(known) == len(behind) else None

    @property
    def is_indifferent(self) -> bool:
        """Whether any contender is within the indifference of the best, so that any may be chosen."""
        behind, limit = self.behind, self.indifference
        return behind is not None and limit is not None and behind <= limit

    def matters(self, label: str) -> bool | None:
        """Return whether a key's effect exceeds the noise; None if unknown."""
        return None if self.importance is None else self.importance.matters(label)

    def limit(self, label: str) -> float | None:
        """Return the upper limit of a key's share, interactions included; None if there is none."""
        if self.importance is None:
            return None
        effects = (*self.importance.main, *self.importance.total)
        high = max((effect.high for effect in effects if effect.keys == (label,)), default=1.0)
        return float(high) if high < 1 else None  # NaN, too, is no limit


def answer(
    outcome: Outcome,
    metric: Metric = "final",
    threshold: float | None = None,
    confirmed: Outcome | None = None,
    indifference: float | None = None,
) -> Answer:
    """Draw the conclusions from a sweep.

    Permutations are ranked as in `reports.ranking`: a failed run counts as the worst score.

    Args:
        outcome: the sweep.
        metric: the score by which runs are judged.
        threshold: the return that the metric `steps` waits for.
        confirmed: the sweep that trained the leaders again on fresh seeds.
        indifference: the difference of scores that makes no difference; None without one.
    """
    ranking = rank(outcome, metric, threshold)
    judged, sign = ranking.judged, sign_of(metric)
    compares_tasks = any(label in TASKS for label in outcome.varied)
    if np.isnan(judged).all() or compares_tasks:
        plain = tuple(_score(ranking, int(place), threshold) for place in ranking.order)
        return Answer(
            outcome,
            metric,
            threshold,
            plain,
            compares_tasks=compares_tasks,
            indifference=indifference,
        )
    rng = np.random.default_rng(_SEED)
    fresh = _fresh(outcome, confirmed, metric, threshold)
    pooled = np.hstack([judged, fresh])
    bounds = bounds_of(outcome, ranking, metric)
    comparison = compare(pooled, confidence_of(outcome), bounds)
    luck = known(selection_bias(pooled))
    statistics = _Statistics(
        comparison,
        best_probabilities(comparison, rng),
        _allowing_for_luck(estimate(pooled, bounds=bounds), comparison.leader, luck, bounds),
        sign,
    )
    found = _confirmed(judged, fresh, sign)
    scores = [
        statistics.added_to(
            _score(ranking, place, threshold, found.get(place, (None, None))), place
        )
        for place in map(int, ordered(outcome, comparison.mean))
    ]
    return Answer(
        outcome,
        metric,
        threshold,
        tuple(scores),
        comparison.decided,
        luck,
        known(repetitions_needed(comparison, confidence_of(outcome, 1))),
        _importance(outcome.in_parts(), judged),
        _choice_scores(outcome.in_parts(), judged, sign),
        _edges(outcome, scores[0]),
        indifference=indifference,
        margins=comparison.margins,
    )


def confidence_of(outcome: Outcome, later: int = 0) -> float:
    """Return the confidence with which a sweep's present look, or a later one, excludes permutations."""
    judge = confidence_of_round if outcome.is_race else confidence_of_look
    return judge(outcome.looks + later)


def bounds_of(outcome: Outcome, ranking: Ranking, metric: Metric = "final") -> Bounds:
    """Return the range of scores, stated in the base config or found; greater is better in it."""
    return _stated_bounds(outcome, metric).within(piled_bounds(sign_of(metric) * ranking.reached))


def _stated_bounds(outcome: Outcome, metric: Metric) -> Bounds:
    """Return the range of scores that the base config states; greater is better in it."""
    return Bounds(*outcome.return_bounds) if metric in ("final", "best", "area") else Bounds()


def _allowing_for_luck(
    estimates: Estimates, leader: int, luck: float | None, bounds: Bounds
) -> Estimates:
    """Lower the leader's interval by its expected luck, since it was selected for its score."""
    low = estimates.low.copy()
    low[leader] = max(low[leader] - (luck or 0.0), bounds.low)
    return replace(estimates, low=low)


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
            mean=known(self.sign * found.mean[place]),
            could_be_best=self.comparison.decided and bool(could),
            behind_best=_without_rounding(
                self.comparison.behind_best[place], self.comparison.mean[place]
            ),
            probability=known(self.probabilities[place]),
        )


def _score(
    ranking: Ranking,
    place: int,
    threshold: float | None,
    confirmed: tuple[Confirmed | None, Confirmed | None] = (None, None),
) -> Score:
    score = ranking.score(place)
    finished = [run for run in score.permutation.runs if run.state == RunState.FINISHED]
    return replace(
        score,
        area=_mean([area(run.curve) for run in finished]),
        steps=_mean([steps_until(run.curve, threshold) for run in finished]),
        seconds=_mean([run.wall_time_seconds for run in finished]),
        confirmed=confirmed[0],
        luck=confirmed[1],
    )


def _updates(outcome: Outcome) -> Any:
    """Return the number of updates in a sweep's base config."""
    return outcome.base.get("trainer", {}).get("updates")


def _fresh(
    outcome: Outcome, confirmed: Outcome | None, metric: Metric, threshold: float | None
) -> Array:
    """Return scores on fresh seeds, (permutations, fresh repetitions); NaN for all but the leaders."""
    if confirmed is None or _updates(confirmed) != _updates(outcome):
        return np.empty((len(outcome.permutations), 0))
    judged = rank(confirmed, metric, threshold).judged
    fresh = np.full((len(outcome.permutations), judged.shape[1]), np.nan)
    places = {each.name: place for place, each in enumerate(outcome.permutations)}
    for own, each in enumerate(confirmed.permutations):
        if each.name in places:
            fresh[places[each.name]] = judged[own]
    return fresh


def _confirmed(judged: Array, fresh: Array, sign: float) -> dict[int, tuple[Confirmed, Confirmed]]:
    """Return the mean on fresh seeds and the luck in the sweep's mean, by the place in the sweep.

    The fresh seeds' interval holds the true mean, so the sweep's mean less its ends holds the luck.
    """
    leaders = np.flatnonzero(~np.isnan(fresh).all(axis=1)) if fresh.size else np.arange(0)
    if not len(leaders):
        return {}
    found = confirm(judged[leaders], fresh[leaders], judged)
    ends = np.sort(sign * np.stack([found.low, found.high]), axis=0)
    columns = (sign * found.confirmed, *ends)
    lucks = (found.luck, found.selected - found.high, found.selected - found.low)
    return {
        int(place): (
            (float(mean), known(low), known(high)),
            (float(luck), known(least), known(most)),
        )
        for place, mean, low, high, luck, least, most in zip(leaders, *columns, *lucks, strict=True)
    }


def _importance(outcome: Outcome, judged: Array) -> Importance | None:
    """Return the importance of the keys; None if it can't be estimated."""
    if not outcome.varied:
        return None
    choices, scores = _distinct(outcome, judged)
    scores = common_repetitions(scores)
    if is_complete(choices, scores):
        return decompose(outcome.varied, choices, scores)
    scored = ~np.isnan(scores).all(axis=1)
    return estimate_importance(outcome.varied, choices[scored], scores[scored])


def _distinct(outcome: Outcome, judged: Array) -> tuple[Choices, Array]:
    """Return each combination of choices of the varied keys once, and its scores.

    A choice that a list repeats would count twice. Permutations that lie in the same parts of ranges
    differ all the same.
    """
    choices = _choices_of(outcome, outcome.varied)
    if outcome.ranges:
        return choices, judged
    _, first = np.unique(choices, axis=0, return_index=True)
    first.sort()
    return choices[first], judged[first]


def _choices_of(outcome: Outcome, labels: Sequence[str]) -> Choices:
    """Return the number of each permutation's choice of each key, (permutations, keys)."""
    columns = []
    for label in labels:
        number = {choice: place for place, choice in enumerate(outcome.choices_of(label))}
        place = outcome.labels.index(label)
        columns.append([number[each.choices[place]] for each in outcome.permutations])
    return np.array(columns, dtype=np.int64).T


def _choice_scores(
    outcome: Outcome, judged: Array, sign: float
) -> dict[str, tuple[ChoiceScore, ...]]:
    """Return the scores of each varied key's choices, averaged over seeds and all other keys."""
    if not outcome.varied:
        return {}
    scores = {}
    estimates = choice_means(*_distinct(outcome, judged))
    for label, found in zip(outcome.varied, estimates, strict=True):
        ends = np.sort(sign * np.stack([found.low, found.high]), axis=0)
        columns = (map(known, column) for column in (sign * found.mean, *ends))
        scores[label] = tuple(
            ChoiceScore(choice, *numbers)
            for choice, *numbers in zip(outcome.choices_of(label), *columns, strict=True)
        )
    return scores


def _edges(outcome: Outcome, best: Score) -> dict[str, str]:
    """Return the keys with their best choice at an end of the list, and that end."""
    edges = {}
    for label in outcome.varied:
        if label in outcome.ranges:
            continue  # no drawn value is an end
        choices = [number_or_text(choice) for choice in outcome.choices_of(label)]
        own = number_or_text(best.permutation.choices[outcome.labels.index(label)])
        edge = at_edge(choices, own)
        if edge is not None and len(choices) > 2:
            edges[label] = edge
    return edges


def _without_rounding(distance: float, mean: float) -> float | None:
    """Return a distance between means, 0 if rounding explains it; None if it isn't known."""
    if not np.isfinite(distance):
        return None
    return float(distance) if distance > _ROUNDING * abs(mean) else 0.0


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
