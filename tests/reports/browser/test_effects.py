"""Importances and means of choices in the part of a sweep that the filters show."""

from dataclasses import replace

import pytest

from reports.answer import answer
from sweeps.journal.runs import RunState
from tests.reports.browser.pages import drag, opened, rows_downloaded, tick, wait_until_drawn
from tests.reports.example_outcome import example_outcome


def importance(page):
    """Return the page's shares of effects in what the filters let pass, by the keys' names."""
    found = page.evaluate("importanceOf(visible())")
    effects = [(kind, each) for kind in ("main", "total", "interactions") for each in found[kind]]
    shares = {(kind, *each["keys"]): each["share"] for kind, each in effects}
    return shares | {"noise": found["noise"]}


def expected_importance(outcome, *conditions):
    found = answer(outcome.where(conditions)).importance
    effects = [
        (kind, each) for kind in ("main", "total", "interactions") for each in getattr(found, kind)
    ]
    shares = {(kind, *each.keys): each.share for kind, each in effects}
    return shares | {"noise": found.noise}


def test_the_importance_follows_the_filters(browser, tmp_path):
    outcome = example_outcome(failures=False)
    page = opened(browser, tmp_path / "page.html", outcome)
    everything = importance(page)
    assert everything == pytest.approx(expected_importance(outcome), abs=1e-3)
    tick(page, "gamma", "0.999")
    part = importance(page)
    assert part == pytest.approx(expected_importance(outcome, "gamma=0.999"), abs=1e-3)
    assert part["main", "epochs"] < 0.8 * everything["main", "epochs"]
    wait_until_drawn(page)
    caption = page.locator("figure:has(#importance) figcaption").inner_text()
    assert "the 12 permutations shown" in caption and "One choice is left of gamma." in caption
    assert "with 95 % intervals" not in caption
    rows = page.evaluate("byId('importance').layout.annotations.map((each) => each.text)")
    assert not any(row.startswith("gamma") for row in rows)
    tick(page, "epochs", "4")
    expected = expected_importance(outcome, "gamma=0.999", "epochs=4")
    assert importance(page) == pytest.approx(expected, abs=1e-3)
    page.close()


def test_a_failure_counts_as_the_worst_score_in_the_importance(browser, tmp_path):
    outcome = example_outcome()
    page = opened(browser, tmp_path / "page.html", outcome)
    assert importance(page) == pytest.approx(expected_importance(outcome), abs=1e-3)
    page.close()


@pytest.mark.parametrize(
    ("conditions", "reason"),
    [
        ([("gamma", "0.99"), ("epochs", "4"), ("worker_steps", "128")], "only learning_rate_"),
        ([], "aren't all combinations"),
    ],
)
def test_an_importance_that_makes_no_sense_says_so(page, conditions, reason):
    for key, choice in conditions:
        tick(page, key, choice)
    if not conditions:
        drag(page, "return", 0.2, 1.0)
    wait_until_drawn(page)
    assert reason in page.locator("figure:has(#importance) figcaption").inner_text()
    assert not page.locator("#importance").is_visible()
    page.locator("#ranking .clear").click()
    wait_until_drawn(page)
    assert page.locator("#importance").is_visible()


def test_runs_under_way_leave_no_importance_of_a_part(browser, tmp_path):
    outcome = example_outcome(failures=False)
    first, *others = outcome.permutations
    running = replace(first.runs[-1], state=RunState.RUNNING, final_return=None)
    first = replace(first, runs=(*first.runs[:-1], running))
    page = opened(browser, tmp_path / "page.html", replace(outcome, permutations=(first, *others)))
    tick(page, "gamma", "0.99")
    wait_until_drawn(page)
    assert "have no score" in page.locator("figure:has(#importance) figcaption").inner_text()
    page.close()


def test_means_of_choices_follow_the_filters(page):
    tick(page, "gamma", "0.999")
    wait_until_drawn(page)
    titles = page.evaluate("byId('choices').layout.annotations.map((each) => each.text)")
    assert len(titles) == 3 and not any("gamma" in title for title in titles)
    shown = page.evaluate("byId('choices').data.map((each) => [...each.y])")
    rows = rows_downloaded(page)
    means = [
        sum(scores) / len(scores)
        for epochs in ("4", "8")
        for scores in [[float(row["score"]) for row in rows if row["epochs"] == epochs]]
    ]
    assert means == pytest.approx(shown[1])
    tick(page, "gamma", "0.999", on=False)
    wait_until_drawn(page)
    caption = page.locator("figure:has(#choices) figcaption").inner_text()
    assert "with 95 % intervals" in caption and "${" not in caption
