"""Draws all that people see of five sweeps: terminals, pages and plots.

Usage:
  draw_sweeps.py [options] [<sweep>...]
  draw_sweeps.py --help

Trains the sweeps of docs/sweeps/ (or the named ones), which takes some minutes, and writes the pictures
to docs/images/sweeps/: a terminal of 120, 80 and 50 columns while the sweep runs, its answer and
--status; the page at 1360, 820 and 390 pixels, in light and dark, and in print; TensorBoard's HParams;
and each plot. Needs Playwright and Chromium (on Debian the package `chromium`).

Options:
  --out=<folder>   folder for the sweeps [default: ./drawn_sweeps/]
  --keep           draw the sweeps that are there; pictures of running ones stay as they are
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docopt import docopt
from PIL import Image
from playwright.sync_api import Browser, Error, Page

from docs.draw_page import chromium, opened, picture_of
from docs.terminal import Terminal

_DOCS = Path(__file__).parent
_IMAGES = _DOCS / "images" / "sweeps"
_SWEEPS = ("three_keys", "one_key", "failures", "long_names", "many_runs")
_BASES = {"failures": "fragile.yaml"}
_REPETITIONS = {"many_runs": 5}
_COLUMNS = (120, 80, 50)
_ROWS, _FONT_SIZE = 140, 11
_WIDTHS = (1360, 820, 390)  # pixels of a page
_A4 = 794  # pixels


def train(sweep: str, out: Path) -> None:
    """Train a sweep on a terminal of each width, and draw it under way."""
    command = [
        "tune.py",
        f"--config=docs/sweeps/{_BASES.get(sweep, 'base.yaml')}",
        f"--tune=docs/sweeps/{sweep}.yaml",
        f"--num-repetitions={_REPETITIONS.get(sweep, 3)}",
        f"--out={out}",
        "--overwrite",
    ]
    for columns in _COLUMNS:
        # 30 rows, as the screen of a running sweep fills a terminal of any height. As the start takes
        # long, the sweep is in its middle after two thirds of the time.
        pictures = list(Terminal(_python(command), columns, 30).pictures(0.5, _FONT_SIZE))
        _save(pictures[2 * len(pictures) // 3], f"{sweep}_running_{columns}")


def _write_page(out: Path) -> None:
    subprocess.run(
        _python(["report.py", f"--out={out}", "--page"]), check=True, stdout=subprocess.DEVNULL
    )


def draw_terminals(sweep: str, out: Path) -> None:
    """Draw a sweep's answer and its --status."""
    for columns in _COLUMNS:
        for name, command in (("answer", ["report.py"]), ("status", ["tune.py", "--status"])):
            terminal = Terminal(_python([*command, f"--out={out}"]), columns, _ROWS)
            *_, picture = terminal.pictures(1.0, _FONT_SIZE)
            _save(picture, f"{sweep}_{name}_{columns}")


def draw_page(browser: Browser, sweep: str, out: Path) -> None:
    """Draw a sweep's page: at each width in light and dark, and in print."""
    page_file = out / "default.html"
    for width, scheme, picture in _pages(browser, page_file):
        _save(picture, f"{sweep}_page_{width}_{scheme}")


def _pages(browser: Browser, page_file: Path) -> Iterator[tuple[int, str, Image.Image]]:
    looks: list[tuple[int, Any]] = [
        *((width, scheme) for width in _WIDTHS for scheme in ("light", "dark")),
        (_A4, "print"),
    ]
    for width, scheme in looks:
        page = opened(browser.new_page(viewport={"width": width, "height": 1100}), page_file)
        if scheme == "print":
            page.emulate_media(media="print")
        else:
            page.emulate_media(color_scheme=scheme)
        page.wait_for_timeout(1500)
        yield width, scheme, picture_of(page, full_page=True)
        page.close()


def draw_hparams(browser: Browser, sweep: str, out: Path) -> None:
    """Draw the table and the parallel coordinates of TensorBoard's HParams."""
    port = _free_port()
    options = [f"--logdir={out / 'summaries'}", f"--port={port}", "--reload_interval=0"]
    server = subprocess.Popen(_python(["-m", "tensorboard.main", *options]))
    try:
        page = browser.new_page(viewport={"width": 1500, "height": 1000})
        _visit(page, f"http://localhost:{port}/#hparams")
        page.get_by_text("default/0").first.wait_for(timeout=120_000)
        _save(picture_of(page), f"{sweep}_hparams_table")
        page.get_by_text("PARALLEL COORDINATES VIEW").click()
        page.wait_for_timeout(5000)
        _save(picture_of(page), f"{sweep}_hparams_paths")
        page.close()
    finally:
        server.terminate()
        server.wait()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("localhost", 0))
        port: int = listener.getsockname()[1]
        return port


def _visit(page: Page, address: str) -> None:
    """Open an address as soon as its server listens."""
    for _ in range(60):
        try:
            page.goto(address)
        except Error:
            time.sleep(1)
        else:
            return
    raise TimeoutError(address)


def draw_plots(sweep: str, out: Path) -> None:
    """Draw the plots of a sweep."""
    folder = out / "plots"
    subprocess.run(
        _python(["report.py", f"--out={out}", f"--plots={folder}"]),
        check=True,
        stdout=subprocess.DEVNULL,
    )
    for plot in sorted(folder.glob("*.png")):
        _save(Image.open(plot), f"{sweep}_plot_{plot.stem}")


def _python(command: list[str]) -> list[str]:
    return [sys.executable, *command]


def _save(picture: Image.Image, name: str) -> None:
    """Save a picture with 64 colours, which suffice for text and lines, in the smallest format."""
    _IMAGES.mkdir(parents=True, exist_ok=True)
    image: Any = picture.convert("RGB")
    few = image.quantize(64, dither=Image.Dither.NONE).convert("RGB")
    few.save(_IMAGES / f"{name}.webp", lossless=True)


def main() -> None:
    """Draw all."""
    arguments = docopt(__doc__)
    with chromium() as browser:
        for sweep in arguments["<sweep>"] or _SWEEPS:
            out = Path(arguments["--out"]) / sweep
            if not arguments["--keep"]:
                train(sweep, out)
            _write_page(out)
            draw_terminals(sweep, out)
            draw_page(browser, sweep, out)
            draw_hparams(browser, sweep, out)
            draw_plots(sweep, out)


if __name__ == "__main__":
    main()
