"""Simulates grids with known true means and checks the conclusions of `reports/` against them.

Usage:
  interval_coverage.py [options] [<table>...]
  interval_coverage.py --help

Tables (all by default):
- `intervals`: share of intervals with the true mean, for Student's t / for pooled variances, and the
  width of the latter relative to the former.
- `contenders`: wrongly excluded share of equal permutations / for true means spaced evenly from 0 to 4
  standard deviations, the number that remain / the share of grids in which the best remains.
- `selection`: bias of the best mean (expected bias); bias and coverage after confirmation; frequency
  with which the leader is the best (stated probability).
- `importance`: share of intervals with the true importance, and how often a key without effect is said
  to matter.
- `answers`: for the distributions of `score_distributions.py`, in this order: share of intervals with
  the true mean, of all permutations and of the leader (and share of permutations without an interval);
  share of grids in which the best could be the best, and the number of contenders; the leader's luck
  (stated luck); the frequency with which the leader is the best (stated probability).
- `looks`: sweeps of equal permutations that are judged after each repetition, from the third on: the
  share of permutations that are excluded at some time, if each look is judged as the only one / as the
  answer does.
- `idle keys`: on grids of three keys without effect, how often a key is said to matter / any key of the
  sweep; coverage of the intervals of choices' means.

Options:
  --samples=<n>         grids for each number [default: 400]
  --permutations=<n>    permutations of a grid, separated by commas [default: 8,24,48]
  --repetitions=<n>     repetitions of a grid, separated by commas [default: 3,5,8,10,20]
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from docopt import docopt
from scipy import stats

from benchmarks.score_distributions import GRIDS, latent
from benchmarks.score_distributions import Draw as GridDraw
from reports.statistics.averages import Array, counts
from reports.statistics.bounds import piled_bounds
from reports.statistics.choice_means import choice_means
from reports.statistics.contenders import compare, confidence_of_look
from reports.statistics.importance import decompose
from reports.statistics.intervals import estimate
from reports.statistics.main_effects import estimate_importance
from reports.statistics.permutation_means import common_repetitions
from reports.statistics.selection import best_probabilities, confirm, selection_bias
from reports.statistics.variances import Prior

Draw = Callable[[np.random.Generator, int, int], Array]

CAP = 0.3  # standard deviations above the mean at which capped returns end
SOLVING = 0.8  # probability of solving the task
UNEQUAL = 3.0  # standard deviations range from 1 / UNEQUAL to UNEQUAL


def skewed(rng: np.random.Generator, permutations: int, repetitions: int) -> Array:
    """Draw lognormal returns."""
    variance = 0.25
    score = np.exp(np.sqrt(variance) * latent(rng, permutations, repetitions))
    mean = np.exp(variance / 2)
    return (score - mean) / (mean * np.sqrt(np.exp(variance) - 1))


def capped(rng: np.random.Generator, permutations: int, repetitions: int) -> Array:
    """Draw returns with an upper limit, like CartPole's; two in five reach it."""
    score = np.minimum(latent(rng, permutations, repetitions), CAP)
    below, density = stats.norm.cdf(CAP), stats.norm.pdf(CAP)
    mean = CAP * (1 - below) - density
    square = below - CAP * density + CAP**2 * (1 - below)
    return (score - mean) / np.sqrt(square - mean**2)


def solving(rng: np.random.Generator, permutations: int, repetitions: int) -> Array:
    """Draw returns of runs that either solve a task or fail."""
    solved = latent(rng, permutations, repetitions) < stats.norm.ppf(SOLVING)
    score = solved + 0.02 * rng.standard_normal(solved.shape)
    return (score - SOLVING) / np.sqrt(SOLVING * (1 - SOLVING) + 0.02**2)


def unequal(rng: np.random.Generator, permutations: int, repetitions: int) -> Array:
    """Draw normal returns with standard deviations that differ by up to a factor of nine."""
    deviations = np.exp(np.log(UNEQUAL) * np.linspace(-1, 1, permutations))
    return rng.permutation(deviations)[:, None] * latent(rng, permutations, repetitions)


def one_wild(rng: np.random.Generator, permutations: int, repetitions: int) -> Array:
    """Draw normal returns; one permutation has five times the standard deviation."""
    deviations = np.ones(permutations)
    deviations[rng.integers(permutations)] = 5.0
    return deviations[:, None] * latent(rng, permutations, repetitions)


# All have mean 0 and, except the last two, standard deviation 1.
RETURNS: dict[str, Draw] = {
    "normal": latent,
    "skewed": skewed,
    "skewed to the left": lambda *shape: -skewed(*shape),
    "capped": capped,
    "solves or fails": solving,
    "unequal variances": unequal,
    "one wild": one_wild,
}

TRUTHS: dict[str, Callable[[np.random.Generator, int], Array]] = {
    "all equal": lambda _, permutations: np.zeros(permutations),
    "normal, sd 0.5": lambda rng, permutations: 0.5 * rng.standard_normal(permutations),
    "normal, sd 1": lambda rng, permutations: rng.standard_normal(permutations),
    "evenly 0 to 4": lambda rng, permutations: rng.permutation(np.linspace(0, 4, permutations)),
    "one is 3 ahead": lambda _, permutations: 3.0 * (np.arange(permutations) == 0),
}


def interval_cell(
    rng: np.random.Generator, draw: Draw, permutations: int, repetitions: int, samples: int
) -> str:
    """Return how often intervals contain the true mean."""
    held, width = np.zeros(2), np.zeros(2)
    for _ in range(samples):
        scores = draw(rng, permutations, repetitions)
        for kind, prior in enumerate((Prior(0.0, 0.0), None)):
            found = estimate(scores, prior)
            held[kind] += np.mean((found.low <= 0) & (found.high >= 0))
            width[kind] += np.mean(found.high - found.low)
    plain, ours = held / samples
    return f"{plain:.3f} / {ours:.3f}, {width[1] / width[0]:.2f}"


def contender_cell(
    rng: np.random.Generator, draw: Draw, permutations: int, repetitions: int, samples: int
) -> str:
    """Return the excluded share of equal permutations, and the remaining unequal ones."""
    truth = np.linspace(4, 0, permutations)[:, None]
    excluded = remaining = best = 0.0
    for _ in range(samples):
        excluded += 1 - compare(draw(rng, permutations, repetitions)).could_be_best.mean()
        could = compare(truth + draw(rng, permutations, repetitions)).could_be_best
        remaining += could.sum()
        best += could[0]
    return f"{excluded / samples:.1%} / {remaining / samples:.1f} / {best / samples:.1%}"


def selection_cell(
    rng: np.random.Generator, truth: str, permutations: int, repetitions: int, samples: int
) -> str:
    """Return the bias of the best mean, and its probability of being the best."""
    numbers = []
    for _ in range(samples):
        means = TRUTHS[truth](rng, permutations)
        scores = means[:, None] + latent(rng, permutations, repetitions)
        compared = compare(scores)
        leader = compared.leader
        fresh = means[[leader], None] + latent(rng, 1, repetitions)
        confirmed = confirm(scores[[leader]], fresh, scores)
        # Several equal best permutations share the probability of being the best.
        is_best = (means[leader] == means.max()) / (means == means.max()).sum()
        numbers.append(
            (
                compared.mean[leader] - means[leader],
                selection_bias(scores),
                confirmed.confirmed[0] - means[leader],
                confirmed.low[0] <= means[leader] <= confirmed.high[0],
                is_best,
                best_probabilities(compared, rng, 200)[leader],
            )
        )
    bias, expected, again, covered, is_best, said = np.mean(numbers, axis=0)
    return f"{bias:.2f} ({expected:.2f}); {again:+.2f}, {covered:.2f}; {is_best:.2f} ({said:.2f})"


def answer_cell(
    rng: np.random.Generator, draw: GridDraw, permutations: int, repetitions: int, samples: int
) -> str:
    """Return what the answer says of grids, and how often that holds."""
    numbers = [_answer_numbers(rng, draw, permutations, repetitions) for _ in range(samples)]
    known = np.ma.masked_invalid(numbers).mean(axis=0).filled(np.nan)
    held, led, none, kept, contenders, luck, stated, best, said = known
    return (
        f"{held:.3f} {led:.2f} ({none:.2f}); {kept:.3f} {contenders:.1f}; {luck:.3g} ({stated:.3g}); "
        f"{best:.2f} ({said:.2f})"
    )


def _answer_numbers(
    rng: np.random.Generator, draw: GridDraw, permutations: int, repetitions: int
) -> tuple[float, ...]:
    scores, truth = draw(rng, permutations, repetitions)
    bounds = piled_bounds(scores)
    compared, found = compare(scores, bounds=bounds), estimate(scores, bounds=bounds)
    leader, luck = compared.leader, selection_bias(scores)
    known = ~np.isnan(found.low)
    inside = (found.low <= truth + 1e-9) & (truth - 1e-9 <= found.high)
    led = found.low[leader] - luck <= truth[leader] <= found.high[leader]
    best = truth >= truth.max() - 1e-9
    return (
        inside[known].mean() if known.any() else np.nan,
        led if known[leader] else np.nan,
        1 - known.mean(),
        compared.could_be_best[best].mean(),
        compared.could_be_best.sum(),
        np.nanmean(scores[leader]) - truth[leader],
        luck,
        best[leader] / best.sum(),
        best_probabilities(compared, rng, 400)[leader],
    )


def looks_cell(
    rng: np.random.Generator, draw: GridDraw, permutations: int, repetitions: int, samples: int
) -> str:
    """Return the share of equal permutations that one of several looks excludes."""
    excluded = np.zeros(2)
    for _ in range(samples):
        scores, _ = draw(rng, permutations, repetitions)
        for kind, confidence in enumerate((lambda _: 0.95, confidence_of_look)):
            could = np.ones(permutations, dtype=bool)
            for look in range(1, repetitions - 1):
                found = compare(scores[:, : look + 2], confidence(look))
                could &= found.could_be_best
            excluded[kind] += 1 - could.mean()
    plain, ours = excluded / samples
    return f"{plain:.1%} / {ours:.1%}"


def importance_cell(
    rng: np.random.Generator, deviation: float, permutations: int, repetitions: int, samples: int
) -> str:
    """Return how often intervals contain the true share, and how often a key without effect matters."""
    last = permutations // 4
    shape = np.indices((2, 2, last)).reshape(3, -1).T
    first, second = shape[:, 0] - 0.5, shape[:, 1] - 0.5
    truth = first + second / 2 + first * second
    variances = np.array([0.25, 0.0625, 0.0])
    true = variances / truth.var()
    held, false = np.zeros(3), 0.0
    for _ in range(samples):
        noise = deviation * latent(rng, len(shape), repetitions)
        found = decompose(("first", "second", "none"), shape, truth[:, None] + noise)
        intervals = np.array([(effect.low, effect.high) for effect in found.main])
        inside = (intervals[:, 0] <= true + 1e-9) & (true - 1e-9 <= intervals[:, 1])
        held += inside | np.isnan(intervals[:, 0])
        false += bool(found.matters("none"))
    shares = " ".join(f"{count / samples:.2f}" for count in held)
    return f"{shares}, {false / samples:.1%}"


def idle_cell(
    rng: np.random.Generator, kind: str, permutations: int, repetitions: int, samples: int
) -> str:
    """Return how often keys without effect matter, and how often choices' intervals hold the truth."""
    shape = (2, 2, permutations // 4)
    choices = np.indices(shape).reshape(3, -1).T
    named, held = [], []
    for _ in range(samples):
        scores = common_repetitions(PATTERNS[kind](rng, permutations, repetitions))
        scored = counts(scores) > 0
        found = (
            decompose(KEYS, choices, scores)
            if scored.all()
            else estimate_importance(KEYS, choices[scored], scores[scored])
        )
        if found is not None:
            named.append([bool(found.matters(key)) for key in KEYS])
        for mean in choice_means(choices, scores):
            held += ((mean.low <= 0) & (mean.high >= 0)).tolist()
    rate = np.array(named)
    return f"{rate.mean():.1%} / {rate.any(axis=1).mean():.1%}; {np.mean(held):.2f}"


def added(more: int) -> Draw:
    """Draw scores with more repetitions of the best third."""

    def draw(rng: np.random.Generator, permutations: int, repetitions: int) -> Array:
        scores = latent(rng, permutations, repetitions + more)
        others = np.argsort(-scores[:, :repetitions].mean(axis=1))[permutations // 3 :]
        scores[others, repetitions:] = np.nan
        return scores

    return draw


def missing(rng: np.random.Generator, permutations: int, repetitions: int) -> Array:
    """Draw scores with 15 % missing, but no permutation's last one."""
    scores = latent(rng, permutations, repetitions)
    lost = rng.random(scores.shape) < 0.15
    lost[lost.all(axis=1), 0] = False
    scores[lost] = np.nan
    return scores


def half_done(rng: np.random.Generator, permutations: int, repetitions: int) -> Array:
    """Draw scores without the last repetition of the second half of the permutations."""
    scores = latent(rng, permutations, repetitions)
    scores[permutations // 2 :, -1] = np.nan
    return scores


def very_wild(rng: np.random.Generator, permutations: int, repetitions: int) -> Array:
    """Draw scores with ten times the standard deviation in one permutation."""
    scores = latent(rng, permutations, repetitions)
    scores[rng.integers(permutations)] *= 10
    return scores


def noisy_choice(rng: np.random.Generator, permutations: int, repetitions: int) -> Array:
    """Draw scores with five times the standard deviation for one choice of the last key."""
    scores = latent(rng, permutations, repetitions)
    scores[:: permutations // 4] *= 5
    return scores


def holes(rng: np.random.Generator, permutations: int, repetitions: int) -> Array:
    """Draw scores of 70 % of the permutations."""
    scores = latent(rng, permutations, repetitions)
    scores[rng.permutation(permutations)[: round(0.3 * permutations)]] = np.nan
    return scores


KEYS = ("first", "second", "third")
PATTERNS: dict[str, Draw] = {
    "balanced": latent,
    "2 more for the best third": added(2),
    "7 more for the best third": added(7),
    "27 more for the best third": added(27),
    "15 % missing": missing,
    "half of the last repetition": half_done,
    "one permutation 10 times as noisy": very_wild,
    "one choice 5 times as noisy": noisy_choice,
    "30 % of the permutations missing": holes,
}


def table(
    title: str,
    rows: Sequence[tuple[str, Callable[[int, int], str]]],
    permutations: Sequence[int],
    repetitions: Sequence[int],
) -> None:
    """Print a table; each line, one kind of grid, appears when its cells are ready."""
    print(f"\n| {title} | permutations | {' | '.join(f'{n} repetitions' for n in repetitions)} |")
    print(f"| --- | ---: |{' --- |' * len(repetitions)}")
    for name, cell in rows:
        for number in permutations:
            cells = [cell(number, repetition) for repetition in repetitions]
            print(f"| {name} | {number} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Simulate and print."""
    arguments = docopt(__doc__ or "")
    samples = int(arguments["--samples"])
    sizes = [
        [int(part) for part in arguments[option].split(",")]
        for option in ("--permutations", "--repetitions")
    ]
    cells: dict[str, tuple[Callable[..., str], dict[str, object]]] = {
        "intervals": (interval_cell, dict(RETURNS)),
        "contenders": (contender_cell, dict(RETURNS)),
        "selection": (selection_cell, {name: name for name in TRUTHS}),
        "importance": (importance_cell, {"noise 0.5": 0.5, "noise 2": 2.0}),
        "answers": (answer_cell, dict(GRIDS)),
        "looks": (looks_cell, {name: GRIDS[name] for name in ("equal", "solved by 90 %")}),
        "idle keys": (idle_cell, {name: name for name in PATTERNS}),
    }
    for name in arguments["<table>"] or cells:
        cell, kinds = cells[name]
        rows = [
            (
                kind,
                lambda permutations, repetitions, cell=cell, what=what: cell(
                    np.random.default_rng(0), what, permutations, repetitions, samples
                ),
            )
            for kind, what in kinds.items()
        ]
        table(name, rows, *sizes)


if __name__ == "__main__":
    main()
