"""Shows the progress of a training or a sweep: live bars in a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn
from rich.progress import Progress as Bars
from rich.text import Text

from reports.ranking import LiveRanking
from sweeps.execution.events import SweepDisplay
from sweeps.journal.runs import RunRecord, RunState

if TYPE_CHECKING:
    # Not at run time: it loads torch, which `--status` doesn't need.
    from trainer import Progress

_PLAIN_INTERVAL = 30.0  # seconds between plain lines of one run
_COLUMNS = "▁▂▃▄▅▆▇█"
_MOST_COLUMNS = 24
_LEADERS = 4
_ROOMY = 100  # characters; a line this wide has room for everything


def make_console() -> Console:
    """Return the console for standard output.

    Outside a terminal, only the variable COLUMNS limits the length of lines. Brackets are printed as
    they are, since paths and choices may contain them.
    """
    # A size of 0 would print nothing.
    unset = {name for name in ("COLUMNS", "LINES") if not _is_size(os.environ.get(name, ""))}
    environment = {name: value for name, value in os.environ.items() if name not in unset}
    console = Console(highlight=False, markup=False, _environ=environment)
    if not console.is_terminal and "COLUMNS" in unset:
        console.width = 240
    return console


def _is_size(text: str) -> bool:
    return text.isdecimal() and int(text) > 0


def make_display(
    console: Console,
    runs: int,
    steps: int,
    quiet: bool = False,
    ended: Iterable[RunRecord] = (),
) -> SweepDisplay:
    """Return the display that suits the console.

    Args:
        console: where the progress is shown.
        runs: number of runs to train.
        steps: environment steps of all these runs.
        quiet: whether to show nothing.
        ended: runs of earlier sessions, which may lead.
    """
    if quiet:
        return PlainDisplay(Console(quiet=True), runs, steps)
    if console.is_terminal:
        return LiveDisplay(console, runs, steps, ended)
    return PlainDisplay(console, runs, steps)


class _Clock:
    """Estimates the time left from the environment steps done and left."""

    def __init__(self, steps: int) -> None:
        self._start = time.monotonic()
        self._total = steps
        self._ended = 0
        self._under_way: dict[int, int] = {}

    def progressed(self, job: int, progress: Progress) -> None:
        self._under_way[job] = progress.steps * len(progress.returns)

    def ended(self, job: int, steps: int) -> None:
        self._under_way[job] = 0
        self._ended += steps

    @property
    def left(self) -> str:
        done = self._ended + sum(self._under_way.values())
        if done <= 0:
            return "–"
        passed = time.monotonic() - self._start
        return duration(passed * max(0, self._total - done) / done)


class _Screen(Bars):
    """Bars, and a line with the leaders below them."""

    ranking: LiveRanking | None = None

    def get_renderables(self) -> Iterable[RenderableType]:
        """Yield the bars and the leaders."""
        yield self.make_tasks_table(self.tasks)
        leaders = [] if self.ranking is None else self.ranking.leaders
        if leaders:
            listed = ", ".join(f"{name} {_return(mean)}" for name, mean in leaders)
            line = f"leaders so far (permutation, return): {listed}"
            yield Text(line, no_wrap=True, overflow="ellipsis")


class LiveDisplay:
    """Bars in a terminal: one for the sweep, and one for each job's current population.

    Behind a job's bar, a column shows each member's return. Below the bars are the leaders.

    Args:
        console: a terminal.
        runs: number of runs to train.
        steps: environment steps of all these runs.
        ended: runs of earlier sessions, which may lead.
    """

    def __init__(
        self, console: Console, runs: int, steps: int, ended: Iterable[RunRecord] = ()
    ) -> None:
        self._clock = _Clock(steps)
        self._ranking = LiveRanking(_LEADERS, ended)
        self._has_room = console.width >= _ROOMY
        self._bars = _Screen(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24 if self._has_room else 8),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
        )
        self._bars.ranking = self._ranking
        self._sweep: TaskID = self._bars.add_task("sweep", total=runs, note="", visible=runs > 0)
        self._jobs: dict[int, TaskID] = {}

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
        if job not in self._jobs:
            self._jobs[job] = self._bars.add_task("", total=None, note="")
        described = _describe(names)
        self._bars.reset(self._jobs[job], total=updates, description=described, note="")

    def show_progress(self, job: int, progress: Progress) -> None:
        """Move the job's bar, and show its return and the time left."""
        self._clock.progressed(job, progress)
        note = f"return {_return(_best(progress.returns))}"
        if self._has_room:
            note = f"{sparkline(progress.returns)} {_describe_progress(progress)}".strip()
        self._bars.update(self._jobs[job], completed=progress.update, note=note)
        self._bars.update(self._sweep, note=f"{self._clock.left} left")

    def show_end(
        self, job: int, names: Sequence[str], results: list[RunRecord], steps: int
    ) -> None:
        """Move the sweep's bar; a failed run leaves a line above the bars."""
        self._clock.ended(job, steps)
        self._bars.update(self._sweep, advance=len(results), note=f"{self._clock.left} left")
        for result in results:
            self._ranking.add(result)
        for name, result in zip(names, results, strict=True):
            if result.state not in (RunState.FINISHED, RunState.PAUSED):
                self._bars.console.print(f"{name}: {result.status}", style="red", soft_wrap=True)


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
                f"{_describe_progress(progress)}; {self._clock.left} left"
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
                f"{duration(result.wall_time_seconds)}; {self._clock.left} left"
            )


def _describe(names: Sequence[str]) -> str:
    """Return one name, or the first and the last of several."""
    if len(names) == 1:
        return names[0]
    return f"{names[0]} to {names[-1]} ({len(names)} runs)"


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


def _describe_progress(progress: Progress) -> str:
    title = "return" if len(progress.returns) == 1 else "best return"
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
