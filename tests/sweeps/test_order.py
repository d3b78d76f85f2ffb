from itertools import product
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from schema.yaml_file import Document
from sweeps.planning.order import in_order
from sweeps.planning.populations import Shapes, plan_populations
from sweeps.planning.rehearsal import rehearse
from sweeps.search_space.grid import Grid
from sweeps.search_space.keys import Axis
from tests.sweeps.scene import Display, comparable, make_grid, options_for, run

SPACE = "hyperparameters: {gamma: [0.9, 0.95, 0.99], lamda: [0.9, 1]}\n"


def options(order="random", seed=0, **others):
    return options_for(Path("out"), order=order, seed=seed, **others)


def grid_of(choices, **lists):
    axes = [Axis(("trainer", key), key, tuple(values), (key,)) for key, values in choices.items()]
    return Grid(Document(Path("base.yaml"), {}), Document(Path("tune.yaml"), lists), axes)


def test_the_order_of_the_grid_is_repetition_by_repetition(tmp_path):
    grid = make_grid(tmp_path, SPACE)
    assert in_order([7, 3, 0, 12, 5], grid, options("grid")) == [0, 3, 5, 7, 12]


def test_a_random_order_is_that_of_the_seed_in_each_repetition(tmp_path):
    grid = make_grid(tmp_path, SPACE)
    found = in_order(range(18), grid, options())
    laps = [[run % 6 for run in found[lap * 6 : lap * 6 + 6]] for lap in range(3)]
    assert [run // 6 for run in found] == [0] * 6 + [1] * 6 + [2] * 6
    assert laps[0] == laps[1] == laps[2] != list(range(6))
    assert in_order(range(18), grid, options()) == found
    others = {tuple(in_order(range(6), grid, options(seed=seed))) for seed in range(20)}
    assert len(others) > 10


def test_early_runs_of_a_random_order_have_all_choices_of_all_keys():
    grid = grid_of({key: list(range(5)) for key in ("gamma", "lamda", "epochs")})
    early = [grid.values(run) for run in in_order(range(125), grid, options())[:40]]
    assert [len(set(choices)) for choices in zip(*early, strict=True)] == [5, 5, 5]


def test_results_do_not_depend_on_the_order(tmp_path):
    grid = make_grid(tmp_path, SPACE)
    display = Display()
    found = run(grid, tmp_path / "random", display, order="random", together=2)
    whole = run(grid, tmp_path / "grid", together=2)
    assert comparable(found, tmp_path / "random") == comparable(whole, tmp_path / "grid")
    begun = [int(name[0]) for population in display.begun for name in population]
    assert begun == in_order(range(6), grid, options())


def test_a_sweep_resumes_in_the_same_order_and_may_change_it(tmp_path):
    grid, out = make_grid(tmp_path, SPACE), tmp_path / "out"
    run(grid, out, order="random", only=frozenset([1, 4]))
    with rehearse(grid, options_for(out, order="random")) as (_, agenda):
        left = [each for population in agenda.populations for each in population]
    assert left == [each for each in in_order(range(6), grid, options()) if each not in (1, 4)]
    with rehearse(grid, options_for(out)) as (_, agenda):
        assert [list(population) for population in agenda.populations] == [[0], [2], [3], [5]]


_sizes = st.lists(st.integers(1, 4), min_size=1, max_size=3)


@given(_sizes, st.integers(1, 3), st.integers(1, 6), st.integers(1, 4), st.integers(0, 5))
def test_an_order_changes_neither_the_runs_nor_the_sizes(sizes, laps, together, jobs, seed):
    keys = ["epochs", "gamma", "worker_steps"]  # two of them make shapes
    grid = grid_of({key: range(size) for key, size in zip(keys, sizes, strict=False)})
    runs, shape_of = range(laps * len(grid)), Shapes(grid)

    def populations(order):
        return plan_populations(
            in_order(runs, grid, options(order, seed)),
            lambda run: shape_of(run % len(grid)),
            together,
            jobs,
        )

    plain, shuffled = populations("grid"), populations("random")
    assert sorted(map(len, plain)) == sorted(map(len, shuffled))
    assert sorted(run for each in shuffled for run in each) == list(runs)
    places = {run: place for place, run in enumerate(in_order(runs, grid, options("random", seed)))}
    firsts = [places[population[0]] for population in shuffled]
    assert firsts == sorted(firsts)


@given(st.sets(st.integers(0, 23)), st.sampled_from(["grid", "random"]), st.integers(0, 9))
def test_runs_that_are_left_out_do_not_change_the_order_of_others(gone, order, seed):
    grid = grid_of({"gamma": range(4), "lamda": range(3)})
    whole = in_order(range(24), grid, options(order, seed))
    left = in_order(sorted(set(range(24)) - gone), grid, options(order, seed))
    assert left == [run for run in whole if run not in gone]


@given(st.sets(st.sampled_from(list(product(range(4), range(3))))), st.integers(0, 9))
def test_exclusions_do_not_change_the_order_of_others(excluded, seed):
    choices = {"gamma": range(4), "lamda": range(3)}
    rules = [{"gamma": gamma, "lamda": lamda} for gamma, lamda in sorted(excluded)]
    whole, grid = grid_of(choices), grid_of(choices, **({"exclude": rules} if rules else {}))
    kept = list(grid.indices())
    expected = [run for run in in_order(range(12), whole, options(seed=seed)) if run in kept]
    assert in_order(kept, grid, options(seed=seed)) == expected
