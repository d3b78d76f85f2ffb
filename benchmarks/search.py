"""Compares grids, races and searches on tables of PPO's mean returns, without training anything.

Usage:
  search.py [options]
  search.py --help

The tables are those of 625 settings on five Brax tasks (`data/README.md`). Each run's return is drawn
around its setting's mean: the standard deviation is a fifth of --noise of the task's range at both ends
of the range and --noise in its middle, a fifth of the variance comes from the seed, and a share of the
runs, up to --collapse of those of a setting, falls to the lowest decile. Settings without a mean fail.

Each cell has how often the chosen setting is within 2 % of the range of the best one, and its mean
distance to the best one in % of the range. The last column has the runs, as a share of those of the full
grid with ten repetitions.

Options:
  --samples=<n>      draws for each cell [default: 200]
  --tasks=<names>    Brax tasks, separated by commas [default: ant,halfcheetah,hopper,swimmer,walker2d]
  --methods=<names>  methods, separated by semicolons; by default all but gp, which takes minutes a draw
  --noise=<share>    the greatest standard deviation, as a share of the range [default: 0.25]
  --collapse=<share>  the greatest share of runs that fall [default: 0.3]
"""

from __future__ import annotations

import csv
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from docopt import docopt

from benchmarks.race import GROWTH, SPENDING, race
from benchmarks.score_distributions import SHARED, Array
from reports.ranking import with_failures
from reports.statistics.averages import best_first, counts, means, seedless_means
from sweeps.search_space.trials import SearchSpace, load_space
from sweeps.searching.plan import SearchPlan
from sweeps.searching.sampler import Tried, propose

ROOT = Path(__file__).resolve().parents[1]
TABLES = ROOT / "benchmarks/data/ppo_brax_means.csv"
# Keys of this project in the place of the tables' `gae_lambda`, `ent_coef`, `actor_lr` and `critic_lr`.
KEYS = ("lamda", "value_coefficient", "max_grad_norm", "gamma")
COLUMNS = ("gae_lambda", "ent_coef", "actor_lr", "critic_lr")
REPETITIONS = 10
CLOSE = 0.02  # of the task's range


@dataclass(frozen=True)
class Task:
    """The table of one task.

    Attributes:
        places: the place of each setting in the list of each key's values, (settings, keys).
        mean: mean return, scaled to 0 to 1, (settings,); NaN where runs fail.
    """

    places: Array
    mean: Array


def read_tasks() -> dict[str, Task]:
    """Return the tables by the names of their tasks."""
    with TABLES.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    values = [sorted({float(row[column]) for row in rows}) for column in COLUMNS]
    shape = tuple(map(len, values))
    tasks = {}
    for name in dict.fromkeys(row["env_name"] for row in rows):
        mean = np.full(shape, np.nan)
        for row in rows:
            if row["env_name"] == name:
                place = (listed.index(float(row[c])) for listed, c in zip(values, COLUMNS))  # noqa: B905
                mean[tuple(place)] = float(row["mean_return"])
        mean = (mean - np.nanmin(mean)) / (np.nanmax(mean) - np.nanmin(mean))
        tasks[name] = Task(np.indices(shape).reshape(len(shape), -1).T, mean.ravel())
    return tasks


def draw(
    rng: np.random.Generator, task: Task, noise_share: float, collapse: float
) -> tuple[Array, Array]:
    """Return scores, (settings, repetitions), and the true means, (settings,).

    Args:
        rng: generator of the draws.
        task: the table.
        noise_share: greatest standard deviation, as a share of the range.
        collapse: greatest share of the runs that fall.
    """
    count = len(task.mean)
    shape = (count, REPETITIONS)
    deviation = noise_share * (0.2 + 0.8 * 4 * task.mean * (1 - task.mean))
    noise = np.sqrt(1 - SHARED) * rng.standard_normal(shape)
    noise += np.sqrt(SHARED) * rng.standard_normal(REPETITIONS)
    rate = collapse * rng.random(count)
    lowest = float(np.nanquantile(task.mean, 0.1))
    fallen = rng.random(shape) < rate[:, None]
    reached = task.mean[:, None] + deviation[:, None] * noise
    known = ~np.isnan(task.mean)[:, None]
    scores = np.where(fallen & known, np.minimum(lowest, reached), reached)
    truth = (1 - rate) * task.mean + rate * np.minimum(lowest, task.mean)
    return scores, truth


def grid(repetitions: int, scores: Array, _: Task, __: int) -> tuple[int, int]:
    """Return the setting that leads a grid, and the number of runs."""
    seen = scores[:, :repetitions]
    return int(best_first(seedless_means(seen))[0]), seen.size


def raced(first: int, scores: Array, _: Task, __: int) -> tuple[int, int]:
    """Return the setting that leads a race, and the number of runs."""
    known = ~np.isnan(scores[:, 0])
    seen, found = race(scores[known], SPENDING["bonferroni"], GROWTH["half"], first)
    failed = int((~known).sum()) * first
    return int(np.flatnonzero(known)[found.leader]), int(counts(seen).sum()) + failed


def searched(
    sampler: str, trials: int, repetitions: int, scores: Array, task: Task, seed: int
) -> tuple[int, int]:
    """Return the setting that leads a search, and the number of runs."""
    space = _space()
    plan = SearchPlan(space, sampler, trials)
    place = {tuple(row): setting for setting, row in enumerate(task.places.tolist())}
    tried: list[Tried] = []
    settings: list[int] = []
    while len(tried) < trials:
        for values in propose(space, sampler, seed, tried, plan.batch_size(len(tried))):
            own = tuple(
                axis.position(value) for axis, value in zip(space.axes, values, strict=True)
            )
            settings.append(place[own])
            reached = means(scores[[settings[-1]], :repetitions])[0]
            tried.append(Tried(values, None if np.isnan(reached) else float(reached)))
    seen = scores[settings, :repetitions]
    judged = with_failures(seen, np.isnan(seen))
    return settings[int(best_first(seedless_means(judged))[0])], seen.size


def _space() -> SearchSpace:
    """Return a space of four keys with five values each, which stand for the tables'."""
    values = {
        "lamda": [0.1, 0.3, 0.5, 0.7, 0.9],
        "value_coefficient": [0.001, 0.01, 0.1, 1.0, 10.0],
        "max_grad_norm": [1e-5, 1e-4, 1e-3, 1e-2, 0.1],
        "gamma": [0.5, 0.6, 0.7, 0.8, 0.9],
    }
    lines = [f"  {key}: {values[key]}" for key in KEYS]
    with tempfile.TemporaryDirectory() as folder:
        tune = Path(folder) / "tune.yaml"
        tune.write_text("hyperparameters:\n" + "\n".join(lines) + "\n", encoding="utf-8")
        return load_space(ROOT / "configs/cartpole.yaml", tune)


Method = Callable[[Array, Task, int], tuple[int, int]]
METHODS: dict[str, Method] = {
    "grid, 10 repetitions": partial(grid, 10),
    "grid, 3 repetitions": partial(grid, 3),
    "race from 3 repetitions": partial(raced, 3),
    "race from 2 repetitions": partial(raced, 2),
    "random, 64 trials": partial(searched, "random", 64, 3),
    "random, 128 trials": partial(searched, "random", 128, 3),
    "qmc, 64 trials": partial(searched, "qmc", 64, 3),
    "tpe, 64 trials": partial(searched, "tpe", 64, 3),
    "gp, 64 trials": partial(searched, "gp", 64, 3),
}


def cell(
    task: Task, method: Method, samples: int, noise: float, collapse: float
) -> tuple[float, float, float]:
    """Return how often the choice is close to the best, its distance, and the runs used."""
    numbers = []
    for sample in range(samples):
        scores, truth = draw(np.random.default_rng(sample), task, noise, collapse)
        chosen, runs = method(scores, task, sample)
        distance = np.nanmax(truth) - truth[chosen]
        numbers.append((distance <= CLOSE, distance, runs / scores.size))
    close, distance, runs = np.mean(numbers, axis=0)
    return float(close), float(distance), float(runs)


def main() -> None:
    """Simulate and print."""
    arguments = docopt(__doc__ or "")
    tasks, samples = read_tasks(), int(arguments["--samples"])
    noise, collapse = float(arguments["--noise"]), float(arguments["--collapse"])
    names = arguments["--tasks"].split(",")
    methods = (arguments["--methods"] or "").split(";")
    chosen = [name for name in METHODS if name in methods or (not methods[0] and name[:2] != "gp")]
    print(f"| method | {' | '.join(names)} | runs |\n| --- |{' --- |' * len(names)} ---: |")
    for name in chosen:
        cells = [cell(tasks[task], METHODS[name], samples, noise, collapse) for task in names]
        shown = [f"{close:.0%}, {100 * distance:.1f}" for close, distance, _ in cells]
        used = np.mean([runs for *_, runs in cells])
        print(f"| {name} | {' | '.join(shown)} | {used:.1%} |", flush=True)


if __name__ == "__main__":
    main()
