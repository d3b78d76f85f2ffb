"""Kills parts of running sweeps at random moments, and resumes the sweeps."""

import contextlib
import csv
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from ppo.run.checkpoint import load_checkpoint
from tests.e2e.commands import ROOT, succeed

BASE = """\
environment:
  type: Gymnasium
  name: tests.environments.scripted:Crawling-v0
  backend: gymnasium
  processes: 2
model: {hidden_layer_size: 8, checkpoint_interval: 3}
trainer: {updates: 60, epochs: 1, num_workers: 2, worker_steps: 64, num_mini_batches: 1}
"""
SPACE = "hyperparameters: {gamma: [0.9, 0.99], lamda: [0.8, 0.95]}\n"
VICTIMS = ("driver", "job", "environment")


class Sweep:
    """A sweep in a folder, run by `tune.py` in a process of its own."""

    def __init__(self, folder: Path, out: str, *options: str) -> None:
        (folder / "base.yaml").write_text(BASE)
        (folder / "space.yaml").write_text(SPACE)
        self.folder, self.out = folder, folder / out
        self.options = ["--config=base.yaml", "--tune=space.yaml", f"--out={out}", *options]

    def start(self, crawling: bool = True) -> subprocess.Popen:
        """Start the sweep; if it crawls, it can't finish before it is disturbed."""
        (self.folder / "crawl").touch()
        if not crawling:
            self.speed_up()
        return subprocess.Popen(
            [sys.executable, str(ROOT / "tune.py"), *self.options],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )

    def speed_up(self) -> None:
        """Let the sweep train at full speed from now on."""
        (self.folder / "crawl").unlink(missing_ok=True)

    def finish(self) -> str:
        """Run the sweep until it is finished, and return what it printed."""
        self.speed_up()
        return succeed("tune", *self.options, cwd=self.folder, timeout=300)

    def table(self) -> list:
        """Return the results without the wall time, and with the weights in the checkpoints."""
        return table(self.out)

    def wait_for_a_checkpoint(self, child: subprocess.Popen, more_than: int = 0) -> None:
        """Wait until there are more checkpoints than that, or the sweep is over."""
        while child.poll() is None and len(list(self.out.rglob("*.pt"))) <= more_than:
            time.sleep(0.02)


def table(out: Path) -> list:
    """Return a sweep's results without the wall time, and with the weights in the checkpoints."""
    with (out / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        del row["wall_time_seconds"]
        weights = load_checkpoint(out / row["checkpoint"]).weights
        row["weights"] = {name: tensor.tolist() for name, tensor in weights.items()}
    return rows


def kill_at(beginning: str, folder: Path, arguments: Sequence[str]) -> None:
    """Run `tune.py`, and kill its driver at the first line with a beginning."""
    child = subprocess.Popen(
        [sys.executable, str(ROOT / "tune.py"), *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
    )
    for line in child.stdout:
        if line.startswith(beginning):
            os.kill(child.pid, signal.SIGKILL)
            break
    else:
        raise AssertionError(f"no line began with {beginning}")
    child.communicate()
    assert_group_ends(child.pid)


def kill_once(sweep: Sweep, victim: str, generator: random.Random) -> str:
    """Kill a part of the sweep at a random moment, and return the whole output.

    If the driver is killed, the sweep stops; else the other processes finish it or stop it.
    """
    child = sweep.start(crawling=generator.random() < 0.5)
    sweep.wait_for_a_checkpoint(
        child, len(list(sweep.out.rglob("*.pt"))) if sweep.out.exists() else 0
    )
    time.sleep(generator.uniform(0, 2))
    targets = {"driver": [child.pid], "job": jobs(child.pid), "environment": players(child.pid)}
    if targets[victim]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(generator.choice(targets[victim]), signal.SIGKILL)
    sweep.speed_up()
    printed, _ = child.communicate(timeout=300)
    assert_group_ends(child.pid)
    return printed


def jobs(driver: int) -> list[int]:
    """Return the processes that train."""
    return [job for server in children(driver) for job in children(server)]


def players(driver: int) -> list[int]:
    """Return the processes that step environments."""
    return [
        player for job in jobs(driver) for server in children(job) for player in children(server)
    ]


def children(parent: int) -> list[int]:
    """Return the processes that a process started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The process name, in brackets, may hold any character.
            if int(path.read_text().rpartition(")")[2].split()[1]) == parent:
                found.append(int(path.parent.name))
    return found


def assert_group_ends(group: int, seconds: float = 20) -> None:
    """Wait until all processes of a group have ended; some end only when their pipes are closed."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    raise AssertionError("processes were left behind")
