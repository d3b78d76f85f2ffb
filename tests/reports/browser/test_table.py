"""The ranked table of a page: marks, order, errors, download."""

import csv
from dataclasses import replace

import pytest

from reports.answer import answer
from reports.output.table import ranked, write_table
from sweeps.journal.runs import RunState
from tests.reports.browser.pages import (
    LONG,
    column,
    opened,
    rank_column,
    rows_downloaded,
    tick,
    until,
    wait_until_drawn,
)
from tests.reports.example_outcome import example_outcome


def test_the_line_is_below_the_last_that_could_be_the_best(page):
    rows = page.locator("#table tbody tr")
    marked = [row.get_attribute("class") or "" for row in rows.all()]
    contenders = [place for place, classes in enumerate(marked) if "contender" in classes]
    assert [place for place, classes in enumerate(marked) if "last" in classes] == contenders[-1:]
    assert 1 < len(contenders) < len(marked)
    assert "The line is below them" in page.locator("#marks").inner_text()


def test_failures_are_marked_with_their_reasons(page):
    row = page.locator("#table tbody tr:has(.bad)")
    assert row.count() == 1
    assert "diverged, failed" in row.inner_text()
    assert row.locator(".values a").last.get_attribute("title") == (
        "the environment raised <ValueError>: no level & no seed"
    )


def test_any_column_sorts_and_says_so(page):
    header = page.locator("#table th:has(button:text-is('epochs'))")
    place = page.locator("#table th").all_inner_texts().index("epochs") + 1
    header.locator("button").click()
    assert header.get_attribute("aria-sort") == "ascending"
    assert column(page, place) == sorted(column(page, place))
    assert page.locator("#table tr.last").count() == 0
    header.locator("button").press("Enter")
    assert header.get_attribute("aria-sort") == "descending"
    assert column(page, place) == sorted(column(page, place), reverse=True)
    page.locator("#table th button").first.click()
    assert rank_column(page) == sorted(rank_column(page))


def test_the_distance_to_the_best_is_a_column_that_sorts(page):
    titles = page.locator("#table th").all_inner_texts()
    place = titles.index("at most behind") + 1
    header = page.locator("#table th:has(button:text-is('at most behind'))")
    header.locator("button").click()
    shown = [float(text) for text in column(page, place)]
    assert len(shown) == 24 and shown == sorted(shown) and 0 < shown[0] < shown[-1]
    page.locator("#table th button").first.click()


def test_a_row_highlights_its_curve(page):
    button = page.locator("#table tbody button").nth(2)
    button.focus()
    button.press("Enter")
    assert button.get_attribute("aria-pressed") == "true"
    assert page.locator("#highlight").input_value() == "3"
    wait_until_drawn(page)
    assert page.evaluate("byId('curves').data.at(-1).customdata[0]") == 3


def test_one_error_of_several_runs_is_shown_once_with_their_names(browser, tmp_path):
    outcome = example_outcome(failures=False)
    *others, last = outcome.permutations
    lost = [
        replace(run, state=RunState.FAILED, error="it broke", final_return=None)
        for run in last.runs[:3]
    ]
    last = replace(last, runs=(*lost, *last.runs[3:]))
    page = opened(browser, tmp_path / "page.html", replace(outcome, permutations=(*others, last)))
    words = page.locator("#table .values .bad")
    assert words.all_inner_texts() == ["failed"] * 3
    assert words.first.get_attribute("title") == "it broke"
    cells = page.locator("#cost table tbody tr:first-child td").all_inner_texts()
    names = ", ".join(f"{last.name}_{repetition}" for repetition in range(3))
    assert cells == ["failed", "it broke", "3", names]
    words.first.click()
    until(page, "Math.abs(byId('failed').getBoundingClientRect().top) < innerHeight")
    page.locator("#count").select_option("200")
    wait_until_drawn(page)
    marks = page.evaluate("byId('repetitions').data.at(-1)")
    assert marks["name"] == "failed" and len(marks["x"]) == 3
    page.close()


def test_the_rows_shown_are_downloaded_as_csv(page):
    tick(page, "gamma", "0.999")
    rows = rows_downloaded(page)
    tick(page, "gamma", "0.999", on=False)
    assert len(rows) == 12 and {row["gamma"] for row in rows} == {"0.999"}
    found = answer(example_outcome())
    written = list(csv.DictReader(write_table(found, ranked(found, None, 99), "csv").splitlines()))
    assert set(rows[0]) <= set(written[0])
    expected = [row for row in written if row["gamma"] == "0.999"]
    for name in ("permutation", "epochs", "rank"):
        assert [row[name] for row in rows] == [row[name] for row in expected]
    for name in ("score", "repetition_0"):
        # The page has five digits of each number.
        ours, theirs = ([float(row[name]) for row in each] for each in (rows, expected))
        assert ours == pytest.approx(theirs, rel=1e-4)


def test_mappings_are_quoted_in_csv(long):
    choices = {
        row["environment.reset_params.agent_visual_observation_mode"]
        for row in rows_downloaded(long)
    }
    assert choices == set(LONG["environment.reset_params.agent_visual_observation_mode"])
