"""Draws plots of a sweep for papers, as PNG, SVG and PDF, in colours for colour-blind readers, too."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, PercentFormatter

from reports.answer import Answer
from reports.outcome import LESS_IS_BETTER, Outcome, mean_title, metric_title
from reports.ranking import Score
from reports.statistics.averages import Array
from reports.statistics.bounds import Bounds
from reports.statistics.curves import Curve, mean_curves
from reports.statistics.importance import Effect
from schema.yaml_file import replace_file

# Okabe and Ito's colours ("Color universal design", 2008), without the yellow that is too pale on white.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
_BEST, _OTHERS = _COLOURS[2], "#767676"
_LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))
_MOST_CURVES = 5
_MOST_ROWS = 30
_CHOICE_WIDTH = 20  # characters
_TITLE_WIDTH = 60  # characters on a line
_ONE_COLUMN, _TWO_COLUMNS = 3.5, 7.2  # inches; usual widths of a paper's columns
_CHARACTERS = 10  # that fit on an inch below an axis
_MOST_TICKS = 8
_LINE = 0.15  # inches
_TITLE_CHARACTERS = 15  # that fit on an inch beside an axis
_NOTE_CHARACTERS = 11  # that fit on an inch of a figure, margins included
_NARROW_MAP = 4  # columns of a heat map that fit in one column of a paper
_NARROW_LABEL = 20  # characters of the longest label that leaves room for data in one column
_STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "legend.frameon": False,
    "pdf.fonttype": 42,  # embeds TrueType fonts, as publishers ask; type 3 is refused
    "svg.fonttype": "none",  # keeps text selectable
    "svg.hashsalt": "ppo-grid",  # gives the same sweep the same file
}


def write_plots(answer: Answer, folder: Path) -> list[Path]:
    """Draw a sweep's answer into `learning_curves`, `ranking`, `effects` and `heat_map`.

    Each is as wide as one column of a paper (3.5 inches) or two (7.2), with fonts of 7 to 9 points, so
    that it needs no scaling. Where a single key varies, `effects` shows the scores of its choices.

    Args:
        answer: the sweep's answer.
        folder: folder of the plots; each is written as `.png`, `.svg` and `.pdf`.

    Returns:
        The files. Plots without data are left out.
    """
    with mpl.rc_context(_STYLE):
        figures = {
            "learning_curves": _learning_curves(answer),
            "ranking": _ranking(answer),
            "effects": _effects(answer),
            "heat_map": _heat_map(answer),
        }
        return [
            _save(figure, folder / f"{name}.{kind}")
            for name, figure in figures.items()
            if figure is not None
            for kind in ("png", "svg", "pdf")
        ]


def _save(figure: Figure, path: Path) -> Path:
    kind = path.suffix[1:]
    # A date would make every file different.
    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
    with replace_file(path, "wb") as file:
        figure.savefig(file, format=kind, dpi=200, metadata=metadata)
    return path


def _axes(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def _described(answer: Answer, score: Score) -> str:
    """Return a permutation's name and its choices of the varied keys."""
    outcome = answer.outcome
    named = zip(outcome.labels, score.permutation.choices, strict=True)
    choices = [
        _name(choice, outcome.ordered(label)) for label, choice in named if label in outcome.varied
    ]
    return f"{score.permutation.name}: {', '.join(choices)}" if choices else score.permutation.name


def _name(choice: str, choices: Sequence[str]) -> str:
    """Return a choice, or its number if it would leave no room for the data; `_notes` explains that."""
    # A part of a range has two numbers, which may be on two lines.
    is_long = max(map(len, choice.split(" to "))) > _CHOICE_WIDTH
    return f"({choices.index(choice) + 1})" if is_long else choice


def _notes(outcome: Outcome, labels: Sequence[str], width: float) -> str:
    """Return lines that explain the numbers of long choices, each so wide (inches); "" without any."""
    lines = []
    for label in labels:
        choices = outcome.ordered(label)
        for choice in choices:
            if (name := _name(choice, choices)) != choice:
                note = f"{label} {name}: {choice}"
                wrapped = textwrap.wrap(
                    note, round(_NOTE_CHARACTERS * width), break_on_hyphens=False
                )
                lines.append(_escaped("\n   ".join(wrapped)))
    return "".join(f"\n{line}" for line in lines)


def _key_title(answer: Answer) -> str:
    """Return the title of `_described`: the varied keys in the same order."""
    keys = ", ".join(answer.outcome.varied)
    title = f"permutation: {keys}" if keys else "permutation"
    return _escaped("\n".join(textwrap.wrap(title, _TITLE_WIDTH, break_on_hyphens=False)))


def _length(title: str) -> float:
    """Return about how long a title beside an axis is, in inches."""
    return max(map(len, title.splitlines())) / _TITLE_CHARACTERS


def _escaped(text: str) -> str:
    """Return a text that Matplotlib doesn't read as a formula."""
    return text.replace("$", r"\$")


# Learning curves.


def _learning_curves(answer: Answer) -> Figure | None:
    bounds = Bounds(*answer.outcome.return_bounds)
    curves = mean_curves([score.permutation for score in answer.scores], bounds=bounds)
    best = [
        (score, curve)
        for score, curve in zip(answer.scores, curves, strict=True)
        if curve is not None
    ][:_MOST_CURVES]
    if not best:
        return None
    figure, axes = _axes(_TWO_COLUMNS, 4.6)
    for place, (score, curve) in enumerate(best):
        _draw_curve(axes, curve, _escaped(_described(answer, score)), place)
    if answer.threshold is not None:
        axes.axhline(answer.threshold, color=_OTHERS, linewidth=0.8, linestyle="--")
    has_bands = not all(np.isnan(curve.low).all() for _, curve in best)
    what = "means with 95 % intervals" if has_bands else "means"
    axes.set_title(f"Learning curves of the best: {what}")
    axes.set_xlabel("environment steps")
    axes.set_ylabel("return")
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.grid(color="#e5e5e5", linewidth=0.6)
    # Outside, as long names would lie on the curves.
    figure.legend(
        title=_key_title(answer) + _notes(answer.outcome, answer.outcome.varied, _TWO_COLUMNS),
        alignment="left",
        fontsize=8,
        title_fontsize=8,
        loc="outside lower left",
    )
    return figure


def _draw_curve(axes: Axes, curve: Curve, name: str, place: int) -> None:
    colour = _COLOURS[place]
    axes.plot(curve.steps, curve.mean, color=colour, linestyle=_LINES[place], label=name)
    if not np.isnan(curve.low).all():
        axes.fill_between(curve.steps, curve.low, curve.high, color=colour, alpha=0.15, linewidth=0)


# Ranking.


def _ranking(answer: Answer) -> Figure | None:
    scores = [score for score in answer.scores if score.mean is not None][:_MOST_ROWS]
    if not scores:
        return None
    title = _key_title(answer)
    notes = _notes(answer.outcome, answer.outcome.varied, 0.6 * _TWO_COLUMNS)
    tall = 1.2 + max(0.22 * len(scores), _length(title)) + _LINE * notes.count("\n")
    figure, axes = _axes(_TWO_COLUMNS, tall)
    for could_be_best, colour, name in (
        (True, _BEST, "could be the best"),
        (False, _OTHERS, "worse" if answer.decided else "mean"),
    ):
        rows = [row for row, score in enumerate(scores) if score.could_be_best is could_be_best]
        if rows:
            _draw_rows(axes, [scores[row] for row in rows], rows, colour, name)
    axes.set_yticks(range(len(scores)), [_escaped(_described(answer, each)) for each in scores])
    axes.set_ylim(len(scores) - 0.4, -0.6)
    more = len(answer.scores) - len(scores)
    axes.set_title(
        "Ranking" + (f": the best {len(scores)} of {len(answer.scores)}" if more else "")
    )
    measured = f"{metric_title(answer.metric)}: repetitions, mean, 95 % interval"
    axes.set_xlabel(measured + notes, linespacing=1.3)
    axes.set_ylabel(title)
    axes.grid(axis="x", color="#e5e5e5", linewidth=0.6)
    if answer.decided:
        figure.legend(loc="outside lower right", ncols=2)
    return figure


def _draw_rows(
    axes: Axes, scores: Sequence[Score], rows: Sequence[int], colour: str, name: str
) -> None:
    means = _array([score.mean for score in scores])
    ends = _array([score.low for score in scores]), _array([score.high for score in scores])
    spread = np.nan_to_num(np.stack([means - ends[0], ends[1] - means]))
    axes.errorbar(
        means, rows, xerr=spread, fmt="o", color=colour, markersize=4.5, elinewidth=1.6, label=name
    )
    for score, row in zip(scores, rows, strict=True):
        values = [value for value in score.values if value is not None]
        axes.plot(values, [row] * len(values), "|", color=colour, alpha=0.6, markersize=7, zorder=1)


def _array(values: Sequence[float | None]) -> Array:
    return np.array([np.nan if value is None else value for value in values])


# Effects.


def _effects(answer: Answer) -> Figure | None:
    varied, importance = answer.outcome.varied, answer.importance
    if len(varied) == 1 and answer.leader is not None:
        return _choices(answer, varied[0])
    if importance is None:
        return None
    total = importance.total or importance.main
    pairs = sorted(zip_longest(importance.main, total), key=lambda each: -_share(each[1]))
    rows = [main.keys[0] for main, _ in pairs]
    is_narrow = max(map(len, rows)) <= _NARROW_LABEL
    figure, axes = _axes(_ONE_COLUMN if is_narrow else _TWO_COLUMNS, 1.3 + 0.42 * len(rows))
    together = [each for _, each in pairs] if importance.total else []
    _draw_effects(axes, [main for main, _ in pairs], -0.1, _COLOURS[0], "o", "by itself")
    _draw_effects(axes, together, 0.15, _COLOURS[1], "D", "with all its interactions")
    idle = [answer.matters(label) is False for label in rows]
    names = [
        f"{label}\n(not shown beyond the noise)" if none else label
        for label, none in zip(rows, idle, strict=True)
    ]
    axes.set_yticks(range(len(rows)), [_escaped(name) for name in names])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(-0.02, 1.02)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_xlabel("share of the variance\nbetween permutations, with 95 % intervals")
    model = "" if importance.method == "analysis of variance" else "\n(model of main effects)"
    axes.set_title(f"Importance of hyperparameters{model}")
    axes.grid(axis="x", color="#e5e5e5", linewidth=0.6)
    if together:
        # Outside, as it would lie on the data.
        figure.legend(loc="outside lower right", ncols=2)
    return figure


def _choices(answer: Answer, label: str) -> Figure:
    """Draw the scores of a key's choices: repetitions, means, intervals; failures at the bottom."""
    choices = answer.outcome.ordered(label)
    places, is_log = _places(choices)
    is_numeric = places is not None
    at = dict(zip(choices, places if places is not None else range(len(choices)), strict=True))
    place = answer.outcome.labels.index(label)
    scores = sorted(answer.scores, key=lambda score: at[score.permutation.choices[place]])
    across = _array([at[score.permutation.choices[place]] for score in scores])
    means = _array([score.mean for score in scores])
    ends = _array([score.low for score in scores]), _array([score.high for score in scores])
    notes = _notes(answer.outcome, [label], _ONE_COLUMN)
    figure, axes = _axes(_ONE_COLUMN, 3.0 + _LINE * notes.count("\n"))
    axes.errorbar(
        across,
        means,
        yerr=np.nan_to_num(np.stack([means - ends[0], ends[1] - means])),
        fmt="o-" if is_numeric else "o",
        color=_COLOURS[0],
        markersize=4.5,
        linewidth=0.8,
        elinewidth=1.6,
    )
    for x, score in zip(across, scores, strict=True):
        values = [value for value in score.values if value is not None]
        axes.plot([x] * len(values), values, "_", color=_COLOURS[0], alpha=0.6, zorder=1)
        if score.failed:
            axes.plot(x, 0.03, "x", color=_COLOURS[1], transform=axes.get_xaxis_transform())
    if is_log:
        axes.set_xscale("log")
    else:
        axes.margins(x=0.15)
    _name_choices(axes, across, [score.permutation.choices[place] for score in scores], is_numeric)
    axes.set_xlabel(_escaped(label) + notes)
    axes.set_ylabel(metric_title(answer.metric))
    has_intervals = not np.isnan(ends[0]).all()
    what = "repetitions, means" + (", 95 % intervals" if has_intervals else "")
    failed = "\ncrosses: failed runs" if any(score.failed for score in scores) else ""
    axes.set_title(f"{what}{failed}", fontweight="normal", fontsize=8)
    axes.grid(axis="y", color="#e5e5e5", linewidth=0.6)
    return figure


def _places(choices: Sequence[str]) -> tuple[list[float] | None, bool]:
    """Return numeric choices as numbers, and whether their axis is logarithmic; None for others."""
    try:
        numbers = [float(choice) for choice in choices]
    except ValueError:
        return None, False
    return (
        (numbers, _is_logarithmic(np.array(numbers)))
        if np.isfinite(numbers).all()
        else (None, False)
    )


def _is_logarithmic(numbers: Array) -> bool:
    """Return whether the logarithms of distinct numbers are spaced more evenly; the page does alike."""
    if (numbers <= 0).any():
        return False
    if len(numbers) < 3:
        return bool(numbers.max() >= 10 * numbers.min())
    return _unevenness(np.log(numbers)) < _unevenness(numbers)


def _unevenness(numbers: Array) -> float:
    steps = np.diff(np.sort(numbers))
    return float(steps.max() / steps.min()) if steps.min() > 0 else np.inf


def _name_choices(axes: Axes, across: Array, choices: Sequence[str], is_numeric: bool) -> None:
    """Write the choices below the axis; where many numbers would collide, the axis chooses its own."""
    if is_numeric and len(choices) > _MOST_TICKS:
        return
    axes.set_xticks(across, _names(choices))
    axes.minorticks_off()
    _turn_names(axes, _names(choices), _ONE_COLUMN)


def _turn_names(axes: Axes, names: Sequence[str], width: float) -> None:
    """Turn the names below the axis where they would touch each other; the width is in inches."""
    if max(map(len, names)) * len(names) > _CHARACTERS * width:
        axes.tick_params(axis="x", labelrotation=90)


def _names(choices: Sequence[str]) -> list[str]:
    """Return the choices of a key in their order, long ones as numbers."""
    return [_escaped(_name(choice, choices)) for choice in choices]


def _share(effect: Effect) -> float:
    return -1.0 if np.isnan(effect.share) else effect.share


def _draw_effects(
    axes: Axes, effects: Sequence[Effect], shift: float, colour: str, marker: str, name: str
) -> None:
    if not effects:
        return
    share = np.array([effect.share for effect in effects])
    low, high = (np.array([getattr(each, end) for each in effects]) for end in ("low", "high"))
    # Rounding may put a share slightly outside its interval.
    spread = np.nan_to_num(np.stack([share - low, high - share])).clip(min=0)
    axes.errorbar(
        share,
        np.arange(len(effects)) + shift,
        xerr=spread,
        fmt=marker,
        color=colour,
        markersize=5,
        elinewidth=1.6,
        label=name,
    )


# Heat map.


def _heat_map(answer: Answer) -> Figure | None:
    keys = _most_important(answer)
    if len(keys) < 2 or answer.leader is None:
        return None
    across, down = keys[0], keys[1]
    coarse = answer.outcome.in_parts()
    columns, rows = coarse.ordered(across), coarse.ordered(down)
    means = _cells(answer, coarse, (across, down), columns, rows)
    width = _ONE_COLUMN if len(columns) <= _NARROW_MAP else _TWO_COLUMNS
    notes = _notes(coarse, (across, down), 0.8 * width)
    tall = 1.4 + max(0.3 * len(rows), _length(down)) + _LINE * notes.count("\n")
    figure, axes = _axes(width, tall)
    less = answer.metric in LESS_IS_BETTER
    image = axes.imshow(means, cmap="cividis_r" if less else "cividis", aspect="auto")
    # A part of a range has two numbers, which are wider than its column.
    names = [name.replace(" to ", " to\n") for name in _names(columns)]
    axes.set_xticks(range(len(columns)), names)
    _turn_names(axes, [max(name.split("\n"), key=len) for name in names], width - 1.5)
    axes.set_yticks(range(len(rows)), _names(rows))
    axes.set_title("Two hyperparameters together")
    axes.set_xlabel(_escaped(across) + notes)
    axes.set_ylabel(_escaped(down))
    _write_numbers(axes, means, image)
    figure.colorbar(image, ax=axes, label=mean_title(answer.metric))
    return figure


def _most_important(answer: Answer) -> list[str]:
    """Return the varied keys, the most important first."""
    varied = answer.outcome.varied
    if answer.importance is None:
        return varied
    total = answer.importance.total or answer.importance.main
    share = {effect.keys[0]: _share(effect) for effect in total}
    return sorted(varied, key=lambda label: -share.get(label, -1.0))


def _cells(
    answer: Answer,
    outcome: Outcome,
    keys: tuple[str, str],
    columns: Sequence[str],
    rows: Sequence[str],
) -> Array:
    """Return the mean score of each pair of choices, (rows, columns); NaN for untrained pairs."""
    places = tuple(map(outcome.labels.index, keys))
    choices = {each.name: each.choices for each in outcome.permutations}
    found: dict[tuple[str, ...], list[float]] = {}
    for score in answer.scores:
        if score.mean is not None:
            pair = tuple(choices[score.permutation.name][place] for place in places)
            found.setdefault(pair, []).append(score.mean)
    return np.array(
        [[np.mean(found.get((column, row), [np.nan])) for column in columns] for row in rows]
    )


def _write_numbers(axes: Axes, means: Array, image: Any) -> None:
    """Write each number into its cell, in black or white, whichever is readable."""
    for (row, column), mean in np.ndenumerate(means):
        if not np.isnan(mean):
            red, green, blue, _ = image.cmap(image.norm(mean))
            bright = 0.299 * red + 0.587 * green + 0.114 * blue
            colour = "black" if bright > 0.5 else "white"
            axes.text(column, row, f"{mean:.4g}", ha="center", va="center", color=colour)
