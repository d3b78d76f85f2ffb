"""Chooses the sweep backend."""

from __future__ import annotations

from pathlib import Path

from sweeps.execution.backends.by_ray.cluster import RayOptions, connect, count_places
from sweeps.execution.backends.by_ray.driver import RayBackend
from sweeps.execution.backends.by_slurm.driver import SlurmBackend
from sweeps.execution.backends.by_slurm.options import SlurmOptions
from sweeps.execution.backends.by_slurm.queue import check_options
from sweeps.execution.backends.local import Backend, run_in_processes


def choose_backend(
    cluster: RayOptions | SlurmOptions | None, jobs: int | None, arrays: Path
) -> tuple[Backend, int | None]:
    """Return the sweep backend, and the number of jobs that populations are planned for.

    Args:
        cluster: the options of Ray, to which this connects, or Slurm; None for local processes.
        jobs: the user's number of jobs; 0 and None leave it open on a cluster.
        arrays: the folder of the sweep's job arrays in Slurm.

    Raises:
        UserError: no Ray cluster answers, or Slurm refuses the options.
    """
    if cluster is None:
        return run_in_processes, jobs
    if isinstance(cluster, SlurmOptions):
        check_options(cluster.passed)
        return SlurmBackend(cluster, arrays), cluster.most
    connect(cluster)
    return RayBackend(cluster, jobs or None), jobs or count_places(cluster)
