"""Plans a race: rounds of repetitions for the permutations that could still be the best.

A round begins when all runs of the rounds before have ended. So it depends on their results alone, and a
race that was interrupted continues as if it hadn't been.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class RacePlan:
    """The limits of a race.

    Attributes:
        most: maximum number of repetitions of a permutation.
        steps: maximum number of environment steps of all runs; None sets no limit.
    """

    most: int
    steps: int | None = None


@dataclass(frozen=True)
class Round:
    """The next round of a race.

    Attributes:
        permutations: names of the permutations that it trains.
        repetitions: number of repetitions that each of them has afterwards.
    """

    permutations: tuple[str, ...]
    repetitions: int


def next_round(
    plan: RacePlan,
    contenders: Sequence[str],
    repetitions: Mapping[str, int],
    steps_of: Callable[[str], int],
    pruned: Mapping[str, int] | None = None,
) -> Round | str:
    """Return the next round of a race, or the reason why there is none.

    A round brings all contenders to the same number of repetitions, also one that had been excluded and
    is back. This number grows by half: few rounds waste less confidence on looking again, and many runs
    at a time keep the jobs busy.

    Args:
        plan: the limits.
        contenders: names of the permutations that could be the best.
        repetitions: number of runs that each permutation of the grid has, by name.
        steps_of: maps a permutation's name to the environment steps of one run; called only if the plan
            limits steps.
        pruned: the environment steps of all runs of each pruned permutation, by name.
    """
    most = max(repetitions.values())
    if most >= plan.most:
        return f"--max-repetitions={plan.most} is reached"
    following = Round(tuple(contenders), min(most + -(-most // 2), plan.most))
    if plan.steps is not None:
        ended = pruned or {}
        spent = sum(ended.values()) + sum(
            count * steps_of(name) for name, count in repetitions.items() if name not in ended
        )
        added = sum(
            (following.repetitions - repetitions[name]) * steps_of(name) for name in contenders
        )
        if spent + added > plan.steps:
            return (
                f"the next round has {added:,} environment steps, and {spent:,} of "
                f"--steps={plan.steps} are spent"
            )
    return following
