"""Judges permutations at a rung: scores their runs by the returns that they had there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from reports.outcome import Outcome, PermutationRuns
from reports.ranking import known, with_failures
from reports.statistics.averages import means
from sweeps.journal.runs import FAILURES, RunRecord, RunState
from sweeps.planning.prune import PrunePlan, hopeless


@dataclass(frozen=True)
class Judgement:
    """The decision at a rung.

    Attributes:
        scores: mean return at the rung by name, of each permutation judged now; None without one.
        pruned: names of those that end there.
    """

    scores: dict[str, float | None]
    pruned: list[str]


def judge(
    outcome: Outcome,
    plan: PrunePlan,
    steps_of: Callable[[str], int],
    judged: Mapping[str, float | None],
) -> Judgement:
    """Judge the permutations that have come to a rung, among all that ever came to it.

    Permutations with a finished run stay, because it can't be stopped any more.

    Args:
        outcome: the sweep; none of its runs is in training.
        plan: the rule.
        steps_of: maps a permutation's name to the environment steps of a run at the rung.
        judged: the permutations judged there or at a later rung, with their scores there.
    """
    scores = scores_at(outcome, steps_of, judged)
    everyone = {name: score for name, score in {**judged, **scores}.items() if score is not None}
    losers = hopeless(plan, everyone) & set(scores)
    return Judgement(
        scores,
        [each.name for each in outcome.permutations if each.name in losers and _may_end(each)],
    )


def scores_at(
    outcome: Outcome, steps_of: Callable[[str], int], judged: Mapping[str, float | None]
) -> dict[str, float | None]:
    """Return the scores of the permutations that have come to a rung and weren't judged there, by name.

    A run that failed counts as the worst score there, as in the ranking. A score is None without any
    return.

    Args:
        outcome: the sweep; none of the runs at the rung is in training.
        steps_of: maps a permutation's name to the environment steps of a run at the rung.
        judged: the permutations judged there or at a later rung, with their scores there.
    """
    new = [each for each in outcome.permutations if each.name not in judged]
    new = [each for each in new if _is_there(each, steps_of(each.name))]
    if not new:
        return {}
    earlier = [score for score in judged.values() if score is not None]
    reached = np.full((len(new) + len(earlier), outcome.repetitions), np.nan)
    failed = np.zeros(reached.shape, dtype=bool)
    reached[len(new) :, 0] = earlier
    for place, permutation in enumerate(new):
        for run in permutation.runs:
            value = return_at(run, steps_of(permutation.name))
            reached[place, run.run.repetition] = np.nan if value is None else value
            failed[place, run.run.repetition] = run.state in FAILURES
    mean = means(with_failures(reached, failed))[: len(new)]
    return {each.name: known(score) for each, score in zip(new, mean, strict=True)}


def _is_there(permutation: PermutationRuns, steps: int) -> bool:
    """Return whether all runs have come to a rung or failed, and at least one has come to it."""
    there = [run.state not in FAILURES and run.steps >= steps for run in permutation.runs]
    failed = [run.state in FAILURES for run in permutation.runs]
    return any(there) and all(map(max, there, failed))


def _may_end(permutation: PermutationRuns) -> bool:
    return not any(run.state == RunState.FINISHED for run in permutation.runs)


def return_at(run: RunRecord, steps: int) -> float | None:
    """Return a run's return after a number of steps; None if it failed or had none yet.

    A run that has gone further has it in its learning curve.
    """
    if run.state in FAILURES:
        return None
    if run.steps == steps:
        return run.final_return
    return next((value for at, value in reversed(run.curve) if at <= steps), None)
