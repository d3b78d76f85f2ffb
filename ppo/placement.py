"""The device, ports and cores on which a population trains."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Placement:
    """The part of a machine that a population trains on.

    Attributes:
        device: device of the networks.
        worker_id: offset of the environments' communication ports.
        low_memory: whether to keep rollouts in RAM and move one mini-batch at a time to the device.
        torch_compile: whether to compile the losses with `torch.compile`.
        cores: numbers of the cores that the training may use; None for all.
    """

    device: torch.device
    worker_id: int
    low_memory: bool = False
    torch_compile: bool = False
    cores: tuple[int, ...] | None = None
