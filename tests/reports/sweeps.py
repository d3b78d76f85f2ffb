"""Sweeps with given returns, for tests of their answers."""

from itertools import product
from pathlib import Path

from reports.outcome import Outcome, PermutationRuns
from schema.config import Config
from sweeps.journal.runs import RunIdentity, RunRecord, RunState

SESSION = {"command": ["tune.py", "--out=o", "--num-repetitions=3"], "host": "here"}


def sweep(choices, returns, repetitions=3, failed=(), run_id="default", out=Path("o"), looks=1):
    """Return a complete grid.

    Args:
        choices: choices as text, by key.
        returns: a function from a permutation's choices and the repetition to the final return.
        failed: (position, repetition) of each failed run.
        looks: number of times that the results were judged.
    """
    labels = tuple(choices)
    permutations = []
    for position, values in enumerate(product(*choices.values())):
        runs = tuple(
            _run(
                run_id,
                position,
                repetition,
                dict(zip(labels, values, strict=True)),
                returns(values, repetition),
                (position, repetition) in failed,
            )
            for repetition in range(repetitions)
        )
        permutations.append(PermutationRuns(str(position), values, runs))
    base = Config().as_dict()
    return Outcome(run_id, out, labels, tuple(permutations), base, ((0.0, 9.0, SESSION),), looks)


def _run(run_id, position, repetition, choices, value, has_failed):
    run = RunIdentity(run_id, str(position), repetition, repetition, choices)
    if has_failed:
        return RunRecord(run, RunState.FAILED, steps=50, error="it broke")
    return RunRecord(
        run,
        RunState.FINISHED,
        steps=200,
        final_return=value,
        return_deviation=1.0,
        best_return=value,
        wall_time_seconds=2.0,
        checkpoint=f"checkpoints/{position}_{repetition}.pt",
        curve=((100, value / 2), (200, value)),
    )
