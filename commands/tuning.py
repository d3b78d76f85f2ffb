"""What `tune.py` shows around a sweep: its plan, its progress and the ranked table."""

from __future__ import annotations

import time
from itertools import islice

from rich.console import Console
from rich.table import Table

from commands.command import chosen_lines, notify_of_backends
from commands.display import duration, make_console, make_display
from commands.table import column_title, ranked_table
from sweeps.choices import show
from sweeps.grid import Grid
from sweeps.plan import PlannedRun, count_steps, plan_populations, plan_runs
from sweeps.results import FINISHED, Result
from sweeps.scores import rank
from sweeps.sweep import RESULTS, Sweep, SweepOptions, place_jobs
from sweeps.task import SUMMARIES

_ROWS = 50  # of a table on the screen
_NAMES = 12  # of a population's runs in a row of it


def preview(grid: Grid, options: SweepOptions) -> int:
    """Prints what `tune` would do and returns the exit code."""
    console = make_console()
    notify_of_backends(permutation.config for permutation in grid.permutations())
    steps = options.repetitions * sum(map(count_steps, grid.permutations()))
    console.print(_plan_line(grid, options, steps), soft_wrap=True)
    for line in chosen_lines(permutation.config for permutation in grid.permutations()):
        console.print(line, soft_wrap=True)
    table = Table(title="Permutations")
    for label in ("index", *grid.labels, "steps"):
        table.add_column(column_title(label), justify="right", overflow="fold")
    for permutation in islice(grid.permutations(), _ROWS):
        values = map(show, permutation.choices.values())
        name = grid.name(permutation.index)
        table.add_row(name, *values, f"{count_steps(permutation):,}")
    console.print(table)
    if len(grid) > _ROWS:
        console.print(f"... and {len(grid) - _ROWS:,} more")
    _print_plan(console, grid, options)
    return 0


def _print_plan(console: Console, grid: Grid, options: SweepOptions) -> None:
    """Shows which runs train together, where any do."""
    if options.together == options.jobs == 1:
        return
    runs = plan_runs(grid, options.run_id, options.repetitions, options.seed)
    populations = plan_populations(runs, options.together, options.jobs)
    console.print(_populations_line(options, populations), soft_wrap=True)
    table = Table(title="Populations, in the order in which they begin")
    for title in ("size", "runs (permutation_repetition)", "steps"):
        table.add_column(title, justify="right", overflow="fold")
    for population in populations[:_ROWS]:
        steps = sum(run.steps for run in population)
        table.add_row(str(len(population)), _name_runs(population), f"{steps:,}")
    console.print(table)
    if len(populations) > _ROWS:
        console.print(f"... and {len(populations) - _ROWS:,} more")


def _populations_line(options: SweepOptions, populations: list[list[PlannedRun]]) -> str:
    sizes = sorted({len(population) for population in populations})
    described = f"{sizes[0]:,}" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,}"
    jobs = len(place_jobs(options, populations))
    return f"{len(populations):,} populations of {described} runs, {jobs:,} at a time"


def _name_runs(population: list[PlannedRun]) -> str:
    return _shorten([run.name for run in population])


def _shorten(names: list[str]) -> str:
    shown = names if len(names) <= _NAMES else [*names[: _NAMES - 1], "...", names[-1]]
    return " ".join(shown)


def tune(grid: Grid, options: SweepOptions, overwrite: bool) -> int:
    """Trains a validated grid, prints the ranked table and returns the exit code.

    Raises:
        UserError: the output folder holds something else.
    """
    console = make_console()
    start = time.monotonic()
    sweep = Sweep(grid, options, overwrite)
    notify_of_backends(population[0].permutation.config for population in sweep.populations)
    console.print(_plan_line(grid, options, sweep.steps), soft_wrap=True)
    for line in chosen_lines(population[0].permutation.config for population in sweep.populations):
        console.print(line, soft_wrap=True)
    if sweep.finished_before:
        kept = len(sweep.finished_before)
        console.print(f"{kept} finished before in {options.out} are kept; --overwrite trains anew")
    if sweep.populations and options.together * options.jobs > 1:
        console.print(_populations_line(options, sweep.populations), soft_wrap=True)
    try:
        with make_display(console, sweep.runs, sweep.steps) as display:
            results = sweep.run(display)
    except KeyboardInterrupt:
        console.print(
            f"finished runs are kept in {options.out}; the same command trains the others",
            soft_wrap=True,
        )
        raise
    _print_results(console, grid, options, results)
    console.print(f"took {duration(time.monotonic() - start)}")
    return 0 if all(result.status == FINISHED for result in results) else 1


def _plan_line(grid: Grid, options: SweepOptions, steps: int) -> str:
    runs = len(grid) * options.repetitions
    return (
        f"{len(grid):,} permutations x {options.repetitions:,} repetitions = {runs:,} runs, "
        f"{steps:,} environment steps on {options.device}"
    )


def _print_results(
    console: Console, grid: Grid, options: SweepOptions, results: list[Result]
) -> None:
    scores = rank(results)
    console.print(ranked_table(scores, grid.labels, _ROWS, options.repetitions))
    if len(scores) > _ROWS:
        console.print(f"... and {len(scores) - _ROWS:,} more in {options.out / RESULTS}")
    if scores[0].best:
        checkpoint = options.out / scores[0].best.checkpoint
        console.print(f"best checkpoint: {checkpoint}", soft_wrap=True)
    console.print(f"all results: {options.out / RESULTS}", soft_wrap=True)
    console.print(f"curves: tensorboard --logdir '{options.out / SUMMARIES}'", soft_wrap=True)
    for line in failure_lines(results):
        console.print(line, markup=False, soft_wrap=True)


def failure_lines(results: list[Result]) -> list[str]:
    """What failed, a line for each reason, with the names of the runs."""
    failed: dict[str, list[str]] = {}
    for result in results:
        if result.status != FINISHED:
            name = f"{result.permutation}_{result.repetition}"
            failed.setdefault(result.status, []).append(name)
    return [f"{_shorten(names)}: {reason}" for reason, names in failed.items()]
