import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.errors import UserError
from sweeps.search_space.grid import load_grid
from sweeps.search_space.ranges import Range, is_range, parse_range
from sweeps.search_space.trials import TrialGrid, load_space
from tests.sweeps.scene import BASE


def space_of(folder, text, base=BASE):
    (folder / "base.yaml").write_text(base)
    (folder / "tune.yaml").write_text(text)
    return load_space(folder / "base.yaml", folder / "tune.yaml")


def error_of(action, *arguments):
    with pytest.raises(UserError) as failure:
        action(*arguments)
    (line,) = failure.value.lines
    return line


def test_a_range_has_the_numbers_of_its_key(tmp_path):
    space = space_of(
        tmp_path,
        "hyperparameters:\n"
        "  epochs: {low: 1.0, high: 8.0}\n"
        "  gamma: {low: 0, high: 1, step: 0.25}\n"
        "  lamda: [0.9, 0.9, 1]\n"
        "learning_rate_schedule: {initial: {low: 1.0e-5, high: 1.0e-3, log: true}}\n",
    )
    assert [axis.range for axis in space.axes] == [
        Range(1, 8, step=1, whole=True),
        Range(0.0, 1.0, step=0.25),
        None,
        Range(1e-5, 1e-3, log=True),
    ]
    assert space.axes[2].choices == (0.9, 1)
    assert [axis.count for axis in space.axes] == [8, 5, 2, math.inf]
    assert space.validate() == []


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("{low: 0.9, high: 0.9}", "an empty range: high (0.9) must be greater than low (0.9)"),
        ("{low: 0.9}", "a range needs high, such as {low: 1.0e-5, high: 1.0e-3}"),
        ("{low: 0, high: 1, log: true}", "low: must be greater than 0 with log, not 0"),
        ("{low: 0.1, hihg: 1}", "a range has no key hihg; did you mean high?"),
        ("{low: 0.1, high: 1, steps: 0.1}", "a range has no key steps; did you mean step?"),
        (
            "{low: 0.1, high: 1, log: true, step: 0.1}",
            "step: can't be combined with log; remove one of them",
        ),
        (
            "{low: 0.1, high: 1, step: 2}",
            "step: must be greater than 0 and at most high - low, not 2",
        ),
        ("{low: 0.1, high: many}", "high: must be a number, not many"),
        ("{low: true, high: 1}", "low: must be a number, not True"),
        ("{low: 0.1, high: 1, log: 1}", "log: must be true or false, not 1"),
    ],
)
def test_a_malformed_range_is_an_error(tmp_path, written, message):
    text = f"hyperparameters:\n  gamma: {written}\n"
    assert error_of(space_of, tmp_path, text) == (
        f"{tmp_path}/tune.yaml, line 2: hyperparameters.gamma: {message}"
    )


def test_the_ends_must_suit_the_key(tmp_path):
    def errors(text):
        return error_of(lambda: space_of(tmp_path, text).validate()).partition(": ")[2]

    assert errors("hyperparameters: {epochs: {low: 0.5, high: 3}}") == (
        "hyperparameters.epochs: low: must be a whole number, not 0.5"
    )
    assert errors("hyperparameters: {gamma: {low: 0.5, high: 3}}").startswith(
        "gamma: high 3.0: 3.0 is out of range; must be at most 1"
    )
    with pytest.raises(UserError, match="normalize_rewards: low 0"):
        space_of(tmp_path, "hyperparameters: {normalize_rewards: {low: 0, high: 1}}").validate()


def test_a_grid_takes_no_range(tmp_path):
    space_of(tmp_path, "hyperparameters:\n  gamma: {low: 0.5, high: 0.9}\n")
    assert error_of(load_grid, tmp_path / "base.yaml", tmp_path / "tune.yaml") == (
        f"{tmp_path}/tune.yaml, line 2: hyperparameters.gamma: is a range, and a grid needs a list of "
        "choices; write one, or give --search=tpe and --trials=<n>"
    )


def test_a_mapping_without_ends_is_a_choice():
    assert not is_range({"initial": 1})
    assert is_range({"low": 1})


@given(
    st.floats(1e-3, 1e3),
    st.floats(1e-3, 1e3),
    st.floats(0, 1),
    st.sampled_from(["log", "step", "neither"]),
    st.integers(2, 50),
)
def test_drawn_values_stay_within_the_range(low, width, share, kind, steps):
    written = {"low": low, "high": low + width, "log": kind == "log"}
    if kind == "step":
        written["step"] = (written["high"] - low) / steps
    span = parse_range(written, False)
    value = span.rounded(low + share * (span.high - low))
    assert span.holds(value)
    assert abs(value - (low + share * (span.high - low))) <= (span.step or width / 1000)


def test_drawn_values_have_few_digits():
    assert Range(1e-5, 1e-3, log=True).rounded(0.00031622776601683794) == 0.0003162
    assert Range(0.9, 0.999).rounded(0.9512345678) == 0.95123
    assert Range(0.0, 1.0, step=0.1).rounded(0.30000000000000004) == 0.3
    assert Range(1, 9, step=4, whole=True).rounded(5) == 5


def test_try_may_name_any_value_of_a_range(tmp_path):
    text = (
        "hyperparameters: {gamma: {low: 0.5, high: 0.999}, epochs: {low: 2, high: 8, step: 2}}\n"
        "try:\n  - {gamma: 0.77}\n"
    )
    # The base config has one epoch, which is outside the range.
    space = space_of(tmp_path, text)
    assert space.tried == [(0.77, 2)]
    assert space.usual is None
    assert error_of(space_of, tmp_path, text.replace("0.77", "0.77, epochs: 3")) == (
        f"{tmp_path}/tune.yaml, line 3: try: entry 1: epochs: 3 is outside its range "
        "2 to 8 in steps of 2"
    )


def test_rules_name_listed_choices_only(tmp_path):
    text = (
        "hyperparameters: {gamma: {low: 0.5, high: 0.9}, lamda: [0.9, 1]}\n"
        "exclude:\n  - {lamda: 1}\n"
    )
    space = space_of(tmp_path, text)
    assert space.excludes((0.6, 1)) and not space.excludes((0.6, 0.9))
    assert error_of(space_of, tmp_path, text.replace("lamda: 1}", "gamma: 0.5}")) == (
        f"{tmp_path}/tune.yaml, line 3: exclude: rule 1: gamma: has a range here; rules name listed "
        "choices"
    )


def test_trials_form_a_grid_in_their_order(tmp_path):
    space = space_of(tmp_path, "hyperparameters: {gamma: {low: 0.5, high: 0.9}, lamda: [0.9, 1]}\n")
    trials = [(0.6, 1), (0.5, 0.9), (0.6, 0.9)]
    grid = TrialGrid(space, trials, "random", 9)
    assert len(grid) == grid.count == 3
    assert [grid.values(index) for index in grid.indices()] == trials
    assert [grid.name(index) for index in range(3)] == ["00", "01", "02"]
    assert [each.config.trainer.gamma for each in grid.permutations()] == [0.6, 0.5, 0.6]
