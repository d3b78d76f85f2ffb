"""Runs a command: parses its usage text, prints errors as single lines and sets the exit code."""

from __future__ import annotations

import difflib
import os
import re
import sys
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import Any

from docopt import DocoptExit, docopt

from environments.interface import EnvironmentFailure
from environments.safety.failures import keep_details
from schema.errors import UserError
from schema.folders import shown_text

VERSION = "0.1.0"

Arguments = dict[str, Any]

# By default, torch's threads spin while they wait for each other. With a short spin they sleep instead:
# on cores shared with other processes, training with images takes half the time; elsewhere it takes as
# long as before. The variable must be set before torch is loaded, and child processes inherit it.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")


class ExitCode(IntEnum):
    """Exit codes of the commands.

    Attributes:
        SUCCESS: everything that was asked for is done.
        FAILED: a run failed, or the environment did.
        USAGE_ERROR: an option, a config or a file is wrong.
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
    try:
        sys.exit(main(_parse(usage)))
    except UserError as error:
        for line in error.lines:
            print(f"error: {shown_text(line)}", file=sys.stderr)
        sys.exit(ExitCode.USAGE_ERROR)
    except EnvironmentFailure as error:
        print(f"failed: {shown_text(keep_details(error))}", file=sys.stderr)
        sys.exit(ExitCode.FAILED)
    except OSError as error:
        if error.filename is None:
            raise
        print(f"error: {shown_text(str(error.filename))}: {error.strerror}", file=sys.stderr)
        sys.exit(ExitCode.USAGE_ERROR)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(ExitCode.INTERRUPTED)


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
