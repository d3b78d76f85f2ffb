"""Judges a race: finds the permutations that need more repetitions."""

from __future__ import annotations

import numpy as np

from reports.answer import bounds_of, confidence_of
from reports.outcome import Outcome
from reports.ranking import rank
from reports.statistics.contenders import Comparison, compare


def contenders_of(outcome: Outcome, indifference: float | None = None) -> list[str] | str:
    """Return the names of the permutations that could be the best, or the reason why the race is over.

    Depends on the sweep's own runs alone, not on those that confirm it.

    Args:
        outcome: the sweep, all its runs ended.
        indifference: the difference of scores that makes no difference; None without one.
    """
    ranking = rank(outcome)
    if np.isnan(ranking.judged).all():
        return "no run has a score"
    comparison = compare(ranking.judged, confidence_of(outcome), bounds_of(outcome, ranking))
    places = np.flatnonzero(comparison.could_be_best)
    left = [outcome.permutations[place] for place in places]
    if len({permutation.choices for permutation in left}) == 1:
        return "one permutation is left"
    if indifference is not None and _most_behind(comparison) <= indifference:
        return f"all that could be the best are within {indifference:g} of the best"
    return [permutation.name for permutation in left]


def _most_behind(comparison: Comparison) -> float:
    """Return the most by which any contender may be worse than the best; infinite if unknown."""
    behind = comparison.behind_best[comparison.could_be_best]
    return float(np.nan_to_num(behind, nan=np.inf).max())
