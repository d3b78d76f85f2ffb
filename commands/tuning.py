"""Trains a grid for `tune.py`: prints the plan, the progress and the answer."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from commands.command import ExitCode
from commands.forecast import forecast
from commands.interruption import STOPPING, interruptible
from commands.notices import (
    chosen_lines,
    compile_beforehand,
    curves_line,
    print_notices,
    warn,
)
from commands.provenance import provenance
from commands.pruning import train_and_prune
from commands.queued_jobs import LEAVING
from commands.racing import check_race, run_rounds
from commands.searching import describe_search, run_batches
from commands.terminal.console import make_console, print_sentence
from commands.terminal.progress import duration, make_display
from commands.terminal.tables import (
    Column,
    failure_lines,
    key_columns,
    permutation_table,
    shorten,
)
from commands.turns import turn_title
from environments.cores import available_cores
from ppo.footprint import show_bytes
from ppo.sinks import TENSORBOARD
from schema.config import Config
from schema.counting import counted
from schema.folders import shown
from schema.os_errors import describe
from sweeps.confirmation import ConfirmationPlan, confirmation_options
from sweeps.execution.backends.by_slurm.driver import SlurmBackend
from sweeps.execution.backends.local import Backend, run_in_processes
from sweeps.execution.worker import SUMMARIES
from sweeps.journal.runs import FAILURES, RunState
from sweeps.options import SweepOptions
from sweeps.planning.agenda import Agenda
from sweeps.planning.disk import DiskUsage
from sweeps.planning.populations import count_jobs, count_steps
from sweeps.planning.ram import check_ram, ram_needed
from sweeps.planning.rehearsal import rehearse
from sweeps.search_space.choices import show
from sweeps.search_space.grid import Grid
from sweeps.searching.search import Search
from sweeps.sweep import Sweep

if TYPE_CHECKING:
    from reports.answer import Answer  # which loads SciPy

ROWS = 50  # most rows of a printed table
_WORTH_A_VIDEO = 20.0  # least seconds of training after which a video is made
_WORTH_A_LINE = 2**30  # least bytes of output for a line about the disk


class _Plan:
    """Prints the plan of a sweep: its runs, its populations and the RAM and disk that it needs.

    Args:
        console: the console to print to.
        grid: the permutations.
        options: how they are trained.
        agenda: the runs left to train.
    """

    def __init__(self, console: Console, grid: Grid, options: SweepOptions, agenda: Agenda) -> None:
        self._console = console
        self._grid = grid
        self._options = options
        self._agenda = agenda

    def print_runs(self) -> None:
        """Print the number of runs, the values chosen for open keys, and the runs that are kept."""
        options, agenda = self._options, self._agenda
        self.print_line(
            f"{self._size()}, {agenda.steps:,} environment steps on {options.placement.device}"
        )
        for line in chosen_lines(_configs(agenda), options.placement.device.type):
            self.print_line(line)
        if agenda.kept:
            self.print_line(
                f"{counted(agenda.kept, 'finished run')} in {shown(options.out)} "
                f"{'is' if agenda.kept == 1 else 'are'} kept; --overwrite trains "
                f"{'it' if agenda.kept == 1 else 'them'} again"
            )
        if agenda.finished_left_out:
            self.print_line(
                f"{counted(agenda.finished_left_out, 'finished run')} of permutations that are left out "
                "now kept, but not ranked"
            )
        if agenda.pruned:
            self.print_line(
                f"{counted(agenda.pruned, 'pruned run')} {'stays' if agenda.pruned == 1 else 'stay'} "
                f"stopped; --prune=none trains {'it' if agenda.pruned == 1 else 'them'} to the end"
            )
        if agenda.continued:
            own = "resumes from its last checkpoint"
            if agenda.continued > 1:
                own = "resume from their last checkpoints"
            self.print_line(f"{counted(agenda.continued, 'run')} {own}")
        for notice, count in agenda.notices.items():
            self.print_line(f"{counted(count, 'run')} start{'s' * (count == 1)} again: {notice}")

    def _size(self) -> str:
        """Return the number of permutations, repetitions and runs."""
        options, agenda = self._options, self._agenda
        shard = options.shard
        number = agenda.permutations if shard is None else self._grid.count
        permutations = counted(number, "permutation")
        if options.race is not None:
            runs = counted(agenda.kept + agenda.runs, "run")
            return f"race of {permutations}, up to {options.race.most} repetitions: {runs} so far"
        runs = counted(number * options.repetitions, "run")
        own = "" if shard is None else f"; shard {shard} has {agenda.kept + agenda.runs:,} of them"
        return f"{permutations} x {counted(options.repetitions, 'repetition')} = {runs}{own}"

    def print_permutations(self, names: Mapping[int, str]) -> None:
        """Print the first permutations.

        Args:
            names: each permutation's name in results and in `--only`, by index.
        """
        only = self._options.only
        numbers = [number for number, name in names.items() if only is None or int(name) in only]
        shown = numbers[:ROWS]
        permutations = [self._grid.permutation(number) for number in shown]
        choices = (list(map(show, each.choices.values())) for each in permutations)
        columns = [
            Column("index", [names[number] for number in shown]),
            *key_columns(self._grid.labels, choices),
            Column("steps", [f"{count_steps(each):,}" for each in permutations]),
        ]
        self._console.print(permutation_table(self._console, columns, title="Permutations"))
        self._print_more(len(numbers))

    def print_ram(self) -> None:
        """Print the RAM that the sweep needs."""
        options = self._options
        needed = ram_needed(self._grid, self._agenda.populations, options.jobs)
        there_is = f"; this machine has {show_bytes(options.ram)}" if options.ram else ""
        self.print_line(f"RAM: about {show_bytes(needed)} at a time{there_is}")

    def warn_of_jobs(self) -> None:
        """Warn if there are more jobs than cores."""
        cores = available_cores()
        if self._jobs > cores and not self._options.elsewhere:
            option = f"--jobs={self._options.jobs}"
            warn(
                [
                    f"{option}: {self._jobs} jobs share {counted(cores, 'core')}; "
                    "--jobs=0 is one for each core"
                ]
            )

    def print_populations(self, names: Mapping[int, str] | None = None) -> None:
        """Print the number of populations and their sizes, if any runs train together or in parallel.

        Args:
            names: the permutations' names by index, to print a table of the populations, too.
        """
        options, populations = self._options, self._agenda.populations
        sizes = sorted({len(population) for population in populations})
        if self._jobs <= 1 and max(sizes, default=0) <= 1:
            return
        described = counted(sizes[-1], "run")
        if len(sizes) > 1:
            described = f"{sizes[0]:,} to {described}"
        self.print_line(
            f"{counted(len(populations), 'population')} of {described}, {self._jobs:,} at a time "
            f"(--together={options.together} {options.jobs_option}={options.jobs})"
        )
        if names is None:
            return
        table = Table(title="Populations, in the order in which they start")
        for title in ("size", "runs (permutation_repetition)", "steps"):
            table.add_column(title, justify="right", overflow="fold")
        permutations = len(self._grid)
        for population in populations[:ROWS]:
            runs = [f"{names[run % permutations]}_{run // permutations}" for run in population]
            steps = count_steps(self._grid.permutation(population[0] % permutations))
            table.add_row(str(len(population)), shorten(runs), f"{len(population) * steps:,}")
        self._console.print(table)
        self._print_more(len(populations))

    def print_disk(self, disk: DiskUsage) -> None:
        """Print the disk space that the sweep needs if it is much, or warn if it isn't free."""
        line = f"the sweep writes up to {show_bytes(disk.needed)}; {show_bytes(disk.free)} are free"
        if disk.needed > disk.free:
            warn([f"{self._options.out}: {line}"])
        elif disk.needed > _WORTH_A_LINE:
            self.print_line(line)

    @property
    def _jobs(self) -> int:
        """The number of jobs that run at a time."""
        return count_jobs(self._options.jobs, self._agenda.populations)

    def print_line(self, line: str) -> None:
        """Print a line of any length."""
        print_sentence(self._console, line)

    def _print_more(self, rows: int) -> None:
        """Print how many rows a table leaves out."""
        if rows > ROWS:
            self.print_line(f"... and {rows - ROWS:,} more")


def preview(grid: Grid, options: SweepOptions, search: Search | None = None) -> int:
    """Print what `tune` would do and return the exit code; the arguments are those of `tune`.

    Raises:
        UserError: as `tune`.
    """
    check_ram(grid, options)
    check_race(grid, options)
    with rehearse(grid, options) as (journal, agenda):
        print_notices(_configs(agenda), _may_use_numba(options))
        plan = _Plan(make_console(), grid, options, agenda)
        names = dict(journal.names())
        plan.print_runs()
        if options.race is not None or options.prune is not None:
            plan.print_line(forecast(grid, options, journal, search))
        if search is not None:
            plan.print_line(describe_search(search, options))
        plan.print_permutations(names)
        plan.warn_of_jobs()
        plan.print_ram()
        plan.print_populations(names)
    return ExitCode.SUCCESS


def _configs(agenda: Agenda) -> list[Config]:
    """Return a config for each shape, since notices are the same for all runs of a shape."""
    return [config for config, _ in agenda.kinds]


def _may_use_numba(options: SweepOptions) -> bool:
    return options.placement.device.type == "cpu" and not options.placement.torch_compile


def tune(
    grid: Grid,
    options: SweepOptions,
    overwrite: bool,
    confirmation: ConfirmationPlan | None = None,
    indifference: float | None = None,
    search: Search | None = None,
    backend: Backend = run_in_processes,
) -> int:
    """Train a validated grid, print the answer and return the exit code.

    Args:
        grid: the permutations.
        options: how they are trained.
        overwrite: whether to replace earlier results.
        confirmation: how many leaders are trained again on fresh seeds, and how often; None trains none.
        indifference: the difference of scores that makes no difference; None without one.
        search: the search that has chosen the grid's permutations, and adds more; None without one.
        backend: the sweep backend, which trains populations.

    Raises:
        UserError: the output folder holds something else.
    """
    check_race(grid, options)
    console = make_console()
    code = _train(
        console, grid, options, overwrite, backend, indifference=indifference, search=search
    )
    if search is not None:
        grid = search.grid
    if confirmation is None or code not in (ExitCode.SUCCESS, ExitCode.FAILED):
        return code
    # Imported here, as in `_print_results`, because SciPy takes a while to load.
    from commands.reporting import read_answer
    from reports.answer import leaders

    found = read_answer(options.out, options.run_id)
    chosen = leaders(found, confirmation.leaders)
    if not chosen:
        return code
    names = ", ".join(score.permutation.name for score in chosen)
    console.print(f"\nTraining {counted(len(chosen), 'leader')} again on fresh seeds: {names}")
    numbers = [int(score.permutation.name) for score in chosen]
    own = confirmation_options(options, confirmation, numbers)
    return max(code, _train(console, grid, own, overwrite, backend, options.run_id, indifference))


def _train(
    console: Console,
    grid: Grid,
    options: SweepOptions,
    overwrite: bool,
    backend: Backend,
    confirmed: str | None = None,
    indifference: float | None = None,
    search: Search | None = None,
) -> int:
    """Train a grid, print the answer and return the exit code.

    Args:
        console: the console to print to.
        grid: the permutations.
        options: how they are trained.
        overwrite: whether to replace earlier results.
        backend: the sweep backend, which trains populations.
        confirmed: the run id of the sweep that these runs confirm; None for a sweep of its own.
        indifference: the difference of scores that makes no difference; None without one.
        search: the search that adds permutations to the grid; None without one.
    """
    start = time.monotonic()
    with Sweep(grid, options, overwrite, provenance(options.placement.device)) as sweep:
        agenda, numba = sweep.agenda, _may_use_numba(options)
        print_notices(_configs(agenda), numba)
        compile_beforehand(_configs(agenda), numba)
        plan = _Plan(Console(quiet=True) if options.quiet else console, grid, options, agenda)
        plan.print_runs()
        if search is not None:
            plan.print_line(describe_search(search, options))
        plan.warn_of_jobs()
        plan.print_populations()
        plan.print_disk(DiskUsage(agenda, options.out, options.jobs))
        notice = LEAVING if isinstance(backend, SlurmBackend) else STOPPING
        with interruptible(sweep.stop, notice) as interruption:
            try:
                with sweep.session():
                    train = partial(_train_agenda, console, options, sweep, backend)
                    train_all(sweep, options, indifference, search, train, plan.print_line)
            except KeyboardInterrupt:
                interruption.number = interruption.number or signal.SIGINT
        seconds = time.monotonic() - start
        _print_results(console, options, sweep, confirmed, seconds, indifference)
        console.print(f"took {duration(seconds)}")
        if sweep.stop.is_requested:
            print_sentence(console, f"stopped: {sweep.stop.reason}")
            print_sentence(
                console,
                f"{shown(options.out)} keeps the finished runs, and the last checkpoints of the others; "
                "the same command resumes the sweep",
            )
        if interruption.number:
            print("interrupted", file=sys.stderr)
            return interruption.exit_code
        failed = any(record.state in FAILURES for record in sweep.records())
        return ExitCode.FAILED if failed or sweep.stop.is_requested else ExitCode.SUCCESS


def train_all(
    sweep: Sweep,
    options: SweepOptions,
    indifference: float | None,
    search: Search | None,
    train: Callable[[], None],
    say: Callable[[str], None],
) -> None:
    """Train a sweep's agenda, then the rounds of its race or the batches of its search.

    Args:
        sweep: the sweep.
        options: its options.
        indifference: the difference of scores that makes no difference; None without one.
        search: the search that adds permutations to the grid; None without one.
        train: trains the sweep's agenda.
        say: prints a line.
    """
    train_turn = train
    if options.prune is not None:
        train_turn = partial(train_and_prune, sweep, options, train, say)
    train_turn()
    if options.race is not None:
        # Its later rounds train contenders, which aren't pruned any more.
        run_rounds(sweep, options, indifference, train, say)
    if search is not None and options.only is None:
        run_batches(sweep, search, options, train_turn, say)


def _train_agenda(console: Console, options: SweepOptions, sweep: Sweep, backend: Backend) -> None:
    """Train the runs of a sweep's agenda, and show their progress."""
    agenda = sweep.agenda
    with make_display(
        console,
        agenda.runs,
        agenda.steps,
        options.quiet,
        sweep.records(),
        turn_title(sweep, options),
    ) as display:
        sweep.train(display, DiskUsage(agenda, options.out, options.jobs), backend)


def _print_results(
    console: Console,
    options: SweepOptions,
    sweep: Sweep,
    confirmed: str | None,
    seconds: float,
    indifference: float | None = None,
) -> None:
    if options.shard is not None:
        _print_shard(console, options, sweep)
    else:
        # Imported here, because SciPy takes a while to load.
        from commands.reporting import print_answer, read_answer
        from reports.output.table import ranked

        found = read_answer(options.out, confirmed or options.run_id, indifference=indifference)
        print_answer(console, found, ranked(found, None, ROWS))
        # A sweep that was stopped has no time for the rest, or no room.
        if not sweep.stop.is_requested:
            write_what_is_found(console, found, film=seconds > _WORTH_A_VIDEO)
    console.print(f"all results: {shown(options.results)}", soft_wrap=True)
    if TENSORBOARD in options.sinks:
        console.print(curves_line(options.out / SUMMARIES), soft_wrap=True)


def _print_shard(console: Console, options: SweepOptions, sweep: Sweep) -> None:
    """Print the failures of a shard, how much of it is finished, and how shards are merged."""
    records = list(sweep.records())
    for line in failure_lines(records):
        print_sentence(console, line)
    finished = sum(record.state == RunState.FINISHED for record in records)
    print_sentence(
        console,
        f"shard {options.shard}: {finished:,} of {counted(len(records), 'run')} finished; "
        f"--merge={shown(options.out)} merges it with the others",
    )


def write_what_is_found(console: Console, found: Answer, film: bool) -> None:
    """Write the best agent's folder and the page; a full disk there is only a warning."""
    from commands.best import write_best
    from commands.reporting import save_page

    try:
        best = write_best(found, film)
        if best is not None:
            console.print(f"best agent: {shown(best)}", soft_wrap=True)
        console.print(f"page: {shown(save_page(found))}", soft_wrap=True)
    except OSError as error:
        warn([describe(error)])
