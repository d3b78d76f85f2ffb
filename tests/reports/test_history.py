"""The history of a sweep shows its leader over time, and what was lost on the way."""

from dataclasses import replace
from pathlib import Path

import pytest

from reports.answer import answer
from reports.history import Cut, Time, history
from reports.outcome import Outcome, PermutationRuns
from sweeps.journal.runs import RunIdentity, RunRecord, RunState
from tests.reports.example_outcome import example_outcome

STEPS = 100


def sweep(scores, ended, **more):
    """Return a sweep with these final returns, a row for each permutation; None is a failed run."""
    permutations = tuple(
        PermutationRuns(
            str(number),
            (str(number),),
            tuple(
                RunRecord(
                    RunIdentity("a", str(number), seed, seed, {"gamma": str(number)}),
                    RunState.FAILED if score is None else RunState.FINISHED,
                    STEPS,
                    score,
                )
                for seed, score in enumerate(row)
            ),
        )
        for number, row in enumerate(scores)
    )
    return Outcome("a", Path("out"), ("gamma",), permutations, {}, (), ended=ended, **more)


def followed(outcome, **options):
    """Return the runs that had ended, the leader and its score at each moment."""
    moments = history(outcome, **options).moments
    return [(each.time.runs, each.permutation, each.score) for each in moments]


def test_the_leader_is_that_of_the_runs_that_had_ended():
    outcome = sweep([[1, 2], [3, 0]], (("0", 0), ("1", 0), ("1", 1), ("0", 1)))
    assert followed(outcome) == [
        (1, "0", 1.0),
        (2, "1", 3.0),
        # On the first seed, permutation 1 was better by 2.
        (3, "1", 1.5),
        (4, "0", 1.5),
    ]
    assert [each.time.steps for each in history(outcome).moments] == [100, 200, 300, 400]


def test_a_failure_counts_as_the_worst_score_so_far_and_is_lost():
    outcome = sweep([[1, 1], [None, 9]], (("0", 0), ("1", 0), ("1", 1), ("0", 1)))
    # Without a score, permutation 1 doesn't lead; with one, its failure counts as the worst, 1.
    first, second, _, last = followed(outcome)
    assert (first, second, last) == ((1, "0", 1.0), (2, "0", 1.0), (4, "1", 5.0))
    assert history(outcome).lost == {("1", 0): Time(2, 200)}


def test_less_is_better_for_some_metrics():
    outcome = sweep([[1], [1]], (("0", 0), ("1", 0)))
    slow, fast = (
        replace(each, runs=tuple(replace(run, wall_time_seconds=seconds) for run in each.runs))
        for each, seconds in zip(outcome.permutations, (9.0, 4.0), strict=True)
    )
    outcome = replace(outcome, permutations=(slow, fast))
    assert followed(outcome, metric="time") == [(1, "0", 9.0), (2, "1", 4.0)]


@pytest.mark.parametrize("failures", [True, False])
def test_it_ends_with_the_leader_of_the_answer(failures):
    outcome = example_outcome(failures=failures)
    found, leader = history(outcome), answer(outcome).leader
    last = found.moments[-1]
    assert (last.permutation, last.score) == (
        leader.permutation.name,
        pytest.approx(leader.mean),
    )
    assert last.time.runs == len(outcome.ended) == found.ended["23"].runs
    assert len(found.lost) == 2 * failures


def test_a_permutation_ends_with_its_last_run():
    outcome = sweep([[1, 2], [3, 0]], (("0", 0), ("1", 1), ("0", 1)))
    assert history(outcome).ended == {"0": Time(3, 300)}


def test_a_large_sweep_is_followed_at_some_of_its_runs():
    order = tuple((str(number), 0) for number in range(1000))
    found = history(sweep([[float(number)] for number in range(1000)], order))
    assert len(found.moments) == 200
    assert (found.moments[0].score, found.moments[-1].score) == (0, 999)


def test_rungs_have_the_numbers_of_pruned_permutations():
    order = (("0", 0), ("1", 0), ("2", 0), ("3", 0))
    outcome = sweep([[1], [2], [3], [4]], order, pruned={5: ("0", "2"), 9: ("1",)})
    pruned = tuple(
        replace(each, runs=tuple(replace(run, state=RunState.PRUNED) for run in each.runs))
        for each in outcome.permutations[:3]
    )
    outcome = replace(outcome, permutations=(*pruned, outcome.permutations[3]))
    found = history(outcome)
    assert found.cuts == (Cut(Time(2, 200), "rung", 9, 1), Cut(Time(3, 300), "rung", 5, 2))
    assert set(found.lost) == {("0", 0), ("1", 0), ("2", 0)}
    # A part of the sweep counts its own permutations alone.
    part = outcome.where(["gamma=0"])
    assert history(part).cuts == (Cut(Time(1, 100), "rung", 5, 1),)


def test_rounds_of_a_race_say_how_many_were_left_out():
    order = (("0", 0), ("1", 0), ("2", 0), ("0", 1), ("1", 1), ("0", 2))
    outcome = sweep([[9, 9, 9], [8, 8], [1]], order, is_race=True)
    assert history(outcome).cuts == (
        Cut(Time(3, 300), "round", 1, 1),
        Cut(Time(5, 500), "round", 2, 1),
    )
    assert history(replace(outcome, is_race=False)).cuts == ()


def test_nothing_is_shown_of_what_the_journal_lacks():
    outcome = replace(example_outcome(), ended=())
    found = history(outcome)
    assert (found.moments, found.ended, found.lost, found.cuts) == ((), {}, {}, ())
