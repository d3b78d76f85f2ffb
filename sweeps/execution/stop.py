"""Whether a sweep is to end before all of its runs are finished."""

from __future__ import annotations

import time


class Stop:
    """Is asked by whoever trains, and told by whoever wants the sweep to end.

    Attributes:
        reason: why it is to end, for the user; None while it isn't.
        deadline: the time (of `time.monotonic`) after which what is still trained is killed; None
            leaves it the time that an update takes.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self.deadline: float | None = None

    @property
    def is_requested(self) -> bool:
        """Whether the sweep is to end."""
        return self.reason is not None

    def request(self, reason: str, seconds: float | None = None) -> None:
        """Ends the sweep as soon as what is trained at present has saved its state.

        Args:
            reason: why. What was said first counts.
            seconds: how long that may take.
        """
        self.reason = self.reason or reason
        if seconds is not None:
            self.deadline = time.monotonic() + seconds

    @property
    def is_overdue(self) -> bool:
        """Whether the time to save anything is over."""
        return self.deadline is not None and time.monotonic() > self.deadline
