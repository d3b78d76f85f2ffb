import numpy as np
import pytest
from scipy import stats

from reports.statistics.bounds import Bounds, limits, pile_limits
from reports.statistics.contenders import compare
from reports.statistics.intervals import estimate

NAN = np.nan


def test_limits_of_a_pile_are_those_of_its_share():
    low, high = pile_limits(np.array([[500.0, 500.0, 0.0, 500.0, 100.0, NAN]]), 0.025)
    share = stats.binomtest(3, 5).proportion_ci(0.95, "exact")
    # The other two runs have a mean of 50.
    assert low[0] == pytest.approx(50 + 450 * share.low)
    assert high[0] == pytest.approx(50 + 450 * share.high)


def test_limits_of_a_pile_below_the_others():
    low, high = pile_limits(np.array([[0.0, 0.0, 0.0, 1.0]]), 0.05)
    share = stats.binomtest(3, 4).proportion_ci(0.9, "exact")
    assert (low[0], high[0]) == pytest.approx((1 - share.high, 1 - share.low))


@pytest.mark.parametrize("row", [[1.0, 2.0, 3.0], [1.0, 1.0, 2.0, 3.0, 4.0], [5.0] * 3, [NAN] * 3])
def test_scores_without_a_pile_have_no_limits(row):
    low, high = pile_limits(np.array([row]), 0.05)
    assert (low[0], high[0]) == (-np.inf, np.inf)


def test_a_safe_permutation_is_not_excluded_by_one_that_failed_once_in_thirty():
    rng = np.random.default_rng(1)
    scores = rng.uniform(410, 415, (24, 30))
    # Each of these fails in one run of five, but for one that was lucky.
    scores[12:] = np.where(rng.random((12, 30)) < 0.2, 0.0, 500.0)
    scores[12] = [0.0] + [500.0] * 29
    found = compare(scores)
    assert found.leader == 12 and found.could_be_best[:12].all()


def test_a_grid_of_equal_scores_shows_no_range():
    scores = np.full((3, 10), 500.0)
    assert np.isnan(estimate(scores).low).all() and np.isnan(estimate(scores).high).all()
    assert not np.isfinite(compare(scores).behind_best).any()
    low, high = limits(scores, Bounds(0.0, 500.0), 0.05)
    # Of ten runs, a share of 0.05 ** (1 / 10) = 0.741 at least is like those seen.
    assert low == pytest.approx([370.6] * 3, abs=0.1) and high.tolist() == [500.0] * 3
