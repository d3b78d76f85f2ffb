"""Shows how far a training or a sweep is: live bars in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn
from rich.progress import Progress as Bars

from results import FINISHED, Result
from trainer import Progress

_PLAIN_INTERVAL = 30.0  # seconds between plain lines of one run


def make_console() -> Console:
    """The console for standard output; where that is no terminal, lines are as long as they are."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=240)


class SweepDisplay(Protocol):
    """Is told what happens in a sweep and shows it."""

    def __enter__(self) -> SweepDisplay:
        """Begins to show."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Ends, and leaves the terminal as it was."""

    def run_started(self, name: str, updates: int) -> None:
        """A run begins."""

    def run_progressed(self, progress: Progress) -> None:
        """The run did an update."""

    def run_ended(self, name: str, result: Result, steps_left: int) -> None:
        """The run is over; so many environment steps of the whole sweep are left."""


def make_display(console: Console, runs: int, steps: int) -> SweepDisplay:
    """The display that suits the console, for a sweep of so many runs and environment steps."""
    kind = LiveDisplay if console.is_terminal else PlainDisplay
    return kind(console, runs, steps)


class _Clock:
    """Estimates the time left from the environment steps done and to be done."""

    def __init__(self, steps: int) -> None:
        self._start = time.monotonic()
        self._total = steps

    def left(self, steps_left: int) -> str:
        done = self._total - steps_left
        if done <= 0:
            return "–"
        return duration((time.monotonic() - self._start) * steps_left / done)


class LiveDisplay:
    """Two bars: the sweep's and the present run's.

    Args:
        console: a terminal.
        runs: how many runs there will be.
        steps: environment steps of all of them.
    """

    def __init__(self, console: Console, runs: int, steps: int) -> None:
        self._clock = _Clock(steps)
        self._steps_left = steps
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
        )
        self._sweep: TaskID = self._bars.add_task("sweep", total=runs, note="", visible=runs > 0)
        self._run: TaskID = self._bars.add_task("", total=None, note="", visible=False)

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

    def run_started(self, name: str, updates: int) -> None:
        """Resets the run's bar."""
        self._bars.reset(self._run, total=updates, description=name, visible=True, note="")

    def run_progressed(self, progress: Progress) -> None:
        """Moves the run's bar and shows its return and both estimates."""
        note = f"return {_return(progress.returns[0])}  {progress.steps_per_second:,.0f} steps/s"
        self._bars.update(self._run, completed=progress.update, note=note)
        left = self._clock.left(self._steps_left - progress.steps)
        self._bars.update(self._sweep, note=f"{left} left")

    def run_ended(self, name: str, result: Result, steps_left: int) -> None:
        """Moves the sweep's bar; a failed run leaves a line above the bars."""
        self._steps_left = steps_left
        self._bars.update(self._sweep, advance=1, note=f"{self._clock.left(steps_left)} left")
        if result.status != FINISHED:
            self._bars.console.print(f"[red]{name}: {result.status}", soft_wrap=True)


class PlainDisplay:
    """A line for each run that ended, and one every half minute of a long run.

    Args:
        console: where lines are printed.
        runs: how many runs there will be.
        steps: environment steps of all of them.
    """

    def __init__(self, console: Console, runs: int, steps: int) -> None:
        self._console = console
        self._clock = _Clock(steps)
        self._runs = runs
        self._ended = 0
        self._name = ""
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
        self._console.print(line, markup=False, soft_wrap=True)
        self._last_line = time.monotonic()

    def run_started(self, name: str, updates: int) -> None:
        """Notes the run's name."""
        self._name = name

    def run_progressed(self, progress: Progress) -> None:
        """Prints a line when the last one is half a minute old."""
        if time.monotonic() - self._last_line > _PLAIN_INTERVAL:
            self._print(
                f"{self._name}: update {progress.update} of {progress.updates}, "
                f"return {_return(progress.returns[0])}, {progress.steps_per_second:,.0f} steps/s"
            )

    def run_ended(self, name: str, result: Result, steps_left: int) -> None:
        """Prints the run's result and the estimate of the time left."""
        self._ended += 1
        outcome = f"return {_return(result.final_return)}"
        if result.status != FINISHED:
            outcome = result.status
        left = self._clock.left(steps_left) if steps_left else "0 s"
        self._print(
            f"[{self._ended}/{self._runs}] {name}: {outcome}, "
            f"{duration(result.wall_time_seconds)}; {left} left"
        )


def _return(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def duration(seconds: float) -> str:
    """A duration as a person would say it: `12 s`, `3 min 20 s`, `2 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
