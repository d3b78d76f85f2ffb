"""Records what a result depends on besides its config: revision, versions, device and command line."""

from __future__ import annotations

import os
import platform
import sys
from typing import Any

import torch

from schema.folders import START
from sweeps.execution.versions import git_revision, package_version

_PACKAGES = ("torch", "numpy", "gymnasium", "minigrid", "envpool", "mlagents-envs")


def provenance(device: torch.device) -> dict[str, Any]:
    """Return the provenance of a session, as plain values."""
    return {
        "command": sys.argv,
        "folder": str(START),
        "host": platform.node(),
        "process": os.getpid(),
        "device": _device_name(device),
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "packages": {name: version for name in _PACKAGES if (version := package_version(name))},
        "revision": git_revision(),
    }


def _device_name(device: torch.device) -> str:
    # Nodes of a cluster may have GPUs, and this machine none.
    if device.type == "cuda" and torch.cuda.is_available():
        return torch.cuda.get_device_name(device)
    return str(device)
