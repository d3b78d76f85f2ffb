"""Merges the shards of a sweep and prints the answer, for `tune.py --merge`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from commands.command import ExitCode
from commands.notices import curves_line
from commands.reporting import print_answer, read_answer
from commands.terminal.console import make_console, print_sentence
from commands.tuning import ROWS, write_what_is_found
from reports.output.table import ranked
from schema.counting import counted
from schema.folders import shown
from sweeps.execution.worker import SUMMARIES
from sweeps.journal.merging import Merged, merge


def merge_shards(
    folders: Sequence[Path], out: Path, run_id: str, indifference: float | None
) -> int:
    """Merge shards into `out`, print what is missing and the answer, and return the exit code.

    Args:
        folders: the output folders of the shards.
        out: the output folder of the merged sweep.
        run_id: tag of the training session.
        indifference: the difference of scores that makes no difference; None without one.

    Raises:
        UserError: the shards don't belong together, or `out` holds another sweep.
    """
    console = make_console()
    merged = merge(folders, out, run_id)
    found = read_answer(out, run_id, indifference=indifference)
    print_answer(console, found, ranked(found, None, ROWS))
    write_what_is_found(console, found, film=False)
    console.print(f"all results: {shown(out / 'results.csv')}", soft_wrap=True)
    if (out / SUMMARIES / run_id).is_dir():
        console.print(curves_line(out / SUMMARIES), soft_wrap=True)
    for line in _lines(merged):
        print_sentence(console, line)
    return ExitCode.SUCCESS if merged.finished == merged.runs else ExitCode.FAILED


def _lines(merged: Merged) -> list[str]:
    """Return how many runs are finished, and a line for each shard with runs that are missing."""
    lines = [
        f"{merged.finished:,} of {counted(merged.runs, 'run')} finished, "
        f"from {counted(merged.shards, 'shard')}"
    ]
    for number, count in sorted(merged.missing.items()):
        lines.append(f"shard {number}/{merged.shards}: {counted(count, 'run')} not finished")
    for number in merged.training:
        lines.append(
            f"shard {number}/{merged.shards}: is being trained; merge again once it has stopped"
        )
    left = merged.runs - merged.finished - sum(merged.missing.values())
    if left and merged.absent:
        numbers = ", ".join(f"{number}/{merged.shards}" for number in merged.absent)
        lines.append(f"not in these folders: {numbers}; with {counted(left, 'run')} not finished")
    return lines
