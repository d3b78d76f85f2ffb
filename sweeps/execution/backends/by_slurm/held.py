"""Runs that an earlier driver has submitted, and how they fit to those that this one plans."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sweeps.execution.backends.by_slurm.array import Element, describe_run
from sweeps.execution.backends.local import Population
from sweeps.execution.backends.messages import read_history
from sweeps.execution.worker import regroup
from sweeps.planning.populations import PlannedRun

RunKey = tuple[str, str]  # a run's id and name


def key_of(planned: PlannedRun) -> RunKey:
    """Return what identifies a run among all run ids of a folder."""
    return planned.run.run_id, planned.name


class Held:
    """An element that an earlier driver has submitted.

    Args:
        element: the element.

    Attributes:
        keys: its runs that the journal doesn't know as ended.
    """

    def __init__(self, element: Element) -> None:
        self.element = element
        until = element.read_until
        _, known = read_history(line for line, end in element.lines(0) if end <= until)
        self._runs = [
            None if index in known else description
            for index, description in enumerate(element.runs())
        ]
        self.keys = {(run[0], run[1]) for run in self._runs if run is not None}

    def members(self, planned: Mapping[RunKey, PlannedRun]) -> list[PlannedRun | None]:
        """Return its runs as this driver plans them; None for those that it doesn't follow."""
        return [None if run is None else planned.get((run[0], run[1])) for run in self._runs]

    def is_stale(self, planned: Mapping[RunKey, PlannedRun]) -> bool:
        """Return whether this driver trains a run to another update than the element does."""
        pairs = zip(self._runs, self.members(planned), strict=True)
        return any(each is not None and describe_run(each) != run for run, each in pairs)

    def regroup(self, planned: Mapping[RunKey, PlannedRun], out: Path) -> list[Population]:
        """Return the runs that this driver plans, in populations that can start now."""
        left = [each for each in self.members(planned) if each is not None]
        has_started, _ = read_history(line for line, _ in self.element.lines(0))
        return [*regroup(left, out, has_started)]
