"""Judging at a rung: each permutation once, by the returns that its runs had there."""

from dataclasses import replace

import optuna

from reports.answer import answer
from reports.output.optuna_study import write_study
from reports.prune import Judgement, judge, return_at, scores_at
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


def pruned_at_100(outcome, *places):
    """Return a sweep with some permutations pruned after 100 steps."""
    outcome = paused(outcome, *places)
    runs = [replace(run, state=RunState.PRUNED) for run in outcome.runs if run.steps == 100]
    places = {run.run.permutation: [] for run in runs}
    for run in runs:
        places[run.run.permutation].append(run)
    permutations = tuple(
        replace(each, runs=tuple(places.get(each.name, each.runs))) for each in outcome.permutations
    )
    return replace(outcome, permutations=permutations)


def test_the_answer_leaves_pruned_permutations_out_and_says_so():
    found = answer(pruned_at_100(sweep(CHOICES, returns), 1, 2))
    assert [score.permutation.name for score in found.scores] == ["3", "0", "2", "1"]
    assert [score.mean is None for score in found.scores] == [False, False, True, True]
    assert not any(score.could_be_best or score.probability for score in found.scores[2:])
    assert found.scores[2].pruned == (50.0, 100)
    assert any("2 of 4 permutations were pruned" in line for line in sentences(found))
    assert "is the best of 2" in sentences(found)[0] or "leads the 2" in sentences(found)[0]


def test_certainty_is_about_those_that_were_not_pruned():
    apart = answer(pruned_at_100(sweep(CHOICES, lambda v, r: 1e4 * float(v[0]) + r), 0, 1))
    said = sentences(apart)
    assert any(
        line.startswith("It is significantly better than all others that weren't") for line in said
    )
    assert any(line.startswith("Each 95 % is about the others alone") for line in said)
    # There is nothing to be certain about where one is left.
    last = sentences(answer(pruned_at_100(sweep(CHOICES, returns), 0, 1, 2)))
    assert "is the only one left: return " in last[0]
    assert not any("significantly" in line or "Each 95 %" in line for line in last)
    # One repetition decides nothing.
    once = answer(pruned_at_100(sweep(CHOICES, returns, repetitions=1), 1, 2))
    assert not any("95 %" in line for line in sentences(once))


def test_a_study_has_pruned_trials_with_their_return_where_they_ended(tmp_path):
    found = answer(pruned_at_100(sweep(CHOICES, returns), 1, 2))
    write_study(found, tmp_path / "study.db")
    study = optuna.load_study(study_name="default", storage=f"sqlite:///{tmp_path}/study.db")
    states = [trial.state.name for trial in study.trials]
    assert states == ["COMPLETE", "PRUNED", "PRUNED", "COMPLETE"]
    assert [trial.value is None for trial in study.trials] == [False, True, True, False]
    assert study.trials[2].intermediate_values == {100: 50.0}


def test_a_later_failure_counts_as_the_worst_of_all_that_came_to_the_rung():
    outcome = paused(sweep(CHOICES, returns, repetitions=2), 3)
    runs = outcome.permutations[3].runs
    failed = replace(
        outcome.permutations[3], runs=(runs[0], replace(runs[1], state=RunState.FAILED))
    )
    alone = replace(outcome, permutations=(*outcome.permutations[:3], failed))
    scores = scores_at(alone, lambda _: 100, {"0": 10.0, "1": 20.0, "2": None})
    assert scores == {"3": (runs[0].final_return + 10.0) / 2}
