"""The page of a sweep works in a browser: headless Chromium."""

import csv
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest

from reports.answer import answer
from reports.history import history
from reports.output.page.page import write_page
from reports.output.table import ranked, write_table
from reports.ranking import sign_of
from sweeps.journal.runs import RunState
from tests.reports.example_outcome import CHOICES, example_outcome, under_way
from tests.reports.test_ranges import outcome as searched  # noqa: F401

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
playwright = pytest.importorskip(
    "playwright.sync_api", reason="Playwright isn't installed (requirements-dev.txt)"
)
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="there is no Chromium here (on Debian the package chromium)"
)
NASTY = '<img src=x onerror="document.title=1">'
CHARTS = [
    *("curves", "course", "importance", "choices", "heat", "parallel", "repetitions"),
    *("diagnostics", "price"),
]


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


def opened(browser, path, outcome, **options):
    """Open a page that notes its errors and requests in an attribute `noticed`."""
    write_page(answer(outcome, **options), path, ["It is so."])
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.noticed = []
    page.on("pageerror", lambda error: page.noticed.append(str(error)))
    page.on("console", lambda said: said.type == "error" and page.noticed.append(said.text))
    page.on("request", lambda asked: page.noticed.append(asked.url))
    page.goto(path.as_uri())
    wait_until_drawn(page)
    loaded = (path.as_uri(), "data:", "blob:")
    page.noticed = [each for each in page.noticed if not each.startswith(loaded)]
    return page


def wait_until_drawn(page):
    until(page, "waiting.size === 0 && document.documentElement.dataset.drawn === 'all'")


def until(page, condition):
    """Wait for a condition; the page's security policy refuses Playwright's own method."""
    for _ in range(3000):  # a minute at least, as the machine may be busy
        if page.evaluate(condition):
            return
        page.wait_for_timeout(20)
    raise AssertionError(condition)


@pytest.fixture(scope="module")
def shared(browser, tmp_path_factory):
    page = opened(browser, tmp_path_factory.mktemp("page") / "page.html", example_outcome())
    yield page
    page.close()


@pytest.fixture
def page(shared):
    """A fresh page for a test, which fails if the page reports an error."""
    yield shared
    shared.emulate_media(color_scheme="light", media="screen")
    shared.set_viewport_size({"width": 1280, "height": 900})
    assert shared.noticed == []


def column(page, number):
    return page.locator(f"#table tbody tr td:nth-child({number})").all_inner_texts()


def rank_column(page):
    return [int(text.split()[0]) for text in column(page, 1)]


def colour_of(page, chart):
    return page.evaluate(f"document.getElementById('{chart}').layout.font.color")


def test_all_charts_are_drawn_and_have_captions(page):
    for name in CHARTS:
        chart = page.locator(f"#{name}")
        assert chart.locator(".main-svg").count() > 0, name
        assert len(chart.get_attribute("aria-label")) > 40
        assert page.locator(f"figure:has(#{name}) figcaption").inner_text()


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


def tick(page, key, *choices, on=True):
    """Open a key's filter, and tick choices or take the ticks away."""
    page.locator(f"details[data-filter='{key}']").evaluate("each => { each.open = true; }")
    for choice in choices:
        page.locator(f"input[data-key='{key}={choice}']").set_checked(on)


def test_a_filter_shows_several_choices_by_keyboard_and_says_which(page):
    key = "learning_rate_schedule.initial"
    summary = page.locator(f"details[data-filter='{key}'] summary")
    assert summary.inner_text() == f"{key}: all"
    summary.focus()
    page.keyboard.press("Enter")
    for _ in range(2):
        page.keyboard.press("Tab")
        page.keyboard.press("Space")
    ticked = page.evaluate(
        "[...document.querySelectorAll('.filter input')].filter((each) => each.checked)"
        ".map((each) => each.dataset.key.split('=')[1])"
    )
    assert len(ticked) == 2 and set(column(page, 6)) == set(ticked)
    assert summary.inner_text() == f"{key}: {' or '.join(ticked)}"
    assert "16 of 24" in page.locator("#shown").inner_text()
    # Filters of two keys hold together.
    tick(page, "gamma", "0.999")
    assert len(rank_column(page)) == 8
    tick(page, "gamma", "0.999", on=False)
    tick(page, key, *ticked, on=False)
    assert len(rank_column(page)) == 24 and summary.inner_text() == f"{key}: all"


def test_filters_hold_for_table_and_charts(page):
    tick(page, "gamma", "0.999")
    assert set(column(page, 7)) == {"0.999"}
    assert len(rank_column(page)) == 12
    assert "12 of 24" in page.locator("#shown").inner_text()
    wait_until_drawn(page)
    assert "12 permutations" in page.locator("#curves").get_attribute("aria-label")
    page.locator("#contenders").check()
    assert len(rank_column(page)) < 12
    page.locator("#contenders").uncheck()
    tick(page, "gamma", "0.999", on=False)
    assert len(rank_column(page)) == 24


# Whether all charts have been drawn for the width that they have now.
FITTED = """Object.keys(charts).map(byId).every((each) =>
  each.hidden || Math.abs(each._fullLayout.width - each.clientWidth) <= 1)"""


def strip(page, axis):
    """Return the box of an axis of the parallel coordinates, on which the mouse selects."""
    page.evaluate("byId('parallel').scrollIntoView({ behavior: 'instant', block: 'center' })")
    return page.locator(f".axis[aria-label='{axis}'] .strip").bounding_box()


def drag(page, axis, low, high):
    """Drag along an axis of the parallel coordinates, between fractions of its height."""
    box = strip(page, axis)
    x, bottom = box["x"] + box["width"] / 2, box["y"] + box["height"]
    page.mouse.move(x, bottom - low * box["height"])
    page.mouse.down()
    page.mouse.move(x, bottom - high * box["height"], steps=4)
    page.mouse.up()


def slider(page, axis, end):
    return page.get_by_role("slider", name=f"{axis}, {end} end")


def test_dragging_along_axes_filters_the_table_and_the_charts(page):
    rate = "learning_rate_schedule.initial"
    drag(page, rate, 0.5, 0.9)
    assert set(column(page, 6)) == {"0.001", "0.003"}
    assert page.locator(f"details[data-filter='{rate}'] summary").inner_text() == (
        f"{rate}: 0.001 or 0.003"
    )
    drag(page, "return", 0.95, 0.7)
    low, high = page.evaluate("[filters.at(-1).spans()[0], scoreRange]")
    scores = [float(text) for text in column(page, 3)]
    least, most = (high[0] + fraction * (high[1] - high[0]) for fraction in low)
    assert low == pytest.approx([0.7, 0.95], abs=0.02)
    assert 0 < len(scores) < 16 and least <= min(scores) and max(scores) <= most
    assert f"{rate} 0.001 or 0.003; return" in page.locator("#shown").inner_text()
    wait_until_drawn(page)
    for name in ("curves", "price"):
        assert f" {len(scores)} permutations" in page.locator(f"#{name}").get_attribute(
            "aria-label"
        )
    assert "Grey lines don't pass the filters" in page.locator("#parallel").get_attribute(
        "aria-label"
    )
    # A click on an axis shows all of it again.
    box = strip(page, "return")
    page.mouse.click(box["x"] + 12, box["y"] + 30)
    assert len(rank_column(page)) == 16
    page.locator("#paths .clear").click()
    assert len(rank_column(page)) == 24
    assert page.locator(".clear:visible").count() == 0


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


def test_ranges_are_selected_by_keyboard_and_escape_resets_them(page):
    lower = slider(page, "return", "lower")
    lower.focus()
    for key in ("ArrowUp", "PageUp", "ArrowDown", "ArrowUp"):
        page.keyboard.press(key)
    assert lower.get_attribute("aria-valuenow") == "5"
    least = float(lower.get_attribute("aria-valuetext"))
    shown = column(page, 3)
    assert 0 < len(shown) < 24 and min(map(float, shown)) >= least
    upper = slider(page, "gamma", "upper")
    assert upper.get_attribute("aria-valuetext") == "0.999"
    upper.focus()
    page.keyboard.press("ArrowDown")
    assert upper.get_attribute("aria-valuetext") == "0.99" and set(column(page, 7)) == {"0.99"}
    # The upper end stays above the lower one.
    page.keyboard.press("Home")
    assert set(column(page, 7)) == {"0.99"}
    page.keyboard.press("Escape")
    assert column(page, 3) == shown
    lower.focus()
    page.keyboard.press("Escape")
    assert len(rank_column(page)) == 24


def test_a_key_with_a_range_has_limits_instead_of_boxes(browser, tmp_path, searched):  # noqa: F811
    page = opened(browser, tmp_path / "page.html", searched)
    assert page.locator("[data-filter=gamma] input[type=checkbox]").count() == 0
    # So few values are listed as choices.
    assert page.locator("[data-filter=epochs] input[type=checkbox]").count() == 4
    drag(page, "gamma", 0.26, 0.74)
    place = page.locator("#table th").all_inner_texts().index("gamma") + 1
    shown = sorted(float(text) for text in column(page, place))
    everything = sorted(float(each.choices[1]) for each in searched.permutations)
    assert shown == everything[10:30]
    limits = [
        page.locator(f"input[data-key='gamma {end}']").input_value() for end in ("from", "to")
    ]
    assert [float(limit) for limit in limits] == [shown[0], shown[-1]]
    assert page.noticed == []
    page.close()


def test_fields_limit_the_score_and_the_axis_shows_the_limits(page):
    page.locator("details[data-filter='return']").evaluate("each => { each.open = true; }")
    field = page.locator("input[data-key='return from']")
    field.fill("200")
    field.press("Tab")
    assert min(map(float, column(page, 3))) >= 200
    wait_until_drawn(page)
    low, high = page.evaluate("scoreRange")
    span = page.locator(".axis[aria-label=return] .span").evaluate("each => each.style.bottom")
    assert float(span.rstrip("%")) == pytest.approx(100 * (200 - low) / (high - low))
    page.locator("#ranking .clear").click()
    assert field.input_value() == "" and len(rank_column(page)) == 24


def test_paper_says_which_filters_are_active_and_has_no_controls(page):
    tick(page, "gamma", "0.999")
    page.emulate_media(media="print")
    assert "12 of 24 permutations" in page.locator("#shown").inner_text()
    assert "gamma 0.999" in page.locator("#shown").inner_text()
    controls = page.locator(
        "main :is(select, input, form, [role=slider]), main > section > button, nav"
    )
    assert controls.count() > 20
    assert [each for each in controls.all() if each.is_visible()] == []
    page.emulate_media(media="screen")
    tick(page, "gamma", "0.999", on=False)


def compare(page, *names, on=True):
    """Tick permutations in the table, or take the ticks away."""
    for name in names:
        page.locator(f"[data-compare='{name}']").set_checked(on)


def compared(page):
    """Return the rows of the comparison, by their titles."""
    rows = page.locator("#compared tr").evaluate_all(
        "rows => rows.map((row) => [...row.cells].map((cell) => cell.innerText.trim()))"
    )
    return {title: cells for title, *cells in rows}


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


def curve_axis(page):
    return page.evaluate("byId('curves').layout.yaxis.range")


@pytest.mark.parametrize("repetitions", [2, 3])
def test_hidden_intervals_do_not_set_the_scale_of_the_curves(browser, tmp_path, repetitions):
    outcome = wild(example_outcome(repetitions=repetitions, failures=False))
    page = opened(browser, tmp_path / "page.html", outcome)
    low, high = page.evaluate(
        "extent(permutations.flatMap(({ curve }) => [...curve.mean, ...curve.runs.flat()]))"
    )
    height = high - low
    for bands in ("highlighted", "all"):
        page.locator("#bands").select_option(bands)
        wait_until_drawn(page)
        assert (
            low - 0.35 * height < curve_axis(page)[0] < curve_axis(page)[1] < high + 0.35 * height
        )
    page.close()


def test_intervals_of_curves_stay_within_the_stated_bounds(browser, tmp_path):
    outcome = wild(example_outcome(repetitions=2, failures=False))
    base = {**outcome.base, "evaluation": {"score_bounds": [-300, None]}}
    page = opened(browser, tmp_path / "page.html", replace(outcome, base=base))
    lows = page.evaluate("permutations.flatMap(({ curve }) => curve.low)")
    assert min(lows) == -300
    page.close()


def test_intervals_are_named_only_where_there_are_some(browser, tmp_path):
    page = opened(browser, tmp_path / "page.html", example_outcome(repetitions=1, failures=False))
    captions = page.locator("figcaption").all_text_contents()
    labels = page.evaluate(
        "Object.keys(charts).flatMap((name) => (byId(name).data ?? []).map((each) => each.name ?? ''))"
    )
    told = "\n".join([*captions, *labels])
    assert "95 %" not in told
    assert not page.locator("#bands").is_visible()
    page.close()


def wild(outcome):
    """Return the same sweep, but the runs of its first permutation are far apart."""
    first, *others = outcome.permutations
    runs = tuple(
        replace(run, curve=tuple((step, 200.0 * (-1) ** number) for step, _ in run.curve))
        for number, run in enumerate(first.runs)
    )
    return replace(outcome, permutations=(replace(first, runs=runs), *others))


@pytest.mark.parametrize("axis", ["updates", "time", "steps"])
def test_curves_are_switched_between_steps_updates_and_time(page, axis):
    page.locator(f"[name=axis][value={axis}]").check()
    wait_until_drawn(page)
    last = page.evaluate("Math.max(...byId('curves').data.flatMap((each) => each.x))")
    # Half of the permutations have 400,000 steps in updates of 2,048, and all take some four minutes.
    assert last == pytest.approx(
        {"updates": 400_000 / 2048, "time": 4.1, "steps": 400_000}[axis], 0.1
    )


def test_pointing_at_a_curve_names_its_permutation(page):
    page.evaluate("byId('learning').scrollIntoView({ behavior: 'instant' })")
    area = page.locator("#curves .nsewdrag").bounding_box()
    at = page.evaluate(
        "(() => { const { xaxis, yaxis } = byId('curves')._fullLayout;"
        " const { curve } = permutations[3];"
        " return [xaxis.d2p(curve.first + 30 / 59 * (curve.last - curve.first)),"
        " yaxis.d2p(curve.mean[30])]; })()"
    )
    page.mouse.move(area["x"] + at[0], area["y"] + at[1])
    until(page, "state.hovered !== null")
    label = page.locator("#curves .hoverlayer").text_content()
    assert "Permutation" in label
    assert "gamma = " in label
    assert page.evaluate("byId('curves').data.at(-1).customdata[0]") is not None
    page.mouse.move(1, 1)
    until(page, "state.hovered === null")


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


def test_a_row_highlights_its_curve(page):
    button = page.locator("#table tbody button").nth(2)
    button.focus()
    button.press("Enter")
    assert button.get_attribute("aria-pressed") == "true"
    assert page.locator("#highlight").input_value() == "3"
    wait_until_drawn(page)
    assert page.evaluate("byId('curves').data.at(-1).customdata[0]") == 3


def test_the_heat_map_never_has_a_key_twice(page):
    across, down = page.locator("#across"), page.locator("#down")
    before = across.input_value(), down.input_value()
    across.select_option(before[1])
    assert (across.input_value(), down.input_value()) == before[::-1]
    wait_until_drawn(page)
    assert page.evaluate("byId('heat').data[0].z.flat().every(Number.isFinite)")


def test_it_is_dark_if_the_reader_prefers_that(page):
    light = colour_of(page, "curves")
    page.emulate_media(color_scheme="dark")
    until(page, f"byId('curves').layout.font.color !== '{light}'")
    wait_until_drawn(page)
    assert {colour_of(page, name) for name in CHARTS} == {"#e7e9ea"}


def test_paper_is_white_also_in_dark_mode(page):
    page.emulate_media(color_scheme="dark")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert colour_of(page, "heat") == "#1b1f23"
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert colour_of(page, "heat") == "#e7e9ea"


def test_it_fits_a_phone(page):
    page.set_viewport_size({"width": 375, "height": 800})
    wait_until_drawn(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 375
    assert page.evaluate("byId('curves').clientWidth") < 375


def test_everything_can_be_reached_by_keyboard_and_has_a_name(page):
    unnamed = page.evaluate(
        "[...document.querySelectorAll('button, select, input, a, [tabindex]')].filter((each) =>"
        " !each.closest('.js-plotly-plot')"
        " && !(each.textContent.trim() || each.labels?.length || each.ariaLabel"
        " || each.hasAttribute('aria-labelledby'))).length"
    )
    assert unnamed == 0
    page.evaluate("window.scrollTo(0, 0)")
    page.locator(".skip").focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Answer"
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert page.evaluate(outline) == "solid"


LONG = {
    "learning_rate_schedule.initial": ("1e-5", "1e-4", "3e-4", "1e-3"),
    "environment.reset_params.agent_visual_observation_mode": (
        "{'scale': 0.25, 'colours': ['red', 'blue'], 'is_partial': true}",
        "{'scale': 0.5, 'colours': ['green'], 'is_partial': false}",
    ),
    "gamma": ("0.9", "0.99", "0.999"),
}


@pytest.fixture(scope="module")
def long(browser, tmp_path_factory):
    path = tmp_path_factory.mktemp("long") / "page.html"
    page = opened(browser, path, example_outcome(LONG, 3))
    yield page
    assert page.noticed == []
    page.close()


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


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_no_text_of_a_chart_is_cut(long, width):
    compare(long, "0", "5", "23")
    long.set_viewport_size({"width": width, "height": 800})
    until(long, FITTED)
    wait_until_drawn(long)
    cut = long.evaluate(
        """Object.keys(charts).filter((name) => !/curves|parallel/.test(name)).flatMap((name) => {
          const frame = byId(name).getBoundingClientRect();
          return [...byId(name).querySelectorAll(".main-svg text")].filter((each) => {
            const box = each.getBoundingClientRect();
            return box.width && (box.left < frame.left - 1 || box.right > frame.right + 1
              || box.top < frame.top - 1 || box.bottom > frame.bottom + 1);
          }).map((each) => `${name}: ${each.textContent}`);
        })"""
    )
    assert cut == []
    assert long.evaluate("document.documentElement.scrollWidth") == width
    long.set_viewport_size({"width": 1280, "height": 900})


CONTRAST = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const channels = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = (colour) => channels(colour).slice(0, 3).map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
  const contrast = (first, second) => {
    const [dark, light] = [luminance(first), luminance(second)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };
  const ground = (each) => {
    for (let at = each; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (channels(colour)[3] === 255) return colour;
    }
    return getComputedStyle(document.body).backgroundColor;
  };
  const found = [];
  const note = (text, colour, behind) => found.push([contrast(colour, behind), text, colour, behind]);
  for (const each of document.querySelectorAll("body *")) {
    const texts = [...each.childNodes].filter((node) => node.nodeType === 3);
    const own = texts.map((node) => node.data.trim()).join("");
    if (!own || each.closest("script, style, .hidden, .skip, .js-plotly-plot, [hidden]")) continue;
    note(own, getComputedStyle(each).color, ground(each));
  }
  for (const each of document.querySelectorAll(".main-svg text, .main-svg tspan")) {
    if (each.closest("#heat .textpoint") || each.querySelector("tspan")) continue;
    if (!each.textContent.trim()) continue;
    note(each.textContent, getComputedStyle(each).fill, ground(byId("curves")));
  }
  const [cells, words] = byId("heat").data;
  const [low, high] = [cells.zmin, cells.zmax];
  words.text.forEach((text, at) => {
    const value = cells.z[words.y[at]][words.x[at]];
    const scale = cells.colorscale.map(([, colour]) => colour);
    if (value !== null) note(text, words.textfont.color[at], blend(scale, (value - low) / (high - low)));
  });
  return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_a_contrast_of_four_and_a_half(page, scheme):
    page.emulate_media(color_scheme=scheme)
    page.locator(".filter").evaluate_all("all => all.forEach((each) => { each.open = true; })")
    compare(page, "0", "5", "23")
    page.locator("#equal").evaluate("each => { each.open = true; }")
    tick(page, "gamma", "0.999")
    page.evaluate("refresh(...Object.keys(charts))")
    wait_until_drawn(page)
    found = page.evaluate(CONTRAST)
    tick(page, "gamma", "0.999", on=False)
    page.locator("#uncompare").click()
    assert len(found) > 300
    assert "permutation 23" in {text for _, text, *_ in found}
    assert [each for each in found if each[0] < 4.5] == []


def test_black_or_white_is_readable_on_every_colour_of_the_heat_map(page):
    assert page.evaluate("VIRIDIS.map(inkOn)")[4] == "#000000"


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


def rows_downloaded(page):
    with page.expect_download() as began:
        page.locator("#csv").press("Enter")
    assert began.value.suggested_filename == "lunar.csv"
    return list(csv.DictReader(began.value.path().read_text(encoding="utf-8").splitlines()))


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
