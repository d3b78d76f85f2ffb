"""Calls Slurm's commands: submits arrays, lists their elements, and cancels them."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from schema.errors import UserError

_SECONDS_TO_ANSWER = 120
_SECONDS_PER_LOOK = 1.0
_SECONDS_TO_END = 300.0
_MOST_ELEMENTS = 1001  # Slurm's own default
# Beginnings of lines in which sbatch says who speaks.
_SPEAKER = re.compile(r"^(sbatch|allocation failure): (error: )?")


def check_options(options: Sequence[str]) -> None:
    """Let Slurm check options of `sbatch`, without submitting a job.

    Raises:
        UserError: Slurm refuses them.
    """
    _sbatch(["--test-only", *options, "--wrap=true"])


def submit(name: str, elements: int, most: int, options: Sequence[str], script: Path) -> str:
    """Submit an array and return its job id.

    Args:
        name: the name of its jobs, which no other array has.
        elements: number of its elements, which count from 0.
        most: the maximum number of elements that run at a time.
        options: further options of `sbatch`.
        script: what each element runs.

    Raises:
        UserError: Slurm refuses it.
    """
    own = [
        *("--parsable", f"--job-name={name}", f"--array=0-{elements - 1}%{most}"),
        # The script writes its log itself, into a folder that the node may not see.
        *("--output=/dev/null", "--requeue"),
    ]
    return _sbatch([*own, *options, str(script)]).partition(";")[0].strip()


def _sbatch(arguments: Sequence[str]) -> str:
    done = _run("sbatch", *arguments)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        words = [_SPEAKER.sub("", line) for line in lines if not line.startswith("Try ")]
        raise UserError(f"--slurm: sbatch refuses it: {'; '.join(words)}")
    return done.stdout


def queued(names: Iterable[str]) -> set[tuple[str, int]] | None:
    """Return the name and number of each element that waits or runs; None if Slurm is silent.

    Args:
        names: the names of their arrays.
    """
    wanted = ",".join(names)
    if not wanted:
        return set()
    try:
        done = _run("squeue", "--array", "--noheader", f"--name={wanted}", "--format=%j|%K")
    except UserError:
        return None
    if done.returncode:
        return None
    pairs = (line.strip().rpartition("|") for line in done.stdout.splitlines())
    return {(name, int(number)) for name, _, number in pairs if number.isdecimal()}


def cancel(names: Iterable[str]) -> None:
    """Cancel arrays, whose jobs may still save checkpoints, and wait until they have ended.

    Raises:
        UserError: Slurm doesn't cancel them.
    """
    names = list(names)
    deadline = time.monotonic() + _SECONDS_TO_END
    request_cancel(names)
    while queued(names) != set():
        if time.monotonic() > deadline:
            raise UserError(
                f"scancel: jobs named {','.join(names)} are still in the queue after "
                f"{_SECONDS_TO_END:.0f} s"
            )
        time.sleep(_SECONDS_PER_LOOK)


def request_cancel(names: Iterable[str]) -> None:
    """Cancel arrays, whose jobs may still save checkpoints.

    Raises:
        UserError: Slurm doesn't answer.
    """
    for name in names:
        _run("scancel", f"--name={name}")


def requeue() -> bool:
    """Put the job in which this process runs back into the queue; return whether Slurm does so."""
    try:
        return not _run("scontrol", "requeue", os.environ["SLURM_JOB_ID"]).returncode
    except (KeyError, UserError):
        return False


def exit_code(job: str, element: int) -> int | None:
    """Return the exit code of an element that has ended lately; None if Slurm doesn't know it."""
    found = _show(r"ExitCode=(\d+):", "job", f"{job}_{element}")
    return None if found is None else int(found)


def most_elements() -> int:
    """Return the maximum number of elements of an array."""
    return int(_show(r"MaxArraySize\s*=\s*(\d+)", "config") or _MOST_ELEMENTS)


def _show(pattern: str, *what: str) -> str | None:
    """Return what a pattern finds in what Slurm shows; None if it shows no such thing."""
    try:
        found = re.search(pattern, _run("scontrol", "--oneliner", "show", *what).stdout)
    except UserError:
        return None
    return found and found[1]


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS_TO_ANSWER,
            check=False,
            # Ctrl-C is for the driver, which asks what becomes of the jobs.
            start_new_session=True,
        )
    except OSError as error:
        raise UserError(f"{command[0]}: can't be run: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise UserError(f"{command[0]}: gave no answer for {_SECONDS_TO_ANSWER} s") from None
