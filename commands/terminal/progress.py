"""Shows the progress of a training or a sweep: live bars in a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.progress import BarColumn, ProgressColumn, TaskID, TextColumn
from rich.progress import Progress as Bars
from rich.text import Text

from commands.terminal.console import print_sentence
from reports.ranking import LiveRanking
from sweeps.execution.events import SweepDisplay
from sweeps.journal.runs import FAILURES, RunRecord, RunState

if TYPE_CHECKING:
    # Not at run time: it loads torch, which `--status` doesn't need.
    from trainer import Progress

_PLAIN_INTERVAL = 30.0  # seconds between plain lines of one run
_COLUMNS = "▁▂▃▄▅▆▇█"
_MOST_COLUMNS = 24
_LEADERS = 4
_ROOMY = 100  # characters; a line this wide has room for everything
_TIGHT = 70  # characters; a narrower line has no room for bars
_OTHER_LINES = 8  # of the screen: the sweep's bar, the leaders, the legend and a margin
_DAY = 86_400  # seconds
_RETURN = "return: sum of an episode's rewards, mean over a run's last episodes"
_LONE_RUN = "1_0: permutation 1, repetition 0"
_HEIGHTS = "▁ to █: a column for each run, as high as its return; · has none yet"


def make_display(
    console: Console,
    runs: int,
    steps: int,
    quiet: bool = False,
    ended: Iterable[RunRecord] = (),
    title: str = "sweep",
) -> SweepDisplay:
    """Return the display that suits the console.

    Args:
        console: where the progress is shown.
        runs: number of runs to train.
        steps: environment steps of all these runs.
        quiet: whether to show nothing.
        ended: runs of earlier sessions, which may lead.
        title: the part of the sweep that these runs are.
    """
    if quiet:
        return PlainDisplay(Console(quiet=True), runs, steps)
    if console.is_terminal:
        return LiveDisplay(console, runs, steps, ended, title)
    return PlainDisplay(console, runs, steps)


class _Clock:
    """Estimates the time left from the environment steps done and left."""

    def __init__(self, steps: int) -> None:
        self._start = time.monotonic()
        self._total = steps
        self._ended = 0
        self._begun: dict[int, float] = {}  # each job's steps of earlier sessions, of one member
        self._under_way: dict[int, float] = {}

    def progressed(self, job: int, progress: Progress) -> None:
        """Count the steps of a population after each of its updates."""
        of_an_update = progress.steps / progress.update
        begun = self._begun.setdefault(job, progress.steps - of_an_update)
        self._under_way[job] = (progress.steps - begun) * len(progress.returns)

    def ended(self, job: int, steps: int) -> None:
        """Count the steps of a population that ended."""
        self._begun.pop(job, None)
        self._under_way[job] = 0
        self._ended += steps

    @property
    def _seconds(self) -> float | None:
        done = self._ended + sum(self._under_way.values())
        if done <= 0:
            return None
        passed = time.monotonic() - self._start
        return passed * max(0, self._total - done) / done

    @property
    def left(self) -> str:
        """The time left, "20 s left"; it is unknown before the first update."""
        return "time left unknown" if self._seconds is None else f"{duration(self._seconds)} left"

    @property
    def left_and_end(self) -> str:
        """The time left, and the time of day when it will be over: "2 h 5 min left, ends at 14:32"."""
        if not self._seconds:
            return self.left
        form = "%H:%M" if self._seconds < _DAY else "%a %d %b, %H:%M"
        return f"{self.left}, ends at {time.strftime(form, time.localtime(time.time() + self._seconds))}"


class _Screen(Bars):
    """Bars; below them, the leaders and an explanation of the words and signs."""

    ranking: LiveRanking | None = None
    legend: Sequence[str] = ()

    def get_renderables(self) -> Iterable[RenderableType]:
        """Yield the bars, the leaders and the legend."""
        yield self.make_tasks_table(self.tasks)
        leaders = [] if self.ranking is None else self.ranking.leaders
        if leaders:
            yield Text(_leaders_line(leaders, self.console.width))
        if self.legend:
            yield Text("\n".join(self.legend))


def _leaders_line(leaders: Sequence[tuple[str, float]], width: int) -> str:
    """Return a line with as many leaders as it has room for, at least one, and their mean returns."""
    line = "best permutations so far (mean return): "
    for number, (name, mean) in enumerate(leaders):
        longer = f"{line}{', ' if number else ''}{name} ({_return(mean)})"
        if number and len(longer) > width:
            break
        line = longer
    return line


class LiveDisplay:
    """Bars in a terminal: one for the sweep, and one for the population of each job that fits.

    Behind a job's bar, a column shows each member's return. Below the bars are the leaders and a legend.
    The bars have the terminal's own colours, so that they are readable on any background.

    Args:
        console: a terminal.
        runs: number of runs to train.
        steps: environment steps of all these runs.
        ended: runs of earlier sessions, which may lead.
        title: the part of the sweep that these runs are.
    """

    def __init__(
        self,
        console: Console,
        runs: int,
        steps: int,
        ended: Iterable[RunRecord] = (),
        title: str = "sweep",
    ) -> None:
        self._clock = _Clock(steps)
        self._ranking = LiveRanking(_LEADERS, ended)
        self._has_room = console.width >= _ROOMY
        self._is_tight = console.width < _TIGHT
        self._runs, self._ended, self._failed = runs, 0, 0
        self._bars = _Screen(*self._columns(), console=console)
        self._bars.ranking = self._ranking
        self._bars.legend = [_RETURN]
        self._sweep: TaskID = self._bars.add_task(
            "sweep" if self._is_tight else title, total=runs, unit="runs", note="", visible=runs > 0
        )
        self._jobs: dict[int, TaskID] = {}
        self._training: dict[int, int] = {}  # each job's number of runs
        self._told: dict[str, str] = {}  # the first run with each error

    def _columns(self) -> list[ProgressColumn]:
        bar = BarColumn(
            bar_width=16 if self._has_room else 8,
            style="bright_black",
            complete_style="bold",
            finished_style="green",
            pulse_style="bold",
        )
        columns = [
            TextColumn("{task.description}"),
            bar,
            TextColumn("{task.completed:,.0f} of {task.total:,} {task.fields[unit]}"),
            TextColumn("{task.fields[note]}"),
        ]
        return [column for column in columns if column is not bar or not self._is_tight]

    def __enter__(self) -> LiveDisplay:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def show_start(self, job: int, names: Sequence[str], updates: int) -> None:
        """Reset the job's bar."""
        described = _span(names) if self._is_tight else _describe(names)
        if job not in self._jobs:
            # Bars beyond the screen would be invisible, but cost as much time.
            fits = len(self._jobs) < max(1, self._bars.console.height - _OTHER_LINES)
            self._jobs[job] = self._bars.add_task(
                "", total=updates, unit="updates", note="", visible=fits
            )
        self._bars.reset(
            self._jobs[job], total=updates, description=described, unit="updates", note=""
        )
        self._training[job] = len(names)
        if self._runs:
            self._explain(len(names) > 1)
            self._note_sweep()

    def _explain(self, has_columns: bool) -> None:
        """Add what a first-time reader can't know to the legend, once it is on the screen."""
        lines = [_LONE_RUN, *([_HEIGHTS] if has_columns and self._has_room else [])]
        self._bars.legend = list(dict.fromkeys([*self._bars.legend, *lines]))

    def _note_sweep(self) -> None:
        note = self._clock.left if self._is_tight else self._clock.left_and_end
        if self._has_room:
            training = sum(self._training.values())
            waiting = self._runs - self._ended - training
            counts = [(training, "training"), (waiting, "waiting"), (self._failed, "failed")]
            counted = ", ".join(f"{count:,} {word}" for count, word in counts if count)
            note = f"{note}; {counted}" if counted else note
        self._bars.update(self._sweep, completed=self._ended, note=note)

    def show_progress(self, job: int, progress: Progress) -> None:
        """Move the job's bar, and show its return and the time left."""
        self._clock.progressed(job, progress)
        note = f"{_title(progress)} {_return(_best(progress.returns))}"
        if self._has_room:
            note = f"{sparkline(progress.returns)} {_describe_progress(progress)}".strip()
        self._bars.update(self._jobs[job], completed=progress.update, note=note)
        self._note_sweep()

    def show_end(
        self, job: int, names: Sequence[str], results: list[RunRecord], steps: int
    ) -> None:
        """Move the sweep's bar; a failed run leaves a line above the bars."""
        self._clock.ended(job, steps)
        self._training.pop(job, None)
        self._ended += len(results)
        self._failed += sum(result.state in FAILURES for result in results)
        self._note_sweep()
        for result in results:
            self._ranking.add(result)
        for name, result in zip(names, results, strict=True):
            if result.state not in (RunState.FINISHED, RunState.PAUSED):
                self._tell(name, result)

    def _tell(self, name: str, result: RunRecord) -> None:
        """Print why a run has no result; an error that another run had as well is printed once."""
        first = self._told.setdefault(result.error, name)
        told = result.status
        if result.error and first != name:
            told = f"{result.state}, with the same error as {first}"
        print_sentence(self._bars.console, f"{name}: {told}", style="red")


class PlainDisplay:
    """Prints a line for each run that ended, and one every half minute of a long training.

    Args:
        console: where lines are printed.
        runs: number of runs to train.
        steps: environment steps of all these runs.
    """

    def __init__(self, console: Console, runs: int, steps: int) -> None:
        self._console = console
        self._clock = _Clock(steps)
        self._runs = runs
        self._ended = 0
        self._names: dict[int, str] = {}
        self._last_line = time.monotonic()

    def __enter__(self) -> PlainDisplay:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass

    def _print(self, line: str) -> None:
        self._console.print(line, soft_wrap=True)
        self._last_line = time.monotonic()

    def show_start(self, job: int, names: Sequence[str], updates: int) -> None:
        """Note the names of the job's runs."""
        self._names[job] = _describe(names)

    def show_progress(self, job: int, progress: Progress) -> None:
        """Print a line when the last one is half a minute old."""
        self._clock.progressed(job, progress)
        if time.monotonic() - self._last_line > _PLAIN_INTERVAL:
            self._print(
                f"{self._names[job]}: update {progress.update} of {progress.updates}, "
                f"{_describe_progress(progress)}; {self._clock.left_and_end}"
            )

    def show_end(
        self, job: int, names: Sequence[str], results: list[RunRecord], steps: int
    ) -> None:
        """Print the runs' results and the time left."""
        self._clock.ended(job, steps)
        for name, result in zip(names, results, strict=True):
            self._ended += 1
            outcome = f"return {_return(result.final_return)}"
            if result.state == RunState.PAUSED:
                outcome += f" after {result.steps:,} steps"
            elif result.state != RunState.FINISHED:
                outcome = result.status
            self._print(
                f"[{self._ended}/{self._runs}] {name}: {outcome}, "
                f"{duration(result.wall_time_seconds)}; {self._clock.left}"
            )


def _describe(names: Sequence[str]) -> str:
    """Return one name, or the first and the last of several with their number."""
    return names[0] if len(names) == 1 else f"{_span(names)} ({len(names)} runs)"


def _span(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"


def sparkline(returns: Sequence[float | None]) -> str:
    """Return a column for each return, the greatest the highest; a dot stands for no return yet.

    A single return needs no column.
    """
    known = [value for value in returns if value is not None and math.isfinite(value)]
    if len(returns) < 2 or not known:
        return ""
    low, height = min(known), max(known) - min(known)
    columns = (
        _COLUMNS[round((value - low) / height * (len(_COLUMNS) - 1)) if height else 0]
        if value is not None and math.isfinite(value)
        else "·"
        for value in returns[:_MOST_COLUMNS]
    )
    return "".join(columns)


def _best(returns: Sequence[float | None]) -> float | None:
    return max((value for value in returns if value is not None), default=None)


def _title(progress: Progress) -> str:
    return "return" if len(progress.returns) == 1 else "best return"


def _describe_progress(progress: Progress) -> str:
    title = _title(progress)
    best = _return(_best(progress.returns))
    return f"{title} {best}, {progress.steps_per_second:,.0f} steps/s"


def _return(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def duration(seconds: float) -> str:
    """Return a duration in its two largest units: `12 s`, `3 min 20 s`, `2 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
