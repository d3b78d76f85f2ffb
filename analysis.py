"""Which permutation is best: scores over repetitions, and the ranked table of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean, stdev

from rich.table import Table

from results import FINISHED, Result

_TITLE_WIDTH = 10  # characters of a column's title


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


def ranked_table(scores: list[Score], labels: list[str], limit: int, repetitions: int) -> Table:
    """The first `limit` scores as a table.

    Args:
        scores: as `rank` gives them.
        labels: the tuned keys, a column each.
        limit: rows at most.
        repetitions: how often each permutation was to be trained, which the caption explains.
    """
    over = "repetitions" if repetitions > 1 else "the episodes of the one repetition"
    table = Table(
        title="Permutations by mean return",
        caption=f"±: standard deviation over {over}",
        caption_justify="left",
    )
    table.add_column("rank", justify="right")
    table.add_column("permutation", justify="right", no_wrap=True)
    table.add_column("return", justify="right", style="bold", no_wrap=True)
    table.add_column("±", justify="right", no_wrap=True)
    for label in labels:
        table.add_column(column_title(label), justify="right", overflow="fold")
    if any(score.failed for score in scores):
        table.add_column("failed", justify="right", style="red")
    for position, score in enumerate(scores[:limit], start=1):
        failed = [str(score.failed)] if any(other.failed for other in scores) else []
        table.add_row(
            str(position),
            score.permutation,
            _show(score.mean),
            _show(score.spread),
            *(score.choices[label] for label in labels),
            *failed,
        )
    return table


def column_title(label: str) -> str:
    """A key's name over several lines, broken where a word ends, so that many fit side by side."""
    lines = [""]
    for word in re.findall(r"[^._-]+[._-]?", label):
        if lines[-1] and len(lines[-1]) + len(word) > _TITLE_WIDTH:
            lines.append("")
        lines[-1] += word
    return "\n".join(lines)


def _show(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"
