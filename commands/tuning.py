"""What `tune.py` shows around a sweep: its plan, its progress and the ranked table."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from commands.command import FAILED, chosen_lines, notify_of_slower_ways, warn
from commands.interruption import interruptible
from commands.provenance import provenance
from commands.terminal.progress import duration, make_console, make_display
from commands.terminal.tables import Row, failure_lines, permutation_table, ranked_table, shorten
from environments.cores import available_cores
from ppo.footprint import show_bytes
from ppo.sinks import TENSORBOARD
from sweeps.confirmation import ConfirmationPlan, confirmation_options
from sweeps.execution.worker import SUMMARIES
from sweeps.journal.runs import FAILURES
from sweeps.journal.scores import best_scores
from sweeps.options import SweepOptions
from sweeps.planning.agenda import Agenda
from sweeps.planning.disk import DiskUsage
from sweeps.planning.populations import count_jobs, count_steps
from sweeps.planning.ram import check_ram, ram_needed
from sweeps.planning.rehearsal import rehearse
from sweeps.search_space.choices import show
from sweeps.search_space.grid import Grid
from sweeps.sweep import Sweep

if TYPE_CHECKING:
    from reports.answer import Answer  # which loads SciPy

_ROWS = 50  # of a table on the screen
_WORTH_A_VIDEO = 20.0  # seconds of training, beside which those for the video don't count
_MANY = 10_000  # runs, above which comparing them would take long and much memory


def preview(grid: Grid, options: SweepOptions) -> int:
    """Prints what `tune` would do and returns the exit code.

    Raises:
        UserError: as `tune`.
    """
    console = make_console()
    check_ram(grid, options)
    with rehearse(grid, options) as (journal, agenda):
        # What is printed of environments and networks is the same for all of a shape.
        configs = [config for config, _ in agenda.kinds]
        notify_of_slower_ways(configs, _may_use_numba(options), trains=False)
        console.print(_plan_line(grid, options, agenda.steps), soft_wrap=True)
        for line in chosen_lines(configs, options.device.type):
            console.print(line, soft_wrap=True)
        _print_what_is_kept(console, options, agenda)
        names = list(journal.names())
        _print_permutations(console, grid, options, names)
        _print_plan(console, grid, options, agenda, names)
    return 0


def _print_permutations(
    console: Console, grid: Grid, options: SweepOptions, names: Sequence[str]
) -> None:
    """The first of the permutations, by the names that `--only` and all results have for them."""
    only = options.only
    numbers = [number for number, name in enumerate(names) if only is None or int(name) in only]
    rows = [
        Row(
            [names[number]],
            list(map(show, permutation.choices.values())),
            [f"{count_steps(permutation):,}"],
        )
        for number in numbers[:_ROWS]
        for permutation in [grid.permutation(number)]
    ]
    titles = ["index"], grid.labels, ["steps"]
    console.print(permutation_table(console, *titles, rows, title="Permutations"))
    if len(numbers) > _ROWS:
        console.print(f"... and {len(numbers) - _ROWS:,} more")


def _print_plan(
    console: Console, grid: Grid, options: SweepOptions, agenda: Agenda, names: Sequence[str]
) -> None:
    """Shows what memory is needed, and which runs train together, where any do."""
    populations = agenda.populations
    _warn_of_jobs(options, populations)
    needed, ram = ram_needed(grid, populations, options.jobs), options.ram
    there_is = f"; this machine has {show_bytes(ram)}" if ram else ""
    console.print(f"RAM: about {show_bytes(needed)} at a time{there_is}", soft_wrap=True)
    if not _is_shared_out(options, populations):
        return
    console.print(_populations_line(options, populations), soft_wrap=True)
    table = Table(title="Populations, in the order in which they begin")
    for title in ("size", "runs (permutation_repetition)", "steps"):
        table.add_column(title, justify="right", overflow="fold")
    for population in populations[:_ROWS]:
        runs = [f"{names[run % len(grid)]}_{run // len(grid)}" for run in population]
        steps = len(population) * count_steps(grid.permutation(population[0] % len(grid)))
        table.add_row(str(len(population)), shorten(runs), f"{steps:,}")
    console.print(table)
    if len(populations) > _ROWS:
        console.print(f"... and {len(populations) - _ROWS:,} more")


def _warn_of_jobs(options: SweepOptions, populations: Sequence[Sequence[int]]) -> None:
    jobs, cores = count_jobs(options.jobs, populations), available_cores()
    if jobs > cores:
        warn(
            [
                f"--jobs={options.jobs}: {jobs} jobs share {cores} cores; --jobs=0 is one for each core"
            ]
        )


def _populations_line(options: SweepOptions, populations: Sequence[Sequence[int]]) -> str:
    sizes = sorted({len(population) for population in populations})
    described = f"{sizes[0]:,}" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,}"
    jobs = count_jobs(options.jobs, populations)
    return (
        f"{len(populations):,} populations of {described} runs, {jobs:,} at a time "
        f"(--together={options.together} --jobs={options.jobs})"
    )


def _is_shared_out(options: SweepOptions, populations: Sequence[Sequence[int]]) -> bool:
    """Whether any runs train together or side by side."""
    return count_jobs(options.jobs, populations) > 1 or any(len(each) > 1 for each in populations)


def _may_use_numba(options: SweepOptions) -> bool:
    return options.device.type == "cpu" and not options.compiled


def tune(
    grid: Grid, options: SweepOptions, overwrite: bool, confirmation: ConfirmationPlan | None = None
) -> int:
    """Trains a validated grid, prints the answer and returns the exit code.

    Args:
        grid: the permutations.
        options: how they are trained.
        overwrite: begin anew, whatever there is.
        confirmation: how often how many leaders are trained again on fresh seeds; None trains none.

    Raises:
        UserError: the output folder holds something else.
    """
    console = make_console()
    code = _train(console, grid, options, overwrite)
    if confirmation is None or code not in (0, FAILED):
        return code
    # Imported here, as in `_print_results`, because SciPy takes a while to load.
    from commands.reporting import read_answer
    from reports.answer import leaders

    found = read_answer(options.out, options.run_id)
    chosen = leaders(found, confirmation.leaders)
    if not chosen:
        return code
    names = ", ".join(score.permutation.name for score in chosen)
    console.print(f"\n{len(chosen)} leaders are trained again on fresh seeds: {names}")
    numbers = [int(score.permutation.name) for score in chosen]
    own = confirmation_options(options, confirmation, numbers)
    return max(code, _train(console, grid, own, overwrite, options.run_id))


def _train(
    console: Console,
    grid: Grid,
    options: SweepOptions,
    overwrite: bool,
    confirmed: str | None = None,
) -> int:
    """Trains a grid, prints what it says and returns the exit code.

    Args:
        console: where it is printed.
        grid: the permutations.
        options: how they are trained.
        overwrite: begin anew, whatever there is.
        confirmed: the run id of the sweep whose leaders these are; None where it is that itself.
    """
    start = time.monotonic()
    with Sweep(grid, options, overwrite, provenance(options.device)) as sweep:
        agenda = sweep.agenda
        told = Console(quiet=True) if options.quiet else console
        notify_of_slower_ways((config for config, _ in agenda.kinds), _may_use_numba(options))
        told.print(_plan_line(grid, options, agenda.steps), soft_wrap=True)
        chosen = chosen_lines((config for config, _ in agenda.kinds), options.device.type)
        for line in chosen:
            told.print(line, soft_wrap=True)
        _print_what_is_kept(told, options, agenda)
        _warn_of_jobs(options, agenda.populations)
        if _is_shared_out(options, agenda.populations):
            told.print(_populations_line(options, agenda.populations), soft_wrap=True)
        disk = DiskUsage(agenda, options.out, options.jobs)
        _print_disk(told, options, disk)
        with interruptible(sweep.stop) as interruption:
            try:
                with make_display(console, agenda.runs, agenda.steps, options.quiet) as display:
                    sweep.run(display, disk)
            except KeyboardInterrupt:
                interruption.number = interruption.number or signal.SIGINT
        seconds = time.monotonic() - start
        _print_results(console, grid, options, sweep, confirmed, seconds)
        console.print(f"took {duration(seconds)}")
        if sweep.stop.is_requested:
            _print_why_it_stopped(console, options, sweep)
        if interruption.number:
            print("interrupted", file=sys.stderr)
            return interruption.exit_code
        failed = any(record.state in FAILURES for record in sweep.records())
        return FAILED if failed or sweep.stop.is_requested else 0


def _plan_line(grid: Grid, options: SweepOptions, steps: int) -> str:
    permutations = len(grid) if options.only is None else len(options.only)
    runs = permutations * options.repetitions
    return (
        f"{permutations:,} permutations x {options.repetitions:,} repetitions = {runs:,} runs, "
        f"{steps:,} environment steps on {options.device}"
    )


def _print_what_is_kept(console: Console, options: SweepOptions, agenda: Agenda) -> None:
    if agenda.kept:
        console.print(
            f"{agenda.kept:,} finished before in {options.out} are kept; --overwrite trains anew"
        )
    if agenda.continued:
        console.print(f"{agenda.continued:,} runs go on from their last checkpoints")
    for notice, count in agenda.notices.items():
        console.print(f"{count:,} runs begin again: {notice}", soft_wrap=True)


def _print_disk(console: Console, options: SweepOptions, disk: DiskUsage) -> None:
    line = f"up to {show_bytes(disk.needed)} will be written; the disk has {show_bytes(disk.free)} left"
    if disk.needed > disk.free:
        warn([f"{options.out}: {line}"])
    elif disk.needed > _WORTH_A_LINE:
        console.print(line)


_WORTH_A_LINE = 2**30  # bytes


def _print_results(
    console: Console,
    grid: Grid,
    options: SweepOptions,
    sweep: Sweep,
    confirmed: str | None,
    seconds: float,
) -> None:
    if len(grid) * options.repetitions > _MANY:
        _print_leaders(console, grid, options, sweep)
    else:
        from commands.reporting import print_answer, read_answer
        from reports.output.table import ranked

        found = read_answer(options.out, confirmed or options.run_id)
        print_answer(console, found, ranked(found, None, _ROWS))
        # What is stopped has no time for the rest, or no room.
        if not sweep.stop.is_requested:
            _write_what_is_found(console, found, film=seconds > _WORTH_A_VIDEO)
    console.print(f"all results: {options.results}", soft_wrap=True)
    if TENSORBOARD in options.sinks:
        console.print(f"curves: tensorboard --logdir '{options.out / SUMMARIES}'", soft_wrap=True)


def _write_what_is_found(console: Console, found: Answer, film: bool) -> None:
    """Writes the folder of the best agent and the page, without which nothing is lost."""
    from commands.best import write_best
    from commands.reporting import save_page

    try:
        best = write_best(found, film)
        if best is not None:
            console.print(f"best agent: {best}", soft_wrap=True)
        console.print(f"page: {save_page(found)}", soft_wrap=True)
    except OSError as error:
        warn([f"{error.filename}: {error.strerror}"])


def _print_leaders(console: Console, grid: Grid, options: SweepOptions, sweep: Sweep) -> None:
    """Prints the first of so many permutations that comparing all of them would take long."""
    best, scored = best_scores(sweep.records(by_permutation=True), _ROWS)
    if best[0].mean is not None:
        console.print(ranked_table(console, best, grid.labels, _ROWS, options.repetitions))
    console.print(f"... and {scored - _ROWS:,} more; report.py says how sure that is")
    for line in failure_lines(sweep.records()):
        console.print(line, soft_wrap=True)
    if best[0].best:
        checkpoint = options.out / best[0].best.checkpoint
        console.print(f"best checkpoint: {checkpoint}", soft_wrap=True)


def _print_why_it_stopped(console: Console, options: SweepOptions, sweep: Sweep) -> None:
    console.print(f"stopped: {sweep.stop.reason}", soft_wrap=True)
    console.print(
        f"finished runs are kept in {options.out}, others with their last checkpoints; the same command "
        "goes on",
        soft_wrap=True,
    )
