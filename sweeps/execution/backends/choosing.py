"""Chooses the sweep backend."""

from __future__ import annotations

from sweeps.execution.backends.by_ray.cluster import RayOptions, connect, count_places
from sweeps.execution.backends.by_ray.driver import RayBackend
from sweeps.execution.backends.local import Backend, run_in_processes


def choose_backend(ray: RayOptions | None, jobs: int | None) -> tuple[Backend, int | None]:
    """Return the sweep backend, and the number of jobs that populations are planned for.

    Args:
        ray: the options of Ray, to which this connects; None for local processes.
        jobs: the user's number of jobs; 0 and None leave it open on a cluster.

    Raises:
        UserError: no Ray cluster answers.
    """
    if ray is None:
        return run_in_processes, jobs
    connect(ray)
    return RayBackend(ray, jobs or None), jobs or count_places(ray)
