import itertools
import math

import optuna
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from commands.searching import begin_batch
from schema.errors import UserError
from sweeps.journal.journal import journal_path
from sweeps.search_space.grid import load_grid
from sweeps.searching.plan import LEARNING, SAMPLERS, SearchPlan
from sweeps.searching.sampler import Tried, propose
from sweeps.searching.search import Search
from sweeps.sweep import Sweep
from tests.sweeps.scene import BASE, Display, fail, options_for, run_here
from tests.sweeps.test_ranges import space_of

SPACE = (
    "hyperparameters:\n"
    "  gamma: {low: 0.5, high: 0.999}\n"
    "  epochs: {low: 1, high: 4}\n"
    "  lamda: [0.9, 0.95, 1]\n"
    "learning_rate_schedule: {initial: {low: 1.0e-5, high: 1.0e-2, log: true}}\n"
)
TINY = BASE.replace("updates: 6", "updates: 1")


def score(values):
    gamma, epochs, _, rate = values
    return -abs(math.log10(rate) + 3) - abs(gamma - 0.9) - epochs / 100


def scored(all_values):
    """Return trials with scores; every fifth has failed."""
    return [
        Tried(values, None if number % 5 == 4 else score(values))
        for number, values in enumerate(all_values)
    ]


def batches(space, sampler, seed=0, sizes=(12, 4, 4)):
    found = []
    for size in sizes:
        found += propose(space, sampler, seed, scored(found), size)
    return found


@pytest.mark.parametrize("sampler", ["random", "qmc", "tpe"])
def test_the_same_seed_has_the_same_trials(tmp_path, sampler):
    space = space_of(tmp_path, SPACE)
    first = batches(space, sampler)
    assert first == batches(space, sampler)
    assert first != batches(space, sampler, seed=1)
    assert len(set(first)) == 20
    for values in first:
        assert all(axis.holds(value) for axis, value in zip(space.axes, values, strict=True))


@pytest.mark.slow
def test_a_gaussian_process_repeats_its_trials(tmp_path):
    space = space_of(tmp_path, SPACE)
    # Beyond ten finished trials, it models them.
    assert batches(space, "gp", sizes=(14, 2)) == batches(space, "gp", sizes=(14, 2))


@pytest.mark.parametrize("sampler", ["random", "qmc"])
def test_batches_make_no_difference_to_samplers_that_do_not_learn(tmp_path, sampler):
    space = space_of(tmp_path, SPACE)
    assert batches(space, sampler, sizes=(3, 9)) == batches(space, sampler, sizes=(12,))


def test_qmc_spreads_trials_evenly(tmp_path):
    space = space_of(tmp_path, "hyperparameters: {gamma: {low: 0, high: 1}}")
    found = [values[0] for values in propose(space, "qmc", 0, [], 16)]
    # Sobol's sequence has one point in each of 16 parts.
    assert sorted(min(int(value * 16), 15) for value in found) == list(range(16))


def test_tpe_learns_from_scores(tmp_path):
    space = space_of(tmp_path, SPACE)
    found = batches(space, "tpe", sizes=(16, 8, 8, 8, 8))
    means = [sum(map(score, part)) / 16 for part in (found[:16], found[32:])]
    assert means[1] > means[0] + 0.3


@pytest.mark.parametrize("sampler", ["random", "qmc", "tpe"])
def test_a_finite_space_is_exhausted_without_repetition(tmp_path, sampler):
    space = space_of(tmp_path, "hyperparameters: {epochs: {low: 1, high: 4}, lamda: [0.9, 1]}")
    found = propose(space, sampler, 0, [], 9)
    assert sorted(found) == sorted(itertools.product(range(1, 5), (0.9, 1)))


def test_excluded_and_invalid_permutations_are_drawn_again(tmp_path):
    text = (
        "hyperparameters: {num_mini_batches: {low: 1, high: 6}, lamda: [0.9, 1]}\n"
        "exclude: [{lamda: 1}]\n"
    )
    space = space_of(tmp_path, text)
    # A batch has 64 steps.
    assert sorted(propose(space, "random", 0, [], 12)) == [(1, 0.9), (2, 0.9), (4, 0.9)]


def search_of(space, folder, sampler="tpe", trials=20, seed=0, overwrite=False):
    plan = SearchPlan(space, sampler, trials)
    return Search(plan, journal_path(folder, "a"), seed, overwrite)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_what_is_tried_and_the_base_config_go_first(tmp_path, sampler):
    space = space_of(tmp_path, SPACE + "try: [{gamma: 0.7}, {gamma: 0.6, lamda: 1.0}]\n")
    grid = search_of(space, tmp_path, sampler).grid
    values = [grid.values(index) for index in range(3)]
    assert [(gamma, lamda) for gamma, _, lamda, _ in values] == [
        (0.7, 0.95),
        (0.6, 1.0),
        (0.99, 0.95),
    ]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_batches_have_fixed_sizes(tmp_path, sampler):
    space = space_of(tmp_path, SPACE)
    plan = SearchPlan(space, sampler, 30)
    sizes, chosen = [], 0
    while chosen < 30:
        sizes.append(plan.batch_size(chosen))
        chosen += sizes[-1]
    assert sizes == ([16, 8, 6] if sampler in LEARNING else [30])
    # A search that ended within a batch completes it.
    assert SearchPlan(space, "tpe", 40).batch_size(20) == 4


def run_search(space, folder, stop_after=None, **options):
    """Train a search in this process until it is over, or stop it after some runs."""
    search = search_of(space, folder)
    chosen = options_for(folder, **options)
    ended = []

    class Stopping(Display):
        def show_end(self, job, names, results, steps):
            super().show_end(job, names, results, steps)
            ended.extend(names)
            if stop_after is not None and len(ended) >= stop_after:
                sweep.stop.request("killed")

    with Sweep(search.grid, chosen, False) as sweep, sweep.session():
        sweep.train(Stopping(), backend=run_here)
        while not sweep.stop.is_requested and begin_batch(sweep, search, chosen):
            sweep.train(Stopping(), backend=run_here)
        return [
            (record.name, record.run.choices, record.final_return) for record in sweep.records()
        ]


@pytest.mark.slow
def test_a_search_that_is_stopped_after_any_run_ends_alike(tmp_path_factory):
    space = space_of(tmp_path_factory.mktemp("space"), SPACE, TINY)
    whole = run_search(space, tmp_path_factory.mktemp("whole"), together=4)
    assert [name for name, *_ in whole] == [f"{number:02}_0" for number in range(20)]

    @settings(
        max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(st.lists(st.integers(1, 19), min_size=1, max_size=3))
    def check(stops):
        folder = tmp_path_factory.mktemp("parts")
        for stop in stops:
            run_search(space, folder, stop)
        assert run_search(space, folder, together=2) == whole

    check()


@pytest.mark.slow
def test_a_failed_trial_has_no_score_and_the_search_continues(tmp_path, monkeypatch):
    space = space_of(tmp_path, SPACE + "try: [{gamma: 0.7}]\n", TINY)
    fail(monkeypatch, 0.7, "out of luck")
    found = run_search(space, tmp_path / "out")
    assert len(found) == 20
    assert [name for name, _, final in found if final is None] == ["00_0"]


def test_a_journal_keeps_its_kind_of_search(tmp_path):
    space = space_of(tmp_path, "hyperparameters: {gamma: [0.9, 0.95, 0.99]}", TINY)
    out = tmp_path / "out"
    with Sweep(search_of(space, out, trials=3).grid, options_for(out), False):
        pass

    def refused(action, *arguments, **named):
        with pytest.raises(UserError) as failure:
            action(*arguments, **named)
        return failure.value.lines[0].removeprefix(f"{out}/a.sqlite: ").partition(";")[0]

    assert refused(search_of, space, out, "qmc", 3) == "holds a search with --search=tpe, not qmc"
    assert refused(search_of, space, out, trials=2) == "holds 3 trials, more than --trials=2"
    assert refused(
        search_of, space_of(tmp_path, "hyperparameters: {gamma: [0.9]}", TINY), out
    ).startswith("holds a search of other keys, choices or ranges than ")
    grid = load_grid(tmp_path / "base.yaml", tmp_path / "tune.yaml")
    assert refused(Sweep, grid, options_for(out), False).startswith("holds a search")
    with Sweep(grid, options_for(out), overwrite=True):
        pass
    assert refused(search_of, space, out, trials=3).startswith("holds a grid")
    search_of(space, out, trials=3, overwrite=True)


def test_nothing_is_trained_where_no_permutation_is_valid(tmp_path):
    space = space_of(tmp_path, "hyperparameters: {num_mini_batches: {low: 5, high: 7}}", TINY)
    with pytest.raises(
        UserError, match="hardly any permutation is valid, such as num_mini_batches=5"
    ):
        search_of(space, tmp_path)


def test_optuna_is_quiet(tmp_path, capfd):
    batches(space_of(tmp_path, SPACE), "qmc", sizes=(2, 2))
    assert optuna.logging.get_verbosity() == optuna.logging.ERROR
    assert capfd.readouterr() == ("", "")
