import numpy as np
import pytest
from scipy import stats

from reports.statistics.intervals import estimate, interquartile_means, two_humped
from reports.statistics.variances import Prior

NAN = np.nan


def test_alone_a_permutation_has_students_interval():
    scores = np.array([[3.0, 5.0, 4.0, 8.0]])
    found = estimate(scores)
    low, high = stats.t.interval(0.95, 3, loc=5.0, scale=stats.sem(scores[0]))
    assert (found.count[0], found.mean[0]) == (4, 5.0)
    assert (found.low[0], found.high[0]) == pytest.approx((low, high))


def test_a_prior_of_infinite_weight_leaves_the_normal_distribution():
    found = estimate(np.array([[1.0, 2.0, 3.0]]), Prior(1.0, 1e12))
    assert found.high[0] - found.mean[0] == pytest.approx(1.959964 / 3**0.5)


def test_one_repetition_has_no_interval():
    found = estimate(np.array([[1.0], [2.0], [3.0], [NAN]]))
    np.testing.assert_array_equal(found.mean, [1.0, 2.0, 3.0, NAN])
    assert np.isnan([found.low, found.high]).all()


def test_a_permutation_with_failures_rests_on_fewer_repetitions():
    scores = np.array([[1.0, 2.0, 3.0], [1.0, 3.0, NAN], [2.0, 3.0, 5.0], [NAN, NAN, NAN]])
    found = estimate(scores)
    np.testing.assert_array_equal(found.count, [3, 2, 3, 0])
    assert np.isfinite(found.low[:3]).all() and np.isnan(found.low[3])


def test_the_interquartile_mean_is_scipys_from_eight_repetitions_on():
    scores = np.random.default_rng(1).normal(size=(3, 11))
    scores[1, 2] = NAN
    scores[2, :4] = NAN
    found = interquartile_means(scores)
    assert found[0] == pytest.approx(stats.trim_mean(scores[0], 0.25))
    assert found[1] == pytest.approx(stats.trim_mean(scores[1][~np.isnan(scores[1])], 0.25))
    assert np.isnan(found[2])


def test_repetitions_that_solve_or_fail_are_two_humped():
    scores = np.array([[500.0, 498.0, 20.0], [500.0, 499.0, 497.0], [10.0, 240.0, 480.0]])
    assert two_humped(scores).tolist() == [True, False, False]
    assert two_humped(np.array([[500.0, NAN, 20.0], [NAN, NAN, NAN]])).tolist() == [True, False]
    assert not two_humped(scores[:, :1]).any()


def coverage(scores_of, truth, prior=None):
    found = [estimate(scores_of(np.random.default_rng(seed)), prior) for seed in range(200)]
    return np.mean([(each.low <= truth) & (truth <= each.high) for each in found])


def test_intervals_hold_the_mean_of_runs_that_solve_or_fail_where_students_do_not():
    def scores_of(rng):
        return (rng.random((24, 3)) < 0.8).astype(float)

    # Without a prior, the limits for bounded scores hold where all runs agree.
    assert coverage(scores_of, 0.8, Prior(0.0, 0.0)) > 0.94
    assert coverage(scores_of, 0.8) > 0.94


@pytest.mark.parametrize("repetitions", [3, 5, 10])
def test_intervals_hold_the_mean_of_normal_returns(repetitions):
    assert coverage(lambda rng: rng.normal(size=(16, repetitions)), 0.0) > 0.945


def test_one_permutation_of_great_variance_keeps_its_interval():
    deviations = np.where(np.arange(24) == 0, 5.0, 1.0)[:, None]
    found = [
        estimate(deviations * np.random.default_rng(seed).normal(size=(24, 5)))
        for seed in range(300)
    ]
    assert np.mean([each.low[0] <= 0 <= each.high[0] for each in found]) > 0.92
