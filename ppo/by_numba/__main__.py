"""Compiles all kernels into the cache, so that no training waits for it: `python -m ppo.by_numba`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from buffer import RolloutBuffer
from environments import make_environments
from environments.interface import Spaces
from environments.levels import RandomLevels
from environments.spaces import VECTOR
from model import Population
from numerics import is_installed
from ppo.advantages import estimate_advantages
from ppo.by_torch.optimiser import AdamW
from ppo.learner import Learner
from ppo.parts import Parts
from ppo.run.member import Member, Run
from ppo.sampler import make_sampler
from schema.config import Config

_TASK = {"environment": {"type": "CartPole", "name": "CartPole-v1", "backend": "compiled"}}


def main() -> None:
    """Call every kernel once; the same machine code serves every task."""
    if not is_installed():
        return
    from networks.by_numba.lstm import LSTM

    config = Config.model_validate(_TASK).resolved(has_images=False)
    cpu, workers = torch.device("cpu"), config.trainer.num_workers
    levels = RandomLevels(list(range(workers)))
    environments = make_environments(config.environment, levels, workers, 0)
    population = Population(environments.spaces, config, 1, cpu)
    shape = (1, config.trainer.worker_steps, workers)
    buffer = RolloutBuffer(environments.spaces, shape, cpu, False)
    optimiser = AdamW(population.weights, population.gradients)
    member = Member(Run(config, 0), 0, population, optimiser)
    parts = Parts([member], population, buffer, optimiser)
    sampler = make_sampler(parts, environments)
    environments.reset()
    sampler.sample(0)
    environments.step(np.zeros((workers, 1), np.int64))
    _act(parts)
    spaces = Spaces({VECTOR: ((4,), "uint8")}, environments.spaces.branches)
    _act(replace(parts, buffer=RolloutBuffer(spaces, shape, cpu, False)))
    Learner(0, parts).estimate_values(None)
    ones = [torch.ones(1, 1, requires_grad=True) for _ in range(3)]
    gates = [torch.ones(size, requires_grad=True) for size in ((1, 4), 4, (1, 4), 4)]
    LSTM.apply(*ones, *gates, torch.ones(1, dtype=torch.int64)).sum().backward()
    gamma = torch.ones(1, 1)
    estimate_advantages(parts, sampler.values(), gamma, gamma)


@torch.inference_mode()
def _act(parts: Parts) -> None:
    """Choose actions for the first observations of a buffer, and estimate their values."""
    from ppo.by_numba.acting import NumbaActing

    acting = NumbaActing(parts)
    acting.begin()
    acting.act(0, None)
    seen = parts.buffer.observations[VECTOR][:, 0].flatten(0, 1).numpy()
    acting.values({VECTOR: seen}, None)


if __name__ == "__main__":
    main()
