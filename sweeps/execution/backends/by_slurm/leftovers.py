"""Handles the jobs that go on when a driver has ended, outside of the sweep itself."""

from __future__ import annotations

import shutil
from pathlib import Path

from schema.errors import UserError
from sweeps.execution.backends.by_slurm import queue
from sweeps.execution.backends.by_slurm.array import find_arrays

_FOLDER = ".slurm"


def arrays_folder(out: Path, sweep: str) -> Path:
    """Return the folder of a sweep's arrays.

    Args:
        out: the output folder.
        sweep: the run id, or what names a shard's journal.
    """
    return out / _FOLDER / sweep


def count_jobs(folder: Path) -> int | None:
    """Return how many jobs of a sweep wait or run; None if Slurm is silent."""
    found = queue.queued(_names(folder))
    return None if found is None else len(found)


def cancel_jobs(folder: Path) -> None:
    """Cancel the jobs of a sweep, which save checkpoints.

    Raises:
        UserError: Slurm doesn't answer.
    """
    queue.request_cancel(_names(folder))


def refuse_jobs(folder: Path, overwrite: bool) -> None:
    """Make sure that no job of Slurm trains a sweep which begins anew, or trains elsewhere.

    Args:
        folder: the folder of the sweep's arrays.
        overwrite: whether its jobs may be cancelled.

    Raises:
        UserError: jobs are in the queue and may not be cancelled, or Slurm is silent.
    """
    names = _names(folder)
    if not names:
        return
    found = queue.queued(names)
    if found is None:
        raise UserError(
            f"{folder}: jobs of Slurm may be training this sweep, and squeue gives no answer here; "
            "use --backend=slurm, or remove this folder once they have ended"
        )
    if found and not overwrite:
        raise UserError(
            f"{folder}: {len(found)} jobs of Slurm train this sweep; use --backend=slurm, or cancel "
            f"them (scancel --name={','.join(names)})"
        )
    if found:
        queue.cancel(names)
    # The checkpoints have all that the jobs did.
    shutil.rmtree(folder)


def _names(folder: Path) -> list[str]:
    return [array.name for array in find_arrays(folder)]
