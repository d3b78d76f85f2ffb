"""Writes the stand-in's executable, which the tests' configs name as a Unity build."""

import sys
from pathlib import Path

PLAYER = Path(__file__).with_name("player.py")


def build_player(folder):
    """Write a player; return its path, without the file extension of Linux builds."""
    path = Path(folder, "player.x86_64")
    # The interpreter that runs the tests, which has what the stand-in imports. The folder is there to
    # tell this player's processes from others.
    command = f'exec "{sys.executable}" "{PLAYER}" --home="{folder}" "$@"'
    path.write_text(f"#!/bin/sh\n{command}\n", encoding="utf-8")
    path.chmod(0o755)
    return path.with_suffix("")
