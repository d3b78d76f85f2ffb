"""Saves and loads checkpoints of a run: writes are atomic, and loading runs no code from the file."""

from __future__ import annotations

import hashlib
import io
import json
import re
import warnings
import zipfile
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from schema.config import Config, validate_config
from schema.errors import UserError
from schema.model import ModelConfig
from schema.yaml_file import Document, replace_file

_PATTERN = "update_*.pt"
# Attributes that have another name in checkpoint files, which all versions share.
_IN_FILES = {"hidden_states": "memory", "return_history": "record"}
_ATTRIBUTES = {name: attribute for attribute, name in _IN_FILES.items()}
# A file is a ZIP archive. Its comment, which is the file's end, is a checksum of all bytes before it,
# because the archive's own checksums leave out its directory.
_CHECKSUM = b"sha256:"
_CHECKSUM_LENGTH = len(_CHECKSUM) + 64


@dataclass
class Checkpoint:
    """The state from which a run resumes as if it had never stopped.

    Attributes:
        config: the run's config, with the keys of a YAML file.
        seed: the run's seed.
        update: number of updates done.
        weights: weights of the network, by name.
        optimiser: state of AdamW.
        generators: state of each random generator, by name.
        backend: environment backend, which alone can resume the episodes.
        environments: number of the episode and its actions so far, for each worker.
        statistics: running statistics of the network, by name.
        hidden_states: see `HiddenStates.member_state`; empty without recurrent layers.
        rewards: state of the reward normaliser; empty if rewards aren't normalised.
        return_history: the latest and the best returns, see `ReturnHistory.state`.
        diagnostics: see `Member.diagnostics`; checkpoints of older versions have none.
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
    diagnostics: dict[str, float] = field(default_factory=dict)

    def save(self, folder: Path) -> Path:
        """Save the checkpoint in a folder, with its update in its name, and return its path."""
        path = checkpoint_path(folder, self.update)
        content = self.content()
        with replace_file(path, "wb") as file:
            file.write(content)
        return path

    def content(self) -> memoryview:
        """Return the bytes of the file, with a checksum at their end."""
        # Writing a file itself, torch would hide the operating system's error.
        buffer = io.BytesIO()
        named = {each.name: getattr(self, each.name) for each in fields(self)}
        torch.save({_IN_FILES.get(name, name): value for name, value in named.items()}, buffer)
        # An archive ends with the length of its comment, two bytes, and the comment.
        buffer.seek(-2, io.SEEK_END)
        buffer.write(_CHECKSUM_LENGTH.to_bytes(2, "little"))
        checksum = _checksum(buffer.getbuffer())
        buffer.write(checksum)
        return buffer.getbuffer()

    def read_config(self, path: Path) -> Config:
        """Return the validated config.

        Args:
            path: the checkpoint's path, for error messages.

        Raises:
            UserError: the config isn't valid.
        """
        return validate_config(self.config, Document(path, self.config))

    def check_model(self, model: ModelConfig, path: Path) -> None:
        """Raise an error if the network computes something else with the weights than in training.

        Keys that change the weights' shapes are left out, since loading the weights compares them.

        Args:
            model: the config of the network.
            path: the checkpoint's path, for error messages.

        Raises:
            UserError: keys differ; one line for each.
        """
        trained, now = (_computation(each) for each in (self.read_config(path).model, model))
        lines = [
            f"{path}: was trained with model.{key} {_shown(trained[key])}, not {_shown(now[key])}"
            for key in trained.keys() & now.keys()
            if trained[key] != now[key]
        ]
        if lines:
            raise UserError(sorted(lines))


def _shown(value: object) -> str:
    return json.dumps(value).strip('"')


def _computation(model: ModelConfig) -> dict[str, Any]:
    """Return the values that change what a network computes, but no shape of its weights."""
    values: dict[str, Any] = {
        key: getattr(model, key) for key in ("activation", "squash_actions", "use_sde")
    }
    for key in ("hidden_state_init", "reset_hidden_state", "residual"):
        if model.recurrence is not None:
            values[f"recurrence.{key}"] = getattr(model.recurrence, key)
    return values


def checkpoint_path(folder: Path, update: int) -> Path:
    """Return the path of a run's checkpoint after a number of updates."""
    return folder / _PATTERN.replace("*", f"{update:06d}")


def list_checkpoints(path: Path) -> list[Path]:
    """Return the checkpoint at a path, or all below a folder, ordered by run and update.

    Raises:
        UserError: there is no checkpoint.
    """
    if path.is_file():
        return [path]
    found = sorted(path.rglob(_PATTERN), key=_numbers_as_such)
    if not found:
        raise UserError(f"{path}: no checkpoint here; must be a .pt file or a folder of them")
    return found


def last_intact_checkpoint(folder: Path) -> Path | None:
    """Return the last undamaged checkpoint in a folder; None if there is none."""
    found = load_last_intact(folder)
    return None if found is None else found[0]


def load_last_intact(folder: Path) -> tuple[Path, Checkpoint] | None:
    """Load the last checkpoint in a folder that can be loaded; return None if none can be."""
    for path in sorted(folder.glob(_PATTERN), key=_numbers_as_such, reverse=True):
        try:
            return path, load_checkpoint(path)
        except UserError:
            continue
    return None


def update_of(path: Path) -> int:
    """Return the number of updates in a checkpoint's file name."""
    return int(path.stem.rpartition("_")[2])


def prune_checkpoints(folder: Path, keep: int, best: int | None) -> None:
    """Delete all checkpoints in a folder except the last ones and the best one.

    Args:
        folder: a run's folder of checkpoints.
        keep: number of last checkpoints to keep.
        best: update of the best checkpoint, which is kept, too; None if there is none.
    """
    for path in sorted(folder.glob(_PATTERN), key=_numbers_as_such)[:-keep]:
        if update_of(path) != best:
            path.unlink()


def _checksum(content: bytes | memoryview) -> bytes:
    """Return the checksum at the end of a file, which covers everything before it."""
    return _CHECKSUM + hashlib.sha256(content).hexdigest().encode()


def _is_intact(content: bytes) -> bool:
    """Return whether a file's checksums are correct, which torch doesn't verify.

    A checkpoint of an earlier version has no comment, only the archive's own checksums.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if archive.comment:
            return content.endswith(_checksum(memoryview(content)[:-_CHECKSUM_LENGTH]))
        return archive.testzip() is None


def latest_checkpoint(path: Path) -> Path:
    """Return the checkpoint at a path, or the latest one in a run's folder.

    Raises:
        UserError: there is no checkpoint, or there are checkpoints of several runs.
    """
    found = list_checkpoints(path)
    folders = list(dict.fromkeys(checkpoint.parent for checkpoint in found))
    if len(folders) > 1:
        raise UserError(
            f"{path}: holds checkpoints of {len(folders)} runs; name one of them, such as {folders[0]}"
        )
    return found[-1]


def _numbers_as_such(path: Path) -> list[list[str | int]]:
    """Return a sort key that orders paths folder by folder, and 2 before 10."""
    return [
        [int(part) if part.isdecimal() else part for part in re.split(r"([0-9]+)", name)]
        for name in path.parts
    ]


def load_checkpoint(path: Path) -> Checkpoint:
    """Load a checkpoint to the CPU.

    Raises:
        UserError: the file can't be read, is damaged or is no checkpoint.
    """
    try:
        content = path.read_bytes()
        if not _is_intact(content):
            raise ValueError("damaged")
        with warnings.catch_warnings():
            # A damaged file may look like another protocol; the UserError below says enough.
            warnings.filterwarnings("ignore", message="Detected pickle protocol")
            data = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        return Checkpoint(**{_ATTRIBUTES.get(name, name): value for name, value in data.items()})
    except OSError as error:
        raise UserError(f"{path}: can't be read: {error.strerror}") from None
    except Exception:  # the unpickler can raise anything
        raise UserError(f"{path}: is no checkpoint of this program, or a damaged one") from None
