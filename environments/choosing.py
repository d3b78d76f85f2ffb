"""Chooses what steps the environments: compiled code or EnvPool, all at once, or Gymnasium, one by one.

Unity players step themselves.

The first two are fast but optional, know some tasks only, and can't be told which level to play. Where
they can't play what the config asks for, Gymnasium does.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numerics
from environments.compiled.tasks import is_compiled
from environments.envpool.names import is_in_envpool
from schema.environment import EnvironmentConfig
from schema.errors import UserError
from schema.unity import PLAYER_TYPES

Backend = Literal["gymnasium", "envpool", "compiled", "unity"]

_GYMNASIUM_KEYS = (
    "kwargs",
    "frame_skip",
    "last_action_to_obs",
    "last_reward_to_obs",
    "positional_encoding",
    "obs_stacks",
    "grayscale",
    "resize_vis_obs",
)
# What a suite's environments do by themselves, so that no wrapper is needed.
OWN_KEYS = {
    "Atari": {"frame_skip", "obs_stacks", "grayscale", "resize_vis_obs"},
    **{key: {"frame_skip"} for key in PLAYER_TYPES},
}
# Their pools take a range of levels; all others play levels from everywhere.
_TYPES_OF_CHOSEN_LEVELS = {"Procgen"}
# A range that leaves so many levels is as good as no limit.
_UNLIMITED = 2**30
_LEVEL_LIMIT = 2**31


@dataclass(frozen=True)
class Choice:
    """What steps the environments, and why.

    Attributes:
        backend: what does; "unity" for Unity players, which nothing else can step.
        obstacle: why the fastest that may be chosen can't, with what would help; None where it can.
    """

    backend: Backend
    obstacle: str | None


@dataclass(frozen=True)
class _Fast:
    """Something faster than Gymnasium's own environments.

    Attributes:
        backend: its name in configs.
        name: its name for users.
        plays: whether it plays the same task, by an environment's type and id.
        lacking: what to do where it isn't installed.
    """

    backend: Backend
    name: str
    plays: Callable[[str, str], bool]
    lacking: str


# The faster one first.
_FAST = (
    _Fast(
        "compiled",
        "compiled code",
        is_compiled,
        "Numba isn't installed (pip install -r requirements-fast.txt)",
    ),
    _Fast(
        "envpool",
        "EnvPool",
        is_in_envpool,
        "EnvPool isn't installed (on Linux: pip install -r requirements-fast.txt)",
    ),
)


def choose_backend(config: EnvironmentConfig, installed: Collection[str]) -> Choice:
    """What steps the environments of a config on random levels.

    Args:
        config: which environment, and what is asked for.
        installed: what can be imported of "compiled" and "envpool".
    """
    if config.type in PLAYER_TYPES:
        return Choice("unity", None)
    if config.backend == "gymnasium":
        return Choice("gymnasium", None)
    candidates = [fast for fast in _FAST if config.backend in ("auto", fast.backend)]
    obstacles = [_obstacle(config, fast, installed) for fast in candidates]
    for fast, obstacle in zip(candidates, obstacles, strict=True):
        if obstacle is None:
            return Choice(fast.backend, None)
    # What keeps the fastest one that has the task, if any does.
    for fast, obstacle in zip(candidates, obstacles, strict=True):
        if fast.plays(config.type, config.name):
            return Choice("gymnasium", obstacle)
    return Choice("gymnasium", obstacles[-1])


def _obstacle(config: EnvironmentConfig, fast: _Fast, installed: Collection[str]) -> str | None:
    """The first thing that keeps one from playing; that it isn't installed comes last."""
    if config.processes is not None:
        return "environment.processes is for Gymnasium's environments; set it to null"
    if not fast.plays(config.type, config.name):
        return f"{fast.name} has no {config.name}, or one that differs"
    own = OWN_KEYS.get(config.type, set())
    fields = EnvironmentConfig.model_fields
    lacking = [
        f"environment.{key}"
        for key in _GYMNASIUM_KEYS
        if key not in own and getattr(config, key) != fields[key].default
    ]
    if lacking:
        return f"it has no {' and no '.join(lacking)} for {config.name}; leave out what it lacks"
    if config.type not in _TYPES_OF_CHOSEN_LEVELS and _limits_levels(config):
        return (
            f"it can't be told which levels of {config.name} to play; "
            "set environment.reset_params.num-seeds to 0"
        )
    return None if fast.backend in installed else fast.lacking


def _limits_levels(config: EnvironmentConfig) -> bool:
    levels = config.reset_params
    return bool(levels.num_seeds) or _LEVEL_LIMIT - levels.start_seed < _UNLIMITED


@cache
def envpool_installed() -> bool:
    """Whether EnvPool can be imported; it may be there and lack a library of the system."""
    try:
        import envpool  # noqa: F401  # optional, and takes a second
    except ImportError:
        return False
    return True


def _is_installed(backend: Backend) -> bool:
    return numerics.is_installed() if backend == "compiled" else envpool_installed()


def backend_of(config: EnvironmentConfig) -> Choice:
    """What steps the environments of a config on random levels, on this machine.

    Raises:
        UserError: a line "environment.backend: ..." where one is demanded and can't be used.
    """
    fast = {each.backend for each in _FAST}
    installed = set(fast)
    choice = choose_backend(config, installed)
    # Each is imported only where everything else is in its favour.
    while choice.backend in installed and not _is_installed(choice.backend):
        installed.remove(choice.backend)
        choice = choose_backend(config, installed)
    if config.backend in fast and choice.obstacle is not None:
        raise UserError(f"environment.backend: {config.backend} can't be used: {choice.obstacle}")
    return choice


def backend_notice(config: EnvironmentConfig) -> str | None:
    """A line for the user where something faster would be used, but for what could be changed.

    Raises:
        UserError: as `backend_of`.
    """
    choice = backend_of(config)
    # Whoever sets the processes has chosen, and what nothing else plays nobody expects it to.
    playing = [fast.name for fast in _FAST if fast.plays(config.type, config.name)]
    if choice.obstacle is None or config.processes is not None or not playing:
        return None
    by_whom = f"by Gymnasium, not by the faster {playing[0]}"
    return f"the environments are stepped {by_whom}: {choice.obstacle}"
