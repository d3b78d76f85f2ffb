"""Runs a command: parses its usage text, prints errors as single lines and sets the exit code."""

from __future__ import annotations

import difflib
import errno
import os
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from enum import IntEnum
from pathlib import Path
from typing import Any

from docopt import DocoptExit, docopt

from commands.terminal.characters import print_any_character
from environments.interface import EnvironmentFailure
from environments.safety.failures import keep_details
from environments.safety.output import discard, lost_output, outlive_readers
from schema.errors import UserError
from schema.folders import shown_text
from schema.os_errors import describe, file_of

VERSION = "0.1.0"

Arguments = dict[str, Any]

# Errors of writing to standard output, which name no file.
_OUTPUT_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}

# By default, torch's threads spin while they wait for each other. With a short spin they sleep instead:
# on cores shared with other processes, training with images takes half the time; elsewhere it takes as
# long as before. The variable must be set before torch is loaded, and child processes inherit it.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")


class ExitCode(IntEnum):
    """Exit codes of the commands.

    Attributes:
        SUCCESS: everything that was asked for is done.
        FAILED: a run failed, or the environment did.
        USAGE_ERROR: an option or a config is wrong, or a file can't be read or written.
        INTERRUPTED: Ctrl-C stopped the command; the code is the shell's for that.
    """

    SUCCESS = 0
    FAILED = 1
    USAGE_ERROR = 2
    INTERRUPTED = 130


def run_command(usage: str, main: Callable[[Arguments], int]) -> None:
    """Parse the command line, run a command and exit with its code.

    Args:
        usage: the docopt usage text.
        main: the command; takes the parsed arguments and returns an `ExitCode`, or 128 plus the number
            of the signal that stopped it.
    """
    outlive_readers()
    print_any_character()
    code = _run(usage, main)
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
        lost = lost_output()
        if lost is not None and code == ExitCode.SUCCESS:
            # The work is done, and the reader of the output must know that it isn't whole.
            code = _fail_to_write(lost)
    except OSError as error:
        code = _fail_to_write(error)
    sys.exit(code)


def _run(usage: str, main: Callable[[Arguments], int]) -> int:
    """Run a command, print its error and return the exit code."""
    try:
        return main(_parse(usage))
    except SystemExit as end:  # --help, --version, or Rich found that nobody reads the output
        return end.code if isinstance(end.code, int) else ExitCode.SUCCESS
    except UserError as error:
        for line in error.lines:
            _print_error(f"error: {line}")
        return ExitCode.USAGE_ERROR
    except EnvironmentFailure as error:
        _print_error(f"failed: {keep_details(error)}")
        return ExitCode.FAILED
    except OSError as error:
        return _fail_to_write(error)
    except KeyboardInterrupt:
        _print_error("interrupted")
        return ExitCode.INTERRUPTED


def _fail_to_write(error: OSError) -> int:
    """Print an error of a file or of standard output and return the exit code.

    Raises:
        OSError: the error concerns neither.
    """
    if file_of(error) is not None:
        _print_error(f"error: {describe(error)}")
        return ExitCode.USAGE_ERROR
    if error.errno not in _OUTPUT_ERRORS | {errno.EPIPE}:
        raise error
    # Otherwise Python would try to write the rest at its end.
    with suppress(OSError, AttributeError):
        discard(sys.stdout.fileno())
    if error.errno == errno.EPIPE:  # nobody reads the output, as after `| head`
        return ExitCode.FAILED
    _print_error(f"error: standard output: {describe(error)}")
    return ExitCode.USAGE_ERROR


def _print_error(line: str) -> None:
    # Standard error may be full or closed, too; the exit code remains.
    with suppress(OSError):
        print(shown_text(line), file=sys.stderr, flush=True)


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
