"""The page of a sweep works in a browser: headless Chromium."""

import csv
import shutil
from dataclasses import replace

import pytest

from reports.answer import answer
from reports.output.page.page import write_page
from reports.output.table import ranked, write_table
from sweeps.journal.runs import RunState
from tests.reports.example_outcome import CHOICES, example_outcome, under_way

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
CHARTS = ["curves", "importance", "choices", "heat", "parallel", "repetitions", "price"]


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
    assert "the environment raised <ValueError>: no level & no seed" in row.inner_text()


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
        "Object.keys(charts).flatMap((name) => byId(name).data.map((each) => each.name ?? ''))"
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
        "[...document.querySelectorAll('button, select, input, a')].filter((each) =>"
        " !each.closest('.js-plotly-plot') && !(each.textContent.trim() || each.labels?.length)).length"
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
    long.set_viewport_size({"width": width, "height": 800})
    wait_until_drawn(long)
    cut = long.evaluate(
        """["importance", "choices", "heat", "repetitions", "price"].flatMap((name) => {
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
    page.evaluate("refresh(...Object.keys(charts))")
    wait_until_drawn(page)
    found = page.evaluate(CONTRAST)
    assert len(found) > 300
    assert [each for each in found if each[0] < 4.5] == []


def test_black_or_white_is_readable_on_every_colour_of_the_heat_map(page):
    assert page.evaluate("VIRIDIS.map(inkOn)")[4] == "#000000"


def test_one_error_of_several_runs_is_shown_once_with_a_count(browser, tmp_path):
    outcome = example_outcome(failures=False)
    *others, last = outcome.permutations
    lost = [
        replace(run, state=RunState.FAILED, error="it broke", final_return=None)
        for run in last.runs[:3]
    ]
    last = replace(last, runs=(*lost, *last.runs[3:]))
    page = opened(browser, tmp_path / "page.html", replace(outcome, permutations=(*others, last)))
    row = page.locator("#table tbody tr:has(.bad)").inner_text()
    assert row.count("it broke") == 1 and "3 × it broke" in row
    cells = page.locator("#cost table tbody tr:first-child td").all_inner_texts()
    # Repetitions have the numbers of the runs' names.
    assert cells == [last.name, "0, 1, 2", "0, 1, 2", "failed", "it broke"]
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


def test_captions_say_which_charts_no_filter_changes(page):
    for name in ("importance", "choices"):
        caption = page.locator(f"figure:has(#{name}) figcaption").inner_text()
        assert "Filters don't change this chart." in caption and "${" not in caption
    assert "except those of importance" in page.locator("#shown").inner_text()


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
