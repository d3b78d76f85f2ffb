"""Writes what trains generated configs elsewhere: a list of commands, and a job array for Slurm.

Each line of the list trains one permutation with one seed, as a sweep would. GNU parallel, or a loop of
the shell, runs the lines; `sbatch` runs the array.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from schema.yaml_file import replace_file
from sweeps.search_space.grid import Grid

JOBS, ARRAY = "jobs.txt", "array.sbatch"
_TRAIN = Path(__file__).resolve().parents[2] / "train.py"


def write_jobs(grid: Grid, folder: Path, repetitions: int, seed: int) -> None:
    """Write `jobs.txt` and `array.sbatch` beside the configs of a grid.

    Args:
        grid: the permutations, with configs in the folder.
        folder: the folder of the configs, absolute.
        repetitions: number of seeds for each permutation.
        seed: the first seed.
    """
    with replace_file(folder / JOBS) as file:
        for repetition in range(repetitions):
            for index in grid.indices():
                file.write(_command(folder, grid.name(index), repetition, seed) + "\n")
    with replace_file(folder / ARRAY) as file:
        file.write(_array(folder, grid.count * repetitions))


def _command(folder: Path, name: str, repetition: int, seed: int) -> str:
    options = [
        f"--config={folder / name}.yaml",
        f"--run-id={name}_{repetition}",
        f"--seed={seed + repetition}",
        f"--out={folder}",
    ]
    return shlex.join([sys.executable, str(_TRAIN), *options])


def _array(folder: Path, jobs: int) -> str:
    # Slurm replaces %A and %a; a log outside the folder would be lost in a folder of the user's.
    log = folder / "slurm-%A_%a.log"
    return f"""\
#!/bin/bash
#SBATCH --job-name=ppo-grid
#SBATCH --array=1-{jobs}
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=1
#SBATCH --output="{log}"

# Each element trains the line of its number. More options: sbatch --time=4:00:00 --mem=4G {ARRAY}
eval "$(sed --quiet "${{SLURM_ARRAY_TASK_ID}}p" {shlex.quote(str(folder / JOBS))})"
"""
