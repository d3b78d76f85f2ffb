"""Which permutation is best: scores over repetitions."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count, groupby
from operator import attrgetter
from statistics import fmean, stdev

from sweeps.journal.runs import FAILURES, RunRecord, RunState


@dataclass(frozen=True)
class Score:
    """One permutation over its repetitions.

    Attributes:
        permutation: its name.
        choices: the tuned values, as text by label.
        mean: mean of the repetitions' returns; None if none finished an episode.
        spread: standard deviation over the repetitions, or over the episodes of a single one.
        finished: how many repetitions finished.
        failed: how many failed or diverged.
        best: the repetition with the greatest return.
    """

    permutation: str
    choices: dict[str, str]
    mean: float | None
    spread: float | None
    finished: int
    failed: int
    best: RunRecord | None


def best_scores(results: Iterable[RunRecord], limit: int) -> tuple[list[Score], int]:
    """The best permutations, and how many there are in all.

    Args:
        results: of which those of a permutation follow each other.
        limit: how many of the best.
    """
    numbers = count()
    scored = ((_precedence(score), next(numbers), score) for score in _scores_of(results))
    best = [score for *_, score in heapq.nsmallest(limit, scored)]
    return best, next(numbers)


def _scores_of(results: Iterable[RunRecord]) -> Iterator[Score]:
    """The score of each permutation, of whose results the repetitions follow each other."""
    for _, own in groupby(results, attrgetter("run.permutation")):
        yield _score(list(own))


def _precedence(score: Score) -> tuple[bool, float, str]:
    """Orders scores: the greatest mean return first, those without one last."""
    return score.mean is None, -(score.mean or 0.0), score.permutation


def _score(results: list[RunRecord]) -> Score:
    valued = [
        (result.final_return, result)
        for result in results
        if result.state == RunState.FINISHED and result.final_return is not None
    ]
    returns = [value for value, _ in valued]
    if len(returns) > 1:
        spread: float | None = stdev(returns)
    else:
        spread = valued[0][1].return_deviation if valued else None
    states = [result.state for result in results]
    return Score(
        permutation=results[0].run.permutation,
        choices=results[0].run.choices,
        mean=fmean(returns) if returns else None,
        spread=spread,
        finished=states.count(RunState.FINISHED),
        failed=sum(state in FAILURES for state in states),
        best=max(valued, key=lambda pair: pair[0])[1] if valued else None,
    )
