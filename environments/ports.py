"""Chooses the ports on which environments communicate: a base plus the worker id of each."""

from __future__ import annotations

from collections.abc import Iterator

_BASE = 5005  # ML-Agents' first port
_LIMIT = 65536


class DefaultWorkerId(int):
    """A worker id that the user didn't choose: if its port is taken, the next free one is used.

    Adding a number gives another `DefaultWorkerId`.
    """

    def __add__(self, other: int) -> DefaultWorkerId:
        """Return the worker id that is greater by a number."""
        return DefaultWorkerId(int(self) + other)


# The worker id of environments that are built only to probe their spaces. It is far from the worker ids
# of training, so that a probe never takes the port of a run that starts at the same time.
PROBING = DefaultWorkerId(40_000)


def candidate_ports(worker_id: int) -> Iterator[int]:
    """Yield the ports that a worker id may use, the preferred one first."""
    first = _BASE + worker_id
    last = _LIMIT - 1 if isinstance(worker_id, DefaultWorkerId) else min(first, _LIMIT - 1)
    yield from range(first, last + 1)


def describe_conflict(worker_id: int) -> str:
    """Return a line for the user on why no candidate port is free."""
    port = _BASE + worker_id
    if port >= _LIMIT:
        return (
            f"--worker-id: environment {int(worker_id)} would need port {port}; "
            f"the greatest worker id is {_LIMIT - 1 - _BASE}"
        )
    if isinstance(worker_id, DefaultWorkerId):
        return f"--worker-id: no port from {port} on is free"
    return (
        f"--worker-id: port {port} of worker id {int(worker_id)} is in use; choose one whose ports "
        "no other session uses, or leave it out to take the next free ones"
    )
