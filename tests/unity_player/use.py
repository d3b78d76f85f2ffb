"""Helpers for tests of Unity environments: configs, environments and players' processes."""

import contextlib
import os
import time
from pathlib import Path

from environments import make_environments
from environments.levels import RandomLevels
from schema.environment import EnvironmentConfig

_QUICK = {"launch_timeout": 20.0, "step_timeout": 20.0}


def unity_config(player, *arguments, type_="Unity", unity=None, **keys):
    """Return the config of a player that starts with these arguments."""
    started = {**_QUICK, "arguments": list(map(str, arguments)), **(unity or {})}
    return EnvironmentConfig(type=type_, name=str(player), unity=started, **keys)


@contextlib.contextmanager
def running(config, count, worker_id, levels=None):
    """Yield `count` environments of a config, and close them afterwards."""
    levels = levels or RandomLevels(list(range(count)), *config.reset_params.trained())
    environments = make_environments(config, levels, count, worker_id)
    try:
        yield environments
    finally:
        environments.close()


def players_with(marker):
    """Return the process ids of running players with a text on their command line."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                line = (folder / "cmdline").read_bytes().decode()
                if str(marker) in line and "--mlagents-port" in line:
                    found.append(int(folder.name))
    return found


def assert_players_end(marker, seconds=10):
    """Wait until no player with this text on its command line is left."""
    deadline = time.monotonic() + seconds
    while players := players_with(marker):
        assert time.monotonic() < deadline, f"left behind: {players} of {os.getpid()}"
        time.sleep(0.05)
