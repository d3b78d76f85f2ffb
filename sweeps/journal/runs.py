"""Values that describe a run: its identity, its state and its record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class RunState(str, Enum):
    """The state of a run, as the journal and `results.csv` spell it.

    A shorter run has finished fewer updates than the sweep has now. It isn't compared with the others
    until it resumes. The journal holds it as finished. A paused run has come to the rung at which it is
    judged. The journal holds it as waiting. A pruned run ended there, with its permutation.
    """

    WAITING = "waiting"
    RUNNING = "running"
    FINISHED = "finished"
    SHORTER = "shorter"
    PRUNED = "pruned"
    FAILED = "failed"
    DIVERGED = "diverged"
    INTERRUPTED = "interrupted"
    PAUSED = "paused"

    __str__ = str.__str__


PENDING = (RunState.RUNNING, RunState.WAITING, RunState.SHORTER)
FAILURES = (RunState.FAILED, RunState.DIVERGED)
ENDED = (RunState.FINISHED, RunState.SHORTER, RunState.PRUNED, *FAILURES)


@dataclass(frozen=True, slots=True)
class RunIdentity:
    """One training of one permutation in one repetition.

    Attributes:
        run_id: tag of the training session.
        permutation: name of the permutation, which is a number.
        repetition: counted from 0.
        seed: the run's seed.
        choices: the tuned values as text, by label.
    """

    run_id: str
    permutation: str
    repetition: int
    seed: int
    choices: dict[str, str] = field(repr=False, hash=False)

    @property
    def name(self) -> str:
        """The permutation's name and the repetition, such as `07_0`."""
        return f"{self.permutation}_{self.repetition}"


@dataclass(frozen=True, slots=True)
class RunRecord:
    """The state of a run, and its results so far; workers return it, the journal keeps it.

    Attributes:
        run: which run it is.
        state: its state.
        steps: environment steps so far.
        final_return: mean return of the last evaluation or of the last 100 training episodes.
        return_deviation: standard deviation of those returns.
        best_return: the greatest `final_return` during the training.
        wall_time_seconds: training time; the members of a population share theirs equally.
        error: why the run isn't finished.
        checkpoint: path of the last checkpoint, relative to the output folder; empty without one.
        curve: environment steps and `final_return` after some of the updates.
        diagnostics: the latest values of what describes a run beside its return, by TensorBoard tag.
    """

    run: RunIdentity
    state: RunState
    steps: int = 0
    final_return: float | None = None
    return_deviation: float | None = None
    best_return: float | None = None
    wall_time_seconds: float = 0.0
    error: str = ""
    checkpoint: str = ""
    curve: tuple[tuple[int, float], ...] = field(default=(), repr=False)
    diagnostics: Mapping[str, float] = field(default_factory=dict, repr=False, hash=False)

    @property
    def name(self) -> str:
        """The run's name."""
        return self.run.name

    @property
    def status(self) -> str:
        """The state, followed by the error if there is one."""
        return f"{self.state}: {self.error}" if self.error else str(self.state)
