"""Records what a result depends on besides its config: revision, versions, device and command line."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from schema.folders import START

_ROOT = Path(__file__).resolve().parents[1]
_PACKAGES = ("torch", "numpy", "gymnasium", "minigrid", "envpool", "mlagents-envs")


def provenance(device: torch.device) -> dict[str, Any]:
    """Return the provenance of a session, as plain values."""
    return {
        "command": sys.argv,
        "folder": str(START),
        "host": platform.node(),
        "process": os.getpid(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "packages": {name: version for name in _PACKAGES if (version := _version(name))},
        "revision": _revision(),
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _revision() -> str | None:
    """Return the Git revision, marked as dirty if files differ from it; None without Git."""
    command = ["git", "-C", str(_ROOT), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
