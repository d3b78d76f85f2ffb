"""Draws the imports between wings: `make docs`.

The wings are boxes in the order of their layers, importers above. An arc leads from a wing to one that
it imports; the more modules import it, the thicker is the arc. The imports come from tach, which also
checks them in `make lint`.
"""

from __future__ import annotations

import ast
import json
import math
import subprocess
import sys
from collections import Counter
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
PICTURE = _ROOT / "docs" / "images" / "wings.svg"

_COMMANDS = "tune, train, eval, enjoy, report"
_LAYERS = (
    _COMMANDS,
    "commands",
    "reports",
    "sweeps",
    "trainer",
    "ppo",
    "buffer",
    "model",
    "networks",
    "utils",
    "environments",
    "numerics",
    "schema",
)
_ROW, _BOX, _WIDTH, _LEFT = 46, 34, 1130, 720  # pixels
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#8a6d00")


def imports() -> Counter[tuple[str, str]]:
    """Count the modules of one wing that import another wing, by (importer, imported)."""
    command = [sys.executable, "-m", "tach", "map"]
    printed = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=True).stdout
    pairs: Counter[tuple[str, str]] = Counter()
    for importer, imported in json.loads(printed).items():
        pairs.update({(_wing(importer), _wing(module)) for module in imported})
    return Counter({pair: count for pair, count in pairs.items() if pair[0] != pair[1]})


def _wing(path: str) -> str:
    name = Path(path).with_suffix("").parts[0]
    return _COMMANDS if name in _COMMANDS.split(", ") else name


def _job(wing: str) -> str:
    """Return the first line of a wing's docstring."""
    if wing == _COMMANDS:
        return "The commands: usage text, options, one call."
    package = _ROOT / wing / "__init__.py"
    source = package if package.exists() else _ROOT / f"{wing}.py"
    return (ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or "").splitlines()[0]


def picture() -> str:
    """Return the picture as SVG."""
    height = _ROW * len(_LAYERS) + 10
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        'font-family="sans-serif" font-size="13">',
        f'<rect width="{_WIDTH}" height="{height}" fill="white"/>',
    ]
    lines += [_box(number, wing) for number, wing in enumerate(_LAYERS)]
    lines += [_arc(pair, count) for pair, count in sorted(imports().items())]
    return "\n".join([*lines, "</svg>", ""])


def _box(row: int, wing: str) -> str:
    top = 8 + row * _ROW
    colour = _COLOURS[row % len(_COLOURS)]
    return (
        f'<rect x="6" y="{top}" width="{_LEFT - 6}" height="{_BOX}" rx="6" fill="#f6f6f6" '
        f'stroke="{colour}" stroke-width="2"/>'
        f'<text x="16" y="{top + 22}" font-weight="bold">{wing}</text>'
        f'<text x="195" y="{top + 22}" fill="#333">{_job(wing)}</text>'
    )


def _arc(pair: tuple[str, str], count: int) -> str:
    """Return a curve from the right side of the importer's box to that of the imported wing's."""
    above, below = (_LAYERS.index(wing) for wing in pair)
    # Arcs leave a box in its lower part and reach one in its upper part, so that they don't overlap.
    start, end = 8 + above * _ROW + _BOX - 8, 8 + below * _ROW + 10
    reach = _LEFT + 40 + 38 * abs(below - above)
    colour = _COLOURS[above % len(_COLOURS)]
    title = f"<title>{pair[0]} imports {pair[1]}: {count} modules do</title>"
    return (
        f'<path d="M{_LEFT},{start} C{reach},{start} {reach},{end} {_LEFT + 9},{end}" fill="none" '
        f'stroke="{colour}" stroke-width="{1 + math.log2(count) / 2:.1f}">{title}</path>'
        f'<path d="M{_LEFT + 1},{end} l9,-4 v8 z" fill="{colour}"/>'
    )


def main() -> None:
    """Write the picture."""
    PICTURE.write_text(picture(), encoding="utf-8")
    print(f"wrote {PICTURE.relative_to(_ROOT)}")


if __name__ == "__main__":
    main()
