"""The page that `report.py --watch` serves keeps the reader's choices, and survives the server."""

import threading
from dataclasses import replace

import pytest

from commands import serving
from reports.answer import answer
from schema.errors import UserError
from sweeps.journal.runs import RunState
from tests.reports.browser.pages import (
    column,
    compare,
    compared,
    drag,
    rank_column,
    tick,
    until,
    wait_until_drawn,
)
from tests.reports.example_outcome import example_outcome


class Watched:
    """A server of a sweep under way, whose results a test changes."""

    def __init__(self):
        self.outcome = self.after(0.0)
        self.server = serving.open_server(self.read, 0)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()
        self.address = f"http://localhost:{self.server.server_port}/"

    def read(self):
        if self.outcome is None:
            raise UserError("o: can't be read")
        return answer(self.outcome)

    @staticmethod
    def after(gain, state=RunState.RUNNING):
        """Return a sweep whose last run isn't done; permutation 3 has gained so much."""
        outcome = example_outcome(failures=False)
        *others, last = outcome.permutations
        lasting = replace(last.runs[-1], state=state)
        others[3] = replace(
            others[3],
            runs=tuple(
                replace(run, final_return=run.final_return + gain) for run in others[3].runs
            ),
        )
        permutations = (*others, replace(last, runs=(*last.runs[:-1], lasting)))
        return replace(outcome, permutations=permutations)

    def stop(self):
        if self.thread.is_alive():
            self.server.shutdown()
            self.thread.join()
            self.server.server_close()


@pytest.fixture
def watched(monkeypatch):
    monkeypatch.setattr(serving, "_SECONDS_BETWEEN", 1)
    started = Watched()
    yield started
    started.stop()


@pytest.fixture
def page(browser, watched):
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    opened.asked = []
    opened.on("request", lambda request: opened.asked.append(request.url))
    opened.goto(watched.address)
    wait_until_drawn(opened)
    yield opened
    opened.close()


def best(page):
    return page.evaluate("permutations[0].name")


def test_a_reload_keeps_what_the_reader_chose(page, watched):
    first = best(page)
    assert first != "3"
    tick(page, "gamma", "0.99")
    tick(page, "learning_rate_schedule.initial", "0.003", "0.001")
    page.locator("#contenders").check()
    page.locator("#contenders").uncheck()
    page.locator("[name=axis][value=updates]").check()
    page.locator("#bands").select_option("all")
    page.locator("#colour").select_option(label="epochs")
    page.locator("#count").select_option("40")
    page.locator("#highlight").select_option(label=f"1: permutation {first}")
    page.locator("#highlight").select_option(index=1)
    kept = page.evaluate("byId('highlight').selectedOptions[0].dataset.name")
    page.locator("#table th button:text-is('epochs')").click()
    page.evaluate("byId('seeds').scrollIntoView({ behavior: 'instant' })")
    wait_until_drawn(page)
    scrolled = page.evaluate("window.scrollY")
    watched.outcome = watched.after(999.0)
    until(page, "permutations[0].name === '3' && document.documentElement.dataset.drawn")
    wait_until_drawn(page)
    ticked = "[...document.querySelectorAll('.filter :checked')].map((each) => each.dataset.key)"
    assert set(page.evaluate(ticked)) == {
        *(f"learning_rate_schedule.initial={choice}" for choice in ("0.003", "0.001")),
        "gamma=0.99",
    }
    assert page.locator(".filter[open]").count() == 2
    assert len(rank_column(page)) == 8 and not page.locator("#contenders").is_checked()
    state = page.evaluate("state")
    assert (state["axis"], state["bands"], state["count"]) == ("updates", "all", "40")
    assert page.locator("#colour").evaluate("each => each.selectedOptions[0].text") == "epochs"
    assert page.evaluate("byId('highlight').selectedOptions[0].dataset.name") == kept
    assert page.evaluate("`permutation ${permutations[state.highlighted - 1].name}`") == kept
    place = page.locator("#table th").all_inner_texts().index("epochs") + 1
    assert column(page, place) == sorted(column(page, place))
    header = page.locator("#table th:has(button:text-is('epochs'))")
    assert header.get_attribute("aria-sort") == "ascending"
    assert abs(page.evaluate("window.scrollY") - scrolled) < 60
    assert {each.partition("/")[2] for each in page.asked} <= {
        f"/{watched.address.split('/')[2]}/{path}" for path in ("", "version")
    }


def test_a_reload_keeps_ranges_selected_on_axes(page, watched):
    drag(page, "return", 0.6, 1.0)
    drag(page, "gamma", 0.1, 0.4)
    shown, least = rank_column(page), page.locator("input[data-key='return from']").input_value()
    assert 0 < len(shown) < 12 and float(least) > 0
    watched.outcome = watched.after(999.0)
    until(page, "permutations[0].name === '3' && document.documentElement.dataset.drawn")
    assert page.locator("input[data-key='return from']").input_value() == least
    # No limit above, so that the best one now is among them.
    assert page.locator("input[data-key='return to']").input_value() == ""
    assert rank_column(page)[0] == 1 and set(column(page, 7)) == {"0.99"}
    wait_until_drawn(page)
    assert page.locator(".axis[aria-label=return] .span").count() == 1


def test_a_reload_keeps_what_is_compared(page, watched):
    names = page.evaluate("permutations.slice(1, 4).map((each) => each.name)")
    compare(page, *names)
    page.locator("#equal").evaluate("each => { each.open = true; }")
    # A row that a filter hides is compared all the same.
    tick(page, "gamma", "0.99")
    watched.outcome = watched.after(999.0)
    until(page, "permutations[0].name === '3' && document.documentElement.dataset.drawn")
    assert page.evaluate("comparison.names") == names
    assert {each.split()[-1] for each in compared(page)[""]} == set(names)
    assert page.locator("#equal").evaluate("each => each.open")
    page.locator("#ranking .clear").click()
    ticked = page.locator("[data-compare]:checked").evaluate_all(
        "all => all.map((each) => each.dataset.compare)"
    )
    assert set(ticked) == set(names)


def test_the_leader_is_highlighted_as_long_as_the_reader_chooses_nothing(page, watched):
    watched.outcome = watched.after(999.0)
    until(page, "permutations[0].name === '3' && document.documentElement.dataset.drawn")
    assert page.evaluate("state.highlighted") == 1
    assert page.evaluate("typeof byId('live').textContent") == "string"


def test_the_page_stays_and_says_so_when_the_server_stops(page, watched):
    assert "updates itself every 1 s" in page.locator("#live").inner_text()
    watched.stop()
    until(page, "byId('live').textContent.startsWith('The server has stopped')")
    tick(page, "gamma", "0.999")
    assert len(rank_column(page)) == 12


def test_a_finished_sweep_asks_for_nothing_more(page, watched):
    watched.outcome = watched.after(0.0, RunState.FINISHED)
    until(page, "!document.documentElement.dataset.refresh && byId('live').textContent === ''")


def test_a_sweep_that_can_not_be_read_is_no_stopped_server(page, watched):
    watched.outcome = None
    until(page, "byId('live').textContent.startsWith(\"The sweep can't be read now\")")
    watched.outcome = watched.after(0.0)
    until(page, "byId('live').textContent.startsWith('The sweep is running')")
