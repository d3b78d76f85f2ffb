"""What a sweep tells of its progress, to whatever shows it."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from sweeps.journal.runs import RunRecord

if TYPE_CHECKING:
    # It would load torch, for which not all who show something wait.
    from trainer import Progress


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

    def show_start(self, job: int, names: Sequence[str], updates: int) -> None:
        """A job begins to train runs together."""

    def show_progress(self, job: int, progress: Progress) -> None:
        """A job's runs did an update."""

    def show_end(
        self, job: int, names: Sequence[str], results: list[RunRecord], steps: int
    ) -> None:
        """A job's runs are over; they were to take so many environment steps in all."""
