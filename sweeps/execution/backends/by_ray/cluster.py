"""Connects to a Ray cluster, or starts Ray on this machine."""

from __future__ import annotations

import os
from dataclasses import dataclass

from environments.cores import available_cores
from schema.errors import UserError

# Ray sends no usage statistics, and leaves the GPUs visible to jobs that declare none.
_SETTINGS = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


@dataclass(frozen=True)
class RayOptions:
    """The cluster and what each job needs there.

    Attributes:
        address: the cluster's `host:port`, or `auto` for the one of this machine; None starts Ray here.
        cpus: number of CPUs of a job.
        gpus: number of GPUs of a job; a fraction shares one.
        allow_differences: whether nodes may have other versions than the driver.
        sync: maximum seconds between copies of checkpoints from nodes that don't see the output folder.
    """

    address: str | None = None
    cpus: int = 1
    gpus: float = 0.0
    allow_differences: bool = False
    sync: float = 60.0

    @property
    def is_elsewhere(self) -> bool:
        """Whether jobs may run on other machines."""
        return self.address is not None


def connect(options: RayOptions) -> None:
    """Connect to the cluster.

    Raises:
        UserError: no cluster answers.
    """
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    # Imported here because it is optional, and takes a second to load.
    import ray

    here = {"num_cpus": available_cores(), "include_dashboard": False}
    try:
        ray.init(
            address=options.address or "local",
            log_to_driver=False,
            logging_level="critical",
            **({} if options.address else here),
        )
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        if options.address is None:
            raise UserError(f"--backend=ray: Ray doesn't start here: {_line(error)}") from None
        raise UserError(
            f"--address={options.address}: no Ray cluster answers there, or this machine isn't one of "
            "its nodes; start `ray start --head` there and `ray start --address=<host:port>` here"
        ) from None


def count_places(options: RayOptions) -> int:
    """Return how many jobs the cluster can run at a time now; at least 1."""
    import ray

    alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    places = 0
    for resources in alive:
        fits = resources.get("CPU", 0) // options.cpus
        if options.gpus:
            fits = min(fits, resources.get("GPU", 0) // options.gpus)
        places += int(fits)
    return max(1, places)


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
