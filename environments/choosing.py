"""Chooses the environment backend: compiled code, EnvPool, Gymnasium or Unity players.

Compiled code and EnvPool step all environments at once. They are fast but optional, have only some of
the tasks, and can't play a chosen level. Gymnasium steps one environment after the other, and has all
other tasks. Unity players run their own scenes.
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
# Keys that a suite applies by itself, without a wrapper.
OWN_KEYS = {
    "Atari": {"frame_skip", "obs_stacks", "grayscale", "resize_vis_obs"},
    **{key: {"frame_skip"} for key in PLAYER_TYPES},
}
# Types with pools that accept a range of levels.
_TYPES_OF_CHOSEN_LEVELS = {"Procgen"}
# A range of that many levels counts as no limit.
_UNLIMITED = 2**30
_LEVEL_LIMIT = 2**31


@dataclass(frozen=True)
class ChosenBackend:
    """The environment backend of a config, and why it isn't a faster one.

    Attributes:
        backend: the environment backend.
        obstacle: why a faster one can't be used, with the remedy; None if there is no obstacle.
    """

    backend: Backend
    obstacle: str | None


@dataclass(frozen=True)
class _Fast:
    """An environment backend that is faster than Gymnasium.

    Attributes:
        backend: its name in configs.
        name: its name in messages.
        plays: returns whether it plays the same task, given an environment's type and id.
        lacking: the message where it isn't installed, with the remedy.
    """

    backend: Backend
    name: str
    plays: Callable[[str, str], bool]
    lacking: str


# The fastest first.
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


def choose_backend(config: EnvironmentConfig, installed: Collection[str]) -> ChosenBackend:
    """Return the environment backend of a config for random levels.

    Args:
        config: the environment's config.
        installed: the installed ones of "compiled" and "envpool".
    """
    if config.type in PLAYER_TYPES:
        return ChosenBackend("unity", None)
    if config.backend == "gymnasium":
        return ChosenBackend("gymnasium", None)
    candidates = [fast for fast in _FAST if config.backend in ("auto", fast.backend)]
    obstacles = [_obstacle(config, fast, installed) for fast in candidates]
    for fast, obstacle in zip(candidates, obstacles, strict=True):
        if obstacle is None:
            return ChosenBackend(fast.backend, None)
    # Report the obstacle of the fastest one that has the task, if any does.
    for fast, obstacle in zip(candidates, obstacles, strict=True):
        if fast.plays(config.type, config.name):
            return ChosenBackend("gymnasium", obstacle)
    return ChosenBackend("gymnasium", obstacles[-1])


def _obstacle(config: EnvironmentConfig, fast: _Fast, installed: Collection[str]) -> str | None:
    """Return the first reason against a backend; a missing installation is the last."""
    if config.processes is not None:
        return "environment.processes is for Gymnasium's environments; set it to null"
    if not fast.plays(config.type, config.name):
        return f"{fast.name} doesn't have {config.name}, or plays it differently"
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
    """Return whether EnvPool can be imported, which also needs some system libraries."""
    try:
        import envpool  # noqa: F401  # optional, and takes a second
    except ImportError:
        return False
    return True


def _is_installed(backend: Backend) -> bool:
    return numerics.is_installed() if backend == "compiled" else envpool_installed()


def backend_of(config: EnvironmentConfig) -> ChosenBackend:
    """Return the environment backend of a config for random levels, on this machine.

    Raises:
        UserError: The environment backend that the config demands can't be used.
    """
    fast = {each.backend for each in _FAST}
    installed = set(fast)
    chosen = choose_backend(config, installed)
    # Test whether one is installed last, as that imports it.
    while chosen.backend in installed and not _is_installed(chosen.backend):
        installed.remove(chosen.backend)
        chosen = choose_backend(config, installed)
    if config.backend in fast and chosen.obstacle is not None:
        raise UserError(f"environment.backend: {config.backend} can't be used: {chosen.obstacle}")
    return chosen


def backend_notice(config: EnvironmentConfig) -> str | None:
    """Return a line on why no faster environment backend is used; None where nothing can be done.

    Raises:
        UserError: As `backend_of`.
    """
    chosen = backend_of(config)
    # No notice to a user who chose worker processes, or a task that no faster one has.
    playing = [fast.name for fast in _FAST if fast.plays(config.type, config.name)]
    if chosen.obstacle is None or config.processes is not None or not playing:
        return None
    by_whom = f"by Gymnasium, not by the faster {playing[0]}"
    return f"the environments are stepped {by_whom}: {chosen.obstacle}"
