"""Trains a sweep in turns, as the rounds of a race and the batches of a search are trained.

A turn begins when all runs before have ended, so it depends on their results alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from schema.counting import counted
from schema.errors import UserError

if TYPE_CHECKING:
    # They load torch, which writing configs doesn't need.
    from sweeps.options import SweepOptions
    from sweeps.search_space.keys import Axis
    from sweeps.sweep import Sweep


def train_turns(
    sweep: Sweep,
    train: Callable[[], None],
    say: Callable[[str], None],
    begin_next: Callable[[], bool],
) -> None:
    """Train turn after turn until there is none, or the sweep is stopped.

    Failed runs are retried within their turn, so that later sessions have none to retry: each turn is
    the same, however often the sweep is interrupted.

    Args:
        sweep: the sweep; its agenda, the first turn or the rest of a later one, is trained.
        train: trains the sweep's agenda.
        say: prints a line.
        begin_next: adds the next turn to the sweep, renews the agenda, and returns whether there is one.
    """
    while not sweep.stop.is_requested:
        sweep.plan_again()
        if sweep.agenda.runs:
            say(f"retrying {counted(sweep.agenda.runs, 'failed run')}")
        elif not begin_next():
            return
        train()


def turn_title(sweep: Sweep, options: SweepOptions) -> str:
    """Return which part of a sweep its agenda trains, such as "round 2" or "rung 1 of 3"."""
    parts = []
    if options.race is not None:
        parts.append(f"round {sweep.looks}")
    search = sweep.grid.search
    if search is not None:
        parts.append(f"{len(search['trials']):,} of {search['planned']:,} trials")
    targets = sweep.agenda.targets
    if options.prune is not None and targets:
        rungs, until = options.prune.rungs, set(targets.values())
        numbers = [number for number, rung in enumerate(rungs, 1) if {rung} == until]
        parts += [f"rung {number} of {len(rungs)}" for number in numbers]
        if not numbers:
            parts.append(f"turn of {counted(len(targets), 'permutation')}")
    return ", ".join(parts) or "sweep"


def refuse_different_tasks(axes: Iterable[Axis], option: str) -> None:
    """Raise an error if permutations play different environments.

    Args:
        axes: the tuned keys.
        option: the option that compares them.

    Raises:
        UserError: they do, so that their returns can't be compared.
    """
    # Imported here, because SciPy takes a while to load.
    from reports.answer import TASKS

    for axis in axes:
        if axis.label in TASKS and len(axis.choices) > 1:
            raise UserError(
                f"{option}: {axis.label} has several choices, and returns of different tasks can't be "
                "compared"
            )
