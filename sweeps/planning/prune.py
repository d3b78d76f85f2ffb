"""Stops hopeless permutations early: rungs, and the rules that judge permutations at each of them.

A rung is a number of updates. All runs train up to it before anything is judged, so a decision depends
neither on the number of jobs nor on which run ends first. `median` compares like Optuna's
`MedianPruner`, and `halving` like its `SuccessiveHalvingPruner` (Jamieson and Talwalkar 2016,
"Non-stochastic best arm identification and hyperparameter optimization"), at equal updates.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from statistics import median

ASHA = "asha"
RULES = ("median", "halving", ASHA)


@dataclass(frozen=True)
class PrunePlan:
    """The rule that prunes permutations, and when it does.

    Attributes:
        rule: "median" prunes those below the median, "halving" all but the best.
        rungs: numbers of updates after which permutations are judged, ascending.
        keep: share of the permutations at a rung that `halving` keeps.
    """

    rule: str
    rungs: tuple[int, ...]
    keep: Fraction = Fraction(1, 2)

    def least_kept(self, permutations: int) -> int:
        """Return how many of the permutations at a rung go on at least; more do if scores are equal."""
        if self.rule == "median":
            return math.ceil(permutations / 2)
        return min(permutations, max(1, math.floor(permutations * self.keep)))


def hopeless(plan: PrunePlan, scores: Mapping[str, float]) -> set[str]:
    """Return the names of the permutations that go no further; those equal to the last kept one stay.

    Args:
        plan: the rule.
        scores: score at the rung by a permutation's name; greater is better.
    """
    if not scores:
        return set()
    if plan.rule == "median":
        least = median(scores.values())
    else:
        least = sorted(scores.values(), reverse=True)[plan.least_kept(len(scores)) - 1]
    return {name for name, score in scores.items() if score < least}


def steps_at_least(
    plan: PrunePlan, batches: Iterable[Sequence[int]], updates: int, earlier: int = 0
) -> int:
    """Return the environment steps that permutations take if as many as possible are pruned.

    Args:
        plan: the rule.
        batches: for each batch that is judged together, the steps of all runs of each permutation, when
            trained to the end.
        updates: updates of a run.
        earlier: number of permutations that were judged before.
    """
    total = 0
    for steps in batches:
        left, done = sorted(steps), 0
        for rung in (*plan.rungs, updates):
            total += sum(each * rung // updates - each * done // updates for each in left)
            # All earlier permutations may be better, and the end of the longest ones saves the most.
            kept = plan.least_kept(earlier + len(left)) - earlier
            left, done = left[: max(0, kept)], rung
        earlier += len(steps)
    return total
