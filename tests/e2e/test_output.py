"""Commands whose output nobody reads any more."""

import os
import subprocess
import sys

import pytest

from reports.outcome import read_outcome
from tests.e2e.commands import ROOT

PACKAGE = """\
import gymnasium
from gymnasium.envs.classic_control import CartPoleEnv


class Talking(CartPoleEnv):
    def step(self, action):
        print("step", flush=True)
        return super().step(action)


gymnasium.register("Talking-v0", Talking, max_episode_steps=50)
"""
BASE = """\
environment: {type: Gymnasium, name: "talking:Talking-v0", processes: %d}
model: {hidden_layer_size: 8}
trainer: {updates: 2, epochs: 1, num_workers: 2, worker_steps: 32, num_mini_batches: 1}
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "talking.py").write_text(PACKAGE)
    (tmp_path / "tune.yaml").write_text("hyperparameters: {gamma: [0.9, 0.99]}\n")
    return tmp_path


def unread(command, *options, cwd):
    """Return the exit code of a command whose standard output and error are closed pipes."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, str(ROOT / f"{command}.py"), *options],
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(cwd)},
            stdout=writer,
            stderr=writer,
            timeout=240,
            check=False,
        )
    finally:
        os.close(writer)
    return done.returncode


@pytest.mark.parametrize(
    "processes",
    [pytest.param(0, id="in the job", marks=pytest.mark.long), pytest.param(1, id="in processes")],
)
def test_a_sweep_goes_on_when_nobody_reads_its_output(folder, processes):
    (folder / "base.yaml").write_text(BASE % processes)
    options = ("--config=base.yaml", "--tune=tune.yaml", "--out=out")
    assert unread("tune", *options, cwd=folder) == 0
    outcome = read_outcome(folder / "out", "default")
    assert [run.status for run in outcome.runs] == ["finished"] * 2
    assert unread("report", "--out=out", "--format=csv", cwd=folder) == 0
