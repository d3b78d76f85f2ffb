"""Paths of options and configs belong to the folder in which a command is started."""

import pytest

from tests.e2e.commands import ROOT, fail, succeed

CONFIG = """\
environment: {type: Gymnasium, name: "tests.environments.scripted:Wandering-v0", processes: PROCESSES}
model: {hidden_layer_size: 8}
trainer: {updates: 2, epochs: 1, num_workers: 2, worker_steps: 32, num_mini_batches: 1}
evaluation: {seeds: {num-seeds: 2}}
"""
RESUMED = (
    "model: {hidden_layer_size: 8, load_model: true, model_path: o/checkpoints/x/update_000002.pt}"
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    (tmp_path / "base.yaml").write_text(CONFIG.replace("PROCESSES", "0"))
    return tmp_path


@pytest.mark.long
def test_an_environment_that_changes_the_working_folder_changes_no_path(folder):
    shown = succeed("train", "--config=base.yaml", "--out=o", "--run-id=x", cwd=folder)
    assert "checkpoint: o/checkpoints/x/update_000002.pt" in shown
    assert (folder / "o/checkpoints/x/update_000002.pt").is_file()
    assert list((folder / "o/summaries/x").glob("events*"))
    resumed = (folder / "base.yaml").read_text().replace("updates: 2", "updates: 3")
    resumed = resumed.replace("model: {hidden_layer_size: 8}", RESUMED)
    (folder / "resumed.yaml").write_text(resumed)
    shown = succeed("train", "--config=resumed.yaml", "--out=p", "--run-id=x", cwd=folder)
    assert "resumes after update 2 of 3" in shown
    shown = succeed("eval", "--checkpoint=o/checkpoints", "--out=e", cwd=folder)
    assert "results: e\n" in shown and (folder / "e" / "evaluation.json").is_file()
    shown = succeed("enjoy", "--checkpoint=o/checkpoints", "--video=v/x.gif", cwd=folder)
    assert "video: v/x.gif\n" in shown and (folder / "v" / "x.gif").is_file()


def test_a_sweep_of_such_environments_is_in_its_folder(folder):
    (folder / "space.yaml").write_text("hyperparameters: {gamma: [0.9, 0.99]}\n")
    options = ["--config=base.yaml", "--tune=space.yaml", "--out=my grid"]
    shown = succeed("tune", *options, cwd=folder)
    assert "all results: my grid/results.csv" in shown
    assert "curves: tensorboard --logdir 'my grid/summaries'" in shown
    out = folder / "my grid"
    assert len(list(out.glob("checkpoints/default/*/update_000002.pt"))) == 2
    assert len(list(out.glob("summaries/default/*/events*"))) == 2
    readme = (out / "best" / "README.md").read_text(encoding="utf-8")
    assert (
        f"cd {ROOT}\n" in readme and f"python eval.py '--checkpoint={out}/best/model.pt'" in readme
    )
    out.rename(folder / "moved")
    told = succeed("report", "--out=moved", cwd=folder)
    assert f"{ROOT}/tune.py --config=base.yaml --tune=space.yaml --out=moved --num-rep" in told


def test_errors_name_paths_as_they_were_given(folder):
    (folder / "o").write_text("")
    (line,) = fail("train", "--config=base.yaml", "--out=o/p", cwd=folder)
    assert line == "o/p: must be a folder to write into; o is a file"
