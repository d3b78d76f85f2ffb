import csv

import pytest

from schema.config import load_config
from schema.errors import UserError
from sweeps.search_space import config_files
from sweeps.search_space.config_files import write_grid
from tests.sweeps.scene import DOCUMENTED


def contents(folder):
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


def texts(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_each_permutation_is_a_file_that_loads_back_to_its_config(load, tmp_path):
    grid = load(DOCUMENTED)
    folder = tmp_path / "out"
    assert write_grid(grid, folder) == 49
    names = [f"{index:02d}.yaml" for index in range(48)]
    assert sorted(path.name for path in folder.iterdir()) == [*names, "index.csv"]
    for permutation, name in zip(grid.permutations(), names, strict=True):
        assert load_config(folder / name) == permutation.config
    assert (folder / "47.yaml").read_text().splitlines()[0] == (
        "# permutation 47 of 48: worker_steps=128, num_workers=16, "
        "learning_rate_schedule.initial=0.0001, learning_rate_schedule.final=1e-06, "
        "beta_schedule.initial=0.001, beta_schedule.final=0.0001"
    )


def test_the_index_lists_each_file_with_its_choices(load, tmp_path):
    write_grid(load(DOCUMENTED), tmp_path / "out")
    with (tmp_path / "out" / "index.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 48
    assert rows[5] == {
        "index": "05",
        "file": "05.yaml",
        "worker_steps": "64",
        "num_workers": "8",
        "learning_rate_schedule.initial": "0.003",
        "learning_rate_schedule.final": "1e-06",
        "beta_schedule.initial": "0.001",
        "beta_schedule.final": "0.0001",
    }


def test_choices_with_commas_stay_one_field_of_the_index(load, tmp_path):
    grid = load(
        "hyperparameters:\n  resize_vis_obs: [[84, 60], null]\n  model_path: ['a, \"b\"']\n"
    )
    write_grid(grid, tmp_path / "out")
    with (tmp_path / "out" / "index.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[1:] == [
        ["0", "0.yaml", "[84, 60]", 'a, "b"'],
        ["1", "1.yaml", "null", 'a, "b"'],
    ]


def test_a_choice_of_several_lines_does_not_break_the_comment(load, tmp_path):
    grid = load('hyperparameters: {model_path: ["a\\nb: c"]}\n')
    write_grid(grid, tmp_path / "out")
    assert load_config(tmp_path / "out" / "0.yaml").model.model_path == "a\nb: c"


def test_writing_the_same_grid_again_changes_nothing(load, tmp_path):
    folder = tmp_path / "out"
    write_grid(load(DOCUMENTED), folder)
    before = contents(folder)
    assert write_grid(load(DOCUMENTED), folder) == 0
    assert write_grid(load(DOCUMENTED), folder, overwrite=True) == 0
    assert contents(folder) == before


@pytest.mark.parametrize(
    "tune",
    [
        "hyperparameters: {gamma: [0.9, 0.5]}\n",
        "hyperparameters: {gamma: [0.9, 0.8, 0.7]}\n",
        f"hyperparameters: {{epochs: {list(range(1, 12))}}}\n",
        "hyperparameters: {gamma: [0.9]}\n",
    ],
)
def test_another_grid_is_refused_and_nothing_is_written(load, tmp_path, tune):
    folder = tmp_path / "out"
    write_grid(load("hyperparameters: {gamma: [0.9, 0.8]}\n"), folder)
    before = contents(folder)
    with pytest.raises(UserError) as failure:
        write_grid(load(tune), folder)
    assert len(failure.value.lines) == 1
    assert failure.value.lines[0].startswith(f"{folder}: holds the configs of another grid")
    assert contents(folder) == before


def test_overwriting_replaces_the_grid_and_keeps_other_files(load, tmp_path):
    folder, fresh = tmp_path / "out", tmp_path / "fresh"
    write_grid(load(DOCUMENTED), folder)
    (folder / "notes.yaml").write_text("mine")
    (folder / "47.yaml.backup").write_text("mine")
    small = load("hyperparameters: {gamma: [0.9, 0.8, 0.7]}\n")
    write_grid(small, folder, overwrite=True)
    write_grid(small, fresh)
    mine = {"notes.yaml": b"mine", "47.yaml.backup": b"mine"}
    assert texts(folder) == texts(fresh) | mine
    assert len(texts(fresh)) == 4


def test_an_interrupted_write_is_completed_by_the_next_one(load, tmp_path):
    folder = tmp_path / "out"
    write_grid(load(DOCUMENTED), folder)
    complete = texts(folder)
    (folder / "index.csv").unlink()
    for index in range(20, 48):
        (folder / f"{index}.yaml").unlink()
    kept = contents(folder)
    assert write_grid(load(DOCUMENTED), folder) == 29
    assert texts(folder) == complete
    after = contents(folder)
    assert {name: after[name] for name in kept} == kept


def test_an_interrupted_write_leaves_whole_files_and_no_index(load, tmp_path, monkeypatch):
    folder = tmp_path / "out"
    grid = load(DOCUMENTED)
    write_grid(grid, tmp_path / "complete")
    complete = texts(tmp_path / "complete")
    written = []
    replace_file = config_files.replace_file

    def breaks_off(path, *arguments):
        if len(written) == 10:
            raise KeyboardInterrupt
        written.append(path)
        return replace_file(path, *arguments)

    monkeypatch.setattr(config_files, "replace_file", breaks_off)
    with pytest.raises(KeyboardInterrupt):
        write_grid(grid, folder)
    monkeypatch.undo()
    partial = texts(folder)
    assert sorted(partial) == [f"{index:02d}.yaml" for index in range(10)]
    assert all(partial[name] == complete[name] for name in partial)
    assert write_grid(grid, folder) == 39
    assert texts(folder) == complete


def test_a_changed_index_is_repaired(load, tmp_path):
    folder = tmp_path / "out"
    grid = load(DOCUMENTED)
    write_grid(grid, folder)
    complete = texts(folder)
    with (folder / "index.csv").open("a") as file:
        file.write("48,48.yaml\n")
    assert write_grid(grid, folder) == 1
    assert texts(folder) == complete


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_file_in_the_place_of_the_folder_is_an_error(load, tmp_path, overwrite):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(UserError, match="is a file"):
        write_grid(load(DOCUMENTED), tmp_path / "out", overwrite=overwrite)
    assert (tmp_path / "out").read_text() == "mine"
