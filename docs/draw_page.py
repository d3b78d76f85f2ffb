"""Takes the documentation's screenshots of a sweep's page.

Usage:
  draw_page.py <page>
  draw_page.py --help

<page> is a page that report.py wrote. Needs Playwright and Chromium (on Debian the package `chromium`).
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from docopt import docopt
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

_IMAGES = Path(__file__).parent / "images"
_SIZE: Any = {"width": 1360, "height": 1180}


def draw(path: Path) -> None:
    """Take the screenshots of a page: its top, parts of it, its curves in dark mode, and on a phone."""
    with chromium() as browser:
        page = opened(browser.new_page(viewport=_SIZE), path)
        _save(page.screenshot(), "report")
        page.evaluate("filters[2].select(0.5, 1); filters.at(-1).select(0.6, 1); filtered()")
        _save_part(page, "paths", "report_paths")
        chosen = "[0, 30].map((place) => permutations[place].name)"
        page.evaluate(f"clearFilters(); comparison.choose({chosen})")
        _save_part(page, "comparison", "report_comparison")
        page.set_viewport_size({"width": 1180, "height": 800})
        page.emulate_media(color_scheme="dark")
        page.wait_for_timeout(1000)
        scroll(page, "learning")
        _save(page.screenshot(), "report_curves")
        phone = browser.new_page(viewport={"width": 390, "height": 844}, device_scale_factor=1.5)
        _save(opened(phone, path).screenshot(), "report_phone")


def chromium_path() -> str | None:
    """Return where the system's Chromium is; None without one."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run the system's Chromium."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox"])
        yield browser
        browser.close()


def opened(page: Page, path: Path) -> Page:
    """Open a sweep's page, and wait until its charts are drawn."""
    page.goto(path.resolve().as_uri())
    page.wait_for_selector("html[data-drawn=all]", state="attached")
    return page


def picture_of(page: Page, full_page: bool = False) -> Image.Image:
    """Return a picture of what the window shows, or of the whole page."""
    return Image.open(io.BytesIO(page.screenshot(full_page=full_page)))


def _save_part(page: Page, part: str, name: str) -> None:
    """Save a picture of a section of the page."""
    page.set_viewport_size({"width": 1180, "height": 1600})
    scroll(page, part)
    page.wait_for_timeout(1000)
    _save(page.locator(f"#{part}").screenshot(), name)


def scroll(page: Page, part: str) -> None:
    """Bring a part of a sweep's page to the top of the window."""
    page.evaluate(f"byId('{part}').scrollIntoView({{ behavior: 'instant' }})")
    page.wait_for_timeout(500)


def _save(picture: bytes, name: str) -> None:
    """Save a picture with 128 colours, which suffice for text and lines."""
    image: Any = Image.open(io.BytesIO(picture)).convert("RGB")
    image.quantize(128).save(_IMAGES / f"{name}.png", optimize=True)


if __name__ == "__main__":
    draw(Path(docopt(__doc__)["<page>"]))
