"""The options of `--slurm`, which are passed on to `sbatch`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from schema.errors import UserError

# Options of sbatch without a value. Any other text without `=` belongs to the value before it.
_FLAGS = (
    "contiguous",
    "exclusive",
    "hold",
    "no-kill",
    "no-requeue",
    "overcommit",
    "oversubscribe",
    "spread-job",
    "use-min-nodes",
)
_OURS = (
    "array",
    "chdir",
    "error",
    "help",
    "input",
    "job-name",
    "open-mode",
    "output",
    "parsable",
    "quiet",
    "test-only",
    "usage",
    "version",
    "wait",
    "wrap",
)
_GPUS = re.compile(r"--gpus(-per-\w+)?=|--(gres|tres-per-\w+)=(.*[,/:])?gpu\b")
_MOST_JOBS = 16
_SIGNAL = re.compile(r"B:USR1@(\d{1,5})")
_SECONDS_OF_LEAD = 90


@dataclass(frozen=True)
class SlurmOptions:
    """The options of the jobs.

    Attributes:
        passed: options of `sbatch`, as the user gave them.
        most: the maximum number of elements of an array that run at a time.
        allow_differences: whether nodes may have other versions than the driver.
        lead: seconds from the signal that a job gets before its time limit to the limit.
    """

    passed: tuple[str, ...] = ()
    most: int = _MOST_JOBS
    allow_differences: bool = False
    lead: int = _SECONDS_OF_LEAD

    @property
    def is_elsewhere(self) -> bool:
        """Whether jobs may run on other machines."""
        return True

    @property
    def gpus(self) -> bool:
        """Whether each job gets a GPU."""
        return any(_GPUS.match(option) for option in self.passed)


def parse_slurm(text: str, most: int | None, allow_differences: bool) -> SlurmOptions:
    """Return the options in the value of `--slurm`, such as `partition=gpu,time=4:00:00`.

    Args:
        text: the value; may be empty.
        most: the maximum number of elements at a time; None is the default.
        allow_differences: whether nodes may have other versions than the driver.

    Raises:
        UserError: the value isn't a list of options, or names one that the driver sets.
    """
    passed: list[str] = []
    lead: int | None = None
    for part in text.split(",") if text else ():
        name, equals, value = part.partition("=")
        if passed and not equals and name not in _FLAGS:
            passed[-1] += f",{part}"
            continue
        if not re.fullmatch(r"[a-z][a-z-]*", name):
            raise UserError(
                f"--slurm={text}: must be options of sbatch without their dashes, such as "
                "partition=gpu,time=4:00:00"
            )
        if name in _OURS:
            raise UserError(f"--slurm: {name}: is set by tune.py; leave it out")
        if name == "signal":
            found = _SIGNAL.fullmatch(value)
            if not found or not int(found[1]):
                raise UserError(
                    f"--slurm: signal={value}: must be B:USR1@<seconds>, the time that a job has for "
                    "saving checkpoints before its time limit"
                )
            lead = int(found[1])
        passed.append(f"--{part}")
    if lead is None:
        lead = _SECONDS_OF_LEAD
        passed.insert(0, f"--signal=B:USR1@{lead}")
    return SlurmOptions(tuple(passed), most or _MOST_JOBS, allow_differences, lead)
