"""Charts of a page: all of them, and those without a file of their own."""

import re
from dataclasses import replace

import pytest

from reports.history import history
from tests.reports.browser.pages import CHARTS, drag, opened, rank_column, tick, wait_until_drawn
from tests.reports.example_outcome import CHOICES, example_outcome, under_way

NASTY = '<img src=x onerror="document.title=1">'


def test_all_charts_are_drawn_and_have_captions(page):
    for name in CHARTS:
        chart = page.locator(f"#{name}")
        assert chart.locator(".main-svg").count() > 0, name
        assert len(chart.get_attribute("aria-label")) > 40
        assert page.locator(f"figure:has(#{name}) figcaption").inner_text()


@pytest.mark.parametrize(
    ("outcome", "options"),
    [
        (example_outcome({NASTY: (NASTY, "b", "c"), **CHOICES}, 2, failures=False), {}),
        (example_outcome({"gamma": ("0.99",)}, 1, failures=False), {"metric": "time"}),
        (under_way(example_outcome()), {}),
    ],
    ids=["names that look like HTML", "one run", "under way"],
)
def test_other_sweeps_are_drawn_without_errors(browser, tmp_path, outcome, options):
    page = opened(browser, tmp_path / "page.html", outcome, **options)
    assert page.noticed == []
    assert page.locator("img").count() == 0
    assert page.title() == "lunar"
    page.close()


def test_returns_are_drawn_against_a_diagnostic_of_choice(page):
    chart, title = page.locator("#diagnostics"), "byId('diagnostics').layout.xaxis.title.text"
    assert page.locator("#diagnostic option").all_inner_texts() == [
        "episode length, steps",
        "entropy, nats",
        "fuel",
    ]
    assert page.evaluate(title) == "episode length, steps"
    page.locator("#diagnostic").select_option("entropy, nats")
    wait_until_drawn(page)
    assert page.evaluate(title) == "entropy, nats"
    drawn = page.evaluate(
        "byId('diagnostics').data.flatMap(({ x, text }) => x.map((at, n) => [at, text[n]]))"
    )
    assert len(drawn) == 24
    for entropy, words in drawn:
        number = re.match(r"<b>Permutation (\d+)", words)[1]
        assert entropy == pytest.approx(1.4 - int(number) / 100)
    drag(page, "return", 0.95, 0.7)
    wait_until_drawn(page)
    assert f" {len(rank_column(page))} permutations" in chart.get_attribute("aria-label")
    page.locator("#paths .clear").click()


def test_the_course_of_the_sweep_has_a_line_and_marks(page):
    traces = "byId('course').data.map(({ name, x, y }) => ({ name, x: [...x], y: [...y] }))"
    rings, line, failed = page.evaluate(traces)
    found = history(example_outcome())
    assert (rings["name"], line["name"], failed["name"]) == (
        *("permutation", "the best so far", "failed"),
    )
    assert line["x"][:-1] == [each.time.steps for each in found.moments]
    assert line["y"][:-1] == pytest.approx([each.score for each in found.moments], rel=1e-4)
    assert failed["x"] == [time.steps for time in found.lost.values()]
    assert len(rings["x"]) == 24
    page.locator("[name=spent][value=runs]").check()
    tick(page, "gamma", "0.999")
    wait_until_drawn(page)
    rings, line, failed = page.evaluate(traces)
    # Filters hide permutations, but the line is that of the whole sweep.
    assert len(rings["x"]) == 12 and max(rings["x"]) <= 120
    assert line["x"][:-1] == [each.time.runs for each in found.moments]
    tick(page, "gamma", "0.999", on=False)
    page.locator("[name=spent][value=steps]").check()


def raced():
    """Return a sweep whose race left permutations out after two repetitions, and after three."""
    outcome = example_outcome(failures=False)
    permutations = tuple(
        replace(each, runs=each.runs[: (2, 3, 5)[place % 3]])
        for place, each in enumerate(outcome.permutations)
    )
    left = {(run.run.permutation, run.run.repetition) for each in permutations for run in each.runs}
    ended = tuple(key for key in outcome.ended if key in left)
    return replace(outcome, permutations=permutations, ended=ended, is_race=True, looks=3)


def test_the_course_of_a_race_shows_its_rounds(browser, tmp_path):
    page = opened(browser, tmp_path / "page.html", raced())
    caption = page.locator("figure:has(#course) figcaption").inner_text()
    assert "1: 8 left out after 2 repetitions; 2: 8 left out after 3 repetitions." in caption
    shapes = page.evaluate("byId('course').layout.shapes.map((each) => each.x0)")
    # 48 runs of the first two repetitions, then 16 of the third.
    assert shapes == [400_000 * 48, 400_000 * 64]
    labels = page.evaluate("byId('course').layout.annotations.map((each) => each.text)")
    assert labels == ["1", "2"]
    assert page.noticed == []
    page.close()


def test_the_heat_map_never_has_a_key_twice(page):
    across, down = page.locator("#across"), page.locator("#down")
    before = across.input_value(), down.input_value()
    across.select_option(before[1])
    assert (across.input_value(), down.input_value()) == before[::-1]
    wait_until_drawn(page)
    assert page.evaluate("byId('heat').data[0].z.flat().every(Number.isFinite)")


def test_numeric_choices_lie_on_a_logarithmic_axis_if_they_are_spaced_so(long):
    choices = long.evaluate("byId('choices').data.map((each) => [...each.x])")
    assert choices[0] == [1e-5, 1e-4, 3e-4, 1e-3]
    assert long.evaluate("byId('choices').layout.xaxis.type") == "log"
    # Words lie side by side, and so do numbers whose labels would overlap.
    assert choices[1:] == [[0, 1], [0, 1, 2]]


@pytest.mark.parametrize(
    ("values", "is_log"),
    [
        ([1e-5, 1e-4, 3e-4, 1e-3], True),
        ([64, 128, 256, 512], True),
        ([2, 4, 6, 8], False),
        ([0, 0.1, 1], False),
        ([0.001, 0.01], True),
        ([0.9, 0.99], False),
    ],
)
def test_the_spacing_of_numbers_decides_the_axis(page, values, is_log):
    assert page.evaluate(f"isLogarithmic({values})") is is_log
