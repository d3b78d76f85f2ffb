"""Carries the files of runs between folders that no machine shares, as bytes."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path, PurePosixPath

from schema.yaml_file import replace_file
from sweeps.execution.backends.local import Population
from sweeps.execution.worker import CHECKPOINTS, SUMMARIES, run_folder

_LENGTH = 8  # bytes of a header's length


class RunFiles:
    """The checkpoints and summaries of a population's runs, and which of them the other side has.

    Args:
        out: the output folder on this side.
        population: the runs.
    """

    def __init__(self, out: Path, population: Population) -> None:
        self._out = out
        # Checkpoints are read first, so that summaries sent with one reach at least as far.
        self._folders = [
            run_folder(planned, Path(kind))
            for kind in (CHECKPOINTS, SUMMARIES)
            for planned in population
        ]
        self._known: dict[str, tuple[int, int]] = {}

    def changes(self) -> bytes:
        """Return what has changed since the last call: files with their contents, and deleted names."""
        found: dict[str, tuple[int, int]] = {}
        contents: dict[str, bytes] = {}
        for path in self._files():
            name = path.relative_to(self._out).as_posix()
            with suppress(FileNotFoundError):  # training may delete it meanwhile
                status = path.stat()
                found[name] = (status.st_mtime_ns, status.st_size)
                if self._known.get(name) != found[name]:
                    contents[name] = path.read_bytes()
        gone = [name for name in self._known if name not in found]
        self._known = found
        header = json.dumps(
            {"files": [(name, len(content)) for name, content in contents.items()], "gone": gone}
        ).encode()
        return b"".join([len(header).to_bytes(_LENGTH, "big"), header, *contents.values()])

    def _files(self) -> list[Path]:
        """Return all files in their folders, without those that are being written."""
        return [
            path
            for folder in self._folders
            for path in sorted((self._out / folder).rglob("*"))
            if path.is_file() and not path.name.startswith(".")
        ]

    def apply(self, changes: bytes) -> None:
        """Write and delete files as on the other side, checkpoints last.

        Raises:
            ValueError: the bytes aren't `changes`, or name a file outside of the runs' folders.
            OSError: a file can't be written.
        """
        files, gone = _unpack(changes)
        for name in [*files, *gone]:
            self._check(name)
        for name, content in reversed(files.items()):
            path = self._out / name
            with replace_file(path, "wb") as file:
                file.write(content)
        for name in gone:
            (self._out / name).unlink(missing_ok=True)

    def _check(self, name: str) -> None:
        path = PurePosixPath(name)
        if ".." in path.parts or not any(path.is_relative_to(folder) for folder in self._folders):
            raise ValueError(f"{name}: belongs to no run of the population")


def _unpack(changes: bytes) -> tuple[dict[str, bytes], list[str]]:
    """Return the contents of files by name, and the names of deleted files."""
    start = _LENGTH + int.from_bytes(changes[:_LENGTH], "big")
    try:
        header = json.loads(changes[_LENGTH:start])
        sizes = [(str(name), int(size)) for name, size in header["files"]]
        gone = [str(name) for name in header["gone"]]
    except (KeyError, TypeError) as error:
        raise ValueError(f"no changes of files: {error!r}") from None
    files = {}
    for name, size in sizes:
        files[name] = changes[start : start + size]
        start += size
    if start != len(changes):
        raise ValueError("no changes of files: wrong sizes")
    return files, gone
