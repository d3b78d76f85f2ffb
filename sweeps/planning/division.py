"""Divides the runs of a sweep into shards, and compares the sweeps to which shards belong."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from schema.counting import counted
from schema.errors import UserError
from sweeps.options import SweepOptions
from sweeps.planning.populations import Shapes, count_steps
from sweeps.search_space.grid import Grid
from sweeps.search_space.identity import Identities, differences
from sweeps.search_space.merging import complete

# A value of each option that all shards share, and the option.
_OPTIONS = {"shards": "--shard", "repetitions": "--num-repetitions", "seed": "--seed"}


@dataclass(frozen=True)
class ShardPlan:
    """The runs of a shard, and the sweep to which it belongs.

    Attributes:
        runs: repetition and index of each run.
        division: what all shards of the sweep have in common.
    """

    runs: list[tuple[int, int]]
    division: dict[str, Any]


def plan_shard(grid: Grid, identify: Identities, options: SweepOptions) -> ShardPlan | None:
    """Return the plan of the shard that the options name; None if they name none.

    Raises:
        UserError: the shard has no runs.
    """
    shard = options.shard
    if shard is None:
        return None
    shards = divide(grid, options.repetitions, shard.count)
    runs = [divmod(run, len(grid)) for run in shards[shard.number - 1]]
    if not runs:
        total = counted(grid.count * options.repetitions, "run")
        raise UserError(
            f"--shard={shard}: has no runs, because the whole sweep has {total}; choose fewer shards"
        )
    return ShardPlan(runs, describe_division(grid, identify, options, shards))


def divide(grid: Grid, repetitions: int, count: int) -> list[Sequence[int]]:
    """Return the numbers of each shard's runs.

    Runs are lined up shape by shape, and the line is cut into parts of nearly equal environment steps.
    So at most `count` - 1 shapes are cut, and populations stay large. The order of training, and what
    is already trained, don't matter.

    Args:
        grid: the permutations, validated.
        repetitions: number of repetitions.
        count: number of shards. Some are empty if there are fewer runs, or if some runs are much longer.
    """
    shape_of = Shapes(grid)
    alike: dict[tuple[str, ...], list[int]] = {}
    for index in grid.indices():
        alike.setdefault(shape_of(index), []).append(index)
    steps = {shape: count_steps(grid.permutation(found[0])) for shape, found in alike.items()}
    total = repetitions * sum(steps[shape] * len(found) for shape, found in alike.items())
    shards = [array("q") for _ in range(count)]
    before = 0
    for shape, found in alike.items():
        for repetition in range(repetitions):
            for index in found:
                # The middle of a run decides; whole numbers, so that all machines cut alike.
                place = (2 * before + steps[shape]) * count // (2 * total)
                shards[place].append(repetition * len(grid) + index)
                before += steps[shape]
    return list(shards)


def describe_division(
    grid: Grid, identify: Identities, options: SweepOptions, shards: Sequence[Sequence[int]]
) -> dict[str, Any]:
    """Return, as plain values, what all shards of a sweep have in common.

    Args:
        grid: the permutations.
        identify: identifies them.
        options: the options of one of the shards.
        shards: the numbers of each shard's runs.
    """
    included = hashlib.sha256()
    for index in grid.indices():
        included.update(f"{identify.shown(index)}\n".encode())
    return {
        "shards": len(shards),
        "repetitions": options.repetitions,
        "seed": options.seed,
        "base": complete(grid.base.data),
        "space": {axis.label: identify.choices(place) for place, axis in enumerate(grid.axes)},
        "included": included.hexdigest(),
        "sizes": [len(shard) for shard in shards],
    }


def difference(before: dict[str, Any], now: dict[str, Any]) -> str:
    """Return the first key in which two divisions differ, with its values; empty if none does."""
    for key, option in _OPTIONS.items():
        if before[key] != now[key]:
            count = "a number of shards: " if key == "shards" else ""
            return f"{option}: {count}was {before[key]}, is {now[key]}"
    first, second = before["space"], now["space"]
    for label in dict.fromkeys([*first, *second]):
        if first.get(label) != second.get(label):
            return f"{label}: choices were {_listed(first, label)}, are {_listed(second, label)}"
    if list(first) != list(second):
        return f"the order of the tuned keys: was {', '.join(first)}, is {', '.join(second)}"
    if lines := differences(before["base"], now["base"]):
        return lines[0]
    if before["included"] != now["included"]:
        return "exclude, or --skip-invalid: leaves out other permutations"
    return ""


def _listed(space: dict[str, list[str]], label: str) -> str:
    return ", ".join(space[label]) if label in space else "none"
