"""Compares variants of this project that should learn equally well: backends, or precisions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from kept_runs import mean_interval, returns_of  # isort: skip  # sets threads before torch is loaded
import numpy as np
from learn_ours import config_of
from learning_tasks import KINDS, PICTURES, TASKS, Task
from scipy import stats

from schema.config import Config


@dataclass(frozen=True)
class Variants:
    """Two values of one key.

    Attributes:
        section, key: the section and the key of the config.
        values: the key's value in each variant.
        titles: titles of their columns.
        tasks: the default tasks.
    """

    section: str
    key: str
    values: tuple[str, str]
    titles: tuple[str, str]
    tasks: Mapping[str, Task]


BACKENDS = Variants("environment", "backend", ("gymnasium", "auto"), ("Gymnasium", "fast"), KINDS)
PRECISIONS = Variants(
    "model", "precision", ("float32", "bfloat16"), ("float32", "bfloat16"), PICTURES
)


def compare(variants: Variants, names: Iterable[str], seeds: int, out: Path) -> None:
    """Train all seeds of a task and variant as one population, and print a table.

    Args:
        variants: the variants.
        names: names of tasks among `TASKS`, `KINDS` and `PICTURES`; empty: the variants' default tasks.
        seeds: number of seeds, from 0; both variants have the same.
        out: folder for each run's result.
    """
    known = {**TASKS, **KINDS, **PICTURES}
    tasks = {name: known[name] for name in names or variants.tasks}
    titles = " | ".join(variants.titles)
    print(f"| task | steps | {titles} | difference | p | p (Bonferroni) |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, task in tasks.items():
        original, other = (
            returns_of(_config(task, variants, value), range(seeds), out / name / value)
            for value in variants.values
        )
        print(_row(name, task, original, other, len(tasks)), flush=True)


def _config(task: Task, variants: Variants, value: str) -> Config:
    config = config_of(task)
    section = getattr(config, variants.section).model_copy(update={variants.key: value})
    return config.model_copy(update={variants.section: section})


def _row(name: str, task: Task, original: np.ndarray, other: np.ndarray, tasks: int) -> str:
    """Return means with 95 % intervals, and Welch's test of their difference.

    The last column is Bonferroni's: the probability that any of the tasks differs this much by chance.
    """
    cells = [name, f"{task.updates * task.batch:,}"]
    cells += [
        "{:.4g} ({:.4g} to {:.4g})".format(*mean_interval(each)) for each in (original, other)
    ]
    test = stats.ttest_ind(other, original, equal_var=False)
    low, high = test.confidence_interval()
    difference = other.mean() - original.mean()
    cells.append(f"{difference:.3g} ({low:.3g} to {high:.3g})")
    cells += [f"{test.pvalue:.2g}", f"{min(1, tasks * test.pvalue):.2g}"]
    return f"| {' | '.join(cells)} |"
