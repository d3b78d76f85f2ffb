"""Opens pages in a browser, and does what a reader does."""

import csv

from reports.answer import answer
from reports.output.page.page import write_page

CHARTS = [
    *("curves", "course", "importance", "choices", "heat", "parallel", "repetitions"),
    *("diagnostics", "price"),
]
LONG = {
    "learning_rate_schedule.initial": ("1e-5", "1e-4", "3e-4", "1e-3"),
    "environment.reset_params.agent_visual_observation_mode": (
        "{'scale': 0.25, 'colours': ['red', 'blue'], 'is_partial': true}",
        "{'scale': 0.5, 'colours': ['green'], 'is_partial': false}",
    ),
    "gamma": ("0.9", "0.99", "0.999"),
}


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
    """Wait for a condition of a page, which may be reloading.

    The page's security policy refuses Playwright's own method.
    """
    from playwright.sync_api import Error  # may be missing

    # A page whose scripts haven't run has no names, and at first not even a root element.
    loaded = f"document.readyState === 'complete' && ({condition})"
    for _ in range(1200):  # a minute at least, as the machine may be busy
        try:
            if page.evaluate(loaded):
                return
        except Error as error:
            # The page that was asked is gone, and the next one isn't there.
            if "destroyed" not in str(error):
                raise
        page.wait_for_timeout(50)
    raise AssertionError(condition)


def column(page, number):
    return page.locator(f"#table tbody tr td:nth-child({number})").all_inner_texts()


def rank_column(page):
    return [int(text.split()[0]) for text in column(page, 1)]


def tick(page, key, *choices, on=True):
    """Open a key's filter, and tick choices or take the ticks away."""
    page.locator(f"details[data-filter='{key}']").evaluate("each => { each.open = true; }")
    for choice in choices:
        page.locator(f"input[data-key='{key}={choice}']").set_checked(on)


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


def rows_downloaded(page):
    with page.expect_download() as began:
        page.locator("#csv").press("Enter")
    assert began.value.suggested_filename == "lunar.csv"
    return list(csv.DictReader(began.value.path().read_text(encoding="utf-8").splitlines()))
