"""Pruning within a race and a search: the results alone decide, however often either is killed."""

import itertools
import random
from collections import Counter
from fractions import Fraction

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commands.status import show_status
from reports.answer import answer
from reports.outcome import read_outcome
from reports.words import sentences
from sweeps.journal.journal import journal_path, read_journal
from sweeps.journal.runs import RunState
from sweeps.planning.prune import RULES, PrunePlan, steps_at_least
from sweeps.planning.race import RacePlan, Round, next_round
from sweeps.searching import sampler
from sweeps.searching.plan import SearchPlan
from sweeps.searching.sampler import Tried, propose
from sweeps.searching.search import Search
from tests.sweeps.scene import make_grid
from tests.sweeps.simulated import KilledError, decided, finish, return_of, scoring, simulate
from tests.sweeps.test_ranges import space_of

GRID = "hyperparameters: {gamma: [0.9, 0.95, 0.99], lamda: [0.8, 0.85, 0.9, 0.95]}\n"
SPACE = "hyperparameters:\n  gamma: {low: 0.5, high: 0.999}\n  lamda: {low: 0.5, high: 0.999}\n"
MOMENTS = st.lists(st.integers(1, 80), min_size=1, max_size=3)
MEANS = random.Random(1).sample(range(40), 12)


def contest(name, update):
    """Return a return whose mean depends on the permutation."""
    return MEANS[int(name.partition("_")[0])] + return_of(name, update)


def race(grid, out, backend, rule, lines=None, titles=None):
    plan = PrunePlan(rule, (2, 4))
    options = {"race": RacePlan(6), "prune": plan, "repetitions": 3}
    return simulate(grid, out, backend, lines, titles=titles, **options)


@pytest.mark.parametrize("rule", RULES)
def test_what_was_pruned_is_out_of_the_race_and_contenders_train_to_the_end(tmp_path, rule):
    grid, lines = make_grid(tmp_path, GRID), []
    # Three are equally good, and better than all others.
    score = lambda name, update: (name[:2] in ("02", "05", "07")) * 50 + contest(name, update) / 40  # noqa: E731
    race(grid, tmp_path, scoring(return_of=score), rule, lines)
    outcome = read_outcome(tmp_path, "a")
    pruned = {each.name for each in outcome.permutations if each.runs[0].state == RunState.PRUNED}
    assert pruned and not pruned & {"02", "05", "07"}
    for permutation in outcome.permutations:
        states = {run.state for run in permutation.runs}
        if permutation.name in pruned:
            assert (len(permutation.runs), states) == (3, {RunState.PRUNED})
        else:
            assert states == {RunState.FINISHED}
    contenders = {each.name for each in outcome.permutations if len(each.runs) > 3}
    assert contenders and contenders <= {"02", "05", "07"}
    # No later round stops at a rung.
    begun = next(place for place, line in enumerate(lines) if line.startswith("round 2"))
    assert not [line for line in lines[begun:] if line.startswith("after update")]
    said = sentences(answer(outcome))
    assert any(
        f"{len(pruned)} of 12 permutations were pruned, which left them out of the race" in line
        for line in said
    )
    assert any(line.startswith("Each 95 % is about the others alone") for line in said)


@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES)
@settings(max_examples=8)
@given(MOMENTS, st.integers(0, 99))
def test_a_pruned_race_that_is_killed_at_any_moments_ends_alike(
    tmp_path_factory, rule, moments, seed
):
    folder = tmp_path_factory.mktemp("race")
    grid = make_grid(folder, GRID)
    fails = lambda planned: planned.name in ("01_0", "06_1", "02_4")  # noqa: E731
    race(grid, folder / "whole", scoring(fails), rule)
    order = random.Random(seed)
    finish(
        lambda killed: race(grid, folder / "killed", scoring(fails, killed, order), rule), moments
    )
    assert decided(folder / "killed") == decided(folder / "whole")


def test_pruned_runs_spend_only_the_steps_that_they_took():
    counts, most = {"0": 3, "1": 3, "2": 3}, RacePlan(10, 1_600)
    steps = lambda name: 100  # noqa: E731
    # 900 are spent and 400 added, or 650 and 400.
    assert next_round(most, ["0", "1"], counts, steps) == Round(("0", "1"), 5)
    assert isinstance(next_round(RacePlan(10, 1_200), ["0", "1"], counts, steps), str)
    assert next_round(RacePlan(10, 1_200), ["0", "1"], counts, steps, {"2": 50}) == Round(
        ("0", "1"), 5
    )


def search(space, out, backend, rule, lines=None, trials=28, name="tpe", titles=None, **options):
    found = Search(SearchPlan(space, name, trials), journal_path(out, "a"), 0, overwrite=False)
    plan = None if rule is None else PrunePlan(rule, (2, 4))
    return simulate(found.grid, out, backend, lines, found, titles, prune=plan, **options)


def test_each_batch_is_pruned_and_no_pruned_trial_has_a_full_score(tmp_path, monkeypatch):
    asked = []

    def noted(space, name, seed, tried, count):
        asked.append(list(tried))
        return propose(space, name, seed, tried, count)

    monkeypatch.setattr(sampler, "propose", noted)
    lines = []
    records = search(space_of(tmp_path, SPACE), tmp_path, scoring(), "halving", lines)
    with read_journal(tmp_path, "a") as journal:
        judged = {rung: journal.rungs.judged(rung) for rung in (2, 4)}
    assert [len(tried) for tried in asked][1:] == [16, 24]
    for tried in asked[1:]:
        for number, (each, record) in enumerate(zip(tried, records, strict=False)):
            if record.state == RunState.PRUNED:
                scores = {rung: judged[rung].get(f"{number:02}") for rung in (2, 4)}
                assert each.score is None
                assert each.pruned == {
                    rung: score for rung, score in scores.items() if score is not None
                }
            else:
                assert (each.score, each.pruned) == (record.final_return, {})
    assert Counter(record.state for record in records)[RunState.PRUNED] > 14
    # A batch is compared with all earlier ones.
    assert next(line for line in lines if line.startswith("after update 2: ")) == (
        "after update 2: 8 of 16 permutations pruned"
    )


def test_optuna_sees_a_pruned_trial_with_its_intermediate_values(tmp_path):
    space = space_of(tmp_path, SPACE)
    distributions = {axis.label: sampler.distribution(axis) for axis in space.axes}
    trial = sampler._trial(space, distributions, Tried((0.9, 0.8), None, {2: 5.0, 4: 7.0}))
    assert (trial.state, trial.value) == (optuna.trial.TrialState.PRUNED, None)
    assert trial.intermediate_values == {2: 5.0, 4: 7.0}


@pytest.mark.slow
@pytest.mark.parametrize("rule", [None, *RULES])
@settings(max_examples=4)
@given(MOMENTS, st.integers(0, 99))
def test_a_search_that_is_killed_at_any_moments_has_the_same_trials(
    tmp_path_factory, rule, moments, seed
):
    folder = tmp_path_factory.mktemp("search")
    space = space_of(folder, SPACE)
    fails = lambda planned: planned.name in ("01_0", "06_1", "20_0")  # noqa: E731
    options = {"repetitions": 2}
    search(space, folder / "whole", scoring(fails), rule, **options)
    order = random.Random(seed)

    def attempt(killed):
        backend = scoring(fails, killed, order)
        jobs, together = order.choice([1, 3]), order.choice([1, 4])
        return search(
            space, folder / "killed", backend, rule, jobs=jobs, together=together, **options
        )

    finish(attempt, moments)
    assert decided(folder / "killed") == decided(folder / "whole")


def test_without_pruning_a_pruned_search_is_trained_to_the_end(tmp_path):
    space = space_of(tmp_path, SPACE)
    arguments = {"name": "random", "trials": 12}
    search(space, tmp_path / "never", scoring(), None, **arguments)
    search(space, tmp_path / "out", scoring(), "median", **arguments)
    assert decided(tmp_path / "out")[:2] != decided(tmp_path / "never")[:2]
    search(space, tmp_path / "out", scoring(), None, **arguments)
    assert decided(tmp_path / "out")[:2] == decided(tmp_path / "never")[:2]


@given(
    st.sampled_from(RULES),
    st.lists(st.integers(1, 9), min_size=1, max_size=4),
    st.fractions(Fraction(1, 10), Fraction(9, 10), max_denominator=10),
    st.integers(0, 99),
)
def test_no_search_trains_less_than_the_forecast(rule, sizes, keep, seed):
    plan, generator = PrunePlan(rule, (2, 4), keep), random.Random(seed)
    seen, steps = {rung: [] for rung in plan.rungs}, 0
    for size in sizes:
        left, done = size, 0
        for rung in (*plan.rungs, 6):
            steps += 60 * left * (rung - done) // 6
            done = rung
            if rung in seen:
                new = [generator.random() for _ in range(left)]
                seen[rung] += new
                kept = sorted(seen[rung], reverse=True)[: plan.least_kept(len(seen[rung]))]
                left = len(set(new) & set(kept))
    assert steps_at_least(plan, [[60] * size for size in sizes], 6) <= steps


def status(out, capsys):
    """Return the lines of `--status` before the session's."""
    capsys.readouterr()
    show_status(out, "a")
    lines = capsys.readouterr().out.splitlines()
    return lines[1 : next(place for place, line in enumerate(lines) if "trained" in line)]


def test_the_status_of_a_race_says_which_rung_and_who_was_pruned_where(tmp_path, capsys):
    grid, titles = make_grid(tmp_path, GRID), []
    # Six populations of two for each repetition, two events for each.
    moments = itertools.count(1)
    with pytest.raises(KilledError):
        killed = lambda: next(moments) == 2 * 18 + 3  # noqa: E731
        race(grid, tmp_path, scoring(killed=killed, return_of=contest), "halving", titles=titles)
    assert titles == ["round 1, rung 1 of 2", "round 1, rung 2 of 2"]
    assert status(tmp_path, capsys) == [
        "race: round 1, 3 repetitions of a permutation",
        "--prune=halving: 6 permutations up to update 4; after update 2, 6 of 12 permutations pruned",
    ]
    titles = []
    race(grid, tmp_path, scoring(return_of=contest), "halving", titles=titles)
    assert titles[:2] == ["round 1, rung 2 of 2", "round 1"]
    assert status(tmp_path, capsys)[1] == (
        "--prune=halving: all ended; after update 2, 6 of 12 permutations pruned; after update 4, 3 of "
        "6 permutations pruned"
    )


def test_the_status_of_a_search_says_how_many_trials_and_where_they_train(tmp_path, capsys):
    space, titles = space_of(tmp_path, SPACE), []
    moments = itertools.count(1)
    with pytest.raises(KilledError):
        # Eight trials came to the first rung; of eight more, some train further.
        killed = lambda: next(moments) == 2 * 4 + 1  # noqa: E731
        search(space, tmp_path, scoring(killed=killed), "asha", titles=titles)
    assert titles == ["16 of 28 trials, rung 1 of 2", "16 of 28 trials, turn of 8 permutations"]
    assert status(tmp_path, capsys) == [
        "search: tpe, 16 of 28 trials chosen, 0 ended",
        "--prune=asha: 4 permutations up to update 2, 4 permutations up to update 4; after update 2, 0 "
        "of 8 permutations pruned",
    ]
    search(space, tmp_path, scoring(), "asha", titles=titles)
    assert titles[-1].startswith("28 of 28 trials")
    assert status(tmp_path, capsys)[0] == "search: tpe, 28 of 28 trials chosen, 28 ended"
