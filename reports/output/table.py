"""Writes the ranked table of a sweep as CSV, JSON, Markdown or LaTeX."""

from __future__ import annotations

import csv
import io
import json
import math
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
Interval = tuple[float | None, float | None]

_DIGITS = 2  # significant digits of a margin of error, which say where a number is rounded
_MOST_DECIMALS = 6


@dataclass(frozen=True)
class Column:
    """A column of the table.

    Attributes:
        title: heading of the column.
        cell: makes a cell from a permutation's rank and score.
        is_choice: whether the column is a tuned key.
        interval: makes the interval that says how many digits of a cell mean something; None if there
            is no such interval.
    """

    title: str
    cell: Callable[[int, Score], Cell]
    is_choice: bool = False
    interval: Callable[[Score], Interval] | None = None

    def text(self, rank: int, score: Score) -> str:
        """Return a cell for readers: numbers are rounded by their uncertainty if it is known."""
        cell = self.cell(rank, score)
        if isinstance(cell, float) and self.interval is not None:
            return show_rounded(cell, *self.interval(score))
        return show(cell)

    def value(self, rank: int, score: Score) -> Cell:
        """Return a cell for programs: choices that are numbers become numbers."""
        cell = self.cell(rank, score)
        return _number(cell) if self.is_choice and isinstance(cell, str) else cell


def _number(text: str) -> Cell:
    """Return the finite number that a text is, else the text."""
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        if math.isfinite(number):
            return number
    return text


def chosen_columns(answer: Answer, names: str | None) -> list[Column]:
    """Return the columns that a reader asks for, in that order.

    Args:
        answer: the sweep's answer.
        names: titles with commas between them; None stands for all columns.

    Raises:
        UserError: there is no such column.
    """
    found = {column.title: column for column in columns(answer)}
    if names is None:
        return list(found.values())
    titles = dict.fromkeys(name.strip() for name in names.split(","))
    unknown = next((title for title in titles if title not in found), None)
    if unknown is not None:
        what = f"{unknown!r} is no column; columns are {', '.join(found)}"
        raise UserError(f"--columns={names}: {what}")
    return [found[title] for title in titles]


def columns(answer: Answer) -> list[Column]:
    """Return the columns of the table, without those that would be empty."""
    found = [
        Column("rank", lambda rank, _: rank),
        Column("permutation", lambda _, score: score.permutation.name),
        Column("score", lambda _, score: score.mean, interval=_interval),
        Column("low", lambda _, score: score.low, interval=_interval),
        Column("high", lambda _, score: score.high, interval=_interval),
        Column("interquartile_mean", lambda _, score: score.interquartile_mean, interval=_interval),
        Column("could_be_best", lambda _, score: _truth(answer, score.could_be_best)),
        Column("behind_best", lambda _, score: score.behind_best, interval=_interval),
        Column("probability", lambda _, score: score.probability),
        _confirmed("confirmed", 0),
        _confirmed("confirmed_low", 1),
        _confirmed("confirmed_high", 2),
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


def _interval(score: Score) -> Interval:
    return score.low, score.high


def _confirmed(title: str, place: int) -> Column:
    def cell(_: int, score: Score) -> Cell:
        return score.confirmed and score.confirmed[place]

    def interval(score: Score) -> Interval:
        return (None, None) if score.confirmed is None else score.confirmed[1:]

    return Column(title, cell, interval=interval)


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

    return Column(f"repetition_{number}", cell, interval=_interval)


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


def write_table(
    answer: Answer, rows: Sequence[tuple[int, Score]], form: str, names: str | None = None
) -> str:
    """Return the table as the text of a file.

    Args:
        answer: the sweep's answer.
        rows: ranks and scores of the permutations to write.
        form: `csv` or `json`, with all digits, or `markdown` or `latex`, rounded for readers.
        names: titles of the columns to write, with commas between them; None stands for all.

    Raises:
        UserError: there is no such column.
    """
    return _WRITERS[form](chosen_columns(answer, names), rows)


Rows = Sequence[tuple[int, "Score"]]


def _csv(chosen: list[Column], rows: Rows) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(column.title for column in chosen)
    for row in rows:
        cells = (column.cell(*row) for column in chosen)
        writer.writerow("" if cell is None else cell for cell in cells)
    return text.getvalue()


def _json(chosen: list[Column], rows: Rows) -> str:
    cells = [{column.title: column.value(*row) for column in chosen} for row in rows]
    return json.dumps(cells, indent=1) + "\n"


def _texts(chosen: list[Column], rows: Rows) -> list[list[str]]:
    return [[column.text(*row) for column in chosen] for row in rows]


def _markdown(chosen: list[Column], rows: Rows) -> str:
    titles = [column.title for column in chosen]
    lines = [titles, ["---:"] * len(titles), *_texts(chosen, rows)]
    return "".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines
    )


def _latex(chosen: list[Column], rows: Rows) -> str:
    """Return a `tabular` environment with the rules of the booktabs package."""
    lines = [
        rf"\begin{{tabular}}{{{'r' * len(chosen)}}}",
        r"\toprule",
        _latex_row([column.title for column in chosen]),
        r"\midrule",
        *map(_latex_row, _texts(chosen, rows)),
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


_WRITERS: dict[str, Callable[[list[Column], Rows], str]] = {
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


def show_rounded(value: float, low: float | None, high: float | None) -> str:
    """Return a number with the digits that its interval leaves certain.

    Half of the interval's width has two significant digits, and the number ends where they end:
    236.46 in an interval of 224.1 to 248.8 (12.35 around it) is shown as 236.
    """
    margin = 0.0 if low is None or high is None else (high - low) / 2
    if not (margin > 0 and math.isfinite(margin) and math.isfinite(value)):
        return show_number(value)
    decimals = min(_DIGITS - 1 - math.floor(math.log10(margin)), _MOST_DECIMALS)
    return f"{round(value, decimals) + 0.0:,.{max(0, decimals)}f}"


def show_number(value: float) -> str:
    """Return a number with three or four significant digits, or all before the point."""
    if value == 0 or abs(value) >= 1000:
        return f"{value:,.0f}" if abs(value) < 1e15 else f"{value:.4g}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"
