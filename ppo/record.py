"""What a run has reached so far: its latest and its best returns."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from statistics import fmean, pstdev
from typing import Any

WINDOW = 100  # training episodes over which a run's return is averaged


class ReturnRecord:
    """The returns by which a run is judged: its last evaluation, or else its last 100 episodes."""

    def __init__(self) -> None:
        self._episodes: deque[float] = deque(maxlen=WINDOW)
        self._evaluation: list[float] = []
        self._best: float | None = None

    def add_episodes(self, returns: Iterable[float]) -> None:
        """Notes training episodes in the order in which they ended."""
        for value in returns:
            self._episodes.append(value)
            if not self._evaluation and len(self._episodes) == WINDOW:
                self._note_best()

    def add_evaluation(self, returns: Iterable[float]) -> None:
        """Notes an evaluation, by which the run is judged from now on."""
        if not self._evaluation:
            self._best = None
        self._evaluation = list(returns)
        self._note_best()

    def _note_best(self) -> None:
        current = self.final
        assert current is not None
        self._best = current if self._best is None else max(self._best, current)

    @property
    def _latest(self) -> list[float]:
        return self._evaluation or list(self._episodes)

    @property
    def final(self) -> float | None:
        """Mean return of the last evaluation, or of the last 100 episodes; None before the first."""
        return fmean(self._latest) if self._latest else None

    @property
    def deviation(self) -> float | None:
        """Standard deviation of the returns that `final` averages."""
        return pstdev(self._latest) if self._latest else None

    @property
    def best(self) -> float | None:
        """The greatest that `final` has been, counting training episodes in full hundreds only."""
        return self.final if self._best is None else self._best

    def state(self) -> dict[str, Any]:
        """Everything above, for a checkpoint."""
        return {
            "episodes": list(self._episodes),
            "evaluation": self._evaluation,
            "best": self._best,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Takes over what `state` gave."""
        self._episodes.extend(state["episodes"])
        self._evaluation = list(state["evaluation"])
        self._best = state["best"]
