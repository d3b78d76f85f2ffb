"""Writes the page of a sweep: one HTML file that needs no network."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from reports.answer import Answer
from reports.output.page.data import page_data, to_json
from reports.output.page.parts import (
    answer_part,
    configuration_part,
    cost_part,
    heading_part,
    video_part,
)
from schema.yaml_file import replace_file

_FOLDER = Path(__file__).parent
_SCRIPTS = (
    "theme.js",
    "table.js",
    "charts.js",
    "history.js",
    "scatter.js",
    "effects.js",
    "comparison.js",
    "filters.js",
    "parallel.js",
    "brush.js",
    "live.js",
    "page.js",
)
_MARKER = re.compile(r"\{\{(\w+)\}\}")


def write_page(answer: Answer, path: Path, sentences: Sequence[str]) -> None:
    """Write the page of a sweep; no half-written file is left behind.

    Args:
        answer: the sweep's answer.
        path: file of the page.
        sentences: the answer in words, the most important first; text between backquotes is shown as
            code.
    """
    with replace_file(path) as file:
        file.write(page_text(answer, sentences))


def page_text(
    answer: Answer, sentences: Sequence[str], version: str = "", seconds: int | None = None
) -> str:
    """Return the page of a sweep.

    Args:
        answer: the sweep's answer.
        sentences: the answer in words.
        version: stands for the answer; a served page reloads when the server's version differs.
        seconds: how often a served page asks for the version; None never asks.
    """
    served = "" if seconds is None else f' data-refresh="{seconds}" data-version="{version}"'
    return _filled(
        _read("template.html"),
        {
            "served": served,
            "connect": "" if seconds is None else "connect-src 'self'; ",
            "title": escape(answer.outcome.run_id),
            "style": _read("page.css"),
            "heading": heading_part(answer),
            "answer": answer_part(answer, sentences),
            "video": video_part(answer.outcome.out / "best"),
            "cost": cost_part(answer.outcome),
            "configuration": configuration_part(answer.outcome),
            "data": to_json(page_data(answer)),
            "plotly": _plotly(),
            "scripts": "\n".join(map(_read, _SCRIPTS)),
        },
    )


def _filled(template: str, parts: Mapping[str, str]) -> str:
    """Replace each marker of the template by its part; markers within parts stay."""
    return _MARKER.sub(lambda found: parts[found[1]], template)


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _plotly() -> str:
    # Imported late, because it takes a while and only the page needs it.
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())
