import numpy as np
import pytest

from reports.statistics.contenders import compare
from reports.statistics.selection import best_probabilities, confirm, selection_bias

NAN = np.nan


def generator():
    return np.random.default_rng(0)


def test_equal_scores_share_the_probability_of_being_the_best():
    compared = compare(np.array([[5.0, 5.0], [5.0, 5.0], [1.0, 1.0], [NAN, NAN]]))
    np.testing.assert_allclose(best_probabilities(compared, generator()), [0.5, 0.5, 0.0, 0.0])


def test_the_probability_follows_the_lead():
    scores = np.random.default_rng(1).normal(size=(6, 5)) + 0.7 * np.arange(6)[:, None]
    found = best_probabilities(compare(scores), generator())
    assert found.sum() == pytest.approx(1.0)
    assert found.argmax() == compare(scores).leader
    np.testing.assert_array_equal(found, best_probabilities(compare(scores), generator()))


def test_a_leader_by_luck_is_given_little_probability():
    found = [
        best_probabilities(compare(rng.normal(size=(24, 3))), rng, 200).max()
        for rng in map(np.random.default_rng, range(100))
    ]
    # Each is the best with a probability of 1/24.
    assert np.mean(found) < 0.25


def test_one_repetition_says_nothing():
    compared = compare(np.array([[1.0], [2.0]]))
    assert np.isnan(best_probabilities(compared, generator())).all()
    assert np.isnan(selection_bias(np.array([[1.0], [2.0]])))


@pytest.mark.parametrize(("permutations", "expected"), [(24, 1.95), (48, 2.23)])
def test_the_best_of_equal_ones_is_too_good_by_the_expected_maximum(permutations, expected):
    repetitions = 10
    found = [
        selection_bias(rng.normal(size=(permutations, repetitions)))
        for rng in map(np.random.default_rng, range(100))
    ]
    assert np.mean(found) == pytest.approx(expected / repetitions**0.5, rel=0.06)


def test_a_leader_far_ahead_needed_no_luck():
    scores = np.random.default_rng(2).normal(size=(12, 5))
    scores[3] += 20.0
    assert selection_bias(scores) < 0.5
    assert best_probabilities(compare(scores), generator())[3] > 0.99


@pytest.mark.parametrize("solving", [0.5, 0.8])
def test_luck_is_right_where_runs_solve_or_fail(solving):
    rng = np.random.default_rng(4)
    found, true = [], []
    for _ in range(400):
        scores = (rng.random((12, 5)) < solving).astype(float)
        found.append(selection_bias(scores))
        true.append(scores.mean(axis=1).max() - solving)
    assert np.mean(found) == pytest.approx(np.mean(true), rel=0.1)


def test_luck_by_hand():
    # Without the seeds' effects, the scores are (4, 2), (1, 3) and (1, 1) around a mean of 2 a seed. The
    # first leads on the first seed and reaches 2 on the other one; the second leads there and reaches 1.
    scores = np.array([[4.0, 2.0], [1.0, 3.0], [1.0, 1.0]])
    assert selection_bias(scores) == pytest.approx(((4 - 2) + (3 - 1)) / 2 * 0.5**0.5)


def test_a_large_grid_is_drawn_in_pieces():
    scores = np.random.default_rng(3).normal(size=(3000, 2))
    assert best_probabilities(compare(scores), generator()).sum() == pytest.approx(1.0)


def test_a_confirmed_score_is_set_beside_the_selected_one():
    sweep = np.array([[3.0, 5.0], [8.0, 10.0], [7.0, 9.0], [1.0, 2.0]])
    found = confirm(sweep[[1, 2]], np.array([[7.0, 8.0, 9.0], [9.0, NAN, 10.0]]), sweep)
    np.testing.assert_allclose(found.selected, [9.0, 8.0])
    np.testing.assert_allclose(found.confirmed, [8.0, 9.5])
    np.testing.assert_allclose(found.luck, [1.0, -1.5])
    assert (found.low < found.confirmed).all() and (found.confirmed < found.high).all()
