"""Environments that fail or hang: exit code, one line, and a file with the details."""

import csv
import re
from pathlib import Path

import pytest

from tests.e2e.commands import ROOT, fail, run

CONFIG = """\
environment:
  type: Gymnasium
  name: tests.environments.scripted:Faulty-v0
  kwargs: {fault: FAULT, at: 40}
  processes: 0
  launch_timeout: 1
  step_timeout: 1
model: {hidden_layer_size: 8}
trainer: {updates: 4, epochs: 1, num_workers: 2, worker_steps: 32, num_mini_batches: 1}
evaluation: {seeds: {num-seeds: 2}}
"""
NAME = "tests.environments.scripted:Faulty-v0"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return tmp_path


def write(folder, fault):
    (folder / "base.yaml").write_text(CONFIG.replace("FAULT", fault))


def train_faults(folder, *options):
    """Train environments that hang in two ways and a good one; return their rows of the results."""
    write(folder, "nothing")
    faults = '[swallows, "keeps the lock", nothing]'
    (folder / "space.yaml").write_text(f"hyperparameters: {{environment.kwargs.fault: {faults}}}\n")
    files = ("--config=base.yaml", "--tune=space.yaml", "--out=out")
    done = run("tune", *files, *options, cwd=folder)
    assert done.returncode == 1 and "Traceback" not in done.stdout + done.stderr
    with (folder / "out" / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["status"].startswith(f"failed: {NAME}: step gave no answer for 1 s")
    assert rows[1]["status"].startswith("failed: the process that trained it gave no sign of life")
    assert rows[2]["status"] == "finished"
    return rows


def only_line(text):
    """Return the only line that names a failure; the text has no traceback."""
    assert "Traceback" not in text
    (line,) = [line for line in text.splitlines() if line.startswith("failed: ")]
    return line


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("raises", "raised KeyError: 'motor'"),
        ("loops", "gave no answer for 1 s, environment.step_timeout"),
        pytest.param(
            "swallows", "gave no answer for 1 s, environment.step_timeout", marks=pytest.mark.slow
        ),
    ],
)
def test_a_training_ends_with_one_line(folder, fault, told):
    write(folder, fault)
    done = run("train", "--config=base.yaml", "--run-id=x", cwd=folder)
    assert done.returncode == 1 and done.stderr == ""
    path = "summaries/x/failure.txt"
    expected = f"failed: {NAME}: step {told} (after update 1; details in {path})"
    assert only_line(done.stdout) == expected
    text = (folder / path).read_text()
    assert text.startswith(f"failed: {NAME}: step {told} (after update 1)\n")
    assert "scripted.py" in text


def test_an_environment_that_cannot_be_built_is_a_config_error(folder):
    write(folder, "constructor hangs")
    (line,) = fail("train", "--config=base.yaml", cwd=folder)
    told = f"can't be played: {NAME}: the constructor gave no answer for 1 s"
    assert line.startswith(f"base.yaml: environment.name: {told}")
    assert not (folder / "summaries").exists()


@pytest.mark.parametrize("command", ["eval", "enjoy"])
def test_playing_ends_with_one_line(folder, command):
    write(folder, "raises")
    video = ["--video=x.gif"] if command == "enjoy" else []
    done = run(command, "--config=base.yaml", "--untrained", *video, cwd=folder)
    assert done.returncode == 1
    line = only_line(done.stderr)
    found = re.fullmatch(r"failed: (.*): step raised KeyError: 'motor' \(details in (.*)\)", line)
    assert found[1] == NAME
    assert "Traceback" in Path(found[2]).read_text()


def test_a_sweep_continues_and_records_the_steps_of_each_run(folder):
    write(folder, "nothing")
    faults = '[nothing, raises, loops, "nan reward", exits]'
    (folder / "space.yaml").write_text(f"hyperparameters: {{environment.kwargs.fault: {faults}}}\n")
    done = run("tune", "--config=base.yaml", "--tune=space.yaml", "--out=o", cwd=folder)
    assert done.returncode == 1 and "Traceback" not in done.stdout + done.stderr
    with (folder / "o" / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["steps"] for row in rows] == ["256", "64", "64", "64", "64"]
    told = [
        "raised KeyError: 'motor'",
        "gave no answer for 1 s, environment.step_timeout",
        "gave the reward nan, which isn't a finite number",
        "raised SystemExit",
    ]
    failed = [f"failed: {NAME}: step {each}" for each in told]
    assert [row["status"] for row in rows] == ["finished", *failed]
    for index in range(1, 5):
        assert (folder / f"o/summaries/default/{index}_0/failure.txt").is_file()


@pytest.mark.parametrize("command", ["train", "tune"])
def test_environments_end_their_children(folder, command):
    config = CONFIG.replace("Faulty", "Parent").replace("kwargs: {fault: FAULT, at: 40}", "")
    (folder / "base.yaml").write_text(config.replace("timeout: 1", "timeout: 20"))
    (folder / "space.yaml").write_text("hyperparameters: {gamma: [0.9]}\n")
    space = ["--tune=space.yaml"] if command == "tune" else []
    done = run(command, "--config=base.yaml", *space, "--out=o", cwd=folder, timeout=60)
    assert done.returncode == 0 and "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("fault", ["close raises", "close hangs"])
def test_a_close_that_fails_leaves_the_results(folder, fault):
    write(folder, fault)
    (folder / "space.yaml").write_text("hyperparameters: {gamma: [0.9, 0.99]}\n")
    done = run("tune", "--config=base.yaml", "--tune=space.yaml", "--out=o", cwd=folder)
    assert done.returncode == 0
    # One line from the validation, and one from each job.
    for line in done.stderr.splitlines():
        assert re.fullmatch(
            rf"warning: {NAME}: close (raised|gave no) .*; the results are kept", line
        )
    with (folder / "o" / "results.csv").open() as file:
        assert [row["status"] for row in csv.DictReader(file)] == ["finished", "finished"]


@pytest.mark.long
def test_a_sweep_survives_hangs_that_no_exception_stops(folder):
    rows = train_faults(folder)
    assert "gave no sign of life for 5 s" in rows[1]["status"]
    assert rows[0]["steps"] == rows[1]["steps"] == "64"
