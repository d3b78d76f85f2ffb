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
    assert np.isnan(selection_bias(compared, generator()))


@pytest.mark.parametrize(("permutations", "expected"), [(24, 1.95), (48, 2.23)])
def test_the_best_of_equal_ones_is_too_good_by_the_expected_maximum(permutations, expected):
    repetitions = 10
    found = [
        selection_bias(compare(rng.normal(size=(permutations, repetitions))), rng, 200)
        for rng in map(np.random.default_rng, range(100))
    ]
    assert np.mean(found) == pytest.approx(expected / repetitions**0.5, rel=0.06)


def test_a_leader_far_ahead_needed_no_luck():
    scores = np.random.default_rng(2).normal(size=(12, 5))
    scores[3] += 20.0
    assert selection_bias(compare(scores), generator()) < 0.05
    assert best_probabilities(compare(scores), generator())[3] > 0.99


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
