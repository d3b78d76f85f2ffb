"""Tables of permutations: a column for each tuned key, headed by a letter where the screen is narrow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from schema.errors import UserError
from sweeps.keys import resolve_key
from sweeps.results import DIVERGED, FAILED, Result
from sweeps.scores import Score

_TITLE_WIDTH = 12  # characters up to which a column's title has one line
_WIDE = 10_000  # wider than any table
_NAMES = 12  # of runs, on one line


@dataclass(frozen=True)
class Row:
    """One permutation's row.

    Attributes:
        leading: the cells before the choices.
        choices: the tuned values, as text in the order of the keys.
        trailing: the cells behind the choices.
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
) -> Table:
    """A table of permutations that fits the console.

    Args:
        console: where it is to be printed.
        leading: titles of the columns before the choices.
        labels: the tuned keys.
        trailing: titles of the columns behind the choices.
        rows: one for each permutation.
        title: of the table.
        caption: what stands below it.
    """
    names = short_names(labels)
    table = Table(title=title, caption=caption, caption_justify="left")
    _fill(table, leading, list(map(_in_two_lines, names)), trailing, rows)
    unlimited = console.options.update(max_width=_WIDE)
    if Measurement.get(console, unlimited, table).maximum <= console.width:
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
    _fill(table, leading, letters, trailing, rows)
    return table


def _fill(
    table: Table,
    leading: Sequence[str],
    keys: Sequence[str],
    trailing: Sequence[str],
    rows: Sequence[Row],
) -> None:
    for titles, may_fold in ((leading, False), (keys, True), (trailing, False)):
        for title in titles:
            table.add_column(title, justify="right", overflow="fold", no_wrap=not may_fold)
    for row in rows:
        table.add_row(*row.leading, *row.choices, *row.trailing)


def ranked_table(
    console: Console, scores: list[Score], labels: list[str], limit: int, repetitions: int
) -> Table:
    """The first `limit` scores as a table.

    Args:
        console: where it is to be printed.
        scores: as `rank` gives them.
        labels: the tuned keys.
        limit: rows at most.
        repetitions: how often each permutation was to be trained, which the caption explains.
    """
    over = "repetitions" if repetitions > 1 else "the episodes of the one repetition"
    any_failed = any(score.failed for score in scores)
    rows = [
        Row(
            [str(rank), score.permutation, _show(score.mean), _show(score.spread)],
            [score.choices[label] for label in labels],
            [str(score.failed)] if any_failed else [],
        )
        for rank, score in enumerate(scores[:limit], start=1)
    ]
    table = permutation_table(
        console,
        ["rank", "index", "return", "±"],
        labels,
        ["failed"] if any_failed else [],
        rows,
        title="Permutations by mean return",
        caption=f"±: standard deviation over {over}",
    )
    table.columns[2].style = "bold"
    if any_failed:
        table.columns[-1].style = "red"
    return table


def short_names(labels: Sequence[str]) -> list[str]:
    """The tuned keys by the shortest names that mean them alone, schedules without `_schedule`."""
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
    """A long name over two lines: broken at its last point, or else where both are short."""
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


def failure_lines(results: Iterable[Result]) -> list[str]:
    """What failed, a line for each reason, with the names of the runs."""
    failed: dict[str, list[str]] = {}
    for result in results:
        if result.state in (FAILED, DIVERGED):
            failed.setdefault(result.status, []).append(result.name)
    return [f"{shorten(names)}: {reason}" for reason, names in failed.items()]


def shorten(names: list[str]) -> str:
    """Names on one line, of many the first ones and the last."""
    shown = names if len(names) <= _NAMES else [*names[: _NAMES - 1], "...", names[-1]]
    return " ".join(shown)
