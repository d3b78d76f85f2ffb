import csv
import os
import subprocess
import sys

import pytest
import torch

from ppo.run.checkpoint import load_checkpoint
from tests.e2e.commands import ROOT, fail, run, succeed, write_tiny


def test_no_options_but_generate_only_write_the_documented_example(tmp_path):
    done = run("tune", "--generate-only", f"--out={tmp_path}/grid", cwd=ROOT)
    assert done.returncode == 0
    names = sorted(path.name for path in (tmp_path / "grid").iterdir())
    assert names == [
        *(f"{index:02d}.yaml" for index in range(48)),
        *("array.sbatch", "index.csv", "jobs.txt"),
    ]
    assert "16 of 48 permutations repeat another" in done.stderr
    assert "beta_schedule.initial lists 0.001 twice" in done.stderr
    with (tmp_path / "grid" / "index.csv").open() as file:
        rows = list(csv.DictReader(file))
    last = rows[-1]
    assert last["index"] == "47" and last["file"] == "47.yaml"
    assert (last["worker_steps"], last["num_workers"]) == ("128", "16")
    first_line = (tmp_path / "grid" / "00.yaml").read_text().splitlines()[0]
    assert first_line.startswith("# permutation 00 of 48: worker_steps=64, num_workers=8, ")


@pytest.mark.long
def test_a_shell_loop_trains_generated_configs(tmp_path):
    options = write_tiny(tmp_path)
    succeed("tune", *options, "--generate-only", "--out=./grid_search/", cwd=tmp_path)
    loop = (
        f"for config in ./grid_search/[03].yaml; do '{sys.executable}' '{ROOT}/train.py' "
        "--config=$config --run-id=$(basename $config .yaml) || exit 1; done"
    )
    subprocess.run(["bash", "-c", loop], cwd=tmp_path, check=True, capture_output=True)
    for index in (0, 3):
        assert (tmp_path / "checkpoints" / str(index) / "update_000004.pt").is_file()
        assert list((tmp_path / "summaries" / str(index)).glob("events.*"))


@pytest.mark.long
def test_an_element_of_the_array_trains_as_the_sweep_does(tmp_path):
    options = write_tiny(tmp_path)
    succeed(
        *("tune", *options, "--generate-only", "--out=a grid", "--num-repetitions=2", "--seed=5"),
        cwd=tmp_path,
    )
    grid = tmp_path / "a grid"
    lines = (grid / "jobs.txt").read_text().splitlines()
    assert len(lines) == 8 and "#SBATCH --array=1-8\n" in (grid / "array.sbatch").read_text()
    # The second line of the second repetition.
    element = {**os.environ, "SLURM_ARRAY_TASK_ID": "6", "OMP_NUM_THREADS": "1"}
    subprocess.run(["bash", grid / "array.sbatch"], cwd="/", env=element, check=True, timeout=240)
    succeed(
        *("tune", *options, "--out=o", "--num-repetitions=2", "--seed=5", "--only=1"), cwd=tmp_path
    )
    (alone,) = (grid / "checkpoints" / "1_1").glob("update_000004.pt")
    (swept,) = (tmp_path / "o" / "checkpoints" / "default" / "1_1").glob("update_000004.pt")
    weights = [load_checkpoint(path).weights for path in (alone, swept)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[1])


def test_writing_configs_and_errors_don_t_load_torch(tmp_path, monkeypatch):
    (tmp_path / "torch.py").write_text("raise ImportError")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    succeed("tune", *write_tiny(tmp_path), "--generate-only", "--out=grid", cwd=tmp_path)
    (line,) = fail("train", "--config=none.yaml", cwd=tmp_path)
    assert line == "none.yaml: can't be read: No such file or directory"


def test_out_may_have_spaces_a_home_and_a_slash_or_none(tmp_path, monkeypatch):
    options = write_tiny(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for out in ("with space", "with slash/", "~/in home"):
        succeed("tune", *options, "--generate-only", f"--out={out}", cwd=tmp_path)
    for folder in ("with space", "with slash", "in home"):
        assert sorted(path.name for path in (tmp_path / folder).iterdir()) == [
            *(f"{index}.yaml" for index in range(4)),
            *("array.sbatch", "index.csv", "jobs.txt"),
        ]
    assert not (tmp_path / "~").exists()


def test_another_grid_is_refused_and_nothing_is_written(tmp_path):
    options = write_tiny(tmp_path)
    succeed("tune", *options, "--generate-only", "--out=grid", cwd=tmp_path)
    before = {path: path.read_bytes() for path in (tmp_path / "grid").iterdir()}
    (tmp_path / "space.yaml").write_text("hyperparameters: {gamma: [0.5, 0.6]}\n")
    (line,) = fail("tune", *options, "--generate-only", "--out=grid", cwd=tmp_path)
    assert "grid: holds the configs of another grid" in line and "--overwrite" in line
    assert before == {path: path.read_bytes() for path in (tmp_path / "grid").iterdir()}
    succeed("tune", *options, "--generate-only", "--out=grid", "--overwrite", cwd=tmp_path)
    assert len(list((tmp_path / "grid").iterdir())) == 5


def test_dry_run_shows_the_plan_and_writes_nothing(tmp_path):
    options = write_tiny(tmp_path)
    before = sorted(tmp_path.iterdir())
    shown = succeed("tune", *options, "--dry-run", "--num-repetitions=3", cwd=tmp_path)
    # 4 updates x 2 workers x 64 steps = 512 steps a run
    assert "4 permutations x 3 repetitions = 12 runs, 6,144 environment steps" in shown
    assert "learning_rate." in shown and "initial" in shown and "0.002" in shown
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.long
def test_a_dry_run_shows_the_names_and_remaining_steps_of_a_grown_sweep(tmp_path):
    options = [*write_tiny(tmp_path), "--out=o", "--together=1"]
    succeed("tune", *options, cwd=tmp_path)
    grown = (tmp_path / "space.yaml").read_text().replace("[0.9, 0.99]", "[0.8, 0.9, 0.99]")
    (tmp_path / "space.yaml").write_text(grown)

    def files():
        # SQLite's own files beside the journal don't count.
        found = (tmp_path / "o").rglob("*")
        return sorted(path for path in found if not path.name.endswith(("-shm", "-wal")))

    before = files()
    shown = succeed("tune", *options, "--dry-run", cwd=tmp_path)
    assert "4 finished runs in o are kept" in shown and "1,024 environment steps" in shown
    rows = [line.split("│")[1:3] for line in shown.splitlines() if line.startswith("│")]
    names = [(name.strip(), gamma.strip()) for name, gamma in rows]
    # The new choice is first in the list, and its permutations get new names.
    assert names == [
        *[("4", "0.8"), ("5", "0.8"), ("0", "0.9"), ("1", "0.9"), ("2", "0.99"), ("3", "0.99")]
    ]
    shown = succeed("tune", *options, "--dry-run", "--only=4", cwd=tmp_path)
    assert [line.split("│")[1].strip() for line in shown.splitlines() if line[:1] == "│"] == ["4"]
    assert "1 permutation x 1 repetition = 1 run," in shown and "512 environment steps" in shown
    (told,) = fail("tune", *options, "--dry-run", "--seed=9", cwd=tmp_path)
    assert "are of --seed=0" in told
    assert files() == before
