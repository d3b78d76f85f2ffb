from dataclasses import replace

import numpy as np
import pandas
import pytest
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from reports.statistics.averages import seed_effects
from reports.statistics.choice_means import choice_means
from reports.statistics.contrasts import Contrast, all_effects, own_effect, total_effect
from reports.statistics.importance import (
    Effect,
    Importance,
    at_edge,
    decompose,
    is_complete,
    judged,
)
from reports.statistics.main_effects import estimate_importance
from reports.statistics.permutation_means import common_repetitions, fit_means

KEYS = ("a", "b", "c")
CHOICES = np.array([(a, b, c) for a in range(4) for b in range(3) for c in range(2)])


def grid(repetitions=4, deviation=1.0, seed=1):
    """Return scores (24, repetitions): `a` matters, `b` only together with it, and `c` doesn't."""
    rng = np.random.default_rng(seed)
    truth = CHOICES[:, 0] + CHOICES[:, 0] * (CHOICES[:, 1] == 1.0)
    noise = deviation * rng.normal(size=(len(CHOICES), repetitions))
    return truth[:, None] + noise + rng.normal(size=repetitions)


def equally_noisy():
    """Scores like `grid`'s, with the same variance between seeds for each permutation."""
    pattern = np.array([1.2, 0.3, -0.4, -1.1])
    signs = np.where(np.arange(len(CHOICES)) % 2, -1.0, 1.0)
    return grid(deviation=0.0) + signs[:, None] * pattern + 0.3 * np.sin(np.arange(24))[:, None]


def unequal(seed=3):
    """Scores of `grid` without effects; some permutations have fewer repetitions."""
    scores = np.random.default_rng(seed).normal(size=(24, 4)) + np.arange(4)
    scores[::3, 3] = np.nan
    scores[5, :2] = np.nan
    return scores


def frame(scores, choices=CHOICES):
    rows, columns = np.nonzero(~np.isnan(scores))
    table = pandas.DataFrame(choices[rows], columns=list(KEYS))
    table["permutation"], table["seed"], table["score"] = rows, columns, scores[rows, columns]
    return table


def anova(scores, formula):
    """Return statsmodels' table, with seeds as blocks."""
    rows, columns = np.indices(scores.shape).reshape(2, -1)
    table = pandas.DataFrame(CHOICES[rows], columns=list(KEYS))
    table["permutation"], table["seed"], table["score"] = rows, columns, scores.ravel()
    return anova_lm(ols(f"score ~ {formula} + C(seed)", table).fit())


FULL = "C(a) * C(b) * C(c)"


def test_f_tests_agree_with_statsmodels_if_permutations_are_equally_noisy():
    scores = equally_noisy()
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
    scores = equally_noisy()
    found, table = decompose(KEYS, CHOICES, scores), frame(scores)
    # statsmodels compares the models with and without the key.
    without = ols("score ~ C(a) * C(c) + C(seed)", table).fit()
    test = ols(f"score ~ {FULL} + C(seed)", table).fit().compare_f_test(without)
    assert found.total[1].p_value == pytest.approx(test[1], rel=1e-6)


def test_means_of_unequal_repetitions_are_those_of_statsmodels():
    scores = unequal()
    fit = fit_means(scores)
    model = ols("score ~ C(permutation) + C(seed)", frame(scores)).fit()
    apart = model.params.filter(like="permutation").to_numpy()
    assert fit.mean[1:] - fit.mean[0] == pytest.approx(apart)
    assert (fit.pooled, fit.freedom) == (pytest.approx(model.mse_resid), model.df_resid)


def test_a_key_of_two_choices_has_the_type_iii_test_of_statsmodels():
    scores = unequal()
    fit = fit_means(scores)
    same = np.full(24, fit.pooled)
    fit = replace(fit, variance=same, moderated=same, weight=np.full(24, 1e9))
    contrast = own_effect((4, 3, 2), (2,))
    sums = "C(a, Sum) * C(b, Sum) * C(c, Sum) + C(seed, Sum)"
    table = anova_lm(ols(f"score ~ {sums}", frame(scores)).fit(), typ=3)
    ratio = float((contrast.of(fit.mean) ** 2).sum()) / fit.expected(contrast)
    assert ratio == pytest.approx(table.loc["C(c, Sum)", "F"])
    assert fit.contrast_freedom(contrast) == pytest.approx((1, table.loc["Residual", "df"]))


def matrix(contrast):
    return contrast.of(np.eye(24))


@pytest.mark.parametrize(
    "contrast",
    [own_effect((4, 3, 2), (0,)), own_effect((4, 3, 2), (0, 2)), total_effect((4, 3, 2), 1)],
)
def test_noise_and_freedom_of_an_effect_are_those_of_the_whole_covariance(contrast: Contrast):
    scores = unequal()
    fit = fit_means(scores)
    projection = matrix(contrast)
    values = np.arange(24.0) ** 2
    assert projection @ projection == pytest.approx(projection)
    assert np.linalg.matrix_rank(projection) == contrast.rank
    assert contrast.squared_of(values) == pytest.approx(projection**2 @ values)

    def covariance(variance):
        rows, columns = np.nonzero(~np.isnan(scores))
        design = np.hstack([np.eye(24)[rows], np.eye(4)[columns]])
        # The seeds' effects add up to 0.
        design = np.vstack([design, np.repeat([0.0, 1.0], (24, 4))])
        solver = np.linalg.pinv(design)[:24, :-1]
        return (solver * variance[rows]) @ solver.T

    whole = projection @ covariance(fit.variance)
    assert fit.expected(contrast) == pytest.approx(np.trace(whole))
    assert fit.variances_of(np.eye(24)) == pytest.approx(np.diag(covariance(fit.variance)))
    whole = projection @ covariance(fit.moderated)
    tested = np.trace(whole) ** 2 / np.trace(whole @ whole)
    assert fit.contrast_freedom(contrast)[0] == pytest.approx(min(tested, contrast.rank))


def test_all_effects_are_all_differences():
    assert matrix(all_effects((4, 3, 2))) == pytest.approx(np.eye(24) - 1 / 24)


def test_repetitions_that_few_permutations_have_are_left_out():
    scores = np.random.default_rng(0).normal(size=(24, 5))
    scores[8:, 3:] = np.nan  # a third has two more
    scores[:5, 2] = np.nan
    np.testing.assert_array_equal(common_repetitions(scores), scores[:, :3])
    # One repetition alone would leave the noise unknown.
    scores[8:, 1:] = np.nan
    assert common_repetitions(scores).shape == (24, 2)
    # The last permutation shares no seed with others.
    scores[-1] = np.nan, np.nan, np.nan, np.nan, 1.0
    scores[:, 4] = np.where(np.arange(24) == 23, 1.0, np.nan)
    assert np.isnan(common_repetitions(scores)).all(axis=1).tolist() == [False] * 23 + [True]


def test_added_repetitions_change_no_importance():
    scores = grid(3)
    more = np.hstack([scores, np.full((24, 7), np.nan)])
    more[scores.mean(axis=1).argsort()[-8:], 3:] = 9.0
    again = decompose(KEYS, CHOICES, common_repetitions(more))
    assert again == decompose(KEYS, CHOICES, scores)


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


def balanced(rng):
    return rng.normal(size=(24, 3))


def missing(rng):
    scores = rng.normal(size=(24, 4)) + rng.normal(size=4)
    scores[rng.random((24, 4)) < 0.15] = np.nan
    scores[np.isnan(scores).all(axis=1)] = 0.0
    return scores


def one_noisy_choice(rng):
    return rng.normal(size=(24, 5)) * np.where(CHOICES[:, :1] == 1, 5.0, 1.0)


@pytest.mark.parametrize("draw", [balanced, missing, one_noisy_choice])
def test_keys_without_effect_seldom_matter(draw):
    found = [decompose(KEYS, CHOICES, draw(np.random.default_rng(seed))) for seed in range(120)]
    any_key = np.mean([any(each.matters(key) for key in KEYS) for each in found])
    assert any_key <= 0.1


def test_p_values_are_corrected_for_the_number_of_effects():
    def effects(keys, p_values):
        return tuple(Effect(own, 0.1, 0.0, 0.3, p) for own, p in zip(keys, p_values, strict=True))

    single = [("a",), ("b",), ("c",)]
    found = judged(
        Importance(
            "analysis of variance",
            effects(single, [0.5, 0.012, 0.001]),
            effects(single, [0.010, 0.6, 0.7]),
            effects([("a", "b"), ("a", "c"), ("b", "c")], [0.001, 0.03, 0.04]),
            0.5,
        )
    )
    # Two tests a key: 0.02, 0.024, 0.002; times 2, 1, 3, never below a smaller one's.
    assert [effect.adjusted for effect in found.total] == pytest.approx([0.04, 0.6, 0.7])
    assert [effect.adjusted for effect in found.main] == pytest.approx([0.5, 0.04, 0.006])
    assert [found.matters(key) for key in KEYS] == [True, True, True]
    assert [effect.adjusted for effect in found.interactions] == pytest.approx([0.04, 0.06, 0.06])


def test_no_effect_is_shown_of_a_key_that_doesnt_matter():
    shown = 0
    for seed in range(40):
        scores = 0.7 * grid(3, deviation=3.0, seed=seed)
        found = decompose(KEYS, CHOICES, scores)
        for effect in (*found.main, *found.total, *found.interactions):
            shown += bool(effect.matters)
            assert not effect.matters or all(found.matters(key) for key in effect.keys)
    assert shown > 20


def test_jackknife_intervals_hold_the_share():
    held = []
    true = decompose(KEYS, CHOICES, grid(deviation=0.0)).main[0].share
    for seed in range(100):
        effect = decompose(KEYS, CHOICES, grid(5, seed=seed)).main[0]
        held.append(effect.low <= true <= effect.high)
    assert np.mean(held) > 0.88


def test_two_repetitions_have_intervals_that_hold_the_share():
    true = decompose(KEYS, CHOICES, grid(deviation=0.0)).main
    found = [decompose(KEYS, CHOICES, grid(2, seed=seed)) for seed in range(100)]
    for key in range(3):
        effects = [each.main[key] for each in found if not np.isnan(each.main[key].share)]
        held = [each.low - 1e-9 <= true[key].share <= each.high for each in effects]
        assert len(held) > 90 and np.mean(held) > 0.9
    assert np.mean([each.high for each in effects]) < 0.4  # of `c`, which has no effect


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


def incomplete(repetitions=3, noise=1.0):
    """70 % of a grid in which `a` matters and `b` and `c` don't."""
    rng = np.random.default_rng(4)
    kept = np.sort(rng.permutation(24)[:17])
    choices = CHOICES[kept]
    scores = choices[:, :1] + noise * rng.normal(size=(17, repetitions))
    return choices, scores + rng.normal(size=repetitions)


def test_tests_of_an_incomplete_grid_are_those_of_statsmodels():
    choices, scores = incomplete()
    table = pandas.DataFrame(choices, columns=list(KEYS))
    table["score"] = scores.mean(axis=1)
    expected = anova_lm(ols("score ~ C(a) + C(b) + C(c)", table).fit(), typ=2)
    found = estimate_importance(KEYS, choices, scores)
    assert [each.p_value for each in found.main] == pytest.approx(expected["PR(>F)"].iloc[:3])
    assert [found.matters(key) for key in KEYS] == [True, False, False]
    assert [each.low > 0 for each in found.main] == [True, False, False]
    assert all(each.low <= each.share <= each.high for each in found.main)
    assert 0 < found.noise < 1 and found.method == "main effects"


def test_shares_of_an_incomplete_grid_are_those_of_the_whole():
    # Without noise and interactions, effects are exact: variances of 1.25 and 0.25.
    choices, _ = incomplete()
    scores = np.repeat((choices[:, 0] + choices[:, 2] * 1.0)[:, None], 2, axis=1)
    found = estimate_importance(KEYS, choices, scores)
    assert [each.share for each in found.main] == pytest.approx([5 / 6, 0, 1 / 6], abs=0.03)
    assert [found.matters(key) for key in KEYS] == [True, False, True]


def test_a_key_that_cant_be_told_from_others_is_unknown():
    choices = CHOICES[CHOICES[:, 1] == CHOICES[:, 2]]  # `b` and `c` change together
    choices = np.vstack([choices, choices[:0]])
    scores = np.random.default_rng(0).normal(size=(len(choices), 3)) + 5 * choices[:, :1]
    found = estimate_importance(KEYS, choices, scores)
    assert found.matters("a") is True and found.matters("b") is None
    assert np.isnan(found.main[1].share) and np.isnan(found.main[2].high)


def test_too_few_permutations_have_no_importance():
    kept = np.array([0, 1, 2, 6, 12])
    assert estimate_importance(KEYS, CHOICES[kept], grid()[kept]) is None


def test_choices_have_the_means_of_seeds_where_all_have_the_same():
    scores = grid(3)
    found = choice_means(CHOICES, scores)[0]
    by_seed = np.array([scores[CHOICES[:, 0] == choice].mean(axis=0) for choice in range(4)])
    assert found.mean == pytest.approx(by_seed.mean(axis=1))
    assert (found.low < found.mean).all() and (found.mean < found.high).all()


def test_a_choice_neither_gains_by_easy_seeds_nor_by_good_company():
    truth = CHOICES @ [1.0, 10.0, 100.0]
    scores = truth[:, None] + np.array([0.0, 5.0, 40.0])
    lacking = scores.copy()
    lacking[CHOICES[:, 2] == 0, 2] = np.nan  # the easy seed
    lacking[[0, 4, 8], 2] = scores[[0, 4, 8], 2]
    lacking[3, 1] = np.nan
    # The easy seed is one that fewer than two thirds have, so it's left out.
    expected = [truth[CHOICES[:, 2] == choice].mean() + 2.5 for choice in (0, 1)]
    assert choice_means(CHOICES, lacking)[2].mean == pytest.approx(expected)
    holes = scores.copy()
    holes[(CHOICES[:, 2] == 0) & (CHOICES[:, 1] == 2)] = np.nan
    means = choice_means(CHOICES, holes)[2].mean
    assert means[1] - means[0] == pytest.approx(100)


def test_large_grids_lose_nothing_by_rounding():
    scores = 500 + np.random.default_rng(0).normal(size=(20_000, 5))
    scores[np.random.default_rng(1).random(scores.shape) < 0.1] = np.nan
    scores = scores[~np.isnan(scores).all(axis=1)]
    fit = fit_means(scores)
    assert fit.freedom == np.sum(~np.isnan(scores)) - len(scores) - 4
    assert np.abs(fit.error[1]).max() < 1e-3
    assert fit.seeds.sum() == pytest.approx(0, abs=1e-9)
    assert seed_effects(scores).sum() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("holes", [False, True])
def test_intervals_of_choices_hold_the_mean(holes):
    held = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        scores = missing(rng)
        if holes:
            scores[rng.permutation(24)[:5]] = np.nan
        for found in choice_means(CHOICES, scores):
            held += ((found.low <= 0) & (found.high >= 0)).tolist()
    assert 0.88 < np.mean(held) < 0.99


def test_a_choice_without_a_score_has_no_mean():
    scores = grid(3)
    scores[CHOICES[:, 0] == 2] = np.nan
    assert np.isnan(choice_means(CHOICES, scores)[0].mean).tolist() == [False, False, True, False]
