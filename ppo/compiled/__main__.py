"""Compiles the learning step, so that no training waits for it: `python -m ppo.compiled`."""

from __future__ import annotations

import torch

from buffer import RolloutBuffer
from environments.interface import Spaces
from model import Population
from ppo.compiled import is_installed
from ppo.member import Member, Run
from ppo.optimiser import AdamW
from schema.config import Config

_TASK = Spaces({"vector": ((2,), "float32")}, (2,))


def main() -> None:
    """Estimates the values of an empty rollout: what is compiled is the same for every task."""
    if not is_installed():
        return
    from ppo.compiled.epochs import CompiledEpochs

    config = Config().resolved(has_images=False)
    cpu = torch.device("cpu")
    population = Population(_TASK, config, 1, cpu)
    shape = (1, config.trainer.worker_steps, config.trainer.num_workers)
    buffer = RolloutBuffer(_TASK, shape, cpu, False, population.stacked.distribution.ratios)
    optimiser = AdamW(population.weights, population.gradients)
    member = Member(Run(config, 0), 0, population, optimiser)
    with torch.no_grad():
        CompiledEpochs(member, population, buffer, optimiser).estimate_values(None)


if __name__ == "__main__":
    main()
