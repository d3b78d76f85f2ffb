"""Records the returns of a run: the latest, the best and the learning curve."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from statistics import fmean, pstdev
from typing import Any

import numpy as np

WINDOW = 100  # training episodes over which a run's return is averaged
CURVE_POINTS = 200  # greatest number of points of a learning curve


class ReturnHistory:
    """The returns by which a run is ranked: those of its last evaluation, or its last 100 episodes.

    Attributes:
        curve: environment steps and `final` at that step, for at most `CURVE_POINTS` updates.
        best_checkpoint: update of the checkpoint with the greatest `final`; None before the first.
    """

    def __init__(self) -> None:
        self.curve: list[tuple[int, float]] = []
        self.best_checkpoint: int | None = None
        self._best_saved = -math.inf
        self._episodes: deque[float] = deque(maxlen=WINDOW)
        self._evaluation: list[float] = []
        self._best: float | None = None

    def add_episodes(self, returns: Iterable[float]) -> None:
        """Add the returns of training episodes, in the order in which they ended."""
        before = list(self._episodes)
        self._episodes.extend(added := list(returns))
        seen = before + added
        # Number of episodes at the end of the first full window that contains a new episode.
        first = max(len(before) + 1, WINDOW)
        if self._evaluation or first > len(seen):
            return
        # Cumulative sums find the best window; fmean gives its mean without their rounding errors.
        sums = np.cumsum([0.0, *seen])
        last = first + int(np.argmax(sums[first:] - sums[first - WINDOW : -WINDOW]))
        self._note_best(fmean(seen[last - WINDOW : last]))

    def add_evaluation(self, returns: Iterable[float]) -> None:
        """Add the returns of an evaluation; from now on evaluations alone count."""
        if not self._evaluation:
            self._best = None
        self._evaluation = list(returns)
        self._note_best(fmean(self._evaluation))

    def add_point(self, update: int, updates: int, steps: int) -> None:
        """Add a point to the learning curve, if the curve has a point after this update.

        Args:
            update: number of updates done.
            updates: number of updates in the whole training.
            steps: environment steps so far.
        """
        if is_drawn(update, updates) and self.final is not None:
            self.curve.append((steps, self.final))

    def note_checkpoint(self, update: int) -> None:
        """Make an update's checkpoint the best one if `final` is greater than at all earlier ones."""
        if self.final is not None and self.final > self._best_saved:
            self._best_saved, self.best_checkpoint = self.final, update

    def _note_best(self, current: float) -> None:
        self._best = current if self._best is None else max(self._best, current)

    @property
    def _latest(self) -> list[float]:
        return self._evaluation or list(self._episodes)

    @property
    def is_evaluated(self) -> bool:
        """Whether `final` averages an evaluation."""
        return bool(self._evaluation)

    @property
    def episodes(self) -> int:
        """Number of episodes that `final` averages."""
        return len(self._latest)

    @property
    def final(self) -> float | None:
        """Mean return of the last evaluation or of the last 100 episodes; None before the first."""
        return fmean(self._latest) if self._latest else None

    @property
    def deviation(self) -> float | None:
        """Standard deviation of the returns that `final` averages; None before the first."""
        return pstdev(self._latest) if self._latest else None

    @property
    def best(self) -> float | None:
        """Greatest `final` so far; of training episodes, only full windows of 100 count."""
        return self.final if self._best is None else self._best

    def state(self) -> dict[str, Any]:
        """Return the whole history, for a checkpoint."""
        return {
            "episodes": list(self._episodes),
            "evaluation": self._evaluation,
            "best": self._best,
            "curve": [list(point) for point in self.curve],
            "best_checkpoint": self.best_checkpoint,
            "best_saved": self._best_saved,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Restore a history that `state` returned."""
        self._episodes.extend(state["episodes"])
        self._evaluation = list(state["evaluation"])
        self._best = state["best"]
        # Checkpoints of older versions lack the keys below.
        self.curve = [(steps, value) for steps, value in state.get("curve", [])]
        self.best_checkpoint = state.get("best_checkpoint")
        self._best_saved = state.get("best_saved", -math.inf)


def is_drawn(update: int, updates: int) -> bool:
    """Return whether a learning curve has a point after an update.

    Args:
        update: number of updates done.
        updates: number of updates in the whole training.
    """
    return update % math.ceil(updates / CURVE_POINTS) == 0 or update == updates
