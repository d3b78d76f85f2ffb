import numpy as np
import pytest

from reports.statistics.averages import means, seed_effects
from reports.statistics.variances import (
    Prior,
    Variances,
    fit_prior,
    moderate,
    residual_variances,
    sample_variances,
    score_prior,
)

NAN = np.nan


def variances(values, freedom=2.0):
    return Variances(np.array(values, dtype=float), np.full(len(values), freedom))


def test_a_missing_score_counts_neither_in_the_mean_nor_in_the_variance():
    scores = np.array([[1.0, 3.0, NAN], [2.0, NAN, NAN], [NAN, NAN, NAN]])
    np.testing.assert_allclose(means(scores), [2.0, 2.0, NAN])
    found = sample_variances(scores)
    np.testing.assert_allclose(found.variance, [2.0, 0.0, 0.0])
    np.testing.assert_allclose(found.freedom, [1, 0, 0])


def test_seed_effects_are_deviations_of_the_columns_where_nothing_is_missing():
    scores = np.array([[1.0, 2.0, 6.0], [3.0, 4.0, 8.0]])
    np.testing.assert_allclose(seed_effects(scores), [-2.0, -1.0, 3.0], atol=1e-12)


def test_seed_effects_are_those_of_least_squares_where_something_is_missing():
    rng = np.random.default_rng(1)
    scores = rng.normal(size=(6, 4))
    scores[[0, 2, 2, 5], [1, 0, 3, 2]] = NAN
    rows, columns = np.nonzero(~np.isnan(scores))
    # A dummy for each permutation and each seed; the smallest solution has seeds of mean 0.
    design = np.hstack([np.eye(6)[rows], np.eye(4)[columns]])
    solution = np.linalg.lstsq(design, scores[rows, columns], rcond=None)[0][6:]
    np.testing.assert_allclose(seed_effects(scores), solution - solution.mean(), atol=1e-10)


def test_an_effect_of_a_seed_on_all_permutations_adds_no_variance():
    rng = np.random.default_rng(2)
    scores = rng.normal(size=(5, 4))
    shifted = scores + np.array([0.0, 100.0, -50.0, 7.0])
    np.testing.assert_allclose(
        residual_variances(shifted).variance, residual_variances(scores).variance, atol=1e-8
    )


def test_residual_variances_are_unbiased_where_variances_differ():
    rng = np.random.default_rng(3)
    deviations = np.array([1.0, 1.2, 1.4, 1.6, 1.8, 2.0])
    found = np.mean(
        [
            residual_variances(
                deviations[:, None] * rng.normal(size=(6, 5)) + rng.normal(size=5)
            ).variance
            for _ in range(2000)
        ],
        axis=0,
    )
    np.testing.assert_allclose(found, deviations**2, rtol=0.05)


def test_two_permutations_have_half_of_the_variance_of_their_difference():
    scores = np.array([[1.0, 2.0, 4.0], [1.0, 3.0, 3.0]])
    difference = np.var(scores[0] - scores[1], ddof=1)
    np.testing.assert_allclose(residual_variances(scores).variance, [difference / 2] * 2)


def test_a_prior_of_equal_variances_is_their_value_and_weighs_half_of_them():
    assert fit_prior(variances([3.0] * 10)) == Prior(3.0, 5.0)


def test_a_prior_has_the_moments_of_the_variances():
    rng = np.random.default_rng(4)
    # True variances are inverse chi-squared with scale 2; samples have 4 degrees of freedom.
    true = 10 * 2.0 / rng.chisquare(10, size=200_000)
    prior = fit_prior(variances(true * rng.chisquare(4, size=len(true)) / 4, freedom=4.0))
    assert prior.variance == pytest.approx(2.0, rel=0.05)
    assert prior.freedom == pytest.approx(10.0, rel=0.15)


@pytest.mark.parametrize("few", [[], [1.0], [1.0, 2.0]])
def test_fewer_than_three_variances_suggest_nothing(few):
    assert fit_prior(variances(few)) == Prior(0.0, 0.0)


def test_variances_are_pulled_in_proportion_to_the_degrees_of_freedom():
    pulled = moderate(variances([1.0, 0.0]), Prior(2.0, 4.0))
    np.testing.assert_allclose(pulled.variance, [10 / 6, 8 / 6])
    np.testing.assert_allclose(pulled.freedom, [6.0, 6.0])


def test_a_variance_far_beyond_the_prior_stays_unchanged():
    pulled = moderate(variances([1.0, 100.0]), Prior(2.0, 4.0))
    assert pulled.variance[1] == 100.0 and pulled.freedom[1] == 2.0


def test_with_one_score_the_prior_decides_alone():
    pulled = moderate(Variances(np.zeros(1), np.zeros(1)), Prior(2.0, 4.0))
    assert pulled.variance[0] == 2.0 and pulled.freedom[0] == 4.0


def test_scores_that_seeds_decide_lend_little():
    rng = np.random.default_rng(5)
    apart = rng.normal(size=(20, 4))
    assert score_prior(apart).freedom > 5
    assert score_prior(0.01 * apart + rng.normal(size=4)).freedom < 1.1
