import csv
import tempfile
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.outcome import read_outcome
from schema.errors import UserError
from schema.yaml_file import Document
from sweeps.journal.opening import open_journal
from sweeps.planning.ram import ram_needed
from sweeps.planning.rehearsal import rehearse
from sweeps.search_space.config_files import write_grid
from sweeps.search_space.grid import Grid
from sweeps.search_space.identity import Identities
from sweeps.search_space.keys import Axis
from tests.sweeps.scene import CARTPOLE, DOCUMENTED, Display, make_grid, options_for, run

SPACE = "hyperparameters: {gamma: [0.9, 0.95, 0.99]}\nbeta_schedule: {initial: [0.01, 0.1]}\n"


def errors_of(action, *arguments):
    with pytest.raises(UserError) as failure:
        action(*arguments)
    return failure.value.lines


def names(display):
    return [name for population in display.begun for name in population]


def test_a_rule_leaves_out_all_combinations_that_it_matches(load):
    whole = load(DOCUMENTED)
    grid = load(
        DOCUMENTED + "exclude:\n"
        "  - {num_workers: 16, worker_steps: [64, 128]}\n"
        "  - {learning_rate_schedule.initial: 0.0001, beta_schedule.initial: 1.0e-3}\n"
    )
    grid.validate()
    expected = [
        permutation
        for permutation in whole.permutations()
        if permutation.choices["num_workers"] != 16
        and not (
            permutation.choices["learning_rate_schedule.initial"] == 1e-4
            and permutation.choices["beta_schedule.initial"] == 0.001
        )
    ]
    assert list(grid.permutations()) == expected
    assert grid.count == len(expected) == 16
    assert list(grid.indices()) == [permutation.index for permutation in expected]
    assert [grid.name(index) for index in grid.indices()][-1] == "33"


def test_a_choice_that_is_a_list_is_written_within_a_list(load):
    space = "hyperparameters: {resize_vis_obs: [[84, 84], [64, 64]], gamma: [0.9, 0.99]}\n"
    grid = load(space + "exclude: [{resize_vis_obs: [[84, 84]], gamma: 0.9}]\n")
    assert list(grid.indices()) == [1, 2, 3]


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ("{gamma: 0.9}", "exclude: must be a list of combinations, such as `- {gamma: 0.9}`"),
        ("[]", "exclude: must be a list of combinations, such as `- {gamma: 0.9}`"),
        ("[{}]", "exclude: rule 1 must hold tuned keys with values, such as `gamma: 0.9`"),
        ("[{gamma: 0.9}, 3]", "exclude: rule 2 must hold tuned keys with values"),
        ("[{gama: 0.9}]", "exclude: rule 1: gama: isn't tuned here; did you mean gamma?"),
        (
            "[{beta_schedule: {initial: 0.1}}]",
            "exclude: rule 1: beta_schedule: isn't tuned here; did you mean beta_schedule.initial?",
        ),
        ("[{gamma: []}]", "exclude: rule 1: gamma: an empty list; write at least one value"),
    ],
)
def test_a_malformed_rule_is_an_error_that_names_file_and_line(load, tmp_path, rules, expected):
    (line,) = errors_of(load, f"{SPACE}exclude: {rules}\n")
    assert line.startswith(f"{tmp_path / 'tune.yaml'}, line 3: {expected}")


def test_all_wrong_rules_are_reported_at_once(load):
    lines = errors_of(load, f"{SPACE}exclude:\n  - {{gama: 1}}\n  - {{gamma: 1, lamda: 2}}\n")
    assert [", line 4: exclude: rule 1" in lines[0], ", line 5: exclude: rule 2" in lines[1]] == [
        True
    ] * 2


def test_rules_without_choices_are_an_error(load):
    (line,) = errors_of(load, "exclude: [{gamma: 0.9}]\n")
    assert "lists no choices" in line


def test_a_rule_that_matches_nothing_is_a_warning(load, tmp_path):
    grid = load(SPACE + "exclude:\n  - {gamma: 0.8}\n  - {gamma: [0.9, 0.91]}\n")
    where = tmp_path / "tune.yaml"
    assert grid.validate() == [
        f"{where}, line 4: exclude: rule 1: gamma: 0.8 is none of its choices 0.9, 0.95, 0.99; "
        "the rule matches nothing",
        f"{where}, line 5: exclude: rule 2: gamma: 0.91 is none of its choices 0.9, 0.95, 0.99",
    ]
    assert list(grid.indices()) == [2, 3, 4, 5]


def test_rules_that_exclude_everything_are_an_error(load, tmp_path):
    grid = load(SPACE + "exclude: [{gamma: [0.9, 0.95]}, {gamma: 0.99}]\n")
    assert errors_of(grid.validate) == [
        f"{tmp_path / 'tune.yaml'}, line 3: exclude: the rules exclude all 6 permutations; "
        "remove one of them"
    ]


def test_an_excluded_combination_need_not_be_valid(load):
    space = "hyperparameters: {worker_steps: [9, 32], num_mini_batches: [1, 4]}\n"
    base = CARTPOLE + "trainer: {num_workers: 1}\n"
    assert len(errors_of(load(space, base).validate)) == 1
    excluding = load(space + "exclude: [{worker_steps: 9, num_mini_batches: 4}]\n", base)
    assert excluding.validate() == []
    # The first permutation stands for all where a config is needed.
    first = load(space + "exclude: [{worker_steps: 9}]\n", base)
    assert first.first == 2


def test_rules_also_leave_out_copies_of_a_choice_listed_twice(load):
    space = "hyperparameters: {gamma: [0.9, 0.9, 0.99]}\n"
    grid = load(space + "exclude: [{gamma: 0.9}]\n")
    assert list(grid.indices()) == [2]
    assert grid.validate() == []
    assert list(grid.unique().indices()) == [1]


def test_an_astronomic_grid_with_rules_begins_at_once(load):
    keys = ["gamma", "lamda", "value_coefficient", "weight_decay"]
    lines = [f"  {key}: [{', '.join(str(i / 1000) for i in range(1000))}]" for key in keys]
    space = "hyperparameters:\n" + "\n".join(lines) + "\nexclude: [{weight_decay: 0.001}]\n"
    grid = load(space)
    assert list(islice(grid.indices(), 3)) == [0, 2, 3]
    assert grid.leaves_out(10**9 + 1) and not grid.leaves_out(10**9 + 2)


def test_excluded_configs_are_not_written_and_old_ones_need_overwrite(load, tmp_path):
    folder = tmp_path / "grid"
    write_grid(load(SPACE), folder)
    before = {path.name: path.read_text() for path in folder.iterdir()}
    excluding = load(SPACE + "exclude: [{gamma: 0.95}]\n")
    with pytest.raises(UserError, match="holds the configs of another grid"):
        write_grid(excluding, folder)
    assert {path.name: path.read_text() for path in folder.iterdir()} == before
    write_grid(excluding, folder, overwrite=True)
    after = {path.name: path.read_text() for path in folder.iterdir()}
    assert sorted(after) == ["0.yaml", "1.yaml", "4.yaml", "5.yaml", "index.csv"]
    assert all(after[name] == before[name] for name in after if name != "index.csv")
    assert [row[0] for row in csv.reader(after["index.csv"].splitlines())][1:] == list("0145")
    # Without the rule, the same configs are there again.
    assert write_grid(load(SPACE), folder) == 3
    assert {path.name: path.read_text() for path in folder.iterdir()} == before


def test_a_rule_added_to_a_sweep_keeps_what_was_trained(tmp_path):
    out = tmp_path / "out"
    before = run(make_grid(tmp_path, SPACE), out, repetitions=2)
    table = (out / "results.csv").read_text()
    display = Display()
    excluding = make_grid(tmp_path, SPACE + "exclude: [{gamma: 0.9}]\n")
    after = run(excluding, out, display, repetitions=2)
    assert names(display) == []
    assert after == [record for record in before if record.run.permutation in "2345"]
    assert [each.name for each in read_outcome(out, "a").permutations] == list("2345")
    assert (out / "results.csv").read_text() == table
    with rehearse(excluding, options_for(out, repetitions=2)) as (journal, agenda):
        assert journal.count_left_out() == (2, 4)
        assert (agenda.finished_left_out, agenda.permutations, agenda.kept) == (4, 4, 8)
    assert run(make_grid(tmp_path, SPACE), out, display, repetitions=2) == before
    assert names(display) == []


def test_a_rule_removed_from_a_sweep_trains_what_is_missing(tmp_path):
    out = tmp_path / "out"
    display = Display()
    run(make_grid(tmp_path, SPACE + "exclude: [{gamma: [0.9, 0.99]}]\n"), out, display)
    assert names(display) == ["2_0", "3_0"]
    rows = (out / "configs" / "a" / "index.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["index", "2", "3"]
    rest = Display()
    found = run(make_grid(tmp_path, SPACE), out, rest)
    assert names(rest) == ["0_0", "1_0", "4_0", "5_0"]
    whole = run(make_grid(tmp_path, SPACE), tmp_path / "whole")
    assert [(record.name, record.final_return) for record in found] == [
        (record.name, record.final_return) for record in whole
    ]


def test_only_may_span_excluded_permutations_but_not_name_them_alone(tmp_path):
    grid = make_grid(tmp_path, SPACE + "exclude: [{gamma: 0.95}]\n")
    display = Display()
    run(grid, tmp_path / "out", display, only=frozenset(range(4)))
    assert names(display) == ["0_0", "1_0"]
    with pytest.raises(UserError, match="--only: the tuning config leaves out all"):
        run(grid, tmp_path / "out", only=frozenset([2, 3]))


def test_the_ram_of_excluded_permutations_is_not_needed(tmp_path):
    space = "hyperparameters: {worker_steps: [32, 4096]}\n"
    whole = make_grid(tmp_path, space)
    grid = make_grid(tmp_path, space + "exclude: [{worker_steps: 4096}]\n")
    small, all_of_it = (
        ram_needed(each, ([index] for index in each.indices()), 1) for each in (grid, whole)
    )
    assert small < all_of_it


_values = st.lists(st.integers(0, 3), min_size=1, max_size=4)
_choices = st.fixed_dictionaries({"gamma": _values, "epochs": _values, "lamda": _values})
_wanted = st.integers(0, 4) | st.lists(st.integers(0, 4), min_size=1, max_size=3)
_rules = st.lists(
    st.dictionaries(st.sampled_from(["gamma", "epochs", "lamda"]), _wanted, min_size=1), max_size=3
)


def grid_of(choices, rules):
    axes = [Axis(("trainer", key), key, tuple(values), (key,)) for key, values in choices.items()]
    tune = {"exclude": rules} if rules else {}
    return Grid(Document(Path("base.yaml"), {}), Document(Path("tune.yaml"), tune), axes)


def is_excluded(choices, rules):
    return any(
        all(choices[key] in (value if isinstance(value, list) else [value]) for key, value in each)
        for each in map(dict.items, rules)
    )


@given(choices=_choices, rules=_rules)
def test_rules_leave_out_what_they_match_and_nothing_else_changes(choices, rules):
    whole, grid = grid_of(choices, []), grid_of(choices, rules)
    kept = [
        index
        for index in whole.indices()
        if not is_excluded(dict(zip(choices, whole.values(index), strict=True)), rules)
    ]
    assert list(grid.indices()) == kept
    assert grid.count == len(kept)
    assert [index for index in range(len(grid)) if not grid.leaves_out(index)] == kept
    identify, identify_in_whole = Identities(grid), Identities(whole)
    for index in kept:
        assert grid.name(index) == whole.name(index)
        assert grid.values(index) == whole.values(index)
        assert identify(index) == identify_in_whole(index)


@given(sessions=st.lists(_rules, min_size=1, max_size=3))
def test_names_do_not_depend_on_the_rules_of_earlier_sessions(sessions):
    choices = {"gamma": [0, 1], "epochs": [1, 2, 3], "lamda": [0, 1]}
    grids = [grid for rules in sessions if (grid := grid_of(choices, rules)).count]
    with tempfile.TemporaryDirectory() as folder:
        for grid in grids:
            options = options_for(Path(folder))
            journal = open_journal(grid, Identities(grid), options, overwrite=False)
            try:
                expected = [(index, grid.name(index)) for index in grid.indices()]
                assert list(journal.names()) == expected
                assert sum(journal.counts().values()) == grid.count
            finally:
                journal.close()
