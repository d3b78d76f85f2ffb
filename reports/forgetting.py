"""Finds permutations with runs that ended far below what they had reached.

A run may solve its task and lose the solution again, for example where advantages are normalised by
mini-batches of nearly equal returns. The final return alone doesn't tell such a run from one that never
learned.
"""

from __future__ import annotations

from dataclasses import dataclass

from reports.outcome import Outcome, PermutationRuns
from sweeps.journal.runs import RunRecord, RunState

_LOST = 0.5  # share of the range of returns that a run must lose


@dataclass(frozen=True)
class Forgetting:
    """A permutation with runs that lost what they had reached.

    Attributes:
        permutation: the permutation.
        runs: number of its runs that did.
        best: mean of these runs' best returns.
        final: mean of their final returns.
    """

    permutation: PermutationRuns
    runs: int
    best: float
    final: float


def forgetting(outcome: Outcome) -> list[Forgetting]:
    """Return the permutations with runs that ended far below their best, the most such runs first.

    A run did if it lost more than half of the range between the lowest final return and the greatest
    return of the sweep.
    """
    reached = {each.name: _reached(each) for each in outcome.permutations}
    pairs = [pair for found in reached.values() for pair in found]
    if not pairs:
        return []
    span = max(best for best, _ in pairs) - min(final for _, final in pairs)
    found = []
    for permutation in outcome.permutations:
        lost = [pair for pair in reached[permutation.name] if pair[0] - pair[1] > _LOST * span]
        if lost:
            best, final = (sum(column) / len(lost) for column in zip(*lost, strict=True))
            found.append(Forgetting(permutation, len(lost), best, final))
    return sorted(found, key=lambda each: -each.runs)


def _reached(permutation: PermutationRuns) -> list[tuple[float, float]]:
    """Return the best and the final return of each finished run."""
    return [pair for run in permutation.runs if (pair := _best_and_final(run)) is not None]


def _best_and_final(run: RunRecord) -> tuple[float, float] | None:
    if run.state != RunState.FINISHED or run.best_return is None or run.final_return is None:
        return None
    return run.best_return, run.final_return
