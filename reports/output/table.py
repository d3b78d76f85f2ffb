"""Writes the ranked table of a sweep as CSV, JSON, Markdown or LaTeX."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reports.outcome import LESS_IS_BETTER
from schema.errors import UserError

if TYPE_CHECKING:
    from reports.answer import Answer  # it loads SciPy
    from reports.ranking import Score

FORMATS = ("text", "csv", "json", "markdown", "latex")

Cell = str | int | float | None


@dataclass(frozen=True)
class Column:
    """A column of the table.

    Attributes:
        title: heading of the column.
        cell: makes a cell from a permutation's rank and score.
        is_choice: whether the column is a tuned key.
    """

    title: str
    cell: Callable[[int, Score], Cell]
    is_choice: bool = False


def columns(answer: Answer) -> list[Column]:
    """Return the columns of the table, without those that would be empty."""
    found = [
        Column("rank", lambda rank, _: rank),
        Column("permutation", lambda _, score: score.permutation.name),
        Column("score", lambda _, score: score.mean),
        Column("low", lambda _, score: score.low),
        Column("high", lambda _, score: score.high),
        Column("interquartile_mean", lambda _, score: score.interquartile_mean),
        Column("could_be_best", lambda _, score: _truth(answer, score.could_be_best)),
        Column("behind_best", lambda _, score: score.behind_best),
        Column("probability", lambda _, score: score.probability),
        Column("confirmed", lambda _, score: score.confirmed and score.confirmed[0]),
        Column("confirmed_low", lambda _, score: score.confirmed and score.confirmed[1]),
        Column("confirmed_high", lambda _, score: score.confirmed and score.confirmed[2]),
        Column("area", lambda _, score: score.area),
        Column("steps", lambda _, score: score.steps),
        Column("seconds", lambda _, score: score.seconds),
        Column("repetitions", lambda _, score: score.finished),
        Column("failed", lambda _, score: score.failed),
        Column("shorter", lambda _, score: score.shorter or None),
        Column("pruned_return", lambda _, score: score.pruned and score.pruned[0]),
        Column("pruned_steps", lambda _, score: score.pruned and score.pruned[1]),
        Column("doubtful", lambda _, score: "yes" if score.is_doubtful else None),
        *(_choice(answer, label) for label in answer.outcome.labels),
        *(_value(number) for number in range(answer.outcome.repetitions)),
    ]
    return [
        column
        for column in found
        if column.is_choice or any(column.cell(0, score) is not None for score in answer.scores)
    ]


def _truth(answer: Answer, value: bool) -> Cell:
    if not answer.decided:
        return None
    return "yes" if value else "no"


def _choice(answer: Answer, label: str) -> Column:
    place = answer.outcome.labels.index(label)
    return Column(label, lambda _, score: score.permutation.choices[place], is_choice=True)


def _value(number: int) -> Column:
    def cell(_: int, score: Score) -> Cell:
        return score.values[number] if number < len(score.values) else None

    return Column(f"repetition_{number}", cell)


def ranked(answer: Answer, by: str | None, limit: int) -> list[tuple[int, Score]]:
    """Return the first rows of the table: ranks and scores.

    Args:
        answer: the sweep's answer.
        by: title of the column to sort by; None sorts by rank.
        limit: number of rows at most.

    Raises:
        UserError: there is no such column.
    """
    rows = list(enumerate(answer.scores, start=1))
    if by is not None:
        column = next((each for each in columns(answer) if each.title == by), None)
        if column is None:
            titles = ", ".join(each.title for each in columns(answer))
            raise UserError(f"--sort={by}: must be one of {titles}")
        ascending = column.is_choice or by in {"rank", "permutation", "failed", *_least(answer)}
        rows.sort(key=lambda row: _sort_key(column.cell(*row), ascending))
    return rows[:limit]


def _least(answer: Answer) -> set[str]:
    """Return the titles of the columns in which less is better."""
    return {"steps", "seconds", *(["score"] if answer.metric in LESS_IS_BETTER else [])}


def _sort_key(cell: Cell, ascending: bool) -> tuple[int, float, str]:
    """Return a key that sorts numbers before words, and empty cells last."""
    if cell is None:
        return 2, 0.0, ""
    try:
        number = float(cell)
    except ValueError:
        return 1, 0.0, str(cell)
    return 0, number if ascending else -number, ""


def write_table(answer: Answer, rows: Sequence[tuple[int, Score]], form: str) -> str:
    """Return the table as the text of a file.

    Args:
        answer: the sweep's answer.
        rows: ranks and scores of the permutations to write.
        form: `csv`, `json`, `markdown` or `latex`.
    """
    found = columns(answer)
    titles = [column.title for column in found]
    cells = [[column.cell(*row) for column in found] for row in rows]
    return _WRITERS[form](titles, cells)


def _csv(titles: list[str], cells: list[list[Cell]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(titles)
    writer.writerows([["" if cell is None else cell for cell in row] for row in cells])
    return text.getvalue()


def _json(titles: list[str], cells: list[list[Cell]]) -> str:
    rows = [dict(zip(titles, row, strict=True)) for row in cells]
    return json.dumps(rows, indent=1) + "\n"


def _markdown(titles: list[str], cells: list[list[Cell]]) -> str:
    lines = [titles, ["---:"] * len(titles), *([*map(show, row)] for row in cells)]
    return "".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines
    )


def _latex(titles: list[str], cells: list[list[Cell]]) -> str:
    """Return a `tabular` environment with the rules of the booktabs package."""
    lines = [
        rf"\begin{{tabular}}{{{'r' * len(titles)}}}",
        r"\toprule",
        _latex_row(titles),
        r"\midrule",
        *(_latex_row([*map(show, row)]) for row in cells),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def _latex_row(cells: list[str]) -> str:
    return " & ".join(map(_latex_text, cells)) + r" \\"


_LATEX = {
    **{character: rf"\{character}" for character in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\\": r"\textbackslash{}",
    "–": "--",
}


def _latex_text(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)


_WRITERS: dict[str, Callable[[list[str], list[list[Cell]]], str]] = {
    "csv": _csv,
    "json": _json,
    "markdown": _markdown,
    "latex": _latex,
}


def show(cell: Cell) -> str:
    """Return a cell as text, with the significant digits of numbers only."""
    if cell is None:
        return "–"
    if isinstance(cell, float):
        return show_number(cell)
    return str(cell)


def show_number(value: float) -> str:
    """Return a number with three or four significant digits, or all before the point."""
    if value == 0 or abs(value) >= 1000:
        return f"{value:,.0f}" if abs(value) < 1e15 else f"{value:.4g}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"
