import numpy as np
import pytest
from scipy import stats

from reports.statistics.bounds import Bounds
from reports.statistics.contenders import (
    Comparison,
    compare,
    confidence_of_look,
    confidence_of_round,
    repetitions_needed,
    shrunken_means,
)
from reports.statistics.variances import Variances

NAN = np.nan


def comparison(mean, variance, count, freedom=1e9):
    size = len(mean)
    return Comparison(
        np.array(mean, dtype=float),
        np.full(size, count),
        Variances(np.full(size, float(variance)), np.full(size, freedom)),
        np.ones(size, dtype=bool),
        True,
        np.zeros(size),
        np.zeros(size, dtype=bool),
    )


@pytest.mark.parametrize("lead", [1.0, 2.0, 3.0])
def test_the_worse_of_two_is_excluded_when_a_paired_t_test_says_so(lead):
    scores = np.random.default_rng(1).normal(size=(2, 4))
    scores[0] += lead
    test = stats.ttest_rel(scores[0], scores[1], alternative="greater")
    assert compare(scores).could_be_best.tolist() == [True, test.pvalue >= 0.05]


def test_an_effect_of_a_seed_on_all_permutations_changes_nothing():
    scores = np.random.default_rng(2).normal(size=(8, 5)) + np.arange(8)[:, None]
    before = compare(scores)
    after = compare(scores + np.array([0.0, 90.0, -40.0, 3.0, 10.0]))
    assert 1 < before.could_be_best.sum() < 8
    np.testing.assert_array_equal(after.could_be_best, before.could_be_best)
    assert after.leader == before.leader == 7


def test_one_repetition_excludes_nothing():
    found = compare(np.array([[1.0], [100.0], [NAN]]))
    assert not found.decided and found.leader == 1
    assert found.could_be_best.tolist() == [True, True, False]


def test_failing_on_a_hard_seed_is_no_advantage():
    rng = np.random.default_rng(3)
    scores = rng.normal(scale=0.1, size=(6, 3)) + np.array([10.0, 10.0, 0.0])
    scores[0] += 1.0
    scores[5, 2] = NAN
    found = compare(scores)
    assert np.nanmean(scores[5]) > scores[0].mean()
    assert found.leader == 0 and not found.could_be_best[5]


def test_runs_that_all_agree_exclude_nothing_where_their_failures_are_unknown():
    scores = np.array([[500.0] * 3, [500.0] * 3, [499.0] * 3, [500.0, NAN, 500.0]])
    assert compare(scores).could_be_best.tolist() == [True] * 4


def noise(kind, rng, shape):
    if kind == "unequal variances":
        return np.geomspace(1 / 3, 3, shape[0])[:, None] * rng.normal(size=shape)
    if kind == "solves or fails":
        return ((rng.random(shape) < 0.8) - 0.8) / 0.4
    return rng.normal(size=shape)


@pytest.mark.parametrize("kind", ["normal", "unequal variances", "solves or fails"])
@pytest.mark.parametrize("repetitions", [3, 5])
def test_the_best_remains_and_few_equal_ones_are_excluded(kind, repetitions):
    rng = np.random.default_rng(4)
    truth = np.linspace(0, 4, 24)
    best, equal = [], []
    for _ in range(400):
        order = rng.permutation(24)
        scores = truth[order][:, None] + noise(kind, rng, (24, repetitions))
        best.append(compare(scores).could_be_best[truth[order].argmax()])
        equal.append(compare(noise(kind, rng, (24, repetitions))).could_be_best.mean())
    assert np.mean(best) >= 0.95 and np.mean(equal) >= 0.95


def test_half_of_a_grid_is_excluded_with_five_repetitions():
    rng = np.random.default_rng(5)
    truth = np.linspace(0, 4, 24)[:, None]
    remain = [compare(truth + rng.normal(size=(24, 5))).could_be_best.sum() for _ in range(200)]
    assert np.mean(remain) < 12.5


def test_means_are_pulled_together_by_the_share_of_noise():
    # Between the means is a variance of 8; 8 / 4 of it is noise.
    shrunken, between = shrunken_means(comparison([2.0, 6.0], 8.0, 4))
    assert between == pytest.approx(6.0)
    np.testing.assert_allclose(shrunken, [2.5, 5.5])


def test_repetitions_needed_are_those_of_the_power_formula():
    compared = comparison([0.0, 1.0], 1.0, 4)
    shrunken, _ = shrunken_means(compared)
    quantiles = stats.norm.ppf(0.95) + stats.norm.ppf(0.8)
    total = 2 * (quantiles / (shrunken[1] - shrunken[0])) ** 2
    assert repetitions_needed(compared) == int(np.ceil(total)) - 4


def test_no_repetitions_are_needed_where_the_leader_is_alone():
    scores = np.random.default_rng(6).normal(size=(4, 5)) + np.array([[0.0], [0.0], [0.0], [50.0]])
    assert repetitions_needed(compare(scores)) == 0


def test_equal_permutations_are_never_separated():
    assert repetitions_needed(comparison([1.0, 1.0, 1.0], 1.0, 3)) == np.inf
    assert np.isnan(repetitions_needed(compare(np.array([[1.0], [2.0]]))))


def test_the_variance_of_one_score_is_unknown_without_other_permutations():
    scores = np.array([[1.0, 2.0], [30.0, NAN]])
    assert compare(scores).could_be_best.tolist() == [True, True]


def test_comparing_a_thousand_permutations_keeps_the_best():
    scores = np.random.default_rng(7).normal(size=(1000, 3)) + np.linspace(0, 9, 1000)[:, None]
    found = compare(scores)
    assert found.could_be_best[-1] and found.could_be_best.sum() < 900
    assert repetitions_needed(found) == np.inf


def test_a_safe_permutation_is_not_excluded_by_lucky_risky_ones():
    """The risky one reaches 500 in four of five runs and 0 else, so the safe one is better."""
    rng, kept = np.random.default_rng(8), []
    for _ in range(300):
        risky = np.where(rng.random((2, 3)) < 0.8, 500.0, 0.0)
        kept.append(compare(np.vstack([rng.uniform(410, 415, (2, 3)), risky])).could_be_best[:2])
    assert np.mean(kept) > 0.95


def test_known_bounds_let_runs_that_agree_exclude_others():
    scores = np.array([[500.0] * 20, [100.0] * 20])
    assert compare(scores).could_be_best.tolist() == [True, False]  # the grid shows its range
    few, bounds = scores[:, :4], Bounds(0.0, 500.0)
    assert compare(few).could_be_best.tolist() == [True, True]
    # Of four runs a share of 0.05 ** (1 / 4) = 0.473 at least is like those seen: a mean of 236 or more
    # for the first one, and of 311 or less for the second one.
    assert compare(few, bounds=bounds).could_be_best.tolist() == [True, True]
    # Of six runs 0.607: 303 or more, and 257 or less.
    assert compare(scores[:, :6], bounds=bounds).could_be_best.tolist() == [True, False]


def test_a_wild_permutation_hides_nothing_of_the_others():
    rng = np.random.default_rng(9)
    scores = np.linspace(0, 4, 24)[:, None] + rng.normal(size=(24, 5))
    tame = compare(scores).could_be_best.sum()
    scores[0] = -1e6 * rng.random(5)
    assert compare(scores).could_be_best.sum() <= tame + 2


def test_a_permutation_of_two_kinds_of_runs_is_not_wild():
    # One run of three fails; the runs of the others agree and may fail just as rarely.
    rng = np.random.default_rng(10)
    scores = rng.uniform(410, 415, (24, 3))
    scores[12:] = 500.0
    scores[12:15, 0] = 0.0
    assert compare(scores).could_be_best[:12].all()
    # A permutation with runs far apart from each other is wild.
    scores[12:15] = 500.0
    scores[12] = [-1e6, 500.0, 1e6]
    assert compare(scores).wild.tolist() == [place == 12 for place in range(24)]


def test_one_of_four_can_be_wild():
    scores = np.random.default_rng(11).normal(size=(4, 3))
    scores[0] = [-1e6, -5e5, -1e5]
    assert compare(scores).wild.tolist() == [True, False, False, False]
    assert not compare(scores[1:]).wild.any()


def test_the_errors_of_all_rounds_sum_to_that_of_a_race():
    errors = [1 - confidence_of_round(number, 0.9) for number in range(1, 10_000)]
    assert errors == sorted(errors, reverse=True)
    assert 0.0999 < sum(errors) <= 0.1 + 1e-12


def test_the_errors_of_all_looks_sum_to_twice_the_first_one():
    errors = [1 - confidence_of_look(look) for look in range(1, 10_000)]
    assert errors[0] == pytest.approx(0.05) and errors[1] == pytest.approx(0.05 / 3)
    assert sum(errors) == pytest.approx(0.1, rel=1e-3)


def test_looking_again_and_again_keeps_equal_permutations():
    rng = np.random.default_rng(12)
    kept, grids = 0.0, 60
    for _ in range(grids):
        scores, could = rng.normal(size=(4, 12)), np.ones(4, dtype=bool)
        for look, repetitions in enumerate(range(3, 13), 1):
            could &= compare(scores[:, :repetitions], confidence_of_look(look)).could_be_best
        kept += could.mean()
    assert kept / grids > 0.93


def test_how_far_each_is_behind_the_best():
    scores = np.array([[9.0, 10.0, 11.0], [6.0, 7.0, 8.0], [8.0, 7.0, 6.0]])
    found = compare(scores)
    error = np.sqrt(found.variances.variance / 3)
    limit = stats.t.ppf(1 - 0.05 / 2, found.variances.freedom)

    def needed(first, second):
        return max(limit[first], limit[second]) * np.hypot(error[first], error[second])

    # The second permutation's mean is 3 less than the first one's, and the third one's.
    assert found.behind_best[1] == pytest.approx(max(3 + needed(0, 1), needed(2, 1)))
    assert found.behind_best[0] == pytest.approx(max(needed(0, 1) - 3, needed(0, 2) - 3, 0))
