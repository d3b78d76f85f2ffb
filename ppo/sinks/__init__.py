"""Sinks log a training: to TensorBoard's event files and to optional services.

`interface` defines a sink, `opening` opens a run's sinks, and each service has a module. This module
imports none of the services, as some take seconds to load.
"""

from __future__ import annotations

import difflib
from importlib.util import find_spec

from schema.errors import UserError

TENSORBOARD = "tensorboard"
SINKS = (TENSORBOARD, "wandb", "mlflow")


def parse_sinks(text: str) -> tuple[str, ...]:
    """Parse the value of `--log`: names of sinks, separated by commas.

    Raises:
        UserError: a sink doesn't exist, or its package isn't installed.
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
    # W&B leaves a folder `wandb`, which find_spec takes for a package; only a real one has an origin.
    spec = find_spec(name)
    return spec is not None and spec.origin is not None
