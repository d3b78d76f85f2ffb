"""Writes a grid as one config file per permutation, and `index.csv` beside them."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from textwrap import indent

from schema.errors import UserError
from schema.yaml_file import dump_yaml, replace_file
from sweeps.choices import show, show_choices
from sweeps.grid import Grid, Permutation

INDEX = "index.csv"
_GENERATED = re.compile(r"[0-9]+\.yaml")


def write_grid(grid: Grid, folder: Path, overwrite: bool = False) -> int:
    """Writes every permutation of a validated grid directly into a folder.

    Writing the same grid again changes nothing. An interrupted write is completed by the next one.

    Returns:
        The number of files that were new or changed.

    Raises:
        UserError: the folder holds another grid (and `overwrite` is false); nothing was written.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: is a file; --out must be a folder")
    stale = _stale_files(grid, folder)
    if not overwrite:
        _refuse_another_grid(grid, folder, stale)
    changed = sum(_write_if_changed(path, text) for path, text in _files(grid, folder))
    for path in stale:
        path.unlink()
    return changed + _write_index(grid, folder)


def _files(grid: Grid, folder: Path) -> Iterator[tuple[Path, str]]:
    for permutation in grid.permutations():
        yield config_path(grid, folder, permutation.index), _text(grid, permutation)


def config_path(grid: Grid, folder: Path, index: int) -> Path:
    """Where a permutation's config is written."""
    return folder / f"{grid.name(index)}.yaml"


def _text(grid: Grid, permutation: Permutation) -> str:
    header = f"# permutation {grid.name(permutation.index)} of {len(grid)}: "
    sections = permutation.config.as_dict().items()
    texts = [_section_text(name, json.dumps(section)) for name, section in sections]
    return f"{header}{show_choices(permutation.choices)}\n{''.join(texts)}"


# Permutations share most of their sections and nearly all of their keys. Emitting each text once,
# rather than once for each permutation, is what makes large grids quick to write.
@lru_cache(maxsize=64)
def _section_text(name: str, section_json: str) -> str:
    keys = json.loads(section_json).items()
    return f"{name}:\n" + "".join(_key_text(key, json.dumps(value)) for key, value in keys)


@lru_cache(maxsize=4096)
def _key_text(key: str, value_json: str) -> str:
    return indent(dump_yaml({key: json.loads(value_json)}), "  ")


def _stale_files(grid: Grid, folder: Path) -> list[Path]:
    """Configs of another, larger grid, which a loop over the folder would take for this one's."""
    width = len(grid.name(0))
    return [
        path
        for path in _generated_files(folder)
        if len(path.stem) != width or int(path.stem) >= len(grid)
    ]


def _generated_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _GENERATED.fullmatch(path.name))


def _refuse_another_grid(grid: Grid, folder: Path, stale: list[Path]) -> None:
    if stale or (_generated_files(folder) and _any_differs(grid, folder)):
        raise UserError(
            f"{folder}: holds the configs of another grid; "
            "choose another --out, or replace them with --overwrite"
        )


def _any_differs(grid: Grid, folder: Path) -> bool:
    return any(
        path.exists() and path.read_bytes() != text.encode() for path, text in _files(grid, folder)
    )


def _write_if_changed(path: Path, text: str) -> bool:
    if path.exists() and path.read_bytes() == text.encode():
        return False
    with replace_file(path) as file:
        file.write(text)
    return True


def _write_index(grid: Grid, folder: Path) -> bool:
    """Writes the index row by row, since that of a large grid is large; last, as all else stands."""
    path = folder / INDEX
    if path.exists() and _same_index(grid, path):
        return False
    with replace_file(path) as file:
        file.writelines(_index_lines(grid))
    return True


def _same_index(grid: Grid, path: Path) -> bool:
    with path.open(encoding="utf-8", newline="") as file:
        return all(line == file.readline() for line in _index_lines(grid)) and not file.readline()


def _index_lines(grid: Grid) -> Iterator[str]:
    yield _csv_line(["index", "file", *grid.labels])
    for permutation in grid.permutations():
        name = grid.name(permutation.index)
        values = [show(choice) for choice in permutation.choices.values()]
        yield _csv_line([name, f"{name}.yaml", *values])


def _csv_line(values: list[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(values)
    return line.getvalue()
