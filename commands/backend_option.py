"""Reads the options of `tune.py --backend`: where jobs run, and what each needs there."""

from __future__ import annotations

import re
import shutil
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
    from sweeps.execution.backends.by_slurm.options import SlurmOptions

BACKENDS = ("local", "ray", "slurm")
# The options that not all sweep backends have, and the backends that have them.
_OWN = {
    "--address": ("ray",),
    "--cpus-per-job": ("ray",),
    "--gpus-per-job": ("ray",),
    "--sync": ("ray",),
    "--slurm": ("slurm",),
    "--max-jobs": ("slurm",),
    "--allow-different-versions": ("ray", "slurm"),
    "--jobs": ("local", "ray"),
}
_OF_SLURM = ("sbatch", "squeue", "scancel", "scontrol")
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
    chosen = choice_option(arguments, "--backend", BACKENDS)
    for name, backends in _OWN.items():
        if arguments[name] and chosen not in backends:
            fitting = " or ".join(f"--backend={each}" for each in backends)
            raise UserError(f"{name}: doesn't belong to --backend={chosen}, but to {fitting}")
    if chosen == "local":
        return
    if is_given("--worker-id", usage):
        raise UserError(
            f"--worker-id: leave it out with --backend={chosen}, where ports are chosen"
        )
    device = str(arguments["--device"])
    if device not in ("auto", "cpu", "cuda"):
        raise UserError(
            f"--device={device}: must be auto, cpu or cuda, as {chosen.capitalize()} chooses the GPU"
        )
    if chosen == "ray":
        _check_ray(arguments, device)
    else:
        _check_slurm(arguments, device)


def _check_slurm(arguments: Arguments, device: str) -> None:
    missing = [command for command in _OF_SLURM if shutil.which(command) is None]
    if missing:
        raise UserError(
            f"--backend=slurm: there is no {missing[0]} here; run tune.py on a machine from which jobs "
            "are submitted to Slurm"
        )
    slurm = _slurm_options(arguments)
    if device == "cuda" and not slurm.gpus:
        raise UserError("--device=cuda: add --slurm=gres=gpu:1, so that Slurm gives each job a GPU")
    if device == "cpu" and slurm.gpus:
        raise UserError("--device=cpu: uses no GPU; leave GPUs out of --slurm")


def _check_ray(arguments: Arguments, device: str) -> None:
    if find_spec("ray") is None:
        raise UserError("--backend=ray: Ray isn't installed; `make ray` installs it")
    optional_integer(arguments, "--cpus-per-job", minimum=1)
    optional_positive(arguments, "--sync")
    gpus = optional_positive(arguments, "--gpus-per-job") or 0.0
    if gpus > 1 and not gpus.is_integer():
        raise UserError(f"--gpus-per-job={gpus:g}: must be a whole number, or a fraction below 1")
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


def cluster_options(arguments: Arguments) -> RayOptions | SlurmOptions | None:
    """Return the options of the cluster; None for local processes.

    Raises:
        UserError: an option of Slurm is wrong; `check_backend` checks those of Ray.
    """
    if arguments["--backend"] == "slurm":
        return _slurm_options(arguments)
    if arguments["--backend"] == "local":
        return None
    from sweeps.execution.backends.by_ray.cluster import RayOptions

    return RayOptions(
        arguments["--address"],
        optional_integer(arguments, "--cpus-per-job", minimum=1) or 1,
        optional_positive(arguments, "--gpus-per-job") or 0.0,
        bool(arguments["--allow-different-versions"]),
        optional_positive(arguments, "--sync") or _SECONDS_OF_SYNC,
    )


def _slurm_options(arguments: Arguments) -> SlurmOptions:
    from sweeps.execution.backends.by_slurm.options import parse_slurm

    most = optional_integer(arguments, "--max-jobs", minimum=1)
    return parse_slurm(
        arguments["--slurm"] or "", most, bool(arguments["--allow-different-versions"])
    )


def select_job_device(name: str, cluster: RayOptions | SlurmOptions | None) -> torch.device:
    """Return the device that jobs train on; on a cluster, a job sees only the GPUs that it gets.

    Raises:
        UserError: this machine has no such device, and jobs run here.
    """
    import torch

    from utils import select_device

    if cluster is None:
        return select_device(name)
    return torch.device("cuda:0" if cluster.gpus else "cpu")
