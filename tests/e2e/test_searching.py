"""Searches as a user runs them: in a process, killed and resumed, and read back with Optuna."""

import csv
import os
import signal
import subprocess
import sys

import optuna
import pytest

from tests.e2e.commands import ROOT, TINY, fail, run, succeed

SPACE = """\
hyperparameters:
  gamma: {low: 0.8, high: 0.999}
  epochs: {low: 1, high: 3}
  lamda: [0.9, 0.95]
learning_rate_schedule:
  initial: {low: 1.0e-4, high: 1.0e-2, log: true}
try:
  - {gamma: 0.9, learning_rate_schedule.initial: 2.0e-3}
"""


@pytest.fixture
def options(tmp_path):
    (tmp_path / "base.yaml").write_text(TINY)
    (tmp_path / "space.yaml").write_text(SPACE)
    return ["--config=base.yaml", "--tune=space.yaml", "--search=tpe", "--trials=20"]


def rows(folder):
    """Return the rows of a table, without what depends on the machine's speed."""
    with (folder / "results.csv").open() as file:
        return [
            {key: value for key, value in row.items() if key != "wall_time_seconds"}
            for row in csv.DictReader(file)
        ]


def start_and_kill(options, folder, after):
    """Start a search, and kill it and its jobs once so many runs have ended."""
    child = subprocess.Popen(
        [sys.executable, str(ROOT / "tune.py"), *options],
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    for line in child.stdout:
        after -= line.startswith("[")
        if after <= 0:
            break
    os.killpg(child.pid, signal.SIGKILL)
    child.communicate()


@pytest.mark.long
def test_a_search_is_the_same_for_any_jobs_and_after_being_killed(tmp_path, options):
    options.append("--num-repetitions=2")
    shown = succeed("tune", *options, "--out=alone", "--jobs=1", cwd=tmp_path)
    assert (
        "search: tpe, 20 trials (a batch of 16, then batches of 8), 16 chosen so far; all runs together "
        "take 20,480 environment steps"
    ) in shown
    assert "next batch: 8 runs, 4,096 environment steps; 0 trials left afterwards" in shown
    found = rows(tmp_path / "alone")
    assert [row["permutation"] for row in found] == [f"{number:02}" for number in range(20)] * 2
    first = [found[0][key] for key in ("gamma", "epochs", "lamda")]
    assert first == ["0.9", "1", "0.95"]

    succeed("tune", *options, "--out=parallel", "--jobs=2", cwd=tmp_path)
    assert rows(tmp_path / "parallel") == found
    # In the first batch, and in the second.
    start_and_kill([*options, "--out=killed"], tmp_path, after=5)
    start_and_kill([*options, "--out=killed", "--together=2"], tmp_path, after=30)
    succeed("tune", *options, "--out=killed", cwd=tmp_path)
    assert rows(tmp_path / "killed") == found

    succeed("report", "--out=alone", "--page", "--optuna=study.db", cwd=tmp_path)
    study = optuna.load_study(study_name="default", storage=f"sqlite:///{tmp_path}/study.db")
    assert len(study.trials) == 20
    returns = [
        sum(float(row["final_return"]) for row in found if row["permutation"] == name) / 2
        for name in (trial.user_attrs["permutation"] for trial in study.trials)
    ]
    assert [trial.value for trial in study.trials] == pytest.approx(returns, rel=1e-5)
    assert study.trials[0].params["gamma"] == 0.9

    grown = succeed("tune", *options[:3], "--trials=22", "--out=alone", cwd=tmp_path)
    assert "next batch: 2 runs" in grown
    assert len({row["permutation"] for row in rows(tmp_path / "alone")}) == 22
    again = succeed("tune", *options[:3], "--trials=22", "--out=alone", "--dry-run", cwd=tmp_path)
    assert "22 finished runs in alone are kept" in again


@pytest.mark.slow
def test_leaders_of_a_search_are_confirmed(tmp_path, options):
    shown = succeed(
        "tune", *options[:2], "--search=random", "--trials=3", "--confirm=1x2", cwd=tmp_path
    )
    assert "Training 1 leader again on fresh seeds" in shown
    assert "Trained again on fresh seeds it reached" in shown


def test_options_that_do_not_fit_are_refused_in_one_line(tmp_path, options):
    base = options[:2]
    (tmp_path / "list.yaml").write_text("hyperparameters: {gamma: [0.9, 0.99]}\n")
    listed = ["--config=base.yaml", "--tune=list.yaml"]
    for given, message in [
        (
            [*base, "--search=tpe"],
            "--search=tpe: needs --trials=<n>, the number of permutations to train",
        ),
        (
            [*listed, "--trials=2"],
            "--trials=2: --search=grid trains all permutations; leave --trials out, or give "
            "--search=random, qmc, tpe or gp",
        ),
        (
            [*listed, "--search=random", "--trials=3"],
            "--trials=3: list.yaml has only 2 permutations; give at most as many, or --search=grid",
        ),
        (
            [*base, "--search=tpe", "--trials=3", "--generate-only"],
            "--generate-only: only works with --search=grid; leave it out",
        ),
        (
            [*base, "--search=cma", "--trials=3"],
            "--search=cma: must be one of grid, random, qmc, tpe, gp",
        ),
    ]:
        assert fail("tune", *given, "--out=out", cwd=tmp_path) == [message]
    assert len(fail("tune", *base, "--out=out", cwd=tmp_path)) == 3  # a line for each range
    assert not (tmp_path / "out").exists()


def test_a_preview_writes_nothing(tmp_path, options):
    shown = run("tune", *options, "--out=out", "--dry-run", cwd=tmp_path)
    assert "all runs together take 10,240 environment steps" in shown.stdout, shown.stderr
    assert not (tmp_path / "out").exists()
