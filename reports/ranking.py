"""Ranks permutations by the scores of their runs.

The answer, `tune.py --status` and the live screen all rank by this one rule. If one
training of three breaks down, its hyperparameters are a bad choice, even if the other two succeed. So a
run that failed or diverged counts as the worst score of the sweep's finished runs, wild ones aside. A
permutation without any finished run has no score. Permutations are ordered by their means without the
seeds' effects, so none gains while its runs on hard seeds are waiting.

Needs NumPy alone: `--status` and the live screen don't wait for SciPy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from statistics import fmean
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from reports.outcome import LESS_IS_BETTER, Metric, Outcome, PermutationRuns
from reports.statistics.averages import Array, best_first, counts, deviations, means, seedless_means
from sweeps.journal.runs import FAILURES, RunRecord, RunState

# An estimate and the ends of its 95 % interval, which are None if unknown.
Confirmed = tuple[float, float | None, float | None]

_SHARE_OF_WILD = 8  # one permutation in so many may be wild
_WILD = 100.0  # times the largest absolute score of the others


@dataclass(frozen=True)
class Score:
    """The score of one permutation.

    The ranking sets the first four attributes. Only the answer (`reports.answer`) knows the others.

    Attributes:
        permutation: the permutation with its runs.
        values: the score of each repetition; None where it has none.
        mean: mean score, in which failures count as the worst of the sweep; None without a score.
        deviation: standard deviation of these scores; with one score, of its run's episodes.
        area: mean return during training, averaged over the finished repetitions.
        steps: environment steps until the threshold, averaged over the repetitions that reached it.
        seconds: wall time, averaged over the finished repetitions.
        low: lower end of the mean's 95 % interval; None if unknown.
        high: upper end of the interval.
        interquartile_mean: mean of the middle half of the scores; None below eight repetitions.
        is_doubtful: whether the scores disagree too much for the interval to be trusted.
        could_be_best: whether the data can't tell it from the best.
        behind_best: the most by which its mean may be worse than the best one (95 %); None if unknown.
        probability: probability of being the best; None if unknown.
        confirmed: mean on fresh seeds and the ends of its interval; None if it wasn't trained again.
        luck: estimate of the luck in the mean of the sweep's own seeds, with its interval, likewise.
    """

    permutation: PermutationRuns
    values: tuple[float | None, ...]
    mean: float | None = None
    deviation: float | None = None
    area: float | None = None
    steps: float | None = None
    seconds: float | None = None
    low: float | None = None
    high: float | None = None
    interquartile_mean: float | None = None
    is_doubtful: bool = False
    could_be_best: bool = False
    behind_best: float | None = None
    probability: float | None = None
    confirmed: Confirmed | None = None
    luck: Confirmed | None = None

    @property
    def finished(self) -> int:
        """The number of finished repetitions."""
        return sum(run.state == RunState.FINISHED for run in self.permutation.runs)

    @property
    def failed(self) -> int:
        """The number of repetitions that failed or diverged."""
        return sum(run.state in FAILURES for run in self.permutation.runs)

    @property
    def shorter(self) -> int:
        """The number of repetitions with fewer updates than the sweep has now."""
        return sum(run.state == RunState.SHORTER for run in self.permutation.runs)

    @property
    def pruned(self) -> tuple[float | None, int] | None:
        """The mean return and the steps at which it was pruned; None if it wasn't."""
        return pruned_at(self.permutation)

    def best_run(self, metric: Metric) -> RunRecord | None:
        """Return the run with the best score; None if there is no score."""
        sign = sign_of(metric)
        runs = zip(self.values, self.permutation.runs, strict=False)
        valued = [(sign * value, run) for value, run in runs if value is not None]
        return max(valued, key=lambda pair: pair[0])[1] if valued else None


@dataclass(frozen=True)
class Ranking:
    """The permutations of a sweep, ranked.

    Attributes:
        outcome: the sweep.
        reached: the score of each run, (permutations, repetitions); NaN where it has none.
        judged: the same with failures counted, times the metric's sign: greater is better.
        order: the permutations' places in the grid, best first, (permutations,).
        mean: mean of each permutation's scores, (permutations,); NaN without a score.
        deviation: their standard deviation, (permutations,); NaN below two scores.
    """

    outcome: Outcome
    reached: Array
    judged: Array
    order: NDArray[np.int64]
    mean: Array
    deviation: Array

    def score(self, place: int) -> Score:
        """Return the score of the permutation at a place in the grid."""
        permutation = self.outcome.permutations[place]
        deviation = known(self.deviation[place])
        if deviation is None and not np.isnan(self.judged[place]).all():
            spreads = (run.return_deviation for run in permutation.runs)
            deviation = next((spread for spread in spreads if spread is not None), None)
        values = tuple(map(known, self.reached[place]))
        return Score(permutation, values, known(self.mean[place]), deviation)

    def best(self, count: int) -> list[Score]:
        """Return the scores of the best permutations, best first."""
        return [self.score(int(place)) for place in self.order[:count]]


def rank(outcome: Outcome, metric: Metric = "final", threshold: float | None = None) -> Ranking:
    """Rank the permutations of a sweep.

    Args:
        outcome: the sweep.
        metric: the score by which runs are judged, one of `METRICS`.
        threshold: the return that `steps` waits for.
    """
    sign = sign_of(metric)
    reached = outcome.scores(metric, threshold)
    judged = with_failures(sign * _with_the_longest(outcome, reached, metric), _failures(outcome))
    order = ordered(outcome, seedless_means(judged))
    return Ranking(outcome, reached, judged, order, sign * means(judged), deviations(judged))


def as_of(
    outcome: Outcome,
    moments: Iterable[NDArray[np.bool_]],
    metric: Metric = "final",
    threshold: float | None = None,
) -> Iterator[tuple[int, float] | None]:
    """Yield the place and the mean score of the permutation that led at each moment.

    Args:
        outcome: the sweep.
        moments: which runs had ended then, (permutations, repetitions) each.
        metric: the score by which runs are judged.
        threshold: the return that `steps` waits for.

    Yields:
        The leader; None before the first score.
    """
    sign = sign_of(metric)
    scores = sign * _with_the_longest(outcome, outcome.scores(metric, threshold), metric)
    failed = _failures(outcome)
    for ended in moments:
        judged = with_failures(np.where(ended, scores, np.nan), failed & ended)
        if np.isnan(judged).all():
            yield None
            continue
        leader = int(best_first(seedless_means(judged))[0])
        yield leader, float(sign * means(judged[leader : leader + 1])[0])


def _with_the_longest(outcome: Outcome, reached: Array, metric: Metric) -> Array:
    """Return steps until a threshold, in which runs that never reach it count as the longest run."""
    if metric != "steps":
        return reached
    scores = reached.copy()
    finished = [run for run in outcome.runs if run.state == RunState.FINISHED]
    for place, permutation in enumerate(outcome.permutations):
        for record in permutation.runs:
            repetition = record.run.repetition
            if record.state == RunState.FINISHED and np.isnan(reached[place, repetition]):
                scores[place, repetition] = max(run.steps for run in finished)
    return scores


def pruned_at(permutation: PermutationRuns) -> tuple[float | None, int] | None:
    """Return the mean return and the steps at which a permutation was pruned; None if it wasn't.

    Repetitions that were added later never begin and have no return.
    """
    pruned = [run for run in permutation.runs if run.state == RunState.PRUNED]
    if not pruned:
        return None
    returns = [run.final_return for run in pruned if run.final_return is not None]
    return fmean(returns) if returns else None, max(run.steps for run in pruned)


def ordered(outcome: Outcome, mean: Array) -> NDArray[np.int64]:
    """Return the places of permutations: best first, those without a score, and the pruned ones last.

    Of pruned permutations, those come first that went furthest, then those with the greatest return.

    Args:
        outcome: the sweep.
        mean: (permutations,); greater is better, NaN without a score.
    """

    def key(place: int) -> tuple[bool, int, float]:
        pruned = pruned_at(outcome.permutations[place])
        if pruned is None:
            return False, 0, 0.0
        value, steps = pruned
        return True, -steps, np.inf if value is None else -value

    order = best_first(mean)
    scored = int((~np.isnan(mean)).sum())
    return np.array([*order[:scored], *sorted(order[scored:], key=key)], dtype=np.int64)


def with_failures(scores: Array, failed: NDArray[np.bool_]) -> Array:
    """Return scores in which each failure counts as the worst of all scores that aren't wild.

    Failures of permutations without any score stay NaN.

    Args:
        scores: (permutations, repetitions); greater is better, NaN where a run has none.
        failed: which runs failed or diverged, (permutations, repetitions).
    """
    scored = counts(scores) > 0
    if not (scored.any() and failed.any()):
        return scores
    return np.where(failed & scored[:, None], _worst(scores[scored]), scores)


def _worst(scores: Array) -> float:
    """Return the worst score of permutations that aren't wildly worse than all others.

    A permutation's worst score is wild if it lies farther below those of the others than 100 times
    their largest absolute score, for at most one permutation in eight. A variance doesn't tell: it
    would also call a permutation wild that collapses once among others that always solve the task.

    Args:
        scores: (permutations, repetitions), each permutation with a score.
    """
    lowest, largest = np.nanmin(scores, axis=1), np.nanmax(np.abs(scores), axis=1)
    order = np.argsort(lowest)
    lowest = lowest[order]
    # Of a permutation and all better ones.
    largest = np.maximum.accumulate(largest[order][::-1])[::-1]
    rest = np.arange(1, len(scores) // _SHARE_OF_WILD + 1)
    gap = lowest[rest] - lowest[rest - 1]
    wild: NDArray[np.bool_] = (largest[rest] > 0) & (gap > _WILD * largest[rest])
    return float(lowest[rest[wild].max(initial=0)])


def _failures(outcome: Outcome) -> NDArray[np.bool_]:
    failed = np.zeros((len(outcome.permutations), outcome.repetitions), dtype=bool)
    for place, permutation in enumerate(outcome.permutations):
        for record in permutation.runs:
            failed[place, record.run.repetition] = record.state in FAILURES
    return failed


def sign_of(metric: Metric) -> float:
    """Return -1 for metrics where less is better, else 1."""
    return -1.0 if metric in LESS_IS_BETTER else 1.0


def known(value: float) -> float | None:
    """Return a number, or None for NaN."""
    return None if np.isnan(value) else float(value)


class LiveRanking:
    """The ranking of a sweep under way, by the final returns of the runs that ended so far.

    One thread may add runs while another reads the leaders.

    Args:
        count: how many permutations lead at most.
        ended: runs of earlier sessions; those that haven't ended are left out.
    """

    def __init__(self, count: int, ended: Iterable[RunRecord] = ()) -> None:
        self._count = count
        # (permutations, repetitions); a permutation's row is its number, and the arrays grow.
        self._reached = np.full((1, 1), np.nan)
        self._failed = np.zeros((1, 1), dtype=bool)
        self._names: dict[int, str] = {}
        self._leaders: list[tuple[str, float]] | None = []
        self._lock = Lock()
        for result in ended:
            self.add(result)

    def add(self, result: RunRecord) -> None:
        """Count a run that ended; an interrupted one doesn't count."""
        if result.state not in (RunState.FINISHED, *FAILURES):
            return
        number, repetition = int(result.run.permutation), result.run.repetition
        with self._lock:
            self._grow(number + 1, repetition + 1)
            self._names[number] = result.run.permutation
            reached = result.final_return if result.state == RunState.FINISHED else None
            self._reached[number, repetition] = np.nan if reached is None else reached
            self._failed[number, repetition] = result.state in FAILURES
            self._leaders = None

    def _grow(self, permutations: int, repetitions: int) -> None:
        rows, columns = self._reached.shape
        if permutations <= rows and repetitions <= columns:
            return
        # Doubling, so that a large sweep isn't copied for each run that ends.
        more = (0, max(rows, permutations - rows) if permutations > rows else 0)
        wider = (0, max(repetitions - columns, 0))
        self._reached = np.pad(self._reached, (more, wider), constant_values=np.nan)
        self._failed = np.pad(self._failed, (more, wider))

    @property
    def leaders(self) -> list[tuple[str, float]]:
        """The names and mean returns of the best permutations, best first."""
        with self._lock:
            if self._leaders is None:
                judged = with_failures(self._reached, self._failed)
                order, mean = best_first(seedless_means(judged)), means(judged)
                self._leaders = [
                    (self._names[number], float(mean[number]))
                    for number in map(int, order[: self._count])
                    if not np.isnan(mean[number])
                ]
            return self._leaders
