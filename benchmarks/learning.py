"""Compares learning: this project with Stable-Baselines3, or two variants of this project.

Usage:
  learning.py [options] [<task>...]
  learning.py --help

Trains every task (or the named ones) with both libraries at equal hyperparameters and steps, one thread
a run. Prints interquartile means of the final return (the mean of the last 100 training episodes) with
95 % bootstrap intervals. --backends instead compares Gymnasium with the fastest environment backend, on
one task of every kind that EnvPool plays. --precisions compares float32 with bfloat16, on two tasks
with images. Both print means with 95 % intervals, their difference, and Welch's test. Runs that
<folder> already has aren't repeated.

Options:
  --backends       compare this project's environment backends instead of libraries
  --precisions     compare this project's precisions instead of libraries
  --seeds=<n>      train each task with the seeds 0 to n - 1 [default: 10]
  --out=<folder>   folder for results and plots [default: ./learning/]
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from docopt import docopt
from learning_tasks import TASKS
from learning_variants import BACKENDS, PRECISIONS, compare
from scipy.stats import bootstrap, trim_mean

mpl.use("Agg")
from matplotlib import pyplot

LIBRARIES = {"ours": "this project", "sb3": "Stable-Baselines3"}
COLORS = {"ours": "tab:blue", "sb3": "tab:orange"}


def interquartile_mean(values: np.ndarray, axis: int = -1) -> np.ndarray:
    """Return the mean of the middle half.

    Agarwal et al. (2021), Deep reinforcement learning at the edge of the statistical precipice.
    """
    return trim_mean(values, 0.25, axis)


def interval(values: np.ndarray) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the interquartile mean of (seeds,) values."""
    if np.ptp(values) == 0:
        return float(values[0]), float(values[0])
    generator = np.random.default_rng(0)
    found = bootstrap(
        (values,), interquartile_mean, method="percentile", n_resamples=5000, rng=generator
    )
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def train(task: str, library: str, seed: int, out: Path) -> dict[str, Any]:
    """Train one run unless its result exists, and return the result."""
    path = out / task / f"{library}_{seed}.json"
    if not path.exists():
        script = Path(__file__).with_name(f"learn_{library}.py")
        command = [sys.executable, str(script), task, str(seed)]
        printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        temporary.write_text(printed.splitlines()[-1])
        temporary.replace(path)
    return json.loads(path.read_text())


def draw(task: str, runs: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """Plot the interquartile mean over seeds against steps, and the range of the middle half."""
    figure, axes = pyplot.subplots(figsize=(5, 3.2), layout="constrained")
    for library, results in runs.items():
        steps = np.linspace(0, results[0]["curve"][-1][0], 100)
        # Curves start when the first episode has ended.
        first = max(result["curve"][0][0] for result in results)
        steps = steps[steps >= first]
        points = [np.array(result["curve"]) for result in results]
        curves = np.stack([np.interp(steps, each[:, 0], each[:, 1]) for each in points])
        axes.plot(
            steps, interquartile_mean(curves, 0), color=COLORS[library], label=LIBRARIES[library]
        )
        low, high = np.quantile(curves, [0.25, 0.75], axis=0)
        axes.fill_between(steps, low, high, color=COLORS[library], alpha=0.2, linewidth=0)
    axes.set(title=task, xlabel="environment steps", ylabel="mean return, last 100 episodes")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value / 1000:,.0f}k")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def row(task: str, runs: dict[str, list[dict[str, Any]]]) -> str:
    """Return a table row: final returns with intervals, and seconds, of both libraries."""
    cells = [task, f"{TASKS[task].updates * TASKS[task].batch:,}"]
    for results in runs.values():
        finals = np.array([result["curve"][-1][1] for result in results])
        low, high = interval(finals)
        cells.append(f"{float(interquartile_mean(finals)):.4g} ({low:.4g} to {high:.4g})")
    cells += [f"{np.median([r['seconds'] for r in results]):.1f}" for results in runs.values()]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Train, plot and print."""
    arguments = docopt(__doc__ or "")
    out, seeds = Path(arguments["--out"]), range(int(arguments["--seeds"]))
    for option, variants in (("--backends", BACKENDS), ("--precisions", PRECISIONS)):
        if arguments[option]:
            compare(variants, arguments["<task>"], len(seeds), out)
            return
    print("| task | steps | this project | Stable-Baselines3 | seconds | seconds |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for task in arguments["<task>"] or TASKS:
        # Libraries take turns, so that the machine's load affects both alike.
        results = [[train(task, library, seed, out) for library in LIBRARIES] for seed in seeds]
        runs = dict(zip(LIBRARIES, map(list, zip(*results, strict=True)), strict=True))
        name = task.lower().replace(", ", "_").replace("-", "_")
        draw(task, runs, out / f"{name}.png")
        print(row(task, runs), flush=True)


if __name__ == "__main__":
    main()
