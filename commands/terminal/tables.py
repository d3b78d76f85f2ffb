"""Prints tables of permutations, with a column for each tuned key.

On a narrow screen, letters head these columns, and a legend explains them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from reports.outcome import mean_title, metric_title
from reports.output.table import show
from reports.ranking import Score
from schema.errors import UserError
from sweeps.journal.runs import FAILURES, RunRecord
from sweeps.search_space.keys import resolve_key

if TYPE_CHECKING:
    # Not at run time: it loads SciPy, which only the answer at the end needs.
    from reports.answer import Answer

_BEHIND = "at most\nbehind"  # left out where the screen is too narrow even for letters
_TITLE_WIDTH = 12  # characters; longer titles have two lines
_WIDE = 10_000  # wider than any table
_NAMES = 12  # runs on one line


# A column's title, and a function that makes its cells from a rank and a score.
_Part = tuple[str, Callable[[int, Score], str]]


@dataclass(frozen=True)
class Row:
    """One permutation's row.

    Attributes:
        leading: cells before the choices.
        choices: choices as text, in the order of the keys.
        trailing: cells behind the choices.
    """

    leading: Sequence[str]
    choices: Sequence[str]
    trailing: Sequence[str]


def permutation_table(
    console: Console,
    leading: Sequence[str],
    labels: Sequence[str],
    trailing: Sequence[str],
    rows: Sequence[Row],
    title: str,
    caption: str = "",
    line_below: int = 0,
) -> Table:
    """Return a table of permutations that fits the console.

    Args:
        console: where the table will be printed.
        leading: titles of the columns before the choices.
        labels: the tuned keys.
        trailing: titles of the columns behind the choices.
        rows: one row for each permutation.
        title: title of the table.
        caption: text below the table.
        line_below: number of rows above a line; 0 draws none.
    """
    names = short_names(labels)
    table = Table(title=title, caption=caption, caption_justify="left")
    _fill(table, leading, list(map(_in_two_lines, names)), trailing, rows, line_below)
    if _fits(console, table):
        return table
    letters = [chr(ord("A") + place % 26) * (1 + place // 26) for place in range(len(names))]
    legend = [f"{letter}: {name}" for letter, name in zip(letters, names, strict=True)]
    table = Table(
        title=title,
        caption="\n".join([*legend, caption]).strip(),
        caption_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    _fill(table, leading, letters, trailing, rows, line_below)
    return table


def _fits(console: Console, table: Table) -> bool:
    """Return whether a table fits the console with no cell folded."""
    unlimited = console.options.update(max_width=_WIDE)
    return Measurement.get(console, unlimited, table).maximum <= console.width


def _fill(
    table: Table,
    leading: Sequence[str],
    keys: Sequence[str],
    trailing: Sequence[str],
    rows: Sequence[Row],
    line_below: int,
) -> None:
    for titles, may_fold in ((leading, False), (keys, True), (trailing, False)):
        for title in titles:
            table.add_column(title, justify="right", overflow="fold", no_wrap=not may_fold)
    for number, row in enumerate(rows, start=1):
        table.add_row(
            *row.leading, *row.choices, *row.trailing, end_section=number == line_below < len(rows)
        )


def ranked_table(console: Console, scores: Sequence[Score], labels: Sequence[str]) -> Table:
    """Return a table of the best permutations of a sweep, without statistics.

    Args:
        console: where the table will be printed.
        scores: the permutations' scores, best first.
        labels: the tuned keys.
    """
    repeats = any(score.finished + score.failed > 1 for score in scores)
    over = "repetitions" if repeats else "the episodes of the one repetition"
    caption = f"±: standard deviation over {over}"
    marks = _marks(scores)
    caption += "".join(f"\n{title}: {meaning}" for title, meaning, _ in marks)
    rows = [
        Row(
            [str(rank), score.permutation.name, _show(score.mean), _show(score.deviation)],
            score.permutation.choices,
            [str(count(score)) for _, _, count in marks],
        )
        for rank, score in enumerate(scores, start=1)
    ]
    table = permutation_table(
        console,
        ["rank", "index", "return", "±"],
        labels,
        [title for title, _, _ in marks],
        rows,
        title="Permutations by mean return",
        caption=caption,
    )
    table.columns[2].style = "bold"
    for column in table.columns[len(table.columns) - len(marks) :]:
        column.style = "red"
    return table


def _marks(scores: Sequence[Score]) -> list[tuple[str, str, Callable[[Score], int | str]]]:
    """Return the columns of what counts less than a finished run: title, meaning, cell."""
    marks: list[tuple[str, str, Callable[[Score], int | str]]] = [
        ("failed", "repetitions that count as the worst score", lambda score: score.failed),
        ("shorter", "repetitions with too few updates to be compared", lambda score: score.shorter),
        (
            "pruned",
            "mean return, and steps of a run, when --prune stopped it; not compared",
            _pruned,
        ),
    ]
    return [mark for mark in marks if any(mark[2](score) for score in scores)]


def _pruned(score: Score) -> str:
    """Return the mean return and the steps at which a permutation was pruned; "" if it wasn't."""
    if score.pruned is None:
        return ""
    value, steps = score.pruned
    return f"{show(value)} at {steps:,}"


def answer_table(console: Console, answer: Answer, rows: Sequence[tuple[int, Score]]) -> Table:
    """Return a table of permutations with statistics; a line is below those that could be the best.

    Args:
        console: where the table will be printed.
        answer: the sweep's answer.
        rows: ranks and scores of the permutations to show.
    """
    table = _answer_table(console, answer, rows, _parts(answer))
    if _fits(console, table):
        return table
    return _answer_table(
        console, answer, rows, [part for part in _parts(answer) if part[0] != _BEHIND]
    )


def _answer_table(
    console: Console, answer: Answer, rows: Sequence[tuple[int, Score]], parts: Sequence[_Part]
) -> Table:
    """Return the table with some columns before the choices."""
    marks = _marks([score for _, score in rows])
    lead = len(answer.contenders)
    # A contender may be far below others: if its runs vary much, its low mean proves little.
    has_line = 0 < lead < len(rows) and all(score.could_be_best for _, score in rows[:lead])
    labels = answer.outcome.varied
    places = [answer.outcome.labels.index(label) for label in labels]
    table = permutation_table(
        console,
        [title for title, _ in parts],
        labels,
        ["each repetition", *(title for title, _, _ in marks)],
        [
            Row(
                [cell(rank, score) for _, cell in parts],
                [score.permutation.choices[place] for place in places],
                [_values(score), *(str(count(score)) for _, _, count in marks)],
            )
            for rank, score in rows
        ],
        title=f"Permutations by {mean_title(answer.metric)}",
        caption=_caption(answer, has_line, any(title == _BEHIND for title, _ in parts)),
        line_below=lead if has_line else 0,
    )
    table.columns[2].style = "bold"
    return table


def _parts(answer: Answer) -> list[_Part]:
    """Return the columns before the choices: each title, and a function that makes the cells."""
    scores = answer.scores
    parts: list[_Part] = [
        ("rank", lambda rank, _: str(rank)),
        ("index", lambda _, score: score.permutation.name),
        (metric_title(answer.metric).partition(",")[0], lambda _, score: show(score.mean)),
    ]
    if any(score.low is not None for score in scores):
        parts.append(("95 % interval", lambda _, score: _interval(score)))
    elif answer.metric == "final":
        parts.append(("±", lambda _, score: show(score.deviation)))
    if any(score.interquartile_mean is not None for score in scores):
        parts.append(("middle half", lambda _, score: show(score.interquartile_mean)))
    if answer.decided:
        parts.append(("best", lambda _, score: _probability(score)))
    if any(score.behind_best is not None for score in scores):
        parts.append((_BEHIND, lambda _, score: show(score.behind_best)))
    if any(score.confirmed for score in scores):
        parts.append(("confirmed", lambda _, score: _confirmed(score)))
    return parts


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


def _caption(answer: Answer, has_line: bool, has_behind: bool) -> str:
    if not answer.decided:
        return "±: standard deviation over the episodes of the one repetition"
    line = "; the line is below them" if has_line else ""
    lines = [f"best: probability of being the best, for those that could be (95 %){line}"]
    if has_behind:
        lines.append("at most behind: the most by which it may be worse than the best (95 %)")
    if any(score.is_doubtful for score in answer.scores):
        lines.append("?: the repetitions disagree too much for the interval to be trusted")
    return "\n".join(lines)


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


def _show(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"


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
