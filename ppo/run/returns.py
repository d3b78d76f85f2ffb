"""What a run has reached so far: its latest and its best returns."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from statistics import fmean, pstdev
from typing import Any

import numpy as np

WINDOW = 100  # training episodes over which a run's return is averaged
CURVE_POINTS = 200  # of a learning curve, at most


class ReturnHistory:
    """The returns by which a run is judged: its last evaluation, or else its last 100 episodes.

    Attributes:
        curve: environment steps, and `final` then, of at most `CURVE_POINTS` updates.
        best_checkpoint: the update of the checkpoint at which `final` was greatest; None before the
            first.
    """

    def __init__(self) -> None:
        self.curve: list[tuple[int, float]] = []
        self.best_checkpoint: int | None = None
        self._best_saved = -math.inf
        self._episodes: deque[float] = deque(maxlen=WINDOW)
        self._evaluation: list[float] = []
        self._best: float | None = None

    def add_episodes(self, returns: Iterable[float]) -> None:
        """Notes training episodes in the order in which they ended."""
        before = list(self._episodes)
        self._episodes.extend(added := list(returns))
        seen = before + added
        # How many had ended when the first window, and then each further one, was full.
        first = max(len(before) + 1, WINDOW)
        if self._evaluation or first > len(seen):
            return
        # All windows at once, and the best of them to the last bit.
        sums = np.cumsum([0.0, *seen])
        last = first + int(np.argmax(sums[first:] - sums[first - WINDOW : -WINDOW]))
        self._note_best(fmean(seen[last - WINDOW : last]))

    def add_evaluation(self, returns: Iterable[float]) -> None:
        """Notes an evaluation, by which the run is judged from now on."""
        if not self._evaluation:
            self._best = None
        self._evaluation = list(returns)
        self._note_best(fmean(self._evaluation))

    def add_point(self, update: int, updates: int, steps: int) -> None:
        """Adds a point to the learning curve, unless it has enough of that part of the training.

        Args:
            update: how many updates are done.
            updates: how many there will be.
            steps: environment steps so far.
        """
        if is_drawn(update, updates) and self.final is not None:
            self.curve.append((steps, self.final))

    def note_checkpoint(self, update: int) -> None:
        """Notes that what was reached by this update is about to be saved."""
        if self.final is not None and self.final > self._best_saved:
            self._best_saved, self.best_checkpoint = self.final, update

    def _note_best(self, current: float) -> None:
        self._best = current if self._best is None else max(self._best, current)

    @property
    def _latest(self) -> list[float]:
        return self._evaluation or list(self._episodes)

    @property
    def is_evaluated(self) -> bool:
        """Whether `final` is of an evaluation."""
        return bool(self._evaluation)

    @property
    def episodes(self) -> int:
        """How many episodes `final` averages."""
        return len(self._latest)

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
            "curve": [list(point) for point in self.curve],
            "best_checkpoint": self.best_checkpoint,
            "best_saved": self._best_saved,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Takes over what `state` gave."""
        self._episodes.extend(state["episodes"])
        self._evaluation = list(state["evaluation"])
        self._best = state["best"]
        # Checkpoints of older versions don't have the rest.
        self.curve = [(steps, value) for steps, value in state.get("curve", [])]
        self.best_checkpoint = state.get("best_checkpoint")
        self._best_saved = state.get("best_saved", -math.inf)


def is_drawn(update: int, updates: int) -> bool:
    """Whether a learning curve has a point after this update of so many."""
    return update % math.ceil(updates / CURVE_POINTS) == 0 or update == updates
