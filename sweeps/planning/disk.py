"""Estimates how much disk a sweep needs, and watches that enough is left."""

from __future__ import annotations

import shutil
from pathlib import Path

from environments.building import probe
from ppo.footprint import count_weights, show_bytes
from schema.config import Config
from sweeps.planning.agenda import Agenda

# Measured: an update's scalars in TensorBoard's format, and a config.
_SUMMARY_BYTES = 1_600
_CONFIG_BYTES = 8_000
# In a checkpoint. Each weight is stored with two moments, as float32.
_WEIGHT_BYTES = 3 * 4
# An environment's actions since its episode began; more of them are rare.
_STORED_ACTIONS = 4096
# Measured: what surrounds an environment's actions, and a checkpoint's config, generators and headers.
_ENVIRONMENT_BYTES = 300
_CHECKPOINT_BYTES = 20_000
_RESERVE_BYTES = 2**24  # beyond the checkpoints: for the journal, the table and the summaries


class DiskUsage:
    """The disk that the rest of a sweep needs.

    Args:
        agenda: the runs left to train.
        out: the output folder.
        jobs: number of populations trained in parallel.

    Attributes:
        needed: upper bound of the bytes that the rest of the sweep writes.
    """

    def __init__(self, agenda: Agenda, out: Path, jobs: int) -> None:
        self._out = out
        sizes = [(config, size, checkpoint_bytes(config)) for config, size in agenda.kinds]
        per_run = max((_run_bytes(config, content) for config, _, content in sizes), default=0)
        self.needed = agenda.runs * per_run
        # While a checkpoint replaces another, both are on the disk.
        last_ones = max((2 * size * content for _, size, content in sizes), default=0)
        self._reserve = jobs * last_ones + _RESERVE_BYTES

    @property
    def free(self) -> int:
        """Free bytes on the disk of the output folder."""
        return shutil.disk_usage(next(filter(Path.exists, [self._out, *self._out.parents]))).free

    def shortage(self) -> str | None:
        """Return a message if only the last checkpoints still fit on the disk, else None."""
        free = self.free
        if free > self._reserve:
            return None
        return f"only {show_bytes(free)} are left on the disk of {self._out}; the sweep needs more"


def _run_bytes(config: Config, checkpoint: int) -> int:
    keep, updates = config.model.keep_checkpoints, config.trainer.updates
    made = -(-updates // config.model.checkpoint_interval)
    kept = made if keep is None else min(made, keep + 1)
    return kept * checkpoint + updates * _SUMMARY_BYTES + _CONFIG_BYTES


def checkpoint_bytes(config: Config) -> int:
    """Estimate the size in bytes of a run's checkpoint."""
    spaces = probe(config.environment).spaces
    environment = _STORED_ACTIONS * spaces.action_size + _ENVIRONMENT_BYTES
    return (
        _WEIGHT_BYTES * count_weights(config, spaces)
        + config.trainer.num_workers * environment
        + _CHECKPOINT_BYTES
    )
