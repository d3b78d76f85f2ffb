"""Runs that sleep instead of training, in the jobs of any sweep backend.

A job imports this module when it receives such a run, and from then on sleeps instead of training.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sweeps.execution.backends import local
from sweeps.journal.runs import RunRecord, RunState
from sweeps.planning.populations import PlannedRun


@dataclass(frozen=True)
class SleepingRun(PlannedRun):
    """A run that sleeps.

    Attributes:
        seconds: how long.
    """

    seconds: float = 0.0


def sleep(population: Sequence[SleepingRun], *_: Any) -> list[RunRecord]:
    """Sleep as long as the first run says, and return records of finished runs."""
    time.sleep(population[0].seconds)
    return [
        RunRecord(each.run, RunState.FINISHED, each.steps, 1.0, 0.0, 1.0) for each in population
    ]


local.train_population = sleep  # type: ignore[assignment]
