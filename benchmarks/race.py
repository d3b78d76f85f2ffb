"""Simulates races (`tune.py --race`) on grids with known true means.

Usage:
  race.py [options]
  race.py --help

Each cell is a race of 3 to 10 repetitions: the runs used, as a share of those of the full grid with 10
repetitions; how often the best permutation remains; how often one permutation is left. The first row of
each kind is the full grid with 10 repetitions, judged once.

Options:
  --samples=<n>         races for each cell [default: 200]
  --permutations=<n>    permutations of a grid, separated by commas [default: 8,24]
  --kinds=<names>       kinds of grids, separated by commas
                        [default: equal,normal,far apart,capped,solves or fails]
  --spending=<names>    how the looks share the error: halving, bonferroni, mixture; separated by commas
                        [default: halving,bonferroni,mixture]
  --growth=<names>      how many repetitions a round adds: one, two, quarter, half; separated by commas
                        [default: one,half]
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from docopt import docopt
from scipy import stats

from benchmarks.score_distributions import (
    Array,
    Draw,
    Grid,
    capped,
    equal,
    normal,
    solving_or_failing,
)
from reports.statistics.bounds import piled_bounds
from reports.statistics.contenders import Comparison, compare, confidence_of_look

FIRST, MOST = 3, 10  # repetitions
ERROR = 0.05
PRIOR = 10  # repetitions at which the mixture's boundary is about the tightest

# From the number of the look, of permutations and of repetitions to the confidence of the look.
Spending = Callable[[int, int, int], float]
# From the repetitions so far to those after the next round.
Growth = Callable[[int], int]


def far_apart(rng: np.random.Generator, permutations: int, repetitions: int) -> Grid:
    """Return normal scores; the true means differ four times as much as runs do."""
    scores, truth = normal(rng, permutations, repetitions)
    return scores + 3 * truth[:, None], 4 * truth


KINDS: dict[str, Draw] = {
    "equal": equal,
    "normal": normal,
    "far apart": far_apart,
    "capped": capped,
    "solves or fails": solving_or_failing,
}


def halving(look: int, permutations: int, repetitions: int) -> float:
    """Spend 5 % on the first look and at most 10 % on all."""
    return confidence_of_look(look)


def bonferroni(look: int, permutations: int, repetitions: int) -> float:
    """Spend 2.5 % on the first look and at most 5 % on all."""
    return 1 - ERROR / (look * (look + 1))


def mixture(look: int, permutations: int, repetitions: int) -> float:
    """Return the confidence of a boundary that holds at all times together.

    The normal mixture of Robbins (1970), "Statistical methods related to the law of the iterated
    logarithm", for each of the comparisons.
    """
    error = ERROR / (permutations - 1)
    ratio = (repetitions + PRIOR) / PRIOR
    limit = np.sqrt((1 + PRIOR / repetitions) * np.log(ratio / (4 * error**2)))
    return 1 - (permutations - 1) * float(stats.norm.sf(limit))


SPENDING: dict[str, Spending] = {
    "halving": halving,
    "bonferroni": bonferroni,
    "mixture": mixture,
}
GROWTH: dict[str, Growth] = {
    "one": lambda repetitions: repetitions + 1,
    "two": lambda repetitions: repetitions + 2,
    "quarter": lambda repetitions: repetitions + -(-repetitions // 4),
    "half": lambda repetitions: repetitions + -(-repetitions // 2),
}


def race(
    scores: Array, spending: Spending, growth: Growth, first: int = FIRST
) -> tuple[Array, Comparison]:
    """Return the scores that a race trains, (permutations, repetitions), and their last comparison.

    Args:
        scores: (permutations, repetitions), all that the race might train.
        spending: confidence of each look.
        growth: size of the rounds.
        first: repetitions of the first round.
    """
    most = scores.shape[1]
    seen = np.full_like(scores, np.nan)
    seen[:, :first] = scores[:, :first]
    repetitions, look = first, 1
    while True:
        confidence = spending(look, len(scores), repetitions)
        known = seen[:, :repetitions]
        found = compare(known, confidence, piled_bounds(known))
        could = found.could_be_best
        if could.sum() == 1 or repetitions == most:
            return seen, found
        repetitions, look = min(growth(repetitions), most), look + 1
        seen[could, :repetitions] = scores[could, :repetitions]


def full(scores: Array) -> tuple[Array, Comparison]:
    """Return the same for the full grid."""
    return scores, compare(scores, 1 - ERROR, piled_bounds(scores))


def cell(
    draw: Draw, permutations: int, samples: int, run: Callable[[Array], tuple[Array, Comparison]]
) -> str:
    """Return the runs used, how often the best remains and how often one is left."""
    numbers = []
    for sample in range(samples):
        scores, truth = draw(np.random.default_rng(sample), permutations, MOST)
        seen, found = run(scores)
        could, best = found.could_be_best, truth >= truth.max() - 1e-9
        used = 1 - np.isnan(seen).mean()
        numbers.append((used, could[best].mean(), could.sum() == 1))
    runs, kept, alone = np.mean(numbers, axis=0)
    return f"{runs:.2f}; {kept:.1%}; {alone:.0%}"


def main() -> None:
    """Simulate and print."""
    arguments = docopt(__doc__ or "")
    samples = int(arguments["--samples"])
    sizes = [int(size) for size in arguments["--permutations"].split(",")]
    print(f"| kind | error | round | {' | '.join(f'{size} permutations' for size in sizes)} |")
    print(f"| --- | --- | --- |{' --- |' * len(sizes)}")
    for kind in arguments["--kinds"].split(","):
        draw = KINDS[kind]
        rows: dict[str, Callable[[Array], tuple[Array, Comparison]]] = {
            f"{kind} | full grid |": full
        }
        for name in arguments["--spending"].split(","):
            for size in arguments["--growth"].split(","):
                rows[f"{kind} | {name} | {size}"] = partial(
                    race, spending=SPENDING[name], growth=GROWTH[size]
                )
        for row, run in rows.items():
            cells = [cell(draw, number, samples, run) for number in sizes]
            print(f"| {row} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
