"""The interface of displays, which show the progress of a sweep."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from sweeps.journal.runs import RunRecord

if TYPE_CHECKING:
    # It loads torch, which not every command with a display needs.
    from trainer import Progress


class SweepDisplay(Protocol):
    """Shows the events of a sweep."""

    def __enter__(self) -> SweepDisplay:
        """Open the display."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the display, and restore the terminal."""

    def show_start(self, job: int, names: Sequence[str], updates: int) -> None:
        """Show that a job starts a population, by its runs' names and number of updates."""

    def show_progress(self, job: int, progress: Progress) -> None:
        """Show that a job's population finished an update."""

    def show_end(
        self, job: int, names: Sequence[str], results: list[RunRecord], steps: int
    ) -> None:
        """Show that a job's population ended; `steps` were planned for all its runs."""
