"""Runs the commands as a user does: in a process of their own, from a folder of the user's."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

TINY = """\
environment: {type: CartPole, name: CartPole-v1, processes: 0}
model: {hidden_layer_size: 16, checkpoint_interval: 2}
evaluation: {seeds: {num-seeds: 3}}
trainer: {updates: 4, epochs: 1, num_workers: 2, worker_steps: 64, num_mini_batches: 2}
"""
TINY_GRID = """\
hyperparameters:
  gamma: [0.9, 0.99]
learning_rate_schedule:
  initial: [1e-3, 2e-3]
"""


def run(command, *options, cwd, timeout=240, more_environment=None):
    """The completed process of `python COMMAND.py OPTIONS`."""
    return subprocess.run(
        [sys.executable, str(ROOT / f"{command}.py"), *map(str, options)],
        cwd=cwd,
        env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200", **(more_environment or {})},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def succeed(command, *options, cwd, timeout=240):
    """Standard output of a command that must succeed."""
    done = run(command, *options, cwd=cwd, timeout=timeout)
    assert done.returncode == 0, done.stderr
    return done.stdout


def fail(command, *options, cwd):
    """The error lines of a command that must refuse, with exit code 2 and without a traceback."""
    done = run(command, *options, cwd=cwd)
    assert done.returncode == 2, (done.returncode, done.stderr)
    lines = done.stderr.splitlines()
    assert all(line.startswith(("error: ", "warning: ")) for line in lines), done.stderr
    return [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]


def write_tiny(folder):
    """Writes base.yaml and space.yaml and returns the options that name them."""
    Path(folder, "base.yaml").write_text(TINY, encoding="utf-8")
    Path(folder, "space.yaml").write_text(TINY_GRID, encoding="utf-8")
    return ["--config=base.yaml", "--tune=space.yaml"]
