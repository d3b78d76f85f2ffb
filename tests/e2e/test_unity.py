"""The commands with a stand-in for a Unity player, run as a user runs them."""

import csv
import os
import signal
import subprocess
import sys
import time

import imageio.v3 as imageio
import pytest

from tests.e2e import commands
from tests.e2e.commands import ROOT
from tests.unity_player.build import build_player
from tests.unity_player.recorder import read_records
from tests.unity_player.use import assert_players_end, players_with

# tests/environments/test_unity.py has the faster tests.
pytestmark = pytest.mark.long

# An episode lasts 8 steps, and each step's reward is 1 at best. Steps are independent, so gamma is 0.
BASE = """\
environment: {{type: Unity, name: ./player, unity: {{arguments: [{arguments}]}}}}
model: {{hidden_layer_size: 16, num_hidden_layers: 1}}
evaluation: {{evaluate: true, interval: 100, num_workers: 2, seeds: {{num-seeds: 4}}}}
trainer:
  {{updates: {updates}, epochs: 8, num_workers: 3, worker_steps: 32, num_mini_batches: 2, gamma: 0.0,
   learning_rate_schedule: {{initial: 1e-2}}, beta_schedule: {{initial: 0.0}}}}
"""
# Ports far from those of the test with fixed worker ids, since tests may run at the same time.
WORKER_ID = 21_000 + os.getpid() * 10 % 15_000
SPACE = "hyperparameters: {max_grad_norm: [0.5, 1.0], epochs: [7, 8]}\n"


def prepare(folder, *arguments, updates=10):
    """Write a player, base.yaml and space.yaml."""
    build_player(folder)
    base = BASE.format(arguments=", ".join(map(str, arguments)), updates=updates)
    (folder / "base.yaml").write_text(base)
    (folder / "space.yaml").write_text(SPACE)


def run(command, *options, cwd):
    """Do what `commands.run` does, on ports that no other test uses."""
    return commands.run(command, f"--worker-id={WORKER_ID}", *options, cwd=cwd)


def succeed(command, *options, cwd):
    return commands.succeed(command, f"--worker-id={WORKER_ID}", *options, cwd=cwd)


def fail(command, *options, cwd):
    return commands.fail(command, f"--worker-id={WORKER_ID}", *options, cwd=cwd)


def results(folder):
    with (folder / "results.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    prepare(folder, "--scene=copy")
    shown = succeed("train", "--config=base.yaml", cwd=folder)
    assert_players_end(folder, seconds=0)
    return folder, shown


def test_training_reaches_the_optimum(trained):
    _, shown = trained
    assert "return 8 ± 0 over the last evaluation" in shown


def test_the_checkpoint_is_evaluated(trained):
    folder, _ = trained
    path = "checkpoints/default/update_000010.pt"
    succeed("eval", f"--checkpoint={path}", "--out=evaluated", cwd=folder)
    with (folder / "evaluated" / "evaluation.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert (row["episodes"], float(row["return_mean"])) == ("4", 8.0)
    assert_players_end(folder, seconds=0)


def test_a_training_is_resumed_with_new_episodes(trained):
    folder, _ = trained
    path = "checkpoints/default/update_000010.pt"
    resumed = (folder / "base.yaml").read_text().replace("updates: 10", "updates: 11")
    resumed = resumed.replace("model: {", f"model: {{load_model: true, model_path: {path}, ")
    (folder / "resumed.yaml").write_text(resumed)
    shown = succeed("train", "--config=resumed.yaml", "--run-id=more", cwd=folder)
    assert "return 8 ± 0" in shown


def test_an_episode_is_filmed(tmp_path):
    prepare(tmp_path, "--scene=senses")
    shown = succeed("enjoy", "--config=base.yaml", "--untrained", "--video=a.mp4", cwd=tmp_path)
    assert shown.startswith("seed 0: return ")
    assert imageio.imread(tmp_path / "a.mp4").shape == (9, 36, 40, 3)
    assert_players_end(tmp_path, seconds=0)


def test_two_grids_are_trained_at_the_same_time(tmp_path):
    (tmp_path / "records").mkdir()
    prepare(tmp_path, f"--record={tmp_path}/records", updates=2)
    (tmp_path / "base.yaml").write_text(
        (tmp_path / "base.yaml").read_text().replace("interval: 100", "interval: 1")
    )
    options = ["--config=base.yaml", "--tune=space.yaml", "--jobs=2"]
    with (
        start(tmp_path, "tune", *options, "--worker-id=2", "--out=one") as one,
        start(tmp_path, "tune", *options, "--worker-id=100", "--out=two") as two,
    ):
        assert (one.wait(120), two.wait(120)) == (0, 0)
    for name in ("one", "two"):
        rows = results(tmp_path / name)
        assert [row["status"] for row in rows] == ["finished"] * 4
    # Each of the two jobs has three workers and two environments for evaluations.
    ports = {port for port in read_records(tmp_path / "records") if port < 40_000}
    expected = {5005 + first + number for first in (2, 100) for number in range(10)}
    assert ports == expected
    one, two = results(tmp_path / "one"), results(tmp_path / "two")
    assert [row["final_return"] for row in one] == [row["final_return"] for row in two]
    assert_players_end(tmp_path, seconds=0)


def test_a_grid_reaches_the_optimum(tmp_path):
    prepare(tmp_path)
    succeed("tune", "--config=base.yaml", "--tune=space.yaml", "--jobs=2", "--out=o", cwd=tmp_path)
    rows = results(tmp_path / "o")
    assert [row["status"] for row in rows] == ["finished"] * 4
    assert [float(row["final_return"]) for row in rows] == [8.0] * 4
    assert_players_end(tmp_path, seconds=0)


def test_bad_scenes_give_one_line(tmp_path):
    prepare(tmp_path, "--scene=hybrid")
    (line,) = fail("train", "--config=base.yaml", cwd=tmp_path)
    assert line.startswith(
        "base.yaml: environment.name: the behaviour Copy?team=0 has 2 continuous"
    )
    prepare(tmp_path, "--agents=2")
    (line,) = fail("tune", "--config=base.yaml", "--tune=space.yaml", "--unique", cwd=tmp_path)[:1]
    assert "trainer.num_workers: 3 isn't a multiple of the 2 agents in a player" in line
    (tmp_path / "player.x86_64").unlink()
    (line,) = fail("train", "--config=base.yaml", cwd=tmp_path)
    assert "environment.name: no player at ./player" in line


def test_a_given_port_that_is_in_use_gives_one_line(tmp_path):
    prepare(tmp_path, updates=10_000)
    first = f"--worker-id={WORKER_ID - 2}"
    with start(tmp_path, "train", "--config=base.yaml", first) as training:
        try:
            await_players(tmp_path, 3)
            (line,) = fail("train", "--config=base.yaml", "--run-id=b", cwd=tmp_path)
        finally:
            training.kill()
    assert f"port {5005 + WORKER_ID} of worker id {WORKER_ID} is in use" in line
    assert_players_end(tmp_path)


def test_a_failed_training_leaves_no_player(tmp_path):
    prepare(tmp_path, "--fail=die:3")
    done = run("train", "--config=base.yaml", cwd=tmp_path)
    assert done.returncode == 1 and "failed in a row" in done.stdout
    assert_players_end(tmp_path, seconds=0)


def test_failures_of_players_in_eval_and_enjoy_give_one_line(tmp_path):
    prepare(tmp_path, "--scene=senses", "--fail=die:1")
    for command, options in (("eval", []), ("enjoy", ["--video=a.mp4"])):
        done = run(command, "--config=base.yaml", "--untrained", *options, cwd=tmp_path)
        assert done.returncode == 1
        last = done.stderr.splitlines()[-1]
        assert last.startswith("failed: the player on port ") and "died (exit code 3)" in last
        assert "Traceback" not in done.stderr
    assert_players_end(tmp_path, seconds=0)


@pytest.mark.parametrize(
    ("command", "end", "code"),
    [("train", signal.SIGINT, 130), ("tune", signal.SIGINT, 130), ("tune", signal.SIGKILL, -9)],
)
def test_no_player_outlives_a_command(tmp_path, command, end, code):
    prepare(tmp_path, updates=10_000)
    options = ["--config=base.yaml", f"--worker-id={WORKER_ID}"]
    if command == "tune":
        options += ["--tune=space.yaml", "--jobs=2"]
    with start(tmp_path, command, *options) as training:
        try:
            await_players(tmp_path, 6 if command == "tune" else 3)
            # Ctrl-C reaches the whole process group, SIGKILL one process.
            (os.killpg if end == signal.SIGINT else os.kill)(training.pid, end)
            assert training.wait(20) == code
        finally:
            training.kill()
    assert_players_end(tmp_path)


def start(folder, command, *options):
    """Start a command in the background, in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, str(ROOT / f"{command}.py"), *options],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def await_players(folder, count):
    """Wait until that many players run, and half a second more."""
    deadline = time.monotonic() + 60
    while len(players_with(folder)) < count:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    time.sleep(0.5)
