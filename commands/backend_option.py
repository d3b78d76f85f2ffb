"""Reads the options of `tune.py --backend`: where jobs run, and what each needs there."""

from __future__ import annotations

import re
import socket
from importlib.util import find_spec
from typing import TYPE_CHECKING

from commands.command import Arguments
from commands.options import (
    choice_option,
    is_given,
    optional_integer,
    optional_positive,
)
from schema.errors import UserError

if TYPE_CHECKING:
    # They load torch, which writing configs doesn't need.
    import torch

    from sweeps.execution.backends.by_ray.cluster import RayOptions

BACKENDS = ("local", "ray")
_OF_RAY = ("--address", "--cpus-per-job", "--gpus-per-job", "--sync", "--allow-different-versions")
_SECONDS_OF_SYNC = 60.0
_SECONDS_TO_ANSWER = 5.0


def check_backend(arguments: Arguments, usage: str) -> None:
    """Raise an error if the options of a sweep backend are wrong or don't go together.

    Args:
        arguments: the parsed arguments.
        usage: the usage text, which names the defaults.

    Raises:
        UserError: they are or don't.
    """
    if choice_option(arguments, "--backend", BACKENDS) == "local":
        for name in _OF_RAY:
            if arguments[name]:
                raise UserError(f"{name}: belongs to a Ray cluster; add --backend=ray")
        return
    if find_spec("ray") is None:
        raise UserError("--backend=ray: Ray isn't installed; `make ray` installs it")
    if is_given("--worker-id", usage):
        raise UserError("--worker-id: leave it out with --backend=ray, where ports are chosen")
    optional_integer(arguments, "--cpus-per-job", minimum=1)
    optional_positive(arguments, "--sync")
    gpus = optional_positive(arguments, "--gpus-per-job") or 0.0
    if gpus > 1 and not gpus.is_integer():
        raise UserError(f"--gpus-per-job={gpus:g}: must be a whole number, or a fraction below 1")
    device = str(arguments["--device"])
    if device not in ("auto", "cpu", "cuda"):
        raise UserError(f"--device={device}: must be auto, cpu or cuda, as Ray chooses the GPU")
    if device == "cuda" and not gpus:
        raise UserError("--device=cuda: add --gpus-per-job=<n>, so that Ray gives each job a GPU")
    if device == "cpu" and gpus:
        raise UserError("--device=cpu: uses no GPU; leave --gpus-per-job out")
    _check_address(arguments["--address"])


def _check_address(address: str | None) -> None:
    if address in (None, "auto"):
        return
    found = re.fullmatch(r"([^\s:/]+):(\d{1,5})", str(address))
    if not found:
        raise UserError(
            f"--address={address}: must be auto or <host>:<port>, such as 10.0.0.1:6379"
        )
    try:
        # Ray itself tries for minutes.
        socket.create_connection((found[1], int(found[2])), _SECONDS_TO_ANSWER).close()
    except (OSError, OverflowError):
        raise UserError(
            f"--address={address}: no Ray cluster answers there; start one with "
            f"`ray start --head --port={found[2]}`"
        ) from None


def ray_options(arguments: Arguments) -> RayOptions | None:
    """Return the options of Ray, which `check_backend` has checked; None for local processes."""
    from sweeps.execution.backends.by_ray.cluster import RayOptions

    if arguments["--backend"] == "local":
        return None
    return RayOptions(
        arguments["--address"],
        optional_integer(arguments, "--cpus-per-job", minimum=1) or 1,
        optional_positive(arguments, "--gpus-per-job") or 0.0,
        bool(arguments["--allow-different-versions"]),
        optional_positive(arguments, "--sync") or _SECONDS_OF_SYNC,
    )


def select_job_device(name: str, ray: RayOptions | None) -> torch.device:
    """Return the device that jobs train on; a Ray job sees only the GPUs that Ray gives it.

    Raises:
        UserError: this machine has no such device, and jobs run here.
    """
    import torch

    from utils import select_device

    if ray is None:
        return select_device(name)
    return torch.device("cuda:0" if ray.gpus else "cpu")
