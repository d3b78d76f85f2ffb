"""Chooses what steps the environments: Gymnasium, one at a time, or EnvPool, all at once.

Unity players step themselves.

EnvPool is fast but optional, knows some tasks only, and can't be told which level to play. Where it
can't play what the config asks for, Gymnasium does.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

from environments.pooled.names import is_pooled
from schema.environment import EnvironmentConfig
from schema.errors import UserError
from schema.unity import PLAYER_TYPES

Backend = Literal["gymnasium", "envpool", "unity"]

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
        backend: "gymnasium", "envpool", or "unity" for Unity players, which nothing else can step.
        obstacle: why EnvPool can't, with what would help; None where it can.
    """

    backend: Backend
    obstacle: str | None


def choose_backend(config: EnvironmentConfig, installed: bool) -> Choice:
    """What steps the environments of a config on random levels.

    Args:
        config: which environment, and what is asked for.
        installed: whether EnvPool can be imported.
    """
    if config.type in PLAYER_TYPES:
        return Choice("unity", None)
    if config.backend == "gymnasium":
        return Choice("gymnasium", None)
    obstacle = _obstacle(config, installed)
    return Choice("envpool" if obstacle is None else "gymnasium", obstacle)


def _obstacle(config: EnvironmentConfig, installed: bool) -> str | None:
    """The first thing that keeps EnvPool from playing; that it isn't installed comes last."""
    if config.processes is not None:
        return "environment.processes is for Gymnasium's environments; set it to null"
    if not is_pooled(config.type, config.name):
        return f"EnvPool has no {config.name}, or one that differs"
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
    if not installed:
        return "EnvPool isn't installed (on Linux: pip install -r requirements-fast.txt)"
    return None


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


def backend_of(config: EnvironmentConfig) -> Choice:
    """What steps the environments of a config on random levels, on this machine.

    Raises:
        UserError: a line "environment.backend: ..." where EnvPool is demanded and can't be used.
    """
    choice = choose_backend(config, installed=True)
    # Imported only where everything else is in its favour.
    if choice.backend == "envpool":
        choice = choose_backend(config, envpool_installed())
    if config.backend == "envpool" and choice.obstacle is not None:
        raise UserError(f"environment.backend: envpool can't be used: {choice.obstacle}")
    return choice


def backend_notice(config: EnvironmentConfig) -> str | None:
    """A line for the user where EnvPool would be used, but for something that could be changed.

    Raises:
        UserError: as `backend_of`.
    """
    obstacle = backend_of(config).obstacle
    # Whoever sets the processes has chosen, and what EnvPool doesn't play nobody expects it to.
    chosen = config.processes is not None
    if obstacle is None or chosen or not is_pooled(config.type, config.name):
        return None
    return f"the environments are stepped by Gymnasium, not by the faster EnvPool: {obstacle}"
