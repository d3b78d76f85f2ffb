"""Where a training is logged: TensorBoard's event files, and services that are optional.

`interface` says what a sink does, `opening` opens those that were asked for; each service has a module.
This one imports none of them, as some take seconds.
"""

from __future__ import annotations

import difflib
from importlib.util import find_spec

from schema.errors import UserError

TENSORBOARD = "tensorboard"
SINKS = (TENSORBOARD, "wandb", "mlflow")


def parse_sinks(text: str) -> tuple[str, ...]:
    """Reads the value of `--log`: names of sinks with commas between them.

    Raises:
        UserError: there is no such sink, or what it needs isn't installed.
    """
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    for name in names:
        if name not in SINKS:
            close = difflib.get_close_matches(name, SINKS, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise UserError(
                f"--log={text}: must be one or several of {', '.join(SINKS)}, separated by commas{hint}"
            )
        if not _is_installed(name):
            raise UserError(
                f"--log={text}: {name} isn't installed (pip install -r requirements-log.txt)"
            )
    return names


def _is_installed(name: str) -> bool:
    # A folder of that name, as W&B itself leaves it, has no origin.
    spec = find_spec(name)
    return spec is not None and spec.origin is not None
