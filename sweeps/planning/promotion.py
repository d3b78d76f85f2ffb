"""Plans Asynchronous Successive Halving: promotes permutations before a rung is full.

Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning", promote a permutation as soon
as it is among the best share of those that have come to its rung so far. They decide whenever a job is
free, so that the speed of the jobs matters. Here a fixed number of permutations trains at a time, a
turn, and decisions are made between turns: they depend on the results alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from sweeps.planning.prune import PrunePlan

# Permutations of a turn. It doesn't depend on the number of jobs, so that neither do the results.
AT_ONCE = 8

# The rung up to which each permutation of a turn trains, by name; None trains it to its end.
Turn = dict[str, int | None]


def next_turn(
    plan: PrunePlan, judged: Sequence[Mapping[str, float | None]], free: Sequence[str]
) -> Turn:
    """Return the permutations that train next; none if all others are pruned.

    Those that can be promoted go first, from the last rung down, then new ones. Nothing may be
    promotable although no permutation is new, since a share of few is less than one; then the best at a
    rung is, so that at least one trains to its end.

    Args:
        plan: the share to promote, and the rungs.
        judged: for each rung, the permutations judged there or later, with their scores there; greater
            is better, None without one.
        free: names of the permutations that may train on, in the order in which new ones begin.
    """
    turn: Turn = {}
    for least in (0, 1):
        turn = turn or dict(islice(_candidates(plan, judged, free, least), AT_ONCE))
    return turn


def _candidates(
    plan: PrunePlan,
    judged: Sequence[Mapping[str, float | None]],
    free: Sequence[str],
    least: int,
) -> Iterator[tuple[str, int | None]]:
    """Yield the permutations that may train, most urgent first, and their next rungs."""
    allowed = set(free)
    targets = (*plan.rungs[1:], None)
    promoted: Mapping[str, float | None] = {}
    for scores, target in reversed(list(zip(judged, targets, strict=True))):
        for name in _best(plan, scores, least):
            if name in allowed and name not in promoted:
                yield name, target
        promoted = scores
    yield from ((name, plan.rungs[0]) for name in free if name not in promoted)


def _best(plan: PrunePlan, scores: Mapping[str, float | None], least: int) -> list[str]:
    """Return the best share of the permutations at a rung, best first.

    As with the other rules, those equal to the last one belong to it, and so do those without a score.
    """
    known = {name: score for name, score in scores.items() if score is not None}
    count = max(min(least, len(known)), math.floor(len(known) * plan.keep))
    order = sorted(known, key=known.__getitem__, reverse=True)
    best = [name for name in order if count and known[name] >= known[order[count - 1]]]
    return [*best, *(name for name, score in scores.items() if score is None)]
