"""Two or three permutations of a page, side by side."""

import numpy as np
import pytest

from reports.answer import answer
from reports.ranking import sign_of
from tests.reports.browser.pages import compare, compared, opened, tick, wait_until_drawn
from tests.reports.example_outcome import example_outcome


def test_ticked_permutations_are_compared_side_by_side(page):
    assert "Tick two or three" in page.locator("#comparing").inner_text()
    names = page.evaluate("permutations.slice(0, 4).map((each) => each.name)")
    compare(page, names[2])
    assert not page.locator("#compared").is_visible()
    page.locator(f"[data-compare='{names[0]}']").focus()
    page.keyboard.press("Space")
    rows = compared(page)
    # Best first, however they were ticked.
    assert rows[""] == [f"permutation {names[0]}", f"permutation {names[2]}"]
    chosen = page.evaluate("comparison.chosen().map((each) => each.choices)")
    keys = page.evaluate("data.keys.map((key) => key.label)")
    differing = [key for key, *places in zip(keys, *chosen, strict=True) if len(set(places)) > 1]
    equal = [key for key in keys if key not in differing]
    assert differing and equal and [key for key in rows if key in keys] == differing
    assert not page.locator("#equal li").first.is_visible()
    page.locator("#equal summary").click()
    told = page.locator("#equal li").all_inner_texts()
    assert [each.partition(":")[0] for each in told] == equal
    page.locator("#equal summary").click()
    seeds = page.evaluate("permutations[0].runs.map((run) => run.value)")
    shown = [float(rows[f"repetition {at}, seed {at}"][0]) for at in range(5)]
    assert shown == pytest.approx(seeds, abs=0.5)  # whole numbers
    wait_until_drawn(page)
    lines = page.evaluate("byId('together').data.map((each) => each.name).filter(Boolean)")
    assert lines == rows[""]
    # Three at most; a filter doesn't hide what is compared.
    compare(page, names[1])
    assert not page.locator(f"[data-compare='{names[3]}']").is_enabled()
    tick(page, "learning_rate_schedule.initial", "0.003")
    assert len(compared(page)[""]) == 3
    page.locator("#ranking .clear").click()
    page.locator("#uncompare").click()
    assert page.locator("[data-compare]:checked").count() == 0
    assert page.locator(f"[data-compare='{names[3]}']").is_enabled()
    assert not page.locator("#compared").is_visible()


@pytest.mark.parametrize("metric", ["final", "time"])
def test_the_interval_of_a_difference_is_that_of_the_ranking(browser, tmp_path, metric):
    outcome = example_outcome()
    found = answer(outcome, metric=metric)
    page = opened(browser, tmp_path / "page.html", outcome, metric=metric)
    sign, margins = sign_of(metric), found.margins
    width = float(np.nanmax(margins.mean) - np.nanmin(margins.mean))
    for one, other in ((0, 1), (5, 17), (23, 2)):
        shown = page.evaluate(
            "(names) => difference(...names.map((name) =>"
            " permutations.find((each) => each.name === name)))",
            [str(one), str(other)],
        )
        ends = [each[other] for each in margins.differences(one)]
        expected = sorted(sign * end for end in ends)
        assert [shown["low"], shown["high"]] == pytest.approx(expected, abs=1e-4 * width)
        difference = sign * (margins.mean[one] - margins.mean[other])
        assert shown["value"] == pytest.approx(difference, abs=1e-4 * width)
    page.close()


def test_what_the_ranking_excludes_differs_from_the_leader(page):
    """The interval of an excluded permutation's difference to the best ones lacks 0, others' have it."""
    excluded = page.evaluate(
        "permutations.filter((each) => each.mean !== null).map((each) => permutations.some((best) =>"
        " difference(best, each).low > 0))"
    )
    contenders = page.evaluate("permutations.map((each) => each.contender)")
    assert [not each for each in contenders[: len(excluded)]] == excluded
    assert True in excluded and False in excluded


def test_one_repetition_has_differences_without_intervals(browser, tmp_path):
    page = opened(browser, tmp_path / "page.html", example_outcome(repetitions=1, failures=False))
    names = page.evaluate("permutations.slice(0, 2).map((each) => each.name)")
    compare(page, *names)
    (told,) = [row[1] for title, row in compared(page).items() if title.startswith("difference")]
    assert "(" not in told and told[0] in "+\u2212" and float(told.replace("\u2212", "-")) < 0
    assert "too few repetitions" in page.locator("#comparing").inner_text()
    wait_until_drawn(page)
    assert page.noticed == []
    page.close()
