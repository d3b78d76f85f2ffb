import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.errors import UserError
from schema.yaml_file import Document
from sweeps.journal.opening import open_journal
from sweeps.journal.runs import RunRecord, RunState
from sweeps.planning.agenda import Agenda
from sweeps.planning.order import in_order
from sweeps.search_space.grid import Grid
from sweeps.search_space.identity import Identities
from sweeps.search_space.keys import Axis
from tests.sweeps.scene import BASE, Display, make_grid, options_for, run

SPACE = "hyperparameters: {gamma: [0.9, 0.95, 0.99], lamda: [0.9, 1]}\n"


def errors_of(action, *arguments):
    with pytest.raises(UserError) as failure:
        action(*arguments)
    return failure.value.lines


def order_of(grid, **options):
    return in_order(grid.indices(), grid, options_for(Path("out"), **options))


def test_entries_begin_first_in_each_repetition(tmp_path):
    grid = make_grid(tmp_path, SPACE + "try: [{gamma: 0.99, lamda: 1.0}, {lamda: 1, gamma: 0.9}]\n")
    assert grid.tried == [5, 1]
    assert in_order(range(12), grid, options_for(tmp_path)) == [
        5,
        1,
        0,
        2,
        3,
        4,
        11,
        7,
        6,
        8,
        9,
        10,
    ]
    shuffled = order_of(grid, order="random")
    rest = order_of(make_grid(tmp_path, SPACE), order="random")
    assert shuffled == [5, 1, *(index for index in rest if index not in (5, 1))]


def test_a_missing_key_has_the_base_configs_value_or_the_first_choice(tmp_path):
    base = BASE.replace("updates: 6", "updates: 6, lamda: 1.0, gamma: 0.5")
    space = SPACE + "beta_schedule: {initial: [0.1, 0.01]}\ntry: [{gamma: 0.95}, {lamda: 0.9}]\n"
    grid = make_grid(tmp_path, space, base)
    # The default of beta_schedule.initial is 0.01, and 0.5 is no choice of gamma.
    assert [grid.values(index) for index in grid.tried] == [(0.95, 1, 0.01), (0.9, 0.9, 0.01)]


def test_a_choice_that_is_a_list_is_written_as_it_is(tmp_path):
    space = "hyperparameters: {resize_vis_obs: [[84, 84], [64, 64]]}\n"
    grid = make_grid(tmp_path, space + "try: [{resize_vis_obs: [64, 64]}]\n")
    assert grid.tried == [1]


def test_entries_that_are_equal_and_choices_listed_twice_count_once(tmp_path):
    space = "hyperparameters: {gamma: [0.9, 0.99, 0.99]}\ntry: [{gamma: 0.99}, {gamma: 0.99}]\n"
    grid = make_grid(tmp_path, space)
    assert grid.tried == [1]
    assert grid.unique().tried == [1]


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ("{gamma: 0.9}", "try: must be a list of permutations, such as `- {gamma: 0.9}`"),
        ("[]", "try: must be a list of permutations"),
        (
            "[{gamma: 0.9}, {}]",
            "try: entry 2 must hold tuned keys with values, such as `gamma: 0.9`",
        ),
        ("[{gama: 0.9}]", "try: entry 1: gama: isn't tuned here; did you mean gamma?"),
        ("[{gamma: 0.8}]", "try: entry 1: gamma: 0.8 is none of its choices 0.9, 0.95, 0.99"),
        ("[{gamma: [0.9]}]", "try: entry 1: gamma: [0.9] is none of its choices 0.9, 0.95, 0.99"),
    ],
)
def test_an_entry_beyond_the_grid_is_an_error(tmp_path, entries, expected):
    (line,) = errors_of(make_grid, tmp_path, f"{SPACE}try: {entries}\n")
    assert line.startswith(f"{tmp_path / 'tune.yaml'}, line 2: {expected}")


def test_an_excluded_entry_stays_left_out_with_a_warning(tmp_path):
    rules = "exclude: [{gamma: 0.99}]\ntry: [{gamma: 0.95}, {gamma: 0.99, lamda: 1}]\n"
    grid = make_grid(tmp_path, SPACE + rules)
    assert grid.validate() == [
        f"{tmp_path / 'tune.yaml'}, line 3: try: entry 2 is permutation 5, which is left out"
    ]
    assert order_of(grid) == [2, 0, 1, 3]


def test_a_sweep_resumes_with_other_entries(tmp_path):
    out, display = tmp_path / "out", Display()
    before = run(make_grid(tmp_path, SPACE), out, only=frozenset([0, 5]))
    after = run(make_grid(tmp_path, SPACE + "try: [{gamma: 0.99}]\n"), out, display, together=1)
    assert display.begun == [["4_0"], ["1_0"], ["2_0"], ["3_0"]]
    assert [after[0], after[5]] == [before[0], before[5]]


_choice = st.fixed_dictionaries(
    {}, optional={"value_coefficient": st.integers(0, 2), "lamda": st.integers(0, 1)}
)
_entries = st.lists(_choice.filter(bool), max_size=3)


def grid_of(tried, excluded):
    axes = [
        Axis(("trainer", key), key, tuple(range(size)), (key,))
        for key, size in (("value_coefficient", 3), ("lamda", 2), ("gamma", 2))
    ]
    lists = {"try": tried, "exclude": excluded}
    tune = {name: entries for name, entries in lists.items() if entries}
    base = {"trainer": {"value_coefficient": 1.0, "gamma": 0.0}}
    return Grid(Document(Path("base.yaml"), base), Document(Path("tune.yaml"), tune), axes)


def planned(grid, options):
    with tempfile.TemporaryDirectory() as folder:
        return _resumed(grid, replace(options, out=Path(folder)), ())


def _resumed(grid, options, finished):
    """Return the order of the runs left after those of a first session have finished."""
    journal = open_journal(grid, Identities(grid), options, overwrite=False)
    updates = grid.permutation(grid.first).config.trainer.updates
    try:
        with journal.transaction():
            for row in list(journal.runs(options.run_id, options.repetitions)):
                if row.position in finished:
                    journal.record(RunRecord(row.run, RunState.FINISHED), updates)
        agenda = Agenda(grid, options, journal)
        return [each for population in agenda.populations for each in population]
    finally:
        journal.close()


@given(
    tried=_entries,
    excluded=_entries,
    order=st.sampled_from(["grid", "random"]),
    seed=st.integers(0, 5),
    finished=st.sets(st.integers(0, 11)),
)
def test_exclusions_entries_order_and_resumption_commute(tried, excluded, order, seed, finished):
    grid, whole = grid_of(tried, excluded), grid_of(tried, [])
    kept = list(grid.indices())
    if not kept:
        return
    options = options_for(Path("out"), order=order, seed=seed)
    expected = [run for run in order_of(whole, order=order, seed=seed) if run in kept]
    assert planned(grid, options) == expected
    assert expected[: len(grid.tried)] == grid.tried
    with tempfile.TemporaryDirectory() as folder:
        here = replace(options, out=Path(folder))
        # The first session has another order, no rules and no entries.
        _resumed(grid_of([], []), replace(here, order="grid"), finished)
        assert _resumed(grid, here, ()) == [run for run in expected if run not in finished]
