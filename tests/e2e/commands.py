"""Runs the commands as a user does: each in a process, from the user's folder."""

import os
import subprocess
import sys
from pathlib import Path

from tests.e2e.starter import ROOT, Starter

_STARTER = Starter()

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
    """Return the completed process of `python COMMAND.py OPTIONS`."""
    script, texts = f"{command}.py", [str(option) for option in options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    if not more_environment:
        return _STARTER.run(script, texts, cwd, environment, timeout)
    # Modules that are loaded already may not notice other variables.
    return subprocess.run(
        [sys.executable, str(ROOT / script), *texts],
        cwd=cwd,
        env={**environment, **more_environment},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def succeed(command, *options, cwd, timeout=240):
    """Run a command that must succeed, and return its standard output."""
    done = run(command, *options, cwd=cwd, timeout=timeout)
    assert done.returncode == 0, done.stderr
    return done.stdout


def fail(command, *options, cwd):
    """Run a command that must exit with code 2 and no traceback, and return its error lines."""
    done = run(command, *options, cwd=cwd)
    assert done.returncode == 2, (done.returncode, done.stderr)
    lines = done.stderr.splitlines()
    assert all(line.startswith(("error: ", "warning: ")) for line in lines), done.stderr
    return [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]


# A rate of 1e-9 learns nothing, so two of the four permutations are hopeless.
HOPELESS = """\
hyperparameters: {gamma: [0.95, 0.99]}
learning_rate_schedule: {initial: [1.0e-2, 1.0e-9], final: [1.0e-9]}
"""


def write_hopeless(folder):
    """Write a grid with hopeless permutations, of 40 updates, and return the options that name it."""
    options = write_tiny(folder)
    base = Path(folder, "base.yaml")
    text = base.read_text().replace("updates: 4", "updates: 40").replace("epochs: 1", "epochs: 4")
    base.write_text(text, encoding="utf-8")
    Path(folder, "space.yaml").write_text(HOPELESS, encoding="utf-8")
    return options


def write_tiny(folder):
    """Write base.yaml and space.yaml, and return the options that name them."""
    Path(folder, "base.yaml").write_text(TINY, encoding="utf-8")
    Path(folder, "space.yaml").write_text(TINY_GRID, encoding="utf-8")
    return ["--config=base.yaml", "--tune=space.yaml"]
