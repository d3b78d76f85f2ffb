"""Measures what an update of fully connected networks can't do without: environments and products.

Both are measured alone, at the very shapes that training has: stepping the environments with random
actions, and the matrix products of the networks, forwards and, in learning, backwards.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from works import EPOCHS, MINI_BATCHES, Work

from environments import Spaces, make_environments
from environments.levels import RandomLevels
from schema.config import Config

_SECONDS = 0.5
_WARM_UP_STEPS = 20


def shares(work: Work, members: int) -> list[float]:
    """Seconds of an update's environment steps, products of acting, and products of learning.

    Args:
        work: what is trained, with networks of fully connected layers.
        members: of the population.
    """
    environments, spaces = _stepping(work, members)
    inputs = sum(math.prod(shape) for shape, _ in spaces.observations.values())
    policy = [inputs, *work.layers, sum(spaces.branches)]
    value = [inputs, *work.layers, 1]
    acting = work.steps * _forward(policy, members, work.workers)
    # Values are estimated for the whole rollout at once, and so is learning: member by member.
    learning = members * _forward(value, 1, work.batch)
    size = work.batch // MINI_BATCHES
    products = sum(_forward_and_backward(sizes, size) for sizes in (policy, value))
    return [environments, acting, learning + members * EPOCHS * MINI_BATCHES * products]


def _stepping(work: Work, members: int) -> tuple[float, Spaces]:
    """Seconds of an update's steps with random actions, and what is observed and done."""
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


@torch.inference_mode()
def _forward(sizes: list[int], members: int, rows: int) -> float:
    """Seconds of the products of a network's layers, of all members at once."""
    pairs = [
        (_random(members, rows, inputs), _random(members, inputs, outputs))
        for inputs, outputs in pairwise(sizes)
    ]
    return _seconds_of(lambda: [_multiply(left, right) for left, right in pairs])


@torch.inference_mode()
def _forward_and_backward(sizes: list[int], rows: int) -> float:
    """Seconds of the products of a member's layers, and of those of all gradients."""
    products = []
    for number, (inputs, outputs) in enumerate(pairwise(sizes)):
        observed, weight = _random(1, rows, inputs), _random(1, inputs, outputs)
        gradient = _random(1, rows, outputs)
        products += [(observed, weight), (observed.transpose(1, 2), gradient)]
        # Nothing needs the gradient of the observations.
        if number:
            products.append((gradient, weight.transpose(1, 2)))
    return _seconds_of(lambda: [_multiply(left, right) for left, right in products])


def _random(*shape: int) -> torch.Tensor:
    return torch.randn(shape)


def _multiply(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    return torch.mm(left[0], right[0]) if len(left) == 1 else torch.bmm(left, right)


def _seconds_of(work: Callable[[], object]) -> float:
    """The mean time of a call."""
    work()
    calls, begin = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - begin) < _SECONDS:
        work()
        calls += 1
    return elapsed / calls
