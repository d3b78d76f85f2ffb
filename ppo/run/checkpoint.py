"""Checkpoints of one run: written atomically, read without running any code that they may hold."""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from schema.config import Config, validate_config
from schema.errors import UserError
from schema.yaml_file import Document, replace_file

_PATTERN = "update_*.pt"
# Names that files of all versions have for attributes.
_IN_FILES = {"hidden_states": "memory", "return_history": "record"}
_ATTRIBUTES = {name: attribute for attribute, name in _IN_FILES.items()}


@dataclass
class Checkpoint:
    """Everything that a run needs to go on as if it had never stopped.

    Attributes:
        config: the run's config, as a YAML file has it.
        seed: the run's seed.
        update: how many updates are done.
        weights: of the network, by name.
        optimiser: state of AdamW.
        generators: state of each random generator, by name.
        backend: what stepped the environments; another can't go on with their episodes.
        environments: number of the episode and actions so far, of each worker.
        statistics: running statistics that are a part of the network, by name.
        hidden_states: see `HiddenStates.member_state`; empty without recurrent layers.
        rewards: state of the rewards' normaliser; empty if they aren't normalised.
        return_history: the latest and the best returns, see `ReturnHistory.state`.
    """

    config: dict[str, Any]
    seed: int
    update: int
    weights: dict[str, Tensor]
    optimiser: dict[str, Tensor]
    generators: dict[str, Tensor]
    backend: str
    environments: list[dict[str, Any]]
    statistics: dict[str, Tensor]
    hidden_states: dict[str, Tensor]
    rewards: dict[str, Tensor]
    return_history: dict[str, Any]

    def save(self, folder: Path) -> Path:
        """Writes the checkpoint into a folder, under its update's name, and returns its path."""
        path = checkpoint_path(folder, self.update)
        content = self.content()
        with replace_file(path, "wb") as file:
            file.write(content)
        return path

    def content(self) -> memoryview:
        """What is written into the file."""
        # Torch would hide in an error of its own why a file can't be written.
        buffer = io.BytesIO()
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        torch.save({_IN_FILES.get(name, name): value for name, value in named.items()}, buffer)
        return buffer.getbuffer()

    def read_config(self, path: Path) -> Config:
        """The checkpoint's config, validated; `path` is the checkpoint's own, for messages."""
        return validate_config(self.config, Document(path, self.config))


def checkpoint_path(folder: Path, update: int) -> Path:
    """Where a run's checkpoint after so many updates is."""
    return folder / _PATTERN.replace("*", f"{update:06d}")


def list_checkpoints(path: Path) -> list[Path]:
    """The checkpoint at a path, or all in and below the folder at it: run by run, update by update.

    Raises:
        UserError: there is none.
    """
    if path.is_file():
        return [path]
    found = sorted(path.rglob(_PATTERN), key=_numbers_as_such)
    if not found:
        raise UserError(f"{path}: no checkpoint here; must be a .pt file or a folder of them")
    return found


def last_intact_checkpoint(folder: Path) -> Path | None:
    """The last checkpoint in a folder that isn't damaged; None where there is none."""
    found = sorted(folder.glob(_PATTERN), reverse=True)
    return next((path for path in found if _is_intact(path)), None)


def update_of(path: Path) -> int:
    """After how many updates a checkpoint was written, by its name."""
    return int(path.stem.rpartition("_")[2])


def prune_checkpoints(folder: Path, keep: int, best: int | None) -> None:
    """Removes all checkpoints of a folder but the last ones and that of one update.

    Args:
        folder: of a run.
        keep: how many of the last ones stay.
        best: the update whose checkpoint stays, too.
    """
    for path in sorted(folder.glob(_PATTERN))[:-keep]:
        if update_of(path) != best:
            path.unlink()


def _is_intact(path: Path) -> bool:
    """Whether a file is an archive whose parts have their checksums, which torch doesn't look at."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except Exception:  # whatever a damaged file makes of the reader
        return False


def latest_checkpoint(path: Path) -> Path:
    """The checkpoint at a path, or the latest one of the run whose folder it is.

    Raises:
        UserError: there is none, or there are those of several runs.
    """
    found = list_checkpoints(path)
    folders = list(dict.fromkeys(checkpoint.parent for checkpoint in found))
    if len(folders) > 1:
        raise UserError(
            f"{path}: holds checkpoints of {len(folders)} runs; name one of them, such as {folders[0]}"
        )
    return found[-1]


def _numbers_as_such(path: Path) -> list[list[str | int]]:
    """What sorts paths folder by folder, and 2 before 10."""
    return [
        [int(part) if part.isdecimal() else part for part in re.split(r"([0-9]+)", name)]
        for name in path.parts
    ]


def load_checkpoint(path: Path) -> Checkpoint:
    """Reads a checkpoint to the CPU.

    Raises:
        UserError: the file can't be read, is damaged or is no checkpoint.
    """
    try:
        with path.open("rb"):
            pass
        if not _is_intact(path):
            raise ValueError("damaged")
        with warnings.catch_warnings():
            # A damaged file may seem to be of another protocol; what follows from that is our line.
            warnings.filterwarnings("ignore", message="Detected pickle protocol")
            data = torch.load(path, map_location="cpu", weights_only=True)
        return Checkpoint(**{_ATTRIBUTES.get(name, name): value for name, value in data.items()})
    except OSError as error:
        raise UserError(f"{path}: can't be read: {error.strerror}") from None
    except Exception:  # whatever the unpickler stumbles over
        raise UserError(f"{path}: is no checkpoint of this program, or a damaged one") from None
