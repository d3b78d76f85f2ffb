"""The ranked table of permutations."""

from __future__ import annotations

import re

from rich.table import Table

from sweeps.scores import Score

_TITLE_WIDTH = 10  # characters of a column's title


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
