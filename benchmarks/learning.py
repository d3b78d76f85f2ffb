"""Compares what this project and Stable-Baselines3 learn at equal hyperparameters and steps, or what
this project learns in two of its ways.

Usage:
  learning.py [options] [<task>...]
  learning.py --help

Trains every task (or those named) with both, on one thread a run, and prints a table of interquartile
means of the final return (the mean of the last 100 training episodes) with 95 % bootstrap intervals.
With --backends: a task of every kind that EnvPool plays (or those named), with Gymnasium stepping the
environments and with the fastest that can; with --precisions: two tasks on images in float32 and in
bfloat16. The tables have means with 95 % intervals, their difference, and Welch's test. Runs that
<folder> holds already aren't repeated.

Options:
  --backends       compare this project's backends instead of libraries
  --precisions     compare this project's precisions instead of libraries
  --seeds=<n>      seeds 0 to n - 1 of each task [default: 10]
  --out=<folder>   where results are kept and plots written [default: ./learning/]
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
    """The mean of the middle half (Agarwal et al., 2021, Deep reinforcement learning at the edge of the
    statistical precipice).
    """
    return trim_mean(values, 0.25, axis)


def interval(values: np.ndarray) -> tuple[float, float]:
    """The 95 % bootstrap interval of the interquartile mean of (seeds,) values."""
    if np.ptp(values) == 0:
        return float(values[0]), float(values[0])
    generator = np.random.default_rng(0)
    found = bootstrap(
        (values,), interquartile_mean, method="percentile", n_resamples=5000, rng=generator
    )
    return float(found.confidence_interval.low), float(found.confidence_interval.high)


def train(task: str, library: str, seed: int, out: Path) -> dict[str, Any]:
    """Trains one run, unless its result is there."""
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
    """Draws the interquartile mean over seeds against steps, and the range of the middle half."""
    figure, axes = pyplot.subplots(figsize=(5, 3.2), layout="constrained")
    for library, results in runs.items():
        steps = np.linspace(0, results[0]["curve"][-1][0], 100)
        # Before the first episode ended there is nothing to draw.
        first = max(result["curve"][0][0] for result in results)
        steps = steps[steps >= first]
        curves = np.stack([np.interp(steps, *zip(*r["curve"], strict=True)) for r in results])
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
    """A table row: final returns with intervals, and seconds, of both."""
    cells = [task, f"{TASKS[task].updates * TASKS[task].batch:,}"]
    for results in runs.values():
        finals = np.array([result["curve"][-1][1] for result in results])
        low, high = interval(finals)
        cells.append(f"{float(interquartile_mean(finals)):.4g} ({low:.4g} to {high:.4g})")
    cells += [f"{np.median([r['seconds'] for r in results]):.1f}" for results in runs.values()]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Trains, draws and prints."""
    arguments = docopt(__doc__ or "")
    out, seeds = Path(arguments["--out"]), range(int(arguments["--seeds"]))
    for option, variants in (("--backends", BACKENDS), ("--precisions", PRECISIONS)):
        if arguments[option]:
            compare(variants, arguments["<task>"], len(seeds), out)
            return
    print("| task | steps | this project | Stable-Baselines3 | seconds | seconds |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for task in arguments["<task>"] or TASKS:
        # Libraries take turns, so that both meet the same load of the machine.
        results = [[train(task, library, seed, out) for library in LIBRARIES] for seed in seeds]
        runs = dict(zip(LIBRARIES, map(list, zip(*results, strict=True)), strict=True))
        name = task.lower().replace(", ", "_").replace("-", "_")
        draw(task, runs, out / f"{name}.png")
        print(row(task, runs), flush=True)


if __name__ == "__main__":
    main()
