"""How a grid is run, and where its files are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from ppo.footprint import available_memory
from ppo.sinks import TENSORBOARD
from sweeps.journal.journal import journal_path


@dataclass(frozen=True)
class SweepOptions:
    """How a grid is run.

    Attributes:
        out: folder of everything that is written.
        run_id: tag of the training session, in the names of summaries and checkpoints.
        repetitions: how often each permutation is trained.
        seed: a run's seed is this plus its repetition.
        worker_id: offset of the environments' communication ports.
        low_memory: move one mini-batch at a time to the device.
        device: where networks are trained.
        together: how many runs of equal shape train as one population at most.
        jobs: how many populations are trained in parallel.
        compiled: whether to compile the losses.
        retries: how often a run that failed is tried again.
        fail_fast: whether the first failure ends the sweep.
        quiet: whether to show nothing of what happens until the end.
        sinks: what the runs are logged to.
        only: numbers of the permutations to which the sweep is restricted; None is all.
    """

    out: Path
    run_id: str
    repetitions: int
    seed: int
    worker_id: int
    low_memory: bool
    device: torch.device
    together: int = 1
    jobs: int = 1
    compiled: bool = False
    retries: int = 1
    fail_fast: bool = False
    quiet: bool = False
    sinks: tuple[str, ...] = (TENSORBOARD,)
    only: frozenset[int] | None = None

    @property
    def ram(self) -> int | None:
        """Bytes of RAM that the sweep may use; None without a known limit.

        Training on a GPU has no such limit, because it uses the GPU's memory.
        """
        return available_memory() if self.device.type == "cpu" else None

    @property
    def journal(self) -> Path:
        """Where the sweep's journal is."""
        return journal_path(self.out, self.run_id)

    @property
    def results(self) -> Path:
        """Where the table of all results is, which sweeps of other run ids share."""
        return self.out / "results.csv"

    @property
    def configs(self) -> Path:
        """The folder of the sweep's configs."""
        return self.out / "configs" / self.run_id
