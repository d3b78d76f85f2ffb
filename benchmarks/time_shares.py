"""Measures lower bounds of an update's time for fully connected networks: environments and products.

Environments are stepped alone, with random actions. The networks' matrix products, forward and, in
learning, backward, are counted; their bound is the fastest product that a core can compute.
"""

from __future__ import annotations

import math
import sys
import time
from itertools import pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from works import EPOCHS, Work

from environments import Spaces, make_environments
from environments.levels import RandomLevels
from schema.config import Config

_SECONDS = 0.5
_WARM_UP_STEPS = 20
_LARGE = 1024


def shares(work: Work, members: int) -> list[float]:
    """Return an update's seconds of environment steps, and least seconds of acting and learning.

    Args:
        work: the workload, with fully connected networks.
        members: members of the population.
    """
    environments, spaces = _stepping(work, members)
    inputs = sum(math.prod(shape) for shape, _ in spaces.observations.values())
    policy = [inputs, *work.layers, sum(spaces.branches)]
    value = [inputs, *work.layers, 1]
    acting = members * _operations(policy, work.batch)
    learning = members * _operations(value, work.batch)
    learning += (
        members
        * EPOCHS
        * sum(_operations_both_ways(sizes, work.batch) for sizes in (policy, value))
    )
    rate = _operations_per_second()
    return [environments, acting / rate, learning / rate]


def _stepping(work: Work, members: int) -> tuple[float, Spaces]:
    """Return the seconds of an update's steps with random actions, and the spaces."""
    config = Config.model_validate(work.config(updates=1)).environment
    count = members * work.workers
    levels = RandomLevels(list(range(count)), config.reset_params.start_seed)
    environments = make_environments(config, levels, count, 0)
    try:
        environments.reset()
        branches = environments.spaces.branches
        actions = np.random.default_rng(0).integers(
            branches, size=(work.steps, count, len(branches))
        )
        for step in range(_WARM_UP_STEPS):
            environments.step(actions[step % work.steps])
        rollouts, begin = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - begin) < _SECONDS or not rollouts:
            for step in range(work.steps):
                environments.step(actions[step])
            rollouts += 1
        return elapsed / rollouts, environments.spaces
    finally:
        environments.close()


def _operations(sizes: list[int], rows: int) -> int:
    """Return the multiplications and additions of a network's layers for a number of rows."""
    return 2 * rows * sum(inputs * outputs for inputs, outputs in pairwise(sizes))


def _operations_both_ways(sizes: list[int], rows: int) -> int:
    """Return `_operations` and those of all gradients except the observations', which isn't needed."""
    return 3 * _operations(sizes, rows) - _operations(sizes[:2], rows)


def _operations_per_second() -> float:
    """Return the rate of a product of large matrices, the fastest that a processor gets."""
    matrix = np.random.default_rng(0).random((_LARGE, _LARGE), np.float32)
    product, calls = np.empty_like(matrix), 0
    np.dot(matrix, matrix, product)
    begin = time.perf_counter()
    while (elapsed := time.perf_counter() - begin) < _SECONDS:
        np.dot(matrix, matrix, product)
        calls += 1
    return 2 * _LARGE**3 * calls / elapsed
