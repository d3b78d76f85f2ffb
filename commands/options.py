"""Reads the values of options, and raises an error of one line for each wrong value."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePath

from docopt import docopt

from commands.command import Arguments
from environments.ports import DefaultWorkerId
from schema.errors import UserError
from schema.folders import START, absolute

_HOME = Path(__file__).resolve().parents[1]
_LAST_PORT = 65535
_NAME_AROUND = len(".") + len(".html.12345678")  # bytes around a run id in the longest file name
_PATH_BELOW = 150  # bytes of the paths of checkpoints and summaries, beside the run id
_SHOWN = 40  # characters of a text that is too long


def integer_option(arguments: Arguments, name: str, minimum: int) -> int:
    """Return the value of an option that is a whole number.

    Raises:
        UserError: the value is no whole number, or less than `minimum`.
    """
    text = str(arguments[name])
    try:
        value = int(text)
    except ValueError:
        value = minimum - 1
    if value < minimum:
        raise UserError(f"{name}={text}: must be a whole number of at least {minimum}")
    return value


def optional_integer(arguments: Arguments, name: str, minimum: int) -> int | None:
    """Return what `integer_option` does, or None if the option is left out."""
    return None if arguments[name] is None else integer_option(arguments, name, minimum)


def choice_option(arguments: Arguments, name: str, choices: Sequence[str]) -> str:
    """Return the value of an option that is one of several words.

    Raises:
        UserError: the value is none of `choices`.
    """
    text = str(arguments[name])
    if text not in choices:
        raise UserError(f"{name}={text}: must be one of {', '.join(choices)}")
    return text


def port_option(arguments: Arguments, name: str) -> int | None:
    """Return the value of an option that is a port, or None if the option is left out.

    Raises:
        UserError: the value is no port.
    """
    if arguments[name] is None:
        return None
    port = integer_option(arguments, name, minimum=0)
    if port > _LAST_PORT:
        raise UserError(f"{name}={port}: must be a port from 0 (any free port) to {_LAST_PORT}")
    return port


def optional_number(arguments: Arguments, name: str) -> float | None:
    """Return the value of an option that is a number, or None if the option is left out.

    Raises:
        UserError: the value is no finite number.
    """
    if arguments[name] is None:
        return None
    try:
        value = float(arguments[name])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UserError(f"{name}={arguments[name]}: must be a number")
    return value


def optional_positive(arguments: Arguments, name: str) -> float | None:
    """Return the value of an option that is a positive number, or None if the option is left out.

    Raises:
        UserError: the value is no finite number, or not greater than 0.
    """
    value = optional_number(arguments, name)
    if value is not None and value <= 0:
        raise UserError(f"{name}={arguments[name]}: must be a positive number")
    return value


def numbers_option(arguments: Arguments, name: str, limit: int) -> frozenset[int] | None:
    """Return the value of an option that lists numbers and ranges of numbers, such as 0,3,10-19.

    Args:
        arguments: the parsed arguments.
        name: the option.
        limit: the least number that is too large.

    Returns:
        The numbers, or None if the option is left out.

    Raises:
        UserError: the value is no such list, or holds a number that is too large.
    """
    text = arguments[name]
    if text is None:
        return None
    numbers: set[int] = set()
    for part in str(text).split(","):
        found = re.fullmatch(r"\s*(\d{1,18})\s*(?:-\s*(\d{1,18})\s*)?", part)
        first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, -1)
        if last < first or last >= limit:
            raise UserError(
                f"{name}={text}: must be numbers from 0 to {limit - 1} and ranges of them, "
                "such as 0,3,10-19"
            )
        numbers.update(range(first, last + 1))
    return frozenset(numbers)


def worker_id_option(arguments: Arguments, usage: str) -> int:
    """Return the value of `--worker-id`: a `DefaultWorkerId` if the user gave none.

    Args:
        arguments: the parsed arguments.
        usage: the usage text, which names the default.

    Raises:
        UserError: the value is no whole number, or negative.
    """
    value = integer_option(arguments, "--worker-id", minimum=0)
    return value if is_given("--worker-id", usage) else DefaultWorkerId(value)


def is_given(name: str, usage: str) -> bool:
    """Return whether the user gave an option that has a default."""
    # docopt doesn't tell a default from the same value given. Parsed without the default, an option
    # that wasn't given is None.
    without_default = re.sub(rf"({name}=<\w+>[^\[]*)\[default: [^\]]+\]", r"\1", usage)
    return docopt(without_default)[name] is not None


def config_option(arguments: Arguments, name: str, usage: str) -> Path:
    """Return the value of an option that is a config; a default is found from any folder.

    The path may be relative, because configs are read before any environment is built.

    Args:
        arguments: the parsed arguments.
        name: the option.
        usage: the usage text, which names the default.

    Raises:
        UserError: the value is empty, or isn't text in UTF-8.
    """
    path = Path(_text(arguments, name)).expanduser()
    return path if is_given(name, usage) else find_default(path)


def find_default(path: Path) -> Path:
    """Return a default path as it is if the file exists, else below the folder of the commands."""
    return path if path.exists() else _HOME / path


def path_option(arguments: Arguments, name: str) -> Path:
    """Return the value of an option that is a path: absolute, with `~` expanded.

    Raises:
        UserError: the value is empty, or isn't text in UTF-8.
    """
    return absolute(_text(arguments, name))


def _text(arguments: Arguments, name: str) -> str:
    text = str(arguments[name])
    if not text:
        raise UserError(f"{name}=: must be a path")
    if not _is_text(text):
        # TensorBoard couldn't write there, and pages, tables and journals couldn't name it.
        raise UserError(f"{name}={text}: must be a path in UTF-8; rename it")
    if not Path(text).expanduser().is_absolute() and not _is_text(str(START)):
        raise UserError(
            f"{name}={text}: belongs to the working folder {START}, which must be a path in UTF-8; "
            "rename it, or give an absolute path elsewhere"
        )
    return text


def _is_text(text: str) -> bool:
    """Return whether UTF-8 can encode a text; other bytes of the command line are surrogates in it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def optional_path(arguments: Arguments, name: str) -> Path | None:
    """Return the value of an option that is a path, or None if the option is left out.

    Raises:
        UserError: the value is empty, or isn't text in UTF-8.
    """
    return None if arguments[name] is None else path_option(arguments, name)


def folder_option(arguments: Arguments, name: str) -> Path:
    """Return the value of an option that is an output folder, which need not exist yet.

    Raises:
        UserError: the value is no path, or the folder isn't writable.
    """
    folder = path_option(arguments, name)
    check_folder(folder)
    return folder


def check_folder(folder: Path) -> None:
    """Raise an error if files can't be written into a folder, so that no work is lost later.

    Raises:
        UserError: a file is in the way, or the folder is write-protected.
    """
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not existing.is_dir():
        raise UserError(f"{folder}: must be a folder to write into; {existing} is a file")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise UserError(f"{folder}: must be a folder to write into; {existing} is write-protected")


def check_lengths(out: Path, run_id: str, longest: str) -> None:
    """Raise an error if a sweep's file names or paths would be too long, before anything is trained.

    Args:
        out: the output folder.
        run_id: tag of the training session.
        longest: the longest name of a journal, such as that of a shard or of the confirmation.

    Raises:
        UserError: the run id or the output folder has too many bytes.
    """
    added = _NAME_AROUND + len(longest) - len(run_id)
    most = os.pathconf("/", "PC_PATH_MAX") - added - _PATH_BELOW
    if len(os.fsencode((out / run_id).absolute())) > most:
        raise UserError(
            f"--out={str(out)[:_SHOWN]}...: is too long; with the run id, its full path may have "
            f"{most:,} bytes"
        )
    existing = next(path for path in (out, *out.absolute().parents) if path.exists())
    most = os.pathconf(existing, "PC_NAME_MAX") - added
    if len(os.fsencode(PurePath(run_id).name)) > most:
        option = f" beside {longest.removeprefix(run_id)}" if longest != run_id else ""
        raise UserError(
            f"--run-id={run_id[:_SHOWN]}...: is too long; file names leave room for {most} bytes{option}"
        )


def run_id_option(arguments: Arguments) -> str:
    """Return the value of `--run-id`, which names folders below the output folder.

    Raises:
        UserError: the path leads out of the output folder, or has a part that is blank or unprintable.
    """
    text = str(arguments["--run-id"])
    path = PurePath(text)
    seen = path.parts and all(part.strip() and part.isprintable() for part in path.parts)
    if not seen or path.is_absolute() or ".." in path.parts:
        shown = text if text.isprintable() else repr(text)
        raise UserError(f"--run-id={shown}: must be a name, or a path below --out without `..`")
    return text.strip("/")
