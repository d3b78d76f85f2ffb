"""Runs commands on chosen cores, notes when they print what, and measures their memory."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_SECONDS_BETWEEN_SAMPLES = 0.1
_MEMORY = "/dev/shm"
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class ContenderFailedError(Exception):
    """A contender's process ended with an error."""


@dataclass(frozen=True)
class Measurement:
    """What a training cost.

    Attributes:
        steps: environment steps, without those of the warm-up.
        seconds: that they took.
        peak_mib: the sum over all processes of the most memory that was resident in each.
    """

    steps: int
    seconds: float
    peak_mib: float

    @property
    def rate(self) -> float:
        """Environment steps per second."""
        return self.steps / self.seconds


@dataclass(frozen=True)
class Finished:
    """A command that ended well.

    Attributes:
        lines: what it printed, each line with its time in seconds.
        seconds: from its start to its end.
        peak_mib: as in `Measurement`.
    """

    lines: list[tuple[float, str]]
    seconds: float
    peak_mib: float

    def measurement(self) -> Measurement:
        """What the last line says, a JSON object with `steps` and `seconds`."""
        reported = json.loads(self.lines[-1][1])
        return Measurement(reported["steps"], reported["seconds"], self.peak_mib)


def run(command: Sequence[str], cores: Sequence[int], threads: int | None = None) -> Finished:
    """Runs a command in a temporary folder, without a GPU, with temporary files in memory where it can.

    Disks are shared, and some contenders make sure that what they write is on them.

    Args:
        command: program and arguments.
        cores: the cores that it may use.
        threads: of numerical libraries; None leaves them their default.

    Raises:
        ContenderFailedError: it ended with an error.
    """
    environment = {k: v for k, v in os.environ.items() if k not in _THREAD_VARIABLES}
    environment |= {"CUDA_VISIBLE_DEVICES": "", "PYTHONUNBUFFERED": "1"}
    if os.access(_MEMORY, os.W_OK):
        environment["TMPDIR"] = _MEMORY
    if threads:
        environment |= dict.fromkeys(_THREAD_VARIABLES, str(threads))
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+") as errors:
        start = time.perf_counter()
        with _on_cores(cores):
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        memory = _Memory(process.pid)
        try:
            assert process.stdout is not None
            lines = [(time.perf_counter(), line) for line in process.stdout]
            code = process.wait()
        finally:
            # Whatever ends this script, nothing goes on that would disturb later measurements.
            process.terminate()
        seconds = time.perf_counter() - start
        peak = memory.stop()
        if code:
            errors.seek(0)
            said = [line for _, line in lines] + errors.read().splitlines()
            raise ContenderFailedError(
                next(filter(str.strip, reversed(said)), f"ended with {code}")
            )
    return Finished(lines, seconds, peak)


@contextmanager
def _on_cores(cores: Sequence[int]) -> Iterator[None]:
    """Restricts what this thread starts to some cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class _Memory(threading.Thread):
    """Watches the peak resident set of a process and of all that descend from it."""

    def __init__(self, process: int) -> None:
        super().__init__(daemon=True)
        self._process = process
        self._peaks: dict[int, int] = {}
        self._stopped = threading.Event()
        self.start()

    def run(self) -> None:
        while not self._stopped.wait(_SECONDS_BETWEEN_SAMPLES):
            for process in _tree(self._process):
                self._peaks[process] = max(_peak_kib(process), self._peaks.get(process, 0))

    def stop(self) -> float:
        """Ends the watch and returns the sum of all peaks in MiB."""
        self._stopped.set()
        self.join()
        return sum(self._peaks.values()) / 1024


def _tree(process: int) -> Iterator[int]:
    yield process
    for tasks in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            children = tasks.read_text().split()
        except OSError:
            continue
        for child in children:
            yield from _tree(int(child))


def _peak_kib(process: int) -> int:
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    return 0
