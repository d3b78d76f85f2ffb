"""Runs commands on chosen cores, with a time for each printed line, and measures their memory."""

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
    """A contender's process exited with an error."""


@dataclass(frozen=True)
class Measurement:
    """The cost of a training.

    Attributes:
        steps: environment steps after the warm-up.
        seconds: duration of these steps.
        peak_mib: sum over all processes of their peak resident memory.
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
    """A command that succeeded.

    Attributes:
        lines: the printed lines, each with its time in seconds.
        seconds: duration from start to exit.
        peak_mib: as in `Measurement`.
    """

    lines: list[tuple[float, str]]
    seconds: float
    peak_mib: float

    def measurement(self) -> Measurement:
        """Return the measurement in the last line, a JSON object with `steps` and `seconds`."""
        reported = json.loads(self.lines[-1][1])
        return Measurement(reported["steps"], reported["seconds"], self.peak_mib)


def run(command: Sequence[str], cores: Sequence[int], threads: int | None = None) -> Finished:
    """Run a command in a temporary folder, without a GPU, with temporary files in RAM if possible.

    Disks are shared, and some contenders wait until their files are on the disk.

    Args:
        command: program and arguments.
        cores: cores that the command may use.
        threads: threads of numerical libraries; None: their default.

    Raises:
        ContenderFailedError: the command exited with an error.
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
            # A process that outlived this block would disturb later measurements.
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
    """Restrict processes that the block starts to some cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class _Memory(threading.Thread):
    """Tracks the peak resident memory of a process and its descendants."""

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
        """Stop tracking and return the sum of all peaks in MiB."""
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
