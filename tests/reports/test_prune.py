"""Judging at a rung: each permutation once, by the returns that its runs had there."""

from dataclasses import replace

from reports.answer import answer
from reports.prune import Judgement, judge, return_at
from reports.words import sentences
from sweeps.journal.runs import RunState
from sweeps.planning.prune import PrunePlan
from tests.reports.sweeps import sweep

CHOICES = {"gamma": ("0.9", "0.95", "0.99", "0.999")}
PLAN = PrunePlan("median", (1,))


def paused(outcome, *places):
    """Return a sweep with the runs of some permutations paused after 100 steps."""
    permutations = list(outcome.permutations)
    for place in places:
        runs = tuple(
            replace(
                run,
                state=RunState.WAITING,
                steps=100,
                final_return=run.curve[0][1],
                curve=run.curve[:1],
            )
            for run in permutations[place].runs
        )
        permutations[place] = replace(permutations[place], runs=runs)
    return replace(outcome, permutations=tuple(permutations))


def returns(values, repetition):
    return 100 * float(values[0]) + repetition


def at_rung(outcome, judged=()):
    return judge(outcome, PLAN, lambda _: 100, dict(judged))


def test_a_run_that_went_further_has_its_return_at_the_rung_in_its_curve():
    (run,) = sweep({"gamma": ("0.9",)}, returns, repetitions=1).runs
    assert (return_at(run, 200), return_at(run, 199), return_at(run, 99)) == (90, 45, None)
    assert return_at(replace(run, state=RunState.FAILED), 200) is None


def test_all_repetitions_are_judged_together_and_what_has_finished_stays():
    outcome = sweep(CHOICES, returns, repetitions=2)
    assert at_rung(paused(outcome, 0, 1, 2, 3)) == Judgement(
        {"0": 45.25, "1": 47.75, "2": 49.75, "3": 50.2}, ["0", "1"]
    )
    # A finished permutation is compared at the same steps, but can't be stopped any more.
    assert at_rung(paused(outcome, 1, 2, 3)).pruned == ["1"]


def test_a_permutation_is_judged_once_and_against_the_scores_of_that_time():
    outcome = paused(sweep(CHOICES, returns), 0, 1, 2, 3)
    assert at_rung(outcome, {"0": 1.0, "1": 9.0, "2": None, "3": 99.0}) == Judgement({}, [])
    assert at_rung(outcome, {"0": 60.0, "1": 61.0, "2": 62.0}).pruned == ["3"]
    assert at_rung(outcome, {"0": 1.0, "1": 2.0, "2": None}).pruned == []


def test_what_has_not_come_to_the_rung_or_has_no_episode_is_not_pruned():
    outcome = paused(sweep(CHOICES, returns, repetitions=1), 0, 1, 2, 3)
    first, second, *others = outcome.permutations
    first = replace(first, runs=(replace(first.runs[0], steps=50),))
    second = replace(second, runs=(replace(second.runs[0], final_return=None, curve=()),))
    found = at_rung(replace(outcome, permutations=(first, second, *others)))
    assert list(found.scores) == ["1", "2", "3"] and found.scores["1"] is None
    assert found.pruned == ["2"]


def test_the_answer_leaves_pruned_permutations_out_and_says_so():
    outcome = paused(sweep(CHOICES, returns), 1, 2)
    runs = [replace(run, state=RunState.PRUNED) for run in outcome.runs if run.steps == 100]
    places = {run.run.permutation: [] for run in runs}
    for run in runs:
        places[run.run.permutation].append(run)
    permutations = tuple(
        replace(each, runs=tuple(places.get(each.name, each.runs))) for each in outcome.permutations
    )
    found = answer(replace(outcome, permutations=permutations))
    assert [score.permutation.name for score in found.scores] == ["3", "0", "2", "1"]
    assert [score.mean is None for score in found.scores] == [False, False, True, True]
    assert not any(score.could_be_best or score.probability for score in found.scores[2:])
    assert found.scores[2].pruned == (50.0, 100)
    assert any("2 of 4 permutations were pruned" in line for line in sentences(found))
    assert "is the best of 2" in sentences(found)[0] or "leads the 2" in sentences(found)[0]
