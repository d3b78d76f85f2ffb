"""Measures the page of a large sweep: its size, and how soon a browser shows it.

Usage:
  report_page.py [options]
  report_page.py --help

Needs Chromium (on Debian the package `chromium`). The sweep's returns are random numbers.

Options:
  --permutations=<n>    permutations, rounded up to a whole grid [default: 100]
  --repetitions=<n>     repetitions of each permutation [default: 5]
  --rounds=<n>          times to open the page; medians are printed [default: 5]
  --slower=<x>          factor by which to slow the browser's processor down [default: 1]
"""

from __future__ import annotations

import shutil
import sys
from math import ceil
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from docopt import docopt
from playwright.sync_api import Browser, sync_playwright

from reports.answer import answer
from reports.output.page.page import write_page
from reports.words import sentences
from tests.reports.example_outcome import example_outcome

_DRAWN = "document.documentElement.dataset.drawn && waiting.size === 0"
# Milliseconds from a click to the frame that shows its effect.
_CLICK = """async (selector) => {
  const began = performance.now();
  const chosen = document.querySelector(selector);
  chosen.click();
  await new Promise((shown) => requestAnimationFrame(() => setTimeout(shown)));
  return performance.now() - began;
}"""


def main() -> None:
    """Print a line for each measure."""
    options = docopt(__doc__)
    values = ceil(int(options["--permutations"]) / 20)
    choices = {
        "learning_rate_schedule.initial": tuple(f"{0.0003 * 10 ** (i / 4):.2g}" for i in range(5)),
        "gamma": ("0.99", "0.999"),
        "epochs": ("4", "8"),
        "worker_steps": tuple(str(64 * (place + 1)) for place in range(values)),
    }
    outcome = example_outcome(choices, int(options["--repetitions"]), points=200)
    print(f"{len(outcome.permutations)} permutations, {len(outcome.runs)} runs")
    with TemporaryDirectory() as folder:
        path = Path(folder) / "page.html"
        found = answer(outcome)
        began = perf_counter()
        write_page(found, path, sentences(found))
        print(f"written in {perf_counter() - began:.2f} s, {path.stat().st_size / 1e6:.2f} MB")
        _open(path, int(options["--rounds"]), float(options["--slower"]))


def _open(path: Path, rounds: int, slower: float) -> None:
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        measured = [_measure(browser, path, slower) for _ in range(rounds)]
        browser.close()
    for name in measured[0]:
        print(f"{name}: {median(each[name] for each in measured):,.0f} ms")


def _measure(browser: Browser, path: Path, slower: float) -> dict[str, float]:
    """Return milliseconds until the page reaches each state, and from clicks to their effect."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": slower})
    page.goto(path.as_uri())
    while not page.evaluate(_DRAWN):
        page.wait_for_timeout(5)
    measures = {
        "the answer can be read": "performance.getEntriesByType('paint').at(-1).startTime",
        "table and controls are ready": "Number(document.documentElement.dataset.ready)",
        "all charts are drawn": "performance.now()",
    }
    times = {name: float(page.evaluate(measure)) for name, measure in measures.items()}
    times["a click sorts the table"] = page.evaluate(_CLICK, "#table th:nth-child(3) button")
    page.evaluate("byId('learning').scrollIntoView({ behavior: 'instant' })")
    page.wait_for_timeout(200)
    times["a click switches the curves' axis"] = page.evaluate(_CLICK, "[name=axis][value=updates]")
    page.close()
    return times


if __name__ == "__main__":
    main()
