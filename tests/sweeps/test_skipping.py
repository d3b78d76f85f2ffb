import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.outcome import read_outcome
from schema.errors import UserError
from schema.yaml_file import read_yaml
from sweeps.search_space.config_files import write_grid
from sweeps.search_space.grid import Grid
from sweeps.search_space.identity import Identities
from sweeps.search_space.keys import Axis
from tests.sweeps.scene import CARTPOLE, Display, make_grid, run

# 2 x 9 steps don't divide into 4 mini-batches.
SPACE = "hyperparameters: {worker_steps: [9, 32], num_mini_batches: [1, 4]}\n"


def test_invalid_permutations_are_left_out_and_counted_with_the_reasons(load, tmp_path):
    base = CARTPOLE + "trainer: {num_workers: 2}\n"
    space = (
        "hyperparameters: {worker_steps: [9, 32], num_mini_batches: [1, 4], gamma: [0.9, 1.5]}\n"
    )
    grid = load(space, base)
    file = tmp_path / "tune.yaml"
    total, *reasons = grid.validate(skip_invalid=True)
    assert total == f"{file}: 5 of 8 permutations are invalid and left out:"
    assert len(reasons) == 2
    assert reasons[0].startswith(f"{file}: 4 permutations, starting with 1 (worker_steps=9, ")
    assert reasons[0].endswith("trainer.gamma: 1.5 is out of range; must be at most 1.0")
    assert reasons[1].startswith(
        f"{file}: permutation 2 (worker_steps=9, num_mini_batches=4, gamma=0.9)"
    )
    assert list(grid.indices()) == [0, 4, 6]
    assert [permutation.index for permutation in grid.permutations()] == [0, 4, 6]
    assert (grid.count, len(grid), grid.first) == (3, 8, 0)


def test_without_the_option_they_stay_an_error(load):
    base = CARTPOLE + "trainer: {num_workers: 2}\n"
    with pytest.raises(UserError, match="permutation 1"):
        load(SPACE, base).validate()


def test_a_valid_grid_skips_nothing(load):
    grid = load("hyperparameters: {gamma: [0.9, 0.99]}\n")
    assert grid.validate(skip_invalid=True) == []
    assert list(grid.indices()) == [0, 1]


def test_reasons_beyond_ten_are_said_to_be_more(load):
    grid = load(f"hyperparameters: {{gamma: {[0.9, *range(2, 14)]}}}\n")
    total, *reasons = grid.validate(skip_invalid=True)
    assert total.endswith(
        "12 of 13 permutations are invalid and left out; the first 10 reasons are:"
    )
    assert len(reasons) == 10


def test_a_grid_without_a_valid_permutation_is_an_error(load):
    grid = load("hyperparameters: {gamma: [2, 3]}\n")
    with pytest.raises(UserError) as failure:
        grid.validate(skip_invalid=True)
    assert len(failure.value.lines) == 2


def test_an_error_of_the_base_config_is_none_of_a_permutation(load):
    grid = load("hyperparameters: {gamma: [0.9]}\n", CARTPOLE + "trainer: {epochs: 0}\n")
    with pytest.raises(UserError, match=r"base.yaml, line 2: trainer.epochs"):
        grid.validate(skip_invalid=True)


def test_a_schedule_that_rises_only_where_it_is_skipped_gives_no_warning(load):
    space = (
        "hyperparameters: {gamma: [0.9, 2]}\nbeta_schedule: {initial: [0.1, 0.01], final: [0.05]}\n"
    )
    assert "permutation 1;" in load(space).validate(skip_invalid=True)[-1]


def test_excluded_permutations_are_not_counted_as_invalid(load):
    space = "hyperparameters: {gamma: [0.9, 1.5, 2]}\nexclude: [{gamma: 2}]\n"
    (total, _) = load(space).validate(skip_invalid=True)
    assert total.endswith("1 of 2 permutations is invalid and left out:")


def test_generated_configs_are_the_valid_ones(load, tmp_path):
    grid = load(SPACE, CARTPOLE + "trainer: {num_workers: 2}\n")
    grid.validate(skip_invalid=True)
    assert write_grid(grid, tmp_path / "grid") == 4
    assert sorted(path.name for path in (tmp_path / "grid").iterdir()) == [
        "0.yaml",
        "2.yaml",
        "3.yaml",
        "index.csv",
    ]


def test_a_sweep_trains_and_ranks_the_valid_ones_and_resumes(tmp_path):
    out = tmp_path / "out"
    grid, display = make_grid(tmp_path, SPACE), Display()
    grid.validate(skip_invalid=True)
    before = run(grid, out, display)
    assert display.begun == [["0_0"], ["2_0"], ["3_0"]]
    assert [record.state for record in before] == ["finished"] * 3
    assert [each.name for each in read_outcome(out, "a").permutations] == ["0", "2", "3"]
    again = make_grid(tmp_path, SPACE)
    again.validate(skip_invalid=True)
    rest = Display()
    assert run(again, out, rest) == before
    assert rest.begun == []


_few = st.lists(st.integers(1, 6), min_size=1, max_size=3, unique=True)


@given(steps=_few, workers=_few, batches=_few)
def test_skipping_leaves_what_is_valid_alone(tmp_path_factory, steps, workers, batches):
    folder = tmp_path_factory.getbasetemp()
    (folder / "skip-base.yaml").write_text(CARTPOLE)
    (folder / "skip-tune.yaml").write_text("")
    base, tune = read_yaml(folder / "skip-base.yaml"), read_yaml(folder / "skip-tune.yaml")
    keys = {"worker_steps": steps, "num_workers": workers, "num_mini_batches": batches}
    axes = [Axis(("trainer", key), key, tuple(values), (key,)) for key, values in keys.items()]
    whole, grid = Grid(base, tune, axes), Grid(base, tune, axes)
    valid = []
    for index in range(len(whole)):
        values = whole.values(index)
        alone = [
            Axis(each.key_path, each.label, (value,), each.line_path)
            for each, value in zip(axes, values, strict=True)
        ]
        try:
            Grid(base, tune, alone).validate()
        except UserError:
            continue
        valid.append(index)
    if not valid:
        with pytest.raises(UserError):
            grid.validate(skip_invalid=True)
        return
    grid.validate(skip_invalid=True)
    assert list(grid.indices()) == valid
    identify, identify_in_whole = Identities(grid), Identities(whole)
    assert all(identify(index) == identify_in_whole(index) for index in valid)
    assert [grid.name(index) for index in valid] == [whole.name(index) for index in valid]
