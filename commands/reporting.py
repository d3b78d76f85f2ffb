"""Prints and writes the answer of a sweep, for `report.py`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from commands.serving import serve
from commands.terminal.console import make_console, print_sentence
from commands.terminal.tables import answer_table, chosen_table, failure_lines
from reports.answer import Answer, answer
from reports.outcome import Metric, read_outcome
from reports.output.answer_file import write_answer
from reports.output.page.page import write_page
from reports.output.table import Column, chosen_columns, ranked, write_table
from reports.ranking import Score
from reports.suggestion import suggest
from reports.words import sentences
from schema.counting import counted
from schema.errors import UserError
from schema.folders import shown
from schema.yaml_file import replace_file
from sweeps.confirmation import confirmation_id
from sweeps.journal.journal import journal_path


@dataclass(frozen=True)
class ReportOptions:
    """The options of `report.py`.

    Attributes:
        out: the sweep's output folder.
        run_id: tag of the training session.
        metric: the score by which runs are judged.
        threshold: the return that the metric `steps` waits for; None if there is none.
        where: conditions such as `gamma=0.99`; only permutations that meet them are reported.
        sort: the column to sort by; None sorts by rank.
        top: the most permutations to show.
        form: format of the table.
        to: the table's file; None prints it.
        suggest: file for the next tuning config; None writes none.
        plots: folder for the plots; None draws none.
        answer: file for the answer as JSON; None writes none.
        optuna: file for the Optuna study; None writes none.
        columns: titles of the table's columns, with commas between them; None stands for all.
        page: whether to write the page.
        watch: the port that serves the page; None serves none.
        indifference: the difference of scores that makes no difference; None without one.
    """

    out: Path
    run_id: str
    metric: Metric
    threshold: float | None
    where: tuple[str, ...]
    sort: str | None
    top: int
    form: str
    to: Path | None
    suggest: Path | None
    plots: Path | None = None
    answer: Path | None = None
    page: bool = False
    watch: int | None = None
    indifference: float | None = None
    optuna: Path | None = None
    columns: str | None = None


def report(options: ReportOptions) -> int:
    """Print or write what the options ask for and return the exit code.

    Raises:
        UserError: there is no such sweep, column or choice.
    """
    if options.metric == "steps" and options.threshold is None:
        raise UserError("--metric=steps: needs --threshold=<return>")
    found = _read(options)
    if options.watch is not None:
        return serve(lambda: _read(options), options.watch)
    rows = ranked(found, options.sort, options.top)
    if options.form == "text":
        _print_text(options, found, rows)
    else:
        _write(options.to, write_table(found, rows, options.form, options.columns))
    if options.answer is not None:
        _write(options.answer, write_answer(found))
        print(f"answer: {options.answer}", file=sys.stderr)
    if options.optuna is not None:
        # Optuna takes a while to load, too.
        from reports.output.optuna_study import write_study

        write_study(found, options.optuna)
        print(f"study: {shown(options.optuna)}", file=sys.stderr)
    if options.suggest is not None:
        _write(options.suggest, suggest(found))
        print(f"next grid: {shown(options.suggest)}", file=sys.stderr)
    if options.plots is not None:
        # Matplotlib takes a while to load, and most reports need no plots.
        from reports.output.plots import write_plots

        pictures = write_plots(found, options.plots)
        print(f"{counted(len(pictures), 'picture')} in {shown(options.plots)}", file=sys.stderr)
    if options.page:
        print(f"page: {shown(save_page(found))}", file=sys.stderr)
    return 0


def _read(options: ReportOptions) -> Answer:
    where, threshold = options.where, options.threshold
    return read_answer(
        options.out, options.run_id, options.metric, threshold, where, options.indifference
    )


def save_page(found: Answer) -> Path:
    """Write the page beside the sweep's journal and return its path."""
    outcome = found.outcome
    path = outcome.out / f"{outcome.run_id}.html"
    write_page(found, path, sentences(found))
    return path


def read_answer(
    out: Path,
    run_id: str,
    metric: Metric = "final",
    threshold: float | None = None,
    where: Sequence[str] = (),
    indifference: float | None = None,
) -> Answer:
    """Read a sweep and return its answer, with the leaders' scores on fresh seeds.

    Raises:
        UserError: there is no such sweep or choice.
    """
    outcome = read_outcome(out, run_id).where(where)
    own = confirmation_id(run_id)
    confirmed = read_outcome(out, own) if journal_path(out, own).is_file() else None
    return answer(outcome, metric, threshold, confirmed, indifference)


def _print_text(options: ReportOptions, found: Answer, rows: Sequence[tuple[int, Score]]) -> None:
    chosen = None if options.columns is None else chosen_columns(found, options.columns)
    if options.to is None:
        print_answer(make_console(), found, rows, chosen)
        return
    with replace_file(options.to) as file:
        print_answer(Console(file=file, width=_FILE_WIDTH), found, rows, chosen)


_FILE_WIDTH = 160  # characters of a table in a file


def print_answer(
    console: Console,
    found: Answer,
    rows: Sequence[tuple[int, Score]],
    chosen: Sequence[Column] | None = None,
) -> None:
    """Print some permutations as a table, and the answer in words.

    Args:
        console: where they are printed.
        found: the sweep's answer.
        rows: ranks and scores of the permutations.
        chosen: the table's columns; None lets the table choose those that tell most.
    """
    if found.leader is not None:
        if chosen is None:
            console.print(answer_table(console, found, rows))
        else:
            console.print(chosen_table(console, found, rows, chosen))
        more = len(found.scores) - len(rows)
        if more:
            console.print(f"... and {more:,} more")
    for line in (*failure_lines(found.outcome.runs), *sentences(found)):
        print_sentence(console, line)


def _write(path: Path | None, text: str) -> None:
    if path is None:
        sys.stdout.write(text)
        return
    with replace_file(path) as file:
        file.write(text)
