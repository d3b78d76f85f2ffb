"""Compares a grid, races and pruning on a grid that was trained with many seeds.

Usage:
  search_trained.py [options] <out> <run-id>
  search_trained.py --help

`<out>` and `<run-id>` name a finished sweep. Each draw takes some of its seeds without replacement.
Nothing is trained again: a pruned run has its learning curve up to the rung. Each line has how often the
chosen permutation could be the best according to all seeds, its mean distance to the best one in % of
the grid's range, and the environment steps as a share of those of the grid with all drawn seeds.

Options:
  --samples=<n>  draws [default: 200]
  --seeds=<n>    seeds of a draw [default: 5]
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from docopt import docopt

from benchmarks.race import GROWTH, SPENDING, race
from benchmarks.score_distributions import Array
from reports.outcome import Outcome, read_outcome
from reports.ranking import rank
from reports.statistics.averages import best_first, means, seedless_means
from reports.statistics.bounds import piled_bounds
from reports.statistics.contenders import compare

RUNGS = (0.25, 0.5)  # of a run's steps

# From scores (permutations, seeds) and returns at the rungs (permutations, seeds, rungs) to the place of
# the chosen permutation and the steps, in runs.
Method = Callable[[Array, Array], tuple[int, float]]


def returns_at_rungs(outcome: Outcome) -> Array:
    """Return the returns of runs at the rungs, (permutations, repetitions, rungs)."""
    found = np.full((len(outcome.permutations), outcome.repetitions, len(RUNGS)), np.nan)
    for place, permutation in enumerate(outcome.permutations):
        for record in permutation.runs:
            for rung, share in enumerate(RUNGS):
                reached = [value for steps, value in record.curve if steps <= share * record.steps]
                if reached:
                    found[place, record.run.repetition, rung] = reached[-1]
    return found


def grid(seeds: int, scores: Array, _: Array) -> tuple[int, float]:
    """Return the leader of a grid."""
    return _leader(scores[:, :seeds]), seeds * len(scores)


def raced(first: int, scores: Array, _: Array) -> tuple[int, float]:
    """Return the leader of a race."""
    seen, found = race(scores, SPENDING["bonferroni"], GROWTH["half"], first)
    return found.leader, float((~np.isnan(seen)).sum())


def pruned(seeds: int, rule: str, scores: Array, early: Array) -> tuple[int, float]:
    """Return the leader of a grid that is pruned at the rungs."""
    left, steps = _survivors(seeds, rule, early)
    return int(left[_leader(scores[left, :seeds])]), steps + seeds * (1 - RUNGS[-1]) * len(left)


def pruned_race(first: int, rule: str, scores: Array, early: Array) -> tuple[int, float]:
    """Return the leader of a race between what pruning leaves of its first round."""
    left, steps = _survivors(first, rule, early)
    seen, found = race(scores[left], SPENDING["bonferroni"], GROWTH["half"], first)
    later = float((~np.isnan(seen[:, first:])).sum())
    return int(left[found.leader]), steps + first * (1 - RUNGS[-1]) * len(left) + later


def _survivors(seeds: int, rule: str, early: Array) -> tuple[np.ndarray, float]:
    """Return the places that pruning leaves, and the steps up to the last rung, in runs."""
    left, steps, before = np.arange(len(early)), 0.0, 0.0
    for rung, share in enumerate(RUNGS):
        steps += seeds * (share - before) * len(left)
        before = share
        reached = means(early[left, :seeds, rung])
        if rule == "median":
            left = left[reached >= np.median(reached)]
        else:
            left = np.sort(left[best_first(reached)[: -(-len(left) // 2)]])
    return left, steps


def _leader(scores: Array) -> int:
    return int(best_first(seedless_means(scores))[0])


METHODS: dict[str, Method] = {
    "grid": lambda scores, early: grid(scores.shape[1], scores, early),
    "grid, 2 seeds": partial(grid, 2),
    "race from 2 seeds": partial(raced, 2),
    "race from 3 seeds": partial(raced, 3),
    "halving": lambda scores, early: pruned(scores.shape[1], "halving", scores, early),
    "halving, 2 seeds": partial(pruned, 2, "halving"),
    "halving, then a race from 2 seeds": partial(pruned_race, 2, "halving"),
    "halving, then a race from 3 seeds": partial(pruned_race, 3, "halving"),
}


def main() -> None:
    """Draw seeds and print."""
    arguments = docopt(__doc__ or "")
    outcome = read_outcome(Path(arguments["<out>"]), arguments["<run-id>"])
    scores, early = rank(outcome).judged, returns_at_rungs(outcome)
    truth = means(scores)
    could = compare(scores, bounds=piled_bounds(scores)).could_be_best
    print(
        f"{could.sum()} of {len(scores)} permutations could be the best by {scores.shape[1]} seeds"
    )
    print("| method | could be the best | distance, % | steps |\n| --- | ---: | ---: | ---: |")
    for name, method in METHODS.items():
        rng, numbers = np.random.default_rng(0), []
        for _ in range(int(arguments["--samples"])):
            seeds = rng.permutation(scores.shape[1])[: int(arguments["--seeds"])]
            chosen, runs = method(scores[:, seeds], early[:, seeds])
            distance = (truth.max() - truth[chosen]) / (truth.max() - truth.min())
            numbers.append((could[chosen], distance, runs / (len(scores) * len(seeds))))
        kept, distance, steps = np.mean(numbers, axis=0)
        print(f"| {name} | {kept:.0%} | {100 * distance:.1f} | {steps:.0%} |")


if __name__ == "__main__":
    main()
