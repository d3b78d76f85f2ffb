"""Asynchronous halving: permutations are promoted among those that have come to a rung so far."""

import random
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweeps.journal.runs import RunState
from sweeps.planning.promotion import AT_ONCE, next_turn
from sweeps.planning.prune import PrunePlan, hopeless, steps_at_least
from tests.sweeps.scene import make_grid
from tests.sweeps.simulated import KilledError, decided, finish, return_of, scoring, simulate

PLAN, HALVING = PrunePlan("asha", (2, 4)), PrunePlan("halving", (2, 4))
NAMES = [f"{number:02}" for number in range(20)]
SPACE = "hyperparameters: {gamma: [0.9, 0.95, 0.99], lamda: [0.8, 0.85, 0.9, 0.95]}\n"


def test_a_turn_begins_new_permutations_in_their_order_while_nothing_can_be_promoted():
    assert next_turn(PLAN, [{}, {}], NAMES) == dict.fromkeys(NAMES[:AT_ONCE], 2)
    # Half of one is none.
    assert next_turn(PLAN, [{"00": 1.0}, {}], NAMES) == dict.fromkeys(NAMES[1 : AT_ONCE + 1], 2)


def test_the_best_share_is_promoted_best_first_and_from_the_last_rung_down():
    first = {"00": 1.0, "01": 4.0, "02": 3.0, "03": 2.0, "04": 9.0, "05": 8.0}
    last = {"04": 1.0, "05": 2.0}
    turn = next_turn(PLAN, [first, last], NAMES[:8])
    assert list(turn.items()) == [("05", None), ("01", 4), ("06", 2), ("07", 2)]


def test_those_equal_to_the_last_promoted_one_and_those_without_an_episode_are_promoted():
    assert next_turn(PLAN, [{"00": 1.0, "01": 1.0, "02": 0.0, "03": None}, {}], NAMES[:4]) == {
        "00": 4,
        "01": 4,
        "03": 4,
    }


def test_at_least_one_trains_to_its_end():
    plan = PrunePlan("asha", (2, 4), Fraction(1, 9))
    scores = {"00": 1.0, "01": 2.0}
    assert next_turn(plan, [scores, {}], NAMES[:2]) == {"01": 4}
    assert next_turn(plan, [scores, {"01": 5.0}], NAMES[:2]) == {"01": None}
    assert next_turn(plan, [scores, {"01": 5.0}], ["00"]) == {}


def test_a_later_promotion_needs_a_place_among_all_that_came():
    plan = PrunePlan("asha", (2,))
    judged = {"00": 5.0, "01": 4.0, "02": 3.0, "03": 2.0}
    assert next_turn(plan, [judged], ["02", "03"]) == {}
    # Two worse ones make room for the third.
    assert next_turn(plan, [judged | {"04": 1.0, "05": 0.0}], ["02", "03"]) == {"02": None}


def promote_all(plan, count, seed):
    """Return the scores at each rung, and the permutations that train to their ends."""
    judged, ended = [{} for _ in plan.rungs], set()
    generator = random.Random(seed)
    scores = {name: generator.random() for name in NAMES[:count]}
    while turn := next_turn(plan, judged, [name for name in scores if name not in ended]):
        for name, rung in turn.items():
            if rung is None:
                ended.add(name)
            else:
                # A rung tells more than the one before.
                judged[plan.rungs.index(rung)][name] = scores[name] + generator.random() / rung
    return judged, ended


@given(
    st.integers(1, 20),
    st.fractions(Fraction(1, 10), Fraction(9, 10), max_denominator=10),
    st.integers(0, 99),
)
def test_at_least_as_many_train_on_as_halving_keeps(count, keep, seed):
    plan = PrunePlan("asha", (2, 4), keep)
    judged, ended = promote_all(plan, count, seed)
    assert set(judged[0]) == set(NAMES[:count])
    assert len(judged[1]) >= plan.least_kept(count)
    assert len(ended) >= plan.least_kept(len(judged[1])) >= 1
    steps = 2 * len(judged[0]) + 2 * len(judged[1]) + 2 * len(ended)
    assert steps_at_least(plan, [[6] * count], 6) <= steps
    # In the end, the best share of each rung has gone on.
    for there, beyond in zip(judged, (judged[1], ended), strict=True):
        best = sorted(there, key=there.get, reverse=True)
        assert set(best[: plan.least_kept(len(there))]) <= set(beyond)


@given(st.integers(1, AT_ONCE), st.integers(0, 99))
def test_a_grid_that_trains_at_once_is_halved(count, seed):
    (first, last), ended = promote_all(PLAN, count, seed)
    assert set(first) - set(last) == hopeless(HALVING, first)
    assert set(last) - ended == hopeless(HALVING, last)


def run(grid, out, backend=None, lines=None, plan=PLAN, **options):
    return simulate(
        grid, out, backend or scoring(), lines, **{"prune": plan, "repetitions": 2, **options}
    )


def test_twelve_permutations_train_in_turns_of_eight(tmp_path):
    grid, lines = make_grid(tmp_path, SPACE), []
    records = run(grid, tmp_path / "out", lines=lines)
    assert lines[:2] == [
        "next 8 permutations: 8 new",
        "next 8 permutations: 4 promoted after update 2, 4 new",
    ]
    states = {
        name: {each.state for each in records if each.run.permutation == name}
        for name in NAMES[:12]
    }
    assert all(len(found) == 1 for found in states.values())
    kept = [name for name in NAMES[:12] if states[name] == {RunState.FINISHED}]
    *_, judged, _ = decided(tmp_path / "out")
    # Each was among the best half of those that had come to both rungs, and so are the best of all.
    for scores in judged:
        known = {name: score for name, score in scores.items() if score is not None}
        best = sorted(known, key=known.get, reverse=True)
        assert set(kept) <= set(known)
        if scores is judged[-1]:
            assert set(best[: len(best) // 2]) <= set(kept)
    assert sum(int(line.split()[3]) for line in lines if line.startswith("after")) == 12 - len(kept)
    # Pruned runs end at the rung where they were judged last.
    for record in records:
        if record.state == RunState.PRUNED:
            last = max(
                rung
                for rung, scores in zip((2, 4), judged, strict=True)
                if record.run.permutation in scores
            )
            assert record.steps == 64 * last


def test_the_same_command_changes_nothing_and_more_permutations_may_promote_the_pruned(tmp_path):
    score = lambda name, update: -float(name.partition("_")[0])  # noqa: E731
    backend = scoring(return_of=score)
    plan = PrunePlan("asha", (2,))
    small = make_grid(tmp_path, "hyperparameters: {gamma: [0.9, 0.95, 0.99]}\n")
    before = run(small, tmp_path / "out", backend, plan=plan)
    assert [each.state == RunState.FINISHED for each in before] == [True, False, False] * 2
    assert run(small, tmp_path / "out", backend, plan=plan) == before
    large = make_grid(tmp_path, "hyperparameters: {gamma: [0.9, 0.95, 0.99, 0.999, 0.9999]}\n")
    after = run(large, tmp_path / "out", backend, plan=plan)
    assert [each.state == RunState.FINISHED for each in after] == [True, True, *[False] * 3] * 2


@pytest.mark.parametrize("together", [1, 4])
def test_no_job_or_order_of_ends_changes_a_decision(tmp_path, together):
    grid = make_grid(tmp_path, SPACE)
    run(grid, tmp_path / "whole")
    for seed in range(4):
        backend = scoring(shuffled=random.Random(seed))
        run(grid, tmp_path / f"{seed}", backend, together=together, jobs=1 + seed)
        assert decided(tmp_path / f"{seed}") == decided(tmp_path / "whole")


def fails(planned):
    """Fail once and for all: a run, a permutation, and one that is promoted."""
    return planned.run.permutation == "03" or planned.name in ("01_0", "06_1")


@settings(max_examples=20)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=3), st.integers(0, 99))
def test_a_sweep_that_is_killed_at_any_moments_has_the_same_decisions(
    tmp_path_factory, moments, seed
):
    folder = tmp_path_factory.mktemp("sweep")
    grid, order = make_grid(folder, SPACE), random.Random(seed)
    run(grid, folder / "whole", scoring(fails))
    finish(lambda killed: run(grid, folder / "killed", scoring(fails, killed, order)), moments)
    assert decided(folder / "killed") == decided(folder / "whole")


def test_with_none_all_train_to_their_ends(tmp_path):
    grid = make_grid(tmp_path, SPACE)
    run(grid, tmp_path / "out")
    records = run(grid, tmp_path / "out", plan=None)
    assert {record.state for record in records} == {RunState.FINISHED}
    assert all(record.final_return == return_of(record.name, 6) for record in records)


def test_repetitions_that_are_not_asked_for_any_more_stop_nothing(tmp_path):
    grid = make_grid(tmp_path, SPACE)
    # The third repetition was begun, and only two are trained now.
    with pytest.raises(KilledError):
        run(grid, tmp_path / "out", scoring(killed=lambda: True), repetitions=3)
    records = run(grid, tmp_path / "out")
    assert {each.state for each in records if each.run.repetition < 2} == {RunState.FINISHED}
