"""Prints tables of permutations, with a column for each tuned key.

A number is never cut. On a narrow screen the borders go first, then columns in the order of `_DROPPED`.
Letters head the keys where their names don't fit, and a legend explains them. Where not even that fits,
each permutation is a paragraph.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING

from rich.box import Box
from rich.console import Console, Group, RenderableType
from rich.measure import Measurement
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from reports.outcome import mean_title, metric_title
from reports.output.table import show
from reports.ranking import Score
from schema.errors import UserError
from sweeps.journal.runs import FAILURES, RunRecord
from sweeps.search_space.keys import resolve_key

if TYPE_CHECKING:
    # Not at run time: it loads SciPy, which only the answer at the end needs.
    from reports.answer import Answer
    from reports.output.table import Column as ChosenColumn

# Titles of the columns that a narrow screen leaves out, in this order.
_DROPPED = (
    "each repetition",
    "at most\nbehind",
    "middle half",
    "shorter",
    "confirmed",
    "95 % interval",
    "±",
    "best",
    "failed",
)
_DROPPED_FOR_NAMES = _DROPPED[:3]  # these go before names become letters
_TITLE_WIDTH = 12  # characters; longer titles have two lines
_TEXT_WIDTH = (
    24  # characters of a choice on a line, where the screen is narrow; numbers are never folded
)
_NARROW_TEXT_WIDTH = 16  # the same below a letter
# Lines below the heading and between sections alone.
_RULES = Box("    \n    \n ── \n    \n ── \n ── \n    \n    \n")
_WIDE = 10_000  # wider than any table
_NAMES = 12  # runs on one line


@dataclass(frozen=True)
class Column:
    """A column of a table of permutations.

    Attributes:
        title: heading of the column, which may have two lines.
        cells: the permutations' cells.
        meaning: a line below the table that explains the column; "" adds none.
        style: style of the cells.
        is_key: whether the column is a tuned key.
    """

    title: str
    cells: Sequence[str]
    meaning: str = ""
    style: str = ""
    is_key: bool = False


@dataclass(frozen=True)
class _Frame:
    """The parts of a table that are the same in all of its layouts.

    Attributes:
        title: title of the table.
        caption: lines below the table, behind the columns' meanings.
        line_below: number of rows above a line; 0 draws none.
    """

    title: str
    caption: Sequence[str]
    line_below: int


def key_columns(labels: Sequence[str], choices: Iterable[Sequence[str]]) -> list[Column]:
    """Return a column for each tuned key.

    Args:
        labels: the tuned keys.
        choices: each permutation's choices as text, in the order of the keys.
    """
    rows = list(choices)
    return [
        Column(name, [row[place] for row in rows], is_key=True)
        for place, name in enumerate(short_names(labels))
    ]


def permutation_table(
    console: Console,
    columns: Sequence[Column],
    title: str,
    caption: Sequence[str] = (),
    line_below: int = 0,
) -> RenderableType:
    """Return a table of permutations that fits the console.

    Args:
        console: where the table will be printed.
        columns: the columns, from left to right.
        title: title of the table.
        caption: lines below the table, behind the columns' meanings.
        line_below: number of rows above a line; 0 draws none.
    """
    frame = _Frame(title, caption, line_below)
    for layout in _layouts(columns, frame):
        if _fits(console, layout.table):
            # Below the table and not its caption, which would be as narrow as the table.
            lines = Text("\n".join(layout.lines), style="table.caption")
            return Group(layout.table, lines) if layout.lines else layout.table
    return _paragraphs(columns, frame)


@dataclass(frozen=True)
class _Layout:
    """A table with some columns, and the lines below it."""

    table: Table
    lines: Sequence[str]


def _layouts(columns: Sequence[Column], frame: _Frame) -> Iterator[_Layout]:
    """Yield the layouts of a table, the most telling first."""
    named = [_with_heading(column) for column in columns]
    yield _layout(named, columns, frame)
    for has_letters in (False, True):
        dropped = _DROPPED if has_letters else _DROPPED_FOR_NAMES
        shown = _with_letters(columns) if has_letters else named
        folded = [_folded(column, has_letters) for column in shown]
        for left_out in range(len(dropped) + 1):
            gone = dropped[:left_out]
            kept = [column for column in folded if column.is_key or column.title not in gone]
            yield _layout(kept, columns, frame, is_narrow=True)


def _with_heading(column: Column) -> Column:
    return replace(column, title=_in_two_lines(column.title)) if column.is_key else column


def _with_letters(columns: Sequence[Column]) -> list[Column]:
    """Return the columns with a letter above each key, which its meaning explains."""
    letters = (chr(ord("A") + place % 26) * (1 + place // 26) for place in count())
    return [
        replace(column, title=letter, meaning=f"{letter}: {column.title}")
        if column.is_key and (letter := next(letters))
        else column
        for column in columns
    ]


def _folded(column: Column, has_letters: bool) -> Column:
    """Return a key's column with long names and mappings in several lines, but numbers as they are."""
    width = _NARROW_TEXT_WIDTH if has_letters else _TEXT_WIDTH
    if not column.is_key:
        return column
    return replace(column, cells=[_fold(cell, width) for cell in column.cells])


def _fold(cell: str, width: int) -> str:
    try:
        float(cell)
    except ValueError:
        return "\n".join(_lines(cell, width))
    return cell


def _lines(text: str, width: int) -> Iterator[str]:
    """Yield the lines of a text, broken behind spaces, or behind underscores if words are long."""
    for line in textwrap.wrap(text, width, break_on_hyphens=False, break_long_words=False):
        rest = line
        while len(rest) > width:
            place = rest.rfind("_", 0, width) + 1 or width
            yield rest[:place]
            rest = rest[place:]
        yield rest


def _fits(console: Console, table: Table) -> bool:
    """Return whether a table fits the console with no cell folded."""
    unlimited = console.options.update(max_width=_WIDE)
    return Measurement.get(console, unlimited, table).maximum <= console.width


def _layout(
    shown: Sequence[Column], all_columns: Sequence[Column], frame: _Frame, is_narrow: bool = False
) -> _Layout:
    """Return a table of some columns; a line below it names the others."""
    lines = [column.meaning for column in shown if column.is_key and column.meaning]
    lines += [column.meaning for column in shown if not column.is_key and column.meaning]
    lines += frame.caption
    titles = {column.title for column in shown}
    missing = [each.title for each in all_columns if not each.is_key and each.title not in titles]
    if missing:
        listed = ", ".join(title.replace("\n", " ") for title in missing)
        lines.append(f"A wider screen also shows: {listed}")
    return _Layout(_table(shown, frame, is_narrow), ["", *lines] if is_narrow and lines else lines)


def _table(shown: Sequence[Column], frame: _Frame, is_narrow: bool) -> Table:
    table = Table(title=frame.title)
    if is_narrow:
        table.box, table.pad_edge, table.collapse_padding = _RULES, False, True
        table.show_edge = False
    for column in shown:
        table.add_column(column.title, justify="right", no_wrap=True, style=column.style)
    rows = list(zip(*(column.cells for column in shown), strict=True))
    for number, row in enumerate(rows, start=1):
        table.add_row(*row, end_section=number == frame.line_below < len(rows))
    return table


def _paragraphs(columns: Sequence[Column], frame: _Frame) -> Group:
    """Return a paragraph for each permutation, which breaks between words."""
    parts: list[RenderableType] = [Text(frame.title, style="table.title")]
    rows = list(zip(*(column.cells for column in columns), strict=True))
    for number, row in enumerate(rows, start=1):
        cells = [
            f"{column.title}{' = ' if column.is_key else ' '}{cell}".replace("\n", " ")
            for column, cell in zip(columns, row, strict=True)
            if cell
        ]
        parts += ["", Text(", ".join(cells), overflow="fold")]
        if number == frame.line_below < len(rows):
            parts += ["", Rule(style="none")]
    meanings = [column.meaning for column in columns if column.meaning]
    return Group(*parts, "", Text("\n".join([*meanings, *frame.caption]), style="table.caption"))


def ranked_table(
    console: Console, scores: Sequence[Score], labels: Sequence[str]
) -> RenderableType:
    """Return a table of the best permutations of a sweep, without statistics.

    Args:
        console: where the table will be printed.
        scores: the permutations' scores, best first.
        labels: the tuned keys.
    """
    repeats = any(score.finished + score.failed > 1 for score in scores)
    over = "repetitions" if repeats else "the episodes of the one repetition"
    columns = [
        Column("rank", [str(rank) for rank in range(1, len(scores) + 1)]),
        Column("index", [score.permutation.name for score in scores]),
        Column("return", [show(score.mean) for score in scores], style="bold"),
        Column(
            "±", [show(score.deviation) for score in scores], f"±: standard deviation over {over}"
        ),
        *key_columns(labels, (score.permutation.choices for score in scores)),
        *_marks(scores),
    ]
    return permutation_table(console, columns, title="Permutations by mean return")


def _marks(scores: Sequence[Score]) -> list[Column]:
    """Return the columns of what counts less than a finished run."""
    marks: list[tuple[str, str, Sequence[int | str]]] = [
        ("failed", "repetitions that count as the worst score", [each.failed for each in scores]),
        (
            "shorter",
            "repetitions with too few updates to be compared",
            [each.shorter for each in scores],
        ),
        (
            "pruned",
            "mean return, and steps of a run, when --prune stopped it; not compared",
            [*map(_pruned, scores)],
        ),
    ]
    return [
        Column(title, [*map(str, counts)], f"{title}: {meaning}", style="red")
        for title, meaning, counts in marks
        if any(counts)
    ]


def _pruned(score: Score) -> str:
    """Return the mean return and the steps at which a permutation was pruned; "" if it wasn't."""
    if score.pruned is None:
        return ""
    value, steps = score.pruned
    return f"{show(value)} at {steps:,}"


def answer_table(
    console: Console, answer: Answer, rows: Sequence[tuple[int, Score]]
) -> RenderableType:
    """Return a table of permutations with statistics; a line is below those that could be the best.

    Args:
        console: where the table will be printed.
        answer: the sweep's answer.
        rows: ranks and scores of the permutations to show.
    """
    scores = [score for _, score in rows]
    lead = len(answer.contenders)
    # A contender may be far below others: if its runs vary much, its low mean proves little.
    has_line = 0 < lead < len(rows) and all(score.could_be_best for score in scores[:lead])
    labels = answer.outcome.varied
    places = [answer.outcome.labels.index(label) for label in labels]
    return permutation_table(
        console,
        [
            Column("rank", [str(rank) for rank, _ in rows]),
            Column("index", [score.permutation.name for score in scores]),
            *_statistics(answer, scores, has_line),
            *key_columns(
                labels, ([each.permutation.choices[at] for at in places] for each in scores)
            ),
            Column("each repetition", [*map(_values, scores)]),
            *_marks(scores),
        ],
        title=f"Permutations by {mean_title(answer.metric)}",
        line_below=lead if has_line else 0,
    )


def chosen_table(
    console: Console,
    answer: Answer,
    rows: Sequence[tuple[int, Score]],
    chosen: Sequence[ChosenColumn],
) -> RenderableType:
    """Return a table with the columns that a reader asked for; none is left out on narrow screens."""
    return permutation_table(
        console,
        [
            Column(column.title, [column.text(*row) for row in rows], is_key=True)
            for column in chosen
        ],
        title=f"Permutations by {mean_title(answer.metric)}",
    )


def _statistics(answer: Answer, scores: Sequence[Score], has_line: bool) -> list[Column]:
    """Return the columns of what is known about the permutations' scores."""
    found: list[Column] = []

    def add(title: str, cell: Callable[[Score], str], meaning: str = "", style: str = "") -> None:
        found.append(Column(title, [*map(cell, scores)], meaning, style))

    add(metric_title(answer.metric).partition(",")[0], lambda score: show(score.mean), style="bold")
    if any(score.low is not None for score in answer.scores):
        doubt = "?: the repetitions disagree too much for the interval to be trusted"
        is_doubtful = any(score.is_doubtful for score in answer.scores)
        add("95 % interval", _interval, doubt if is_doubtful else "")
    elif answer.metric == "final":
        over = "±: standard deviation over the episodes of the one repetition"
        add("±", lambda score: show(score.deviation), "" if answer.decided else over)
    if any(score.interquartile_mean is not None for score in answer.scores):
        add("middle half", lambda score: show(score.interquartile_mean))
    if answer.decided:
        line = "; the line is below them" if has_line else ""
        add(
            "best",
            _probability,
            f"best: probability of being the best, for those that could be (95 %){line}",
        )
    if any(score.behind_best is not None for score in answer.scores):
        add(
            "at most\nbehind",
            lambda score: show(score.behind_best),
            "at most behind: the most by which it may be worse than the best (95 %)",
        )
    if any(score.confirmed for score in answer.scores):
        add("confirmed", _confirmed)
    return found


def _confirmed(score: Score) -> str:
    """Return the mean on fresh seeds with its interval, where both are known."""
    if score.confirmed is None:
        return "–"
    mean, low, high = score.confirmed
    return (
        show(mean) if low is None or high is None else f"{show(mean)} ({show(low)} to {show(high)})"
    )


def _interval(score: Score) -> str:
    if score.low is None or score.high is None:
        return "–"
    return f"{show(score.low)} to {show(score.high)}{'?' if score.is_doubtful else ''}"


def _probability(score: Score) -> str:
    if score.probability is None or not score.could_be_best:
        return ""
    return f"{score.probability:.2f}"


def _values(score: Score) -> str:
    return " ".join(show(value) for value in score.values)


def short_names(labels: Sequence[str]) -> list[str]:
    """Return the shortest unambiguous name of each tuned key, without `_schedule`."""
    names = [_shortest(label) for label in labels]
    shorter = [name.replace("_schedule.", ".") for name in names]
    return shorter if len(set(shorter)) == len(set(names)) else names


def _shortest(label: str) -> str:
    path = resolve_key(label)
    for start in range(len(path) - 1, 0, -1):
        name = ".".join(path[start:])
        try:
            if resolve_key(name) == path:
                return name
        except UserError:
            continue
    return label


def _in_two_lines(name: str) -> str:
    """Return a long name in two lines: split at its last point, or where the lines are about equal."""
    breaks = [place + 1 for place, character in enumerate(name[:-1]) if character in "_-"]
    if "." in name:
        breaks = [name.rindex(".") + 1]
    if len(name) <= _TITLE_WIDTH or not breaks:
        return name
    place = min(breaks, key=lambda place: max(place, len(name) - place))
    return f"{name[:place]}\n{name[place:]}"


def failure_lines(results: Iterable[RunRecord]) -> list[str]:
    """Return a line for each reason why runs failed, with the names of the runs."""
    failed: dict[str, list[str]] = {}
    for result in results:
        if result.state in FAILURES:
            failed.setdefault(result.status, []).append(result.name)
    return [f"{shorten(names)}: {reason}" for reason, names in failed.items()]


def shorten(names: list[str]) -> str:
    """Return names on one line; of many, the first ones and the last."""
    shown = names if len(names) <= _NAMES else [*names[: _NAMES - 1], "...", names[-1]]
    return " ".join(shown)
