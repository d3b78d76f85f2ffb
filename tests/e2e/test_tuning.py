import csv
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from tests.e2e.commands import ROOT, fail, run, succeed, write_tiny


def has_results(folder):
    """Whether a run has ended; the heading alone is there from the start."""
    table = folder / "results.csv"
    return table.exists() and len(table.read_text().splitlines()) > 1


def read_results(folder):
    with (folder / "results.csv").open() as file:
        return list(csv.DictReader(file))


def assert_group_ends(group):
    """Wait for Python's own helper processes, which end when their pipes are closed."""
    deadline = time.monotonic() + 10
    with pytest.raises(ProcessLookupError):
        while time.monotonic() < deadline:
            os.killpg(group, 0)
            time.sleep(0.05)


@pytest.mark.slow
def test_a_grid_is_trained_recorded_and_ranked(tmp_path):
    options = [*write_tiny(tmp_path), "--num-repetitions=2", "--seed=5", "--run-id=a", "--out=out"]
    shown = succeed("tune", *options, cwd=tmp_path)
    out = tmp_path / "out"
    rows = read_results(out)
    # Each repetition trains all permutations on one seed.
    assert [(row["repetition"], row["permutation"], row["seed"]) for row in rows] == [
        (str(lap), str(index), str(5 + lap)) for lap in range(2) for index in range(4)
    ]
    assert [row["gamma"] for row in rows[:4]] == ["0.9", "0.9", "0.99", "0.99"]
    assert {row["status"] for row in rows} == {"finished"}
    assert {row["steps"] for row in rows} == {"512"}
    for row in rows:
        name = f"{row['permutation']}_{row['repetition']}"
        assert row["checkpoint"] == f"checkpoints/a/{name}/update_000004.pt"
        assert (out / row["checkpoint"]).is_file()
        assert len(list((out / "summaries" / "a" / name).iterdir())) == 1
    means = {}
    for row in rows:
        means.setdefault(row["permutation"], []).append(float(row["final_return"]))
    best = max(means, key=lambda permutation: sum(means[permutation]))
    table_row = next(line for line in shown.splitlines() if line.startswith("│    1 "))
    assert table_row.split("│")[2].strip() == best
    assert "best agent: out/best" in shown
    run = f"# The best agent of a\n\nRun {best}_"
    assert (out / "best" / "README.md").read_text(encoding="utf-8").startswith(run)

    again = succeed("tune", *options, cwd=tmp_path)
    assert "8 finished runs in out are kept" in again
    assert read_results(out) == rows
    (tmp_path / "space.yaml").write_text("hyperparameters: {gamma: [0.5, 0.6]}\n")
    fail("tune", *options, cwd=tmp_path)
    assert read_results(out) == rows
    succeed("tune", *options, "--overwrite", cwd=tmp_path)
    assert [row["gamma"] for row in read_results(out)] == ["0.5", "0.6"] * 2
    names = sorted(path.name for path in (out / "summaries" / "a").iterdir())
    assert names == ["0_0", "0_1", "1_0", "1_1"]


@pytest.mark.long
def test_a_rule_leaves_out_what_a_sweep_has_trained_and_brings_it_back(tmp_path):
    options = [*write_tiny(tmp_path), "--run-id=a", "--out=out"]
    succeed("tune", *options, "--only=0-2", cwd=tmp_path)
    space = tmp_path / "space.yaml"
    whole = space.read_text()
    rows = read_results(tmp_path / "out")
    space.write_text(whole + "exclude:\n  - {gamma: 0.9, learning_rate_schedule.initial: 1e-3}\n")
    shown = succeed("tune", *options, cwd=tmp_path)
    assert "3 permutations x 1 repetition = 3 runs" in shown
    assert "1 finished run of permutations that are left out now kept, but not ranked" in shown
    assert [row["permutation"] for row in read_results(tmp_path / "out")] == list("0123")
    assert read_results(tmp_path / "out")[:3] == rows
    report = succeed("report", "--run-id=a", "--out=out", "--format=csv", cwd=tmp_path)
    ranked = {row["permutation"] for row in csv.DictReader(report.splitlines())}
    assert ranked == set("123")
    status = succeed("tune", "--status", "--run-id=a", "--out=out", cwd=tmp_path)
    assert "a: 3 finished of 3 runs" in status
    assert "1 permutation left out (1 finished run kept, but not ranked)" in status
    dry = succeed("tune", *options, "--dry-run", cwd=tmp_path)
    assert "3 finished runs in out are kept" in dry
    written = succeed("tune", *options[:2], "--generate-only", "--out=grid", cwd=tmp_path)
    assert written == "3 configs in grid\n"
    space.write_text(whole)
    again = succeed("tune", *options, cwd=tmp_path)
    assert "4 finished runs in out are kept" in again
    space.write_text(whole + "exclude: [{gama: 0.9}]\n")
    (line,) = fail("tune", *options, cwd=tmp_path)
    assert line == (
        "space.yaml, line 5: exclude: rule 1: gama: isn't tuned here; did you mean gamma?"
    )


@pytest.mark.long
def test_invalid_permutations_are_skipped_on_request(tmp_path):
    options = [*write_tiny(tmp_path), "--run-id=a"]
    (tmp_path / "space.yaml").write_text(
        "hyperparameters: {worker_steps: [9, 64], num_mini_batches: [2, 4]}\n"
    )
    (line,) = fail("tune", *options, "--out=out", cwd=tmp_path)
    assert line.startswith("space.yaml: permutation 1 (worker_steps=9, num_mini_batches=4): ")
    assert not (tmp_path / "out").exists()
    written = run("tune", *options, "--generate-only", "--skip-invalid", "--out=grid", cwd=tmp_path)
    assert written.stdout == "3 configs in grid\n"
    assert written.stderr.splitlines() == [
        "warning: space.yaml: 1 of 4 permutations is invalid and left out:",
        f"warning: {line}",
    ]
    dry = succeed("tune", *options, "--dry-run", "--skip-invalid", "--out=out", cwd=tmp_path)
    assert "3 permutations x 1 repetition = 3 runs" in dry
    succeed("tune", *options, "--skip-invalid", "--out=out", cwd=tmp_path)
    rows = read_results(tmp_path / "out")
    assert [row["permutation"] for row in rows] == list("023")
    again = succeed("tune", *options, "--skip-invalid", "--out=out", cwd=tmp_path)
    assert "3 finished runs in out are kept" in again
    status = succeed("tune", "--status", "--skip-invalid", "--run-id=a", "--out=out", cwd=tmp_path)
    assert "a: 3 finished of 3 runs\n1 permutation left out\n" in status
    report = succeed("report", "--run-id=a", "--out=out", "--format=csv", cwd=tmp_path)
    assert {row["permutation"] for row in csv.DictReader(report.splitlines())} == set("023")


@pytest.mark.long
def test_a_random_order_changes_only_when_runs_begin(tmp_path):
    options = [*write_tiny(tmp_path), "--run-id=a", "--together=1", "--jobs=1", "--seed=1"]
    (tmp_path / "space.yaml").write_text("hyperparameters: {gamma: [0.9, 0.95, 0.98, 0.99]}\n")
    succeed("tune", *options, "--out=whole", cwd=tmp_path)
    shown = succeed("tune", *options, "--order=random", "--out=out", cwd=tmp_path)
    begun = re.findall(r"^\[\d+/\d+\] (\d)_0", shown, re.MULTILINE)
    assert sorted(begun) == list("0123") and begun != list("0123")
    again = succeed("tune", *options, "--order=random", "--out=again", cwd=tmp_path)
    assert re.findall(r"^\[\d+/\d+\] (\d)_0", again, re.MULTILINE) == begun
    without_time = [
        [row | {"wall_time_seconds": ""} for row in read_results(tmp_path / folder)]
        for folder in ("whole", "out")
    ]
    assert without_time[0] == without_time[1]
    resumed = succeed("tune", *options, "--order=grid", "--out=out", cwd=tmp_path)
    assert "4 finished runs in out are kept" in resumed
    (line,) = fail("tune", *options, "--order=best", cwd=tmp_path)
    assert line == "--order=best: must be one of grid, random"


@pytest.mark.slow
def test_permutations_to_try_begin_first(tmp_path):
    options = [*write_tiny(tmp_path), "--run-id=a", "--together=1", "--jobs=1", "--out=out"]
    space = tmp_path / "space.yaml"
    whole = space.read_text()
    space.write_text(whole + "try:\n  - {gamma: 0.98}\n")
    (line,) = fail("tune", *options, cwd=tmp_path)
    assert line == "space.yaml, line 6: try: entry 1: gamma: 0.98 is none of its choices 0.9, 0.99"
    space.write_text(whole + "try:\n  - {gamma: 0.99, learning_rate_schedule.initial: 2e-3}\n")
    shown = succeed("tune", *options, cwd=tmp_path)
    begun = re.findall(r"^\[\d+/\d+\] (\d)_0", shown, re.MULTILINE)
    assert begun == list("3012")
    assert [row["permutation"] for row in read_results(tmp_path / "out")] == list("0123")


@pytest.mark.slow
def test_populations_in_jobs_give_the_results_of_single_runs(tmp_path):
    options = [*write_tiny(tmp_path), "--num-repetitions=2"]
    succeed("tune", *options, "--out=alone", cwd=tmp_path)
    plan = succeed("tune", *options, "--together=2", "--jobs=2", "--dry-run", cwd=tmp_path)
    assert "4 populations of 2 runs, 2 at a time" in plan
    assert "0_0 1_0" in plan
    shown = succeed("tune", *options, "--together=2", "--jobs=2", "--out=together", cwd=tmp_path)
    assert "4 populations of 2 runs, 2 at a time" in shown
    alone, together = (read_results(tmp_path / name) for name in ("alone", "together"))
    for row in [*alone, *together]:
        del row["wall_time_seconds"]
    assert alone == together


@pytest.mark.slow
@pytest.mark.parametrize(
    "more",
    [
        pytest.param([], id="alone", marks=pytest.mark.long),
        pytest.param(["--together=2", "--jobs=2"], id="jobs"),
    ],
)
def test_ctrl_c_keeps_finished_runs_and_leaves_no_process(tmp_path, more):
    options = [*write_tiny(tmp_path), "--out=out", "--num-repetitions=100", *more]
    child = subprocess.Popen(
        [sys.executable, str(ROOT / "tune.py"), *options],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not has_results(tmp_path / "out"):
        assert child.poll() is None
        time.sleep(0.05)
    os.killpg(child.pid, signal.SIGINT)
    stdout, stderr = child.communicate(timeout=60)
    assert child.returncode == 130
    assert "Traceback" not in stderr and stderr.splitlines()[-1] == "interrupted"
    assert "out keeps the finished runs" in stdout
    assert read_results(tmp_path / "out")[0]["status"] == "finished"
    assert_group_ends(child.pid)


@pytest.mark.slow
def test_a_sweep_that_is_killed_leaves_no_process(tmp_path):
    options = [*write_tiny(tmp_path), "--out=out", "--num-repetitions=100", "--jobs=2"]
    child = subprocess.Popen(
        [sys.executable, str(ROOT / "tune.py"), *options],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while not has_results(tmp_path / "out"):
        assert child.poll() is None
        time.sleep(0.05)
    child.kill()
    child.wait()
    assert_group_ends(child.pid)
    assert {row["status"] for row in read_results(tmp_path / "out")} == {"finished"}


def test_errors_name_the_file_the_key_and_the_remedy(tmp_path):
    options = write_tiny(tmp_path)
    space = tmp_path / "space.yaml"
    space.write_text("hyperparameters:\n  n_workers: [2, 4]\n")
    (line,) = fail("tune", *options, "--out=out", cwd=tmp_path)
    assert line.startswith("space.yaml, line 2: hyperparameters.n_workers: unknown key")
    assert "num_workers" in line
    space.write_text("hyperparameters:\n  gamma: [0.9, 1.5, high]\n")
    lines = fail("tune", *options, "--out=out", cwd=tmp_path)
    assert lines == [
        "space.yaml, line 2: gamma: choice 1.5: 1.5 is out of range; must be at most 1.0",
        "space.yaml, line 2: gamma: choice high: must be a number, not the text 'high'",
    ]
    space.write_text("hyperparameters:\n  num_workers: [2, 3]\n  worker_steps: [64, 65]\n")
    (line,) = fail("tune", *options, "--out=out", cwd=tmp_path)
    assert line.startswith("space.yaml: permutation 3 (num_workers=3, worker_steps=65): ")
    assert "trainer.num_mini_batches: 2 doesn't divide the batch of 195" in line
    space.write_text("hyperparameters:\n  name: [CartPole-v1, MiniGrid-Empty-5x5-v0]\n")
    (line,) = fail("tune", *options, "--out=out", cwd=tmp_path)
    assert "permutation 1 (name=MiniGrid-Empty-5x5-v0): environment.name: " in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["train", "tune"])
@pytest.mark.parametrize(
    ("section", "key"),
    [
        ("trainer: {num_workers: 100000000}", "trainer.num_workers"),
        ("model: {hidden_layer_size: 1000000}", "model.hidden_layer_size"),
    ],
)
def test_a_config_that_exceeds_the_memory_is_refused(command, section, key, tmp_path):
    (tmp_path / "base.yaml").write_text(f"{section}\n")
    (tmp_path / "space.yaml").write_text("hyperparameters: {gamma: [0.9]}\n")
    options = ["--tune=space.yaml", "--out=out"] if command == "tune" else ["--out=out"]
    (line,) = fail(command, "--config=base.yaml", *options, cwd=tmp_path)
    assert f"{key}: the training needs about " in line
    assert " GiB of it because of this key, and this machine has " in line
    assert not (tmp_path / "out").exists()


def test_a_dry_run_estimates_the_memory(tmp_path):
    shown = succeed("tune", *write_tiny(tmp_path), "--dry-run", cwd=tmp_path)
    assert re.search(r"^RAM: about 30\d MiB at a time; this machine has ", shown, re.MULTILINE)
    more = ["--dry-run", "--jobs=2", "--together=2"]
    shown = succeed("tune", *write_tiny(tmp_path), *more, cwd=tmp_path)
    assert re.search(r"^RAM: about 60\d MiB at a time; this machine has ", shown, re.MULTILINE)


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("--num-repetitions=0", "--num-repetitions=0: must be a whole number of at least 1"),
        ("--seed=-1", "--seed=-1: must be a whole number of at least 0"),
        ("--run-id=../x", "--run-id=../x: must be a name"),
        ("--device=gpu", "--device=gpu: not available here; must be one of auto, cpu"),
        ("--sead=3", "--sead: unknown option of tune.py; did you mean --seed?"),
        ("--config=none.yaml", "none.yaml: can't be read: No such file or directory"),
    ],
)
def test_wrong_options_give_one_line(tmp_path, option, expected):
    options = [entry for entry in write_tiny(tmp_path) if not option.startswith(entry[:8])]
    (line,) = fail("tune", *options, option, cwd=tmp_path)
    assert line.startswith(expected)
