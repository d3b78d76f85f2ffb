"""Records the film at the top of the README: the quickstart in a terminal, then its page.

Usage:
  record_film.py [--out=<folder>]
  record_film.py --help

Trains the quickstart, which takes about a minute. Training is shown faster than it is; the answer stays.
Needs Playwright and Chromium (on Debian the package `chromium`).

Options:
  --out=<folder>  folder for the sweep [default: ./film/]
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docopt import docopt
from PIL import Image

from docs.draw_page import chromium, opened, picture_of, scroll
from docs.terminal import Terminal

_FILM = Path(__file__).parent / "images" / "film.gif"
_WIDTH, _HEIGHT = 960, 740
_COLUMNS, _ROWS, _FONT_SIZE = 118, 42, 13
_TRAINING = 40  # pictures of the training
_PARTS = ("answer", "ranking", "learning", "effects")

Film = list[tuple[Image.Image, int]]  # pictures and how many milliseconds each stays


def record_terminal(out: Path) -> Film:
    """Train the quickstart, and return the pictures of its terminal."""
    command = [
        sys.executable,
        "tune.py",
        "--config=./configs/cartpole.yaml",
        "--tune=./configs/tune/quickstart.yaml",
        "--num-repetitions=2",
        f"--out={out}",
        "--overwrite",
    ]
    *training, answer = Terminal(command, _COLUMNS, _ROWS).pictures(0.25, _FONT_SIZE)
    shown = [training[len(training) * number // _TRAINING] for number in range(_TRAINING)]
    return [(picture, 150) for picture in shown] + [(answer, 5_000)]


def record_page(page_file: Path) -> Film:
    """Return pictures of the parts of a sweep's page."""
    with chromium() as browser:
        page = opened(browser.new_page(viewport={"width": 1360, "height": 1048}), page_file)
        film: Film = []
        for part in _PARTS:
            scroll(page, part)
            film.append((picture_of(page), 3_000))
    return film


def _frames(film: Film) -> Iterator[Image.Image]:
    """Fit pictures into the film's size, with few colours."""
    for picture, _ in film:
        frame = Image.new("RGB", (_WIDTH, _HEIGHT), picture.getpixel((0, 0)))
        scale = min(_WIDTH / picture.width, _HEIGHT / picture.height, 1.0)
        size = (round(picture.width * scale), round(picture.height * scale))
        frame.paste(picture.convert("RGB").resize(size, Image.Resampling.LANCZOS))
        yield frame.quantize(64, dither=Image.Dither.NONE)


def save(film: Film, path: Path) -> None:
    """Save a film as a GIF that repeats."""
    first, *others = _frames(film)
    times: Any = [time for _, time in film]
    first.save(path, save_all=True, append_images=others, duration=times, loop=0, optimize=True)


def main() -> None:
    """Record."""
    out = Path(docopt(__doc__)["--out"])
    film = record_terminal(out)
    save(film + record_page(next(out.glob("*.html"))), _FILM)
    print(f"{_FILM}: {_FILM.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
