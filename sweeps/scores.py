"""Which permutation is best: scores over repetitions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean, stdev

from sweeps.results import FINISHED, Result


@dataclass(frozen=True)
class Score:
    """One permutation over its repetitions.

    Attributes:
        permutation: its name.
        choices: the tuned values, as text by label.
        mean: mean of the repetitions' returns; None if none finished an episode.
        spread: standard deviation over the repetitions, or over the episodes of a single one.
        finished: how many repetitions finished.
        failed: how many did not.
        best: the repetition with the greatest return.
    """

    permutation: str
    choices: dict[str, str]
    mean: float | None
    spread: float | None
    finished: int
    failed: int
    best: Result | None


def rank(results: Iterable[Result]) -> list[Score]:
    """The permutations' scores, the greatest mean return first, those without one last."""
    by_permutation: dict[str, list[Result]] = {}
    for result in results:
        by_permutation.setdefault(result.permutation, []).append(result)
    scores = [_score(own) for own in by_permutation.values()]
    return sorted(
        scores,
        key=lambda score: (score.mean is None, -(score.mean or 0.0), score.permutation),
    )


def _score(results: list[Result]) -> Score:
    valued = [
        (result.final_return, result)
        for result in results
        if result.status == FINISHED and result.final_return is not None
    ]
    returns = [value for value, _ in valued]
    if len(returns) > 1:
        spread: float | None = stdev(returns)
    else:
        spread = valued[0][1].return_deviation if valued else None
    finished = sum(result.status == FINISHED for result in results)
    return Score(
        permutation=results[0].permutation,
        choices=results[0].choices,
        mean=fmean(returns) if returns else None,
        spread=spread,
        finished=finished,
        failed=len(results) - finished,
        best=max(valued, key=lambda pair: pair[0])[1] if valued else None,
    )
