"""What tests of Unity environments share: configs, environments and the processes of players."""

import contextlib
import os
import time
from pathlib import Path

from environments import make_environments
from environments.levels import RandomLevels
from schema.environment import EnvironmentConfig

_QUICK = {"launch_timeout": 20.0, "step_timeout": 20.0}


def unity_config(player, *arguments, type_="Unity", unity=None, **keys):
    """The config of a player that is started with these arguments."""
    started = {**_QUICK, "arguments": list(map(str, arguments)), **(unity or {})}
    return EnvironmentConfig(type=type_, name=str(player), unity=started, **keys)


@contextlib.contextmanager
def running(config, count, worker_id, levels=None):
    """So many environments of a config, which are closed in the end."""
    levels = levels or RandomLevels(list(range(count)), *config.reset_params.trained())
    environments = make_environments(config, levels, count, worker_id)
    try:
        yield environments
    finally:
        environments.close()


def players_with(marker):
    """The ids of players that run with a text on their command line."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                line = (folder / "cmdline").read_bytes().decode()
                if str(marker) in line and "--mlagents-port" in line:
                    found.append(int(folder.name))
    return found


def assert_players_end(marker, seconds=10):
    """Waits until no player with this text on its command line is left."""
    deadline = time.monotonic() + seconds
    while players := players_with(marker):
        assert time.monotonic() < deadline, f"left behind: {players} of {os.getpid()}"
        time.sleep(0.05)
