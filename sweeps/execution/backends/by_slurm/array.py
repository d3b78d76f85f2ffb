"""The folder of a job array, through which the driver and the elements talk.

    <array>/array.json          the driver's versions, for the elements to compare
    <array>/array.sbatch        what each element runs
    <array>/job                 the job id; missing if the driver was killed while it submitted
    <array>/<n>/population.pkl  what element n trains; elements alone unpickle it
    <array>/<n>/runs.json       the same runs, for a driver that comes back
    <array>/<n>/messages        JSON, a line each, which the element appends
    <array>/<n>/read            how many bytes of them the journal has
    <array>/<n>/log             what the element prints

An element's folder is removed once the journal has all that it sent. A job that doesn't find its folder
has nothing to train.
"""

from __future__ import annotations

import json
import pickle
import secrets
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from schema.folders import START
from schema.yaml_file import replace_file
from sweeps.execution.backends.by_slurm.options import SlurmOptions
from sweeps.execution.backends.local import Population
from sweeps.execution.versions import versions
from sweeps.execution.worker import WorkerOptions
from sweeps.planning.populations import PlannedRun

_ARRAY, SCRIPT, _JOB = "array.json", "array.sbatch", "job"
POPULATION, _RUNS, MESSAGES, _READ, LOG = "population.pkl", "runs.json", "messages", "read", "log"
_PREFIX = "ppo-grid-"
# An element's exit code if its folder isn't there, which no program uses otherwise.
NO_FOLDER = 66
_ROOT = Path(__file__).resolve().parents[4]
_SCRIPT = """\
#!/bin/bash
# Until Python listens; it would end the job.
trap '' USR1
cd {array}/"$SLURM_ARRAY_TASK_ID" || exit {no_folder}
exec >> {log} 2>&1 < /dev/null
cd {start} || exit {no_folder}
export PYTHONPATH={root}"${{PYTHONPATH:+:$PYTHONPATH}}"
exec {python} -m sweeps.execution.backends.by_slurm.node {array}/"$SLURM_ARRAY_TASK_ID"
"""


class JobArray:
    """A job array.

    Args:
        folder: its folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # No other array of the cluster has this name, so a driver finds its jobs by it.
        self.name = folder.name

    @classmethod
    def write(
        cls,
        parent: Path,
        populations: Sequence[Population],
        options: WorkerOptions,
        slurm: SlurmOptions,
    ) -> JobArray:
        """Write the folder of a new array, before it is submitted.

        Args:
            parent: the folder of the sweep's arrays.
            populations: the runs of each element.
            options: the options of each job.
            slurm: the options of the array.

        Raises:
            OSError: something can't be written.
        """
        array = cls(parent / f"{_PREFIX}{secrets.token_hex(6)}")
        for number, population in enumerate(populations):
            array.element(number).write(population, options)
        script = _SCRIPT.format(
            array=shlex.quote(str(array.folder)),
            log=LOG,
            start=shlex.quote(str(START)),
            root=shlex.quote(str(_ROOT)),
            python=shlex.quote(sys.executable),
            no_folder=NO_FOLDER,
        )
        _write(array.folder / SCRIPT, script)
        described = {
            "versions": versions(),
            "allow_differences": slurm.allow_differences,
            "lead": slurm.lead,
        }
        # Last, so that an array with this file is complete.
        _write(array.folder / _ARRAY, json.dumps(described))
        return array

    def read(self) -> dict[str, Any]:
        """Return the versions of the driver that submitted it, and the options that its jobs need."""
        found: dict[str, Any] = json.loads((self.folder / _ARRAY).read_text(encoding="utf-8"))
        return found

    @property
    def job(self) -> str | None:
        """The job id; None if it isn't known."""
        try:
            return (self.folder / _JOB).read_text(encoding="utf-8")
        except OSError:
            return None

    def note_job(self, job: str) -> None:
        """Write down the job id."""
        _write(self.folder / _JOB, job)

    def element(self, number: int) -> Element:
        """Return an element."""
        return Element(self.folder / str(number))

    def elements(self) -> list[Element]:
        """Return the elements whose folders are still there."""
        numbers = (path.name for path in self.folder.iterdir() if path.is_dir())
        return [self.element(number) for number in sorted(map(int, numbers))]

    def remove(self) -> None:
        """Remove the folder, and those around it that are empty."""
        shutil.rmtree(self.folder, ignore_errors=True)
        _remove_empty(self.folder.parent)

    def remove_if_done(self) -> None:
        """Remove the folder if no element is left."""
        if not self.elements():
            self.remove()


class Element:
    """An element of a job array, which trains a population.

    Args:
        folder: its folder in the array's.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.number = int(folder.name)

    @property
    def array(self) -> JobArray:
        """The array that it belongs to."""
        return JobArray(self.folder.parent)

    def write(self, population: Population, options: WorkerOptions) -> None:
        """Write what it trains."""
        with replace_file(self.folder / POPULATION, "wb") as file:
            pickle.dump((list(population), options), file)
        # There from the start, because network disks may hide new files for a while.
        (self.folder / MESSAGES).touch()
        _write(self.folder / _RUNS, json.dumps([describe_run(each) for each in population]))

    def load(self) -> tuple[list[PlannedRun], WorkerOptions]:
        """Return what it trains; only the element itself may call this, as the pickle is code."""
        with (self.folder / POPULATION).open("rb") as file:
            population, options = pickle.load(file)
        return population, options

    def runs(self) -> list[list[Any]]:
        """Return the descriptions of its runs."""
        found: list[list[Any]] = json.loads((self.folder / _RUNS).read_text(encoding="utf-8"))
        return found

    def lines(self, start: int) -> Iterator[tuple[bytes, int]]:
        """Yield the complete lines of its messages from a byte on, and where each ends."""
        # Opened anew each time, so that a network disk shows what the node has written.
        with (self.folder / MESSAGES).open("rb") as file:
            file.seek(start)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                start += len(line)
                yield line, start

    @property
    def read_until(self) -> int:
        """Number of bytes of its messages that the journal has."""
        try:
            return int((self.folder / _READ).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return 0

    def note_read(self, until: int) -> None:
        """Write down how many bytes of its messages the journal has."""
        _write(self.folder / _READ, str(until))

    def last_words(self) -> str:
        """Return the last line that it printed; empty if there is none."""
        with suppress(OSError):
            text = (self.folder / LOG).read_text(encoding="utf-8", errors="replace").strip()
            return text.splitlines()[-1].strip() if text else ""
        return ""

    def remove(self) -> None:
        """Remove its folder, and the array's if no other element is left."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.array.remove_if_done()


def find_arrays(parent: Path) -> list[JobArray]:
    """Return the arrays whose folders are there, also those that were never submitted."""
    return [JobArray(path.parent) for path in sorted(parent.glob(f"{_PREFIX}*/{_ARRAY}"))]


def remove_half_written(parent: Path) -> None:
    """Remove the arrays that a driver was killed in writing: none of them was submitted."""
    for folder in parent.glob(f"{_PREFIX}*"):
        if not (folder / _ARRAY).exists():
            JobArray(folder).remove()


def describe_run(planned: PlannedRun) -> list[Any]:
    """Return what tells a run from others, and how far it trains."""
    updates = planned.permutation.config.trainer.updates
    return [planned.run.run_id, planned.name, updates, planned.until]


def _write(path: Path, text: str) -> None:
    with replace_file(path) as file:
        file.write(text)


def _remove_empty(folder: Path) -> None:
    """Remove the sweep's folder of arrays, and the one around it, if they are empty."""
    with suppress(OSError):
        folder.rmdir()
        folder.parent.rmdir()
