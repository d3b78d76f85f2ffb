"""How much room a sweep needs on the disk, and whether there is enough of it left."""

from __future__ import annotations

import shutil
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from environments.building import probe
from environments.interface import EpisodeState
from model import Population
from ppo.by_torch.optimiser import AdamW
from ppo.footprint import show_bytes
from ppo.run.member import Member, Run
from schema.config import Config
from schema.environment import EnvironmentConfig
from schema.model import ModelConfig
from sweeps.planning.agenda import Agenda

# Measured: the scalars of an update in TensorBoard's format, and a config.
_SUMMARY_BYTES = 1_600
_CONFIG_BYTES = 8_000
# An environment's actions in a checkpoint; more of them are rare.
_STORED_ACTIONS = 4096
_RESERVE_BYTES = 2**24  # beyond the checkpoints: for the journal, the table and the summaries


class Space:
    """The room that what is left of a sweep needs in a folder.

    Args:
        agenda: what is to be trained.
        out: the folder.
        jobs: how many populations are trained in parallel.

    Attributes:
        needed: bytes that the sweep will have written at its end, at most.
    """

    def __init__(self, agenda: Agenda, out: Path, jobs: int) -> None:
        self._out = out
        sizes = [(config, size, _checkpoint_bytes(config)) for config, size in agenda.kinds]
        per_run = max((_run_bytes(config, content) for config, _, content in sizes), default=0)
        self.needed = agenda.runs * per_run
        # While a checkpoint replaces another, both are there.
        last_ones = max((2 * size * content for _, size, content in sizes), default=0)
        self._reserve = jobs * last_ones + _RESERVE_BYTES

    @property
    def free(self) -> int:
        """Bytes that are left on the folder's disk."""
        return shutil.disk_usage(next(filter(Path.exists, [self._out, *self._out.parents]))).free

    def shortage(self) -> str | None:
        """What to tell the user where no more fits than the last checkpoints; None where more does."""
        free = self.free
        if free > self._reserve:
            return None
        return f"only {show_bytes(free)} are left for {self._out}; the sweep needs more room"


def _run_bytes(config: Config, checkpoint: int) -> int:
    keep, updates = config.model.keep_checkpoints, config.trainer.updates
    made = -(-updates // config.model.checkpoint_interval)
    kept = made if keep is None else min(made, keep + 1)
    return kept * checkpoint + updates * _SUMMARY_BYTES + _CONFIG_BYTES


def _checkpoint_bytes(config: Config) -> int:
    sections = (config.environment, config.model)
    return _measure(
        *(each.model_dump_json(by_alias=True) for each in sections), config.trainer.num_workers
    )


@lru_cache(maxsize=256)
def _measure(environment: str, model: str, num_workers: int) -> int:
    """The size of a checkpoint of such a network, by making one."""
    config = Config(
        environment=EnvironmentConfig.model_validate_json(environment),
        model=ModelConfig.model_validate_json(model),
    )
    spaces = probe(config.environment).spaces
    population = Population(spaces, config, 1, torch.device("cpu"))
    optimiser = AdamW(population.weights, population.gradients)
    member = Member(Run(config, 0), 0, population, optimiser)
    states = [EpisodeState(0, np.zeros((_STORED_ACTIONS, spaces.action_size), np.uint8))]
    return len(member.checkpoint(0, "", num_workers * states, {}, {}).content())
