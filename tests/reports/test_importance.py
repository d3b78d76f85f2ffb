import sys

import numpy as np
import pandas
import pytest
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from reports.statistics.importance import at_edge, decompose, is_complete
from reports.statistics.surrogate import estimate_importance
from schema.errors import UserError

KEYS = ("a", "b", "c")
CHOICES = np.array([(a, b, c) for a in range(4) for b in range(3) for c in range(2)])


def grid(repetitions=4, deviation=1.0, seed=1):
    """Return scores (24, repetitions): `a` matters, `b` only together with it, and `c` doesn't."""
    rng = np.random.default_rng(seed)
    truth = CHOICES[:, 0] + CHOICES[:, 0] * (CHOICES[:, 1] == 1.0)
    noise = deviation * rng.normal(size=(len(CHOICES), repetitions))
    return truth[:, None] + noise + rng.normal(size=repetitions)


def anova(scores, formula):
    """Return statsmodels' table, with seeds as blocks."""
    rows, columns = np.indices(scores.shape).reshape(2, -1)
    table = pandas.DataFrame(CHOICES[rows], columns=list(KEYS))
    table["permutation"], table["seed"], table["score"] = rows, columns, scores.ravel()
    return anova_lm(ols(f"score ~ {formula} + C(seed)", table).fit())


FULL = "C(a) * C(b) * C(c)"


def test_f_tests_agree_with_statsmodels():
    scores = grid()
    found, table = decompose(KEYS, CHOICES, scores), anova(scores, FULL)
    for effect in found.main + found.interactions:
        name = ":".join(f"C({key})" for key in effect.keys)
        assert effect.p_value == pytest.approx(table.loc[name, "PR(>F)"], rel=1e-6)


def test_shares_agree_with_sums_of_squares_of_statsmodels_less_the_noise():
    scores = grid()
    found, table = decompose(KEYS, CHOICES, scores), anova(scores, FULL)
    noise = table.loc["Residual", "mean_sq"]
    effects = table.drop(["C(seed)", "Residual"])
    signal = (effects["sum_sq"] - effects["df"] * noise).sum()
    for effect in found.main + found.interactions:
        row = table.loc[":".join(f"C({key})" for key in effect.keys)]
        share = (row["sum_sq"] - row["df"] * noise) / signal
        assert effect.share == pytest.approx(np.clip(share, 0, 1), abs=1e-9)
    variance = signal / scores.size
    assert found.noise == pytest.approx(noise / (noise + variance))


def test_a_total_effect_is_all_that_a_key_takes_part_in():
    scores = grid()
    found, table = decompose(KEYS, CHOICES, scores), anova(scores, FULL)
    mine = table[[("C(b)" in name) for name in table.index]]
    ratio = mine["sum_sq"].sum() / mine["df"].sum() / table.loc["Residual", "mean_sq"]
    # statsmodels compares the models with and without the key.
    rows, columns = np.indices(scores.shape).reshape(2, -1)
    frame = pandas.DataFrame(CHOICES[rows], columns=list(KEYS))
    frame["seed"], frame["score"] = columns, scores.ravel()
    without = ols("score ~ C(a) * C(c) + C(seed)", frame).fit()
    test = ols(f"score ~ {FULL} + C(seed)", frame).fit().compare_f_test(without)
    assert test[0] == pytest.approx(ratio)
    assert found.total[1].p_value == pytest.approx(test[1], rel=1e-6)


def test_a_missing_score_costs_a_degree_of_freedom():
    scores = grid()
    scores[5, 1] = np.nan
    rows, columns = np.nonzero(~np.isnan(scores))
    frame = pandas.DataFrame({"permutation": rows, "seed": columns})
    frame["score"] = scores[rows, columns]
    residual = ols("score ~ C(permutation) + C(seed)", frame).fit()
    found = decompose(KEYS, CHOICES, scores)
    filled = scores.copy()
    filled[5, 1] = residual.predict(pandas.DataFrame({"permutation": [5], "seed": [1]})).iloc[0]
    table = anova(filled, FULL)
    assert residual.df_resid == table.loc["Residual", "df"] - 1
    ratio = table.loc["C(a)", "mean_sq"] / residual.mse_resid
    expected = stats.f.sf(ratio, 3, residual.df_resid)
    assert found.main[0].p_value == pytest.approx(expected, rel=1e-6)


def test_shares_are_those_worked_out_by_hand():
    choices = np.array([(0, 0), (0, 1), (1, 0), (1, 1)])
    # Main effects of 3 and 1, an interaction of 1: their squares are 9, 1 and 1.
    scores = np.repeat([[-3.0], [-3.0], [1.0], [5.0]], 3, axis=1)
    found = decompose(("x", "y"), choices, scores)
    assert [effect.share for effect in found.main] == pytest.approx([9 / 11, 1 / 11])
    assert found.interactions[0].share == pytest.approx(1 / 11)
    assert [effect.share for effect in found.total] == pytest.approx([10 / 11, 2 / 11])
    assert found.noise == 0.0


def test_a_key_matters_if_it_exceeds_the_noise_alone_or_with_others():
    found = decompose(KEYS, CHOICES, grid())
    assert [found.matters(key) for key in KEYS] == [True, True, False]


def test_a_key_without_effect_seldom_matters():
    said = [
        decompose(KEYS, CHOICES, np.random.default_rng(seed).normal(size=(24, 3))).matters("c")
        for seed in range(200)
    ]
    assert np.mean(said) < 0.08


def test_intervals_need_three_repetitions_and_hold_the_share():
    assert np.isnan(decompose(KEYS, CHOICES, grid(2)).main[0].low)
    held = []
    true = decompose(KEYS, CHOICES, grid(deviation=0.0)).main[0].share
    for seed in range(100):
        effect = decompose(KEYS, CHOICES, grid(5, seed=seed)).main[0]
        held.append(effect.low <= true <= effect.high)
    assert np.mean(held) > 0.88


def test_one_repetition_doesnt_tell_noise_from_effects():
    found = decompose(KEYS, CHOICES, grid(1))
    assert found.matters("a") is None and found.main[0].matters is None
    assert np.isnan(found.noise) and 0 < found.main[0].share < 1


def test_equal_scores_have_no_effects():
    found = decompose(KEYS, CHOICES, np.full((24, 3), 500.1))
    assert np.isnan(found.main[0].share) and found.matters("a") is False


def test_a_key_with_one_choice_does_nothing():
    choices = np.array([(0, 0), (1, 0), (2, 0)])
    found = decompose(("x", "y"), choices, np.array([[1.0, 2.0], [5.0, 6.5], [9.0, 9.9]]))
    assert found.main[1].share == 0.0 and found.matters("y") is False


def test_a_grid_is_complete_as_a_whole_product_with_scores():
    scores = grid()
    assert is_complete(CHOICES, scores)
    assert not is_complete(CHOICES[:-1], scores[:-1])
    assert not is_complete(np.vstack([CHOICES[:-1], CHOICES[:1]]), scores)
    scores[3] = np.nan
    assert not is_complete(CHOICES, scores)


@pytest.mark.parametrize(
    ("choices", "best", "expected"),
    [
        ([1e-4, 3e-4, 1e-3], 1e-3, "highest"),
        ([3e-4, 1e-4, 1e-3], 1e-4, "lowest"),
        ([1e-4, 3e-4, 1e-3], 3e-4, None),
        ([True, False], True, None),
        (["relu", "tanh"], "relu", None),
        ([[64], [128]], [64], None),
        ([1, 1], 1, None),
        ([None, 1.0], 1.0, None),
    ],
)
def test_the_last_number_of_a_list_is_an_edge(choices, best, expected):
    assert at_edge(choices, best) == expected


def test_without_optuna_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UserError, match="pip install optuna scikit-learn"):
        estimate_importance(KEYS, CHOICES, grid(), np.random.default_rng(0))


def test_a_model_estimates_the_importance_on_an_incomplete_grid():
    pytest.importorskip("optuna")
    pytest.importorskip("sklearn")
    kept = np.arange(24) % 5 > 0
    scores = grid(3)[kept]
    scores[2] = np.nan

    def estimated():
        rng = np.random.default_rng(0)
        return estimate_importance((*KEYS, "d"), choices, scores, rng, resamples=4)

    choices = np.hstack([CHOICES, np.zeros((24, 1), dtype=int)])[kept]
    found = estimated()
    shares = [effect.share for effect in found.main]
    assert found.method == "fANOVA" and np.isnan(found.noise)
    assert shares == [effect.share for effect in estimated().main]
    assert shares[0] == max(shares) and shares[3] == 0.0
    assert sum(shares) == pytest.approx(1.0)
    assert all(effect.low <= effect.high for effect in found.main)
    assert found.matters("a") is None
