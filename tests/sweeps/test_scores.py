import pytest

from sweeps.journal.runs import RunIdentity, RunRecord, RunState
from sweeps.journal.scores import best_scores


def result(permutation, repetition, value, state="finished"):
    run = RunIdentity("a", permutation, repetition, repetition, {})
    return RunRecord(run, RunState(state), 1, value, 0.5, value, 1.0)


def test_permutations_are_ranked_by_their_mean_and_failures_come_last():
    results = [
        result("0", 0, 1.0),
        result("0", 1, 3.0),
        result("1", 0, 4.0),
        result("1", 1, 2.0),
        result("2", 0, None, "failed"),
        result("2", 1, None, "diverged"),
        result("3", 0, 2.5),
        result("3", 1, None, "waiting"),
    ]
    scores, count = best_scores(results, 10)
    assert count == 4
    assert [score.permutation for score in scores] == ["1", "3", "0", "2"]
    assert [score.mean for score in scores] == [3.0, 2.5, 2.0, None]
    # The sample's standard deviation of 4 and 2 is the root of 2.
    assert scores[0].spread == pytest.approx(2**0.5)
    assert scores[0].best.run.repetition == 0 and scores[2].best.run.repetition == 1
    assert [(score.finished, score.failed) for score in scores] == [(2, 0), (1, 0), (2, 0), (0, 2)]
    assert [score.permutation for score in best_scores(results, 2)[0]] == ["1", "3"]


def test_a_single_repetition_has_the_spread_of_its_episodes():
    ((score,), _) = best_scores([result("0", 0, 1.0)], 1)
    assert score.spread == 0.5
