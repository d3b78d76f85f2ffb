"""A stop flag: callers set it, backends poll it."""

from __future__ import annotations

import time


class Stop:
    """Stops a sweep or a training early.

    Attributes:
        reason: the reason to show the user; None while no stop is requested.
        deadline: time (of `time.monotonic`) after which running jobs are killed; None lets each finish
            its present update.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self.deadline: float | None = None

    @property
    def is_requested(self) -> bool:
        """Whether a stop is requested."""
        return self.reason is not None

    def request(self, reason: str, seconds: float | None = None) -> None:
        """Request a stop as soon as running populations have saved their checkpoints.

        Args:
            reason: the reason; later requests don't change it.
            seconds: time limit for saving; None sets none.
        """
        self.reason = self.reason or reason
        if seconds is not None:
            self.deadline = time.monotonic() + seconds

    @property
    def is_overdue(self) -> bool:
        """Whether the deadline has passed."""
        return self.deadline is not None and time.monotonic() > self.deadline
