"""What all commands share: parsing their usage text, reading options, and ending with one clear line."""

from __future__ import annotations

import difflib
import math
import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePath
from typing import Any

from docopt import DocoptExit, docopt

from environments.building import probe
from environments.choosing import backend_notice
from environments.interface import EnvironmentFailure
from environments.ports import DefaultWorkerId
from environments.safety.failures import keep_details
from ppo.by_numba import compile_all, is_kept, learning_notice, obstacle
from schema.config import Config
from schema.errors import UserError

VERSION = "0.1.0"
_HOME = Path(__file__).resolve().parents[1]

Arguments = dict[str, Any]

# Threads of torch that wait for each other soon sleep instead of keeping a core busy: where others use
# the cores too, a training with images takes half the time, and elsewhere as long as before. It must be
# set before torch is loaded, and processes inherit it.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

_LAST_PORT = 65535

FAILED = 1
USAGE_ERROR = 2
INTERRUPTED = 130  # as a shell reports a program that Ctrl-C ended


def run_command(usage: str, main: Callable[[Arguments], int]) -> None:
    """Parses the command line, runs a command and exits with its code.

    Exit codes: 0 for success, 1 for a failed run, 2 for usage and config errors, 130 for Ctrl-C.

    Args:
        usage: the docopt usage text.
        main: the command; takes the parsed arguments and returns the exit code.
    """
    try:
        sys.exit(main(_parse(usage)))
    except UserError as error:
        for line in error.lines:
            print(f"error: {line}", file=sys.stderr)
        sys.exit(USAGE_ERROR)
    except EnvironmentFailure as error:
        print(f"failed: {keep_details(error)}", file=sys.stderr)
        sys.exit(FAILED)
    except OSError as error:
        if error.filename is None:
            raise
        print(f"error: {error.filename}: {error.strerror}", file=sys.stderr)
        sys.exit(USAGE_ERROR)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)


def _parse(usage: str) -> Arguments:
    try:
        return dict(docopt(usage, version=f"ppo-grid {VERSION}"))
    except DocoptExit as error:
        raise UserError(_usage_error(usage, str(error))) from None


def _usage_error(usage: str, message: str) -> str:
    command = Path(sys.argv[0]).name
    known = re.findall(r"--[a-z][a-z-]*", usage)
    for argument in sys.argv[1:]:
        name = argument.partition("=")[0]
        if not argument.startswith("-"):
            return f"{argument}: {command} takes options only; see python {command} --help"
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"see python {command} --help"
            return f"{name}: unknown option of {command}; {hint}"
    problem = message.splitlines()[0] if message else "wrong options"
    return f"{problem}; see python {command} --help"


def integer_option(arguments: Arguments, name: str, minimum: int) -> int:
    """The value of an option that is a whole number.

    Raises:
        UserError: it is none, or less than `minimum`.
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
    """As `integer_option`; None where it is left out."""
    return None if arguments[name] is None else integer_option(arguments, name, minimum)


def choice_option(arguments: Arguments, name: str, choices: Sequence[str]) -> str:
    """The value of an option that is one of several words.

    Raises:
        UserError: it is another one.
    """
    text = str(arguments[name])
    if text not in choices:
        raise UserError(f"{name}={text}: must be one of {', '.join(choices)}")
    return text


def port_option(arguments: Arguments, name: str) -> int | None:
    """The value of an option that is a port, or None where it was left out.

    Raises:
        UserError: it is none.
    """
    if arguments[name] is None:
        return None
    port = integer_option(arguments, name, minimum=0)
    if port > _LAST_PORT:
        raise UserError(f"{name}={port}: must be a port, from 0 (any that is free) to {_LAST_PORT}")
    return port


def optional_number(arguments: Arguments, name: str) -> float | None:
    """The value of an option that is a number, or None where it was left out.

    Raises:
        UserError: it is none.
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


def numbers_option(arguments: Arguments, name: str, limit: int) -> frozenset[int] | None:
    """The value of an option that lists numbers and ranges of them, such as 0,3,10-19.

    Args:
        arguments: as parsed.
        name: of the option.
        limit: the numbers are below it.

    Returns:
        The numbers; None where the option was left out.

    Raises:
        UserError: it is something else, or a number is too large.
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
    """The value of `--worker-id`: a `DefaultWorkerId` where the user gave none.

    Args:
        arguments: as parsed.
        usage: what they were parsed with, which names the default.

    Raises:
        UserError: it is no whole number, or negative.
    """
    value = integer_option(arguments, "--worker-id", minimum=0)
    return value if _is_given("--worker-id", usage) else DefaultWorkerId(value)


def _is_given(name: str, usage: str) -> bool:
    """Whether the user gave an option that has a default."""
    # Without its default, an option that wasn't given has no value.
    without_default = re.sub(rf"({name}=<\w+>[^\[]*)\[default: [^\]]+\]", r"\1", usage)
    return docopt(without_default)[name] is not None


def config_option(arguments: Arguments, name: str, usage: str) -> Path:
    """The value of an option that is a config; a default is found from any folder.

    Args:
        arguments: as parsed.
        name: of the option.
        usage: what they were parsed with, which names the default.

    Raises:
        UserError: it is empty.
    """
    path = path_option(arguments, name)
    return path if _is_given(name, usage) else find_default(path)


def find_default(path: Path) -> Path:
    """A relative path that is a default: below the current folder, or else beside the commands."""
    return path if path.exists() else _HOME / path


def path_option(arguments: Arguments, name: str) -> Path:
    """The value of an option that is a path, with `~` expanded.

    Raises:
        UserError: it is empty.
    """
    text = str(arguments[name])
    if not text:
        raise UserError(f"{name}=: must be a path")
    return Path(text).expanduser()


def optional_path(arguments: Arguments, name: str) -> Path | None:
    """The value of an option that is a path, or None where it was left out.

    Raises:
        UserError: it is empty.
    """
    return None if arguments[name] is None else path_option(arguments, name)


def folder_option(arguments: Arguments, name: str) -> Path:
    """The value of an option that is a folder for output, which need not exist yet.

    Raises:
        UserError: it is empty, or nothing can be written there.
    """
    folder = path_option(arguments, name)
    check_folder(folder)
    return folder


def check_folder(folder: Path) -> None:
    """Makes sure that files can be written into a folder, before the work that they are to hold.

    Raises:
        UserError: they can't.
    """
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not existing.is_dir():
        raise UserError(f"{folder}: must be a folder to write into; {existing} is a file")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise UserError(f"{folder}: must be a folder to write into; {existing} is write-protected")


def run_id_option(arguments: Arguments) -> str:
    """The tag of the training session, which names folders below the output's.

    Raises:
        UserError: it would lead out of there, or name a folder that nobody sees.
    """
    text = str(arguments["--run-id"])
    path = PurePath(text)
    seen = path.parts and all(part.strip() and part.isprintable() for part in path.parts)
    if not seen or path.is_absolute() or ".." in path.parts:
        shown = text if text.isprintable() else repr(text)
        raise UserError(f"--run-id={shown}: must be a name, or a path below --out without `..`")
    return text.strip("/")


def notify_of_slower_ways(configs: Iterable[Config], compiles: bool, trains: bool = True) -> None:
    """Prints why environments are stepped or networks learn the slower way: each reason once.

    Where something is to be compiled, that is done now, and said.

    Args:
        configs: what is trained.
        compiles: whether fully connected networks may be compiled by Numba.
        trains: whether they will be trained now.
    """
    configs = list(configs)
    environments = {config.environment.model_dump_json(): config.environment for config in configs}
    notices = [backend_notice(environment) for environment in environments.values()]
    compiles = compiles and any(
        obstacle(config.model, probe(config.environment).spaces.has_images) is None
        for config in configs
    )
    if compiles:
        notices.append(learning_notice())
    for notice in dict.fromkeys(notices):
        if notice is not None:
            print(f"notice: {notice}", file=sys.stderr)
    if compiles and trains and not is_kept():
        print(
            "notice: training is compiled for this processor, which takes half a minute, once",
            file=sys.stderr,
            flush=True,
        )
        compile_all()


def chosen_lines(configs: Iterable[Config], device: str = "cpu") -> list[str]:
    """What was chosen for keys that leave it open: a line for each choice.

    Args:
        configs: what is trained.
        device: the type of device on which that is.
    """
    lines: set[str] = set()
    for config in configs:
        has_images = probe(config.environment).spaces.has_images
        model = config.model.resolved(has_images, device)
        what = "images" if has_images else "no images"
        if config.model.share_parameters is None:
            shared = "true" if model.share_parameters else "false"
            lines.add(f"model.share_parameters is null: {shared}, as {what} are observed")
        if config.model.precision == "auto":
            why = f"as {what} are observed" if not has_images else "as the processor has it"
            lines.add(f"model.precision is auto: {model.precision}, {why}")
        hindrance = obstacle(model, has_images)
        if device == "cpu" and hindrance is not None:
            lines.add(f"networks learn by PyTorch, not compiled by Numba, as {hindrance}")
    return sorted(lines)


def warn(lines: list[str]) -> None:
    """Prints warnings."""
    for line in lines:
        print(f"warning: {line}", file=sys.stderr)
