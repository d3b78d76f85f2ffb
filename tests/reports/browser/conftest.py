"""A browser, headless Chromium, and pages in it."""

import pytest

from tests.reports.browser.pages import LONG, opened, wait_until_drawn
from tests.reports.example_outcome import example_outcome


@pytest.fixture(scope="package")
def browser():
    pytest.importorskip(
        "playwright.sync_api", reason="Playwright isn't installed (requirements-dev.txt)"
    )
    from docs.draw_page import chromium, chromium_path

    if chromium_path() is None:
        pytest.skip("there is no Chromium here (on Debian the package chromium)")
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def shared(browser, tmp_path_factory):
    page = opened(browser, tmp_path_factory.mktemp("page") / "page.html", example_outcome())
    yield page
    page.close()


@pytest.fixture
def page(shared):
    """A drawn page for a test, which fails if the page reports an error."""
    wait_until_drawn(shared)
    yield shared
    shared.emulate_media(color_scheme="light", media="screen")
    shared.set_viewport_size({"width": 1280, "height": 900})
    assert shared.noticed == []


@pytest.fixture(scope="module")
def long(browser, tmp_path_factory):
    path = tmp_path_factory.mktemp("long") / "page.html"
    page = opened(browser, path, example_outcome(LONG, 3))
    yield page
    assert page.noticed == []
    page.close()
