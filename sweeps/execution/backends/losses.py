"""Decides what becomes of runs when a cluster loses their job."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable

from sweeps.execution.backends.local import Population
from sweeps.execution.backends.messages import Inbox
from sweeps.execution.worker import record_failure, regroup
from sweeps.journal.runs import RunRecord, RunState

MOST_LOSSES = 3  # jobs that may be lost with the same runs, or before any has started


class Losses:
    """Counts lost jobs, so that a run that kills its jobs isn't queued forever.

    Args:
        cluster: what runs the jobs, in words.
    """

    def __init__(self, cluster: str) -> None:
        self._cluster = cluster
        self._counts: Counter[Hashable] = Counter()

    def requeue(self, inbox: Inbox, key: Hashable, cause: str) -> list[Population]:
        """Return the runs of a lost job that train again, from their last checkpoints.

        If jobs of the same key were lost too often, each run trains alone; a run that was alone has
        failed, which the observer is told.

        Args:
            inbox: the lost job's messages.
            key: says which losses count together.
            cause: why the job was lost, in words.
        """
        out = inbox.options.out
        again = regroup(inbox.left, out, inbox.has_started)
        self._counts[key] += 1
        if self._counts[key] < MOST_LOSSES:
            return [*again]
        alone = [planned for population in again for planned in population]
        if len(alone) > 1:
            return [[planned] for planned in alone]
        [planned] = alone
        error = f"{self._cluster} lost its job {MOST_LOSSES} times: {cause}"
        result = record_failure(planned, out, RunState.FAILED, error, planned.update)
        inbox.observer.ended(inbox.job, [planned], [result])
        return []


def abandon(inbox: Inbox) -> None:
    """Record the runs of a job that has stopped as interrupted: they resume from their checkpoints."""
    records = [RunRecord(planned.run, RunState.INTERRUPTED) for planned in inbox.left]
    if records:
        inbox.observer.ended(inbox.job, inbox.left, records)
