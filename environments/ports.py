"""The ports on which environments communicate: a base, plus the worker id of each."""

from __future__ import annotations

from collections.abc import Iterator

_BASE = 5005  # where ML-Agents begins to count
_LIMIT = 65536


class DefaultWorkerId(int):
    """A worker id that the user didn't choose: where its port is taken, the next free one will do.

    What is counted from it is such a worker id, too.
    """

    def __add__(self, other: int) -> DefaultWorkerId:
        """The worker id that is so much greater."""
        return DefaultWorkerId(int(self) + other)


# Of environments that are built only to learn their spaces. It is far from what sessions are given,
# so that none of them finds its port taken while another one begins.
PROBING = DefaultWorkerId(40_000)


def candidate_ports(worker_id: int) -> Iterator[int]:
    """The ports that an environment of a worker id may have, the best one first."""
    first = _BASE + worker_id
    last = _LIMIT - 1 if isinstance(worker_id, DefaultWorkerId) else min(first, _LIMIT - 1)
    yield from range(first, last + 1)


def describe_conflict(worker_id: int) -> str:
    """A line for the user on why none of the candidates could be had."""
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
