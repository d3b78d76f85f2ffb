"""The machine's share that a training gets: ports, device, cores."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Placement:
    """Where and how a population trains.

    Attributes:
        device: where networks are trained.
        worker_id: offset of the environments' communication ports.
        low_memory: keep rollouts in host memory and move one mini-batch at a time to the device.
        torch_compile: whether to compile the losses with `torch.compile`.
        cores: the numbers of the cores that the training may use; None is all.
    """

    device: torch.device
    worker_id: int
    low_memory: bool = False
    torch_compile: bool = False
    cores: tuple[int, ...] | None = None
