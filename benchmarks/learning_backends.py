"""Compares what this project learns from environments that Gymnasium steps and that EnvPool does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from kept_runs import mean_interval, returns_of  # isort: skip  # sets threads before torch is loaded
import numpy as np
from learn_ours import config_of
from learning_tasks import KINDS, TASKS, Task
from scipy import stats

BACKENDS = ("gymnasium", "envpool")


def compare(names: Iterable[str], seeds: int, out: Path) -> None:
    """Trains all seeds of a task with a backend as one population, and prints a table.

    Args:
        names: of tasks, among `TASKS` and `KINDS`; without any, all `KINDS`.
        seeds: 0 to this, without it; both backends have the same.
        out: where each run's result is kept.
    """
    tasks = {name: {**TASKS, **KINDS}[name] for name in names or KINDS}
    print("| task | steps | Gymnasium | EnvPool | difference | p | p of one of all |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, task in tasks.items():
        both = [_returns(task, backend, seeds, out / name / backend) for backend in BACKENDS]
        print(_row(name, task, *both, len(tasks)), flush=True)


def _returns(task: Task, backend: str, seeds: int, folder: Path) -> np.ndarray:
    config = config_of(replace(task, options={**task.options, "backend": backend}))
    return returns_of(config, range(seeds), folder)


def _row(name: str, task: Task, original: np.ndarray, pooled: np.ndarray, tasks: int) -> str:
    """Means with 95 % intervals, and Welch's test of their difference.

    The last column is Bonferroni's: how likely one of all tasks differs so much by chance.
    """
    cells = [name, f"{task.updates * task.batch:,}"]
    cells += [
        "{:.4g} ({:.4g} to {:.4g})".format(*mean_interval(each)) for each in (original, pooled)
    ]
    test = stats.ttest_ind(pooled, original, equal_var=False)
    low, high = test.confidence_interval()
    difference = pooled.mean() - original.mean()
    cells.append(f"{difference:.3g} ({low:.3g} to {high:.3g})")
    cells += [f"{test.pvalue:.2g}", f"{min(1, tasks * test.pvalue):.2g}"]
    return f"| {' | '.join(cells)} |"
