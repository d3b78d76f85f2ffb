"""Writes a grid as one config file per permutation, with an `index.csv`."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from textwrap import indent

from schema.errors import UserError
from schema.yaml_file import dump_yaml, replace_file
from sweeps.search_space.choices import show, show_choices
from sweeps.search_space.grid import Grid, Permutation

INDEX = "index.csv"
_GENERATED = re.compile(r"[0-9]+\.yaml")


def write_grid(grid: Grid, folder: Path, overwrite: bool = False) -> int:
    """Write every permutation of a validated grid into a folder.

    Writing the same grid again changes nothing, or completes an interrupted write.

    Args:
        grid: the permutations.
        folder: the folder of the files.
        overwrite: whether to replace the configs of another grid.

    Returns:
        The number of files that were new or have changed.

    Raises:
        UserError: the folder holds another grid (and `overwrite` isn't set). Nothing is written then.
    """
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: is a file; --out must be a folder")
    stale = _stale_files(grid, folder)
    if not overwrite:
        _refuse_another_grid(grid, folder, stale)
    changed = sum(_write_if_changed(path, text) for path, text in _files(grid, folder))
    for path in stale:
        path.unlink()

    def named_choices() -> Iterator[tuple[str, list[str]]]:
        for index in grid.indices():
            yield grid.name(index), list(map(show, grid.values(index)))

    return changed + write_index(folder, grid.labels, named_choices)


def write_config(folder: Path, name: str, permutation: Permutation) -> None:
    """Write the config of one permutation of a sweep, unless the file has it already."""
    _write_if_changed(folder / f"{name}.yaml", _text(f"permutation {name}", permutation))


def _files(grid: Grid, folder: Path) -> Iterator[tuple[Path, str]]:
    for permutation in grid.permutations():
        name = grid.name(permutation.index)
        title = f"permutation {name} of {len(grid)}"
        yield folder / f"{name}.yaml", _text(title, permutation)


def _text(title: str, permutation: Permutation) -> str:
    sections = permutation.config.as_dict().items()
    texts = [_section_text(name, json.dumps(section)) for name, section in sections]
    return f"# {title}: {show_choices(permutation.choices)}\n{''.join(texts)}"


# Permutations share most sections and nearly all keys. Large grids are quick to write because each text
# is emitted once, rather than once per permutation.
@lru_cache(maxsize=64)
def _section_text(name: str, section_json: str) -> str:
    keys = json.loads(section_json).items()
    return f"{name}:\n" + "".join(_key_text(key, json.dumps(value)) for key, value in keys)


@lru_cache(maxsize=4096)
def _key_text(key: str, value_json: str) -> str:
    return indent(dump_yaml({key: json.loads(value_json)}), "  ")


def _stale_files(grid: Grid, folder: Path) -> list[Path]:
    """Return configs of another grid, which a loop over the folder would mistake for this one's."""
    width = len(grid.name(0))
    return [
        path
        for path in _generated_files(folder)
        if len(path.stem) != width or int(path.stem) >= len(grid) or grid.leaves_out(int(path.stem))
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


def write_index(
    folder: Path,
    labels: Sequence[str],
    permutations: Callable[[], Iterable[tuple[str, Sequence[str]]]],
) -> bool:
    """Write the names and choices of permutations as a table, and return whether the file changed.

    The table is written row by row, because a large grid has a large one.
    """
    path = folder / INDEX
    if path.exists() and _same_index(path, _index_lines(labels, permutations())):
        return False
    with replace_file(path) as file:
        file.writelines(_index_lines(labels, permutations()))
    return True


def _same_index(path: Path, lines: Iterable[str]) -> bool:
    with path.open(encoding="utf-8", newline="") as file:
        return all(line == file.readline() for line in lines) and not file.readline()


def _index_lines(
    labels: Sequence[str], permutations: Iterable[tuple[str, Sequence[str]]]
) -> Iterator[str]:
    yield _csv_line(["index", "file", *labels])
    for name, choices in permutations:
        yield _csv_line([name, f"{name}.yaml", *choices])


def _csv_line(values: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(values)
    return line.getvalue()
