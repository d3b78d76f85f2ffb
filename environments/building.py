"""Builds single environments of every suite."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from types import ModuleType

import gymnasium

from environments.choosing import OWN_KEYS, backend_of
from environments.interface import Spaces
from environments.ports import PROBING
from environments.spaces import spaces_of
from environments.wrappers.checked import checked, guarded, launch_call
from environments.wrappers.configured import wrap
from schema.environment import EnvironmentConfig
from schema.errors import UserError

# Each module has a function `make`. It is imported when it is needed, as MiniGrid takes a while.
SUITE_MODULES = {
    "CartPole": "environments.suites.cartpole",
    "Gymnasium": "environments.suites.gymnasium_suite",
    "Minigrid": "environments.suites.minigrid_suite",
    "Procgen": "environments.envpool.suites",
    "Atari": "environments.envpool.suites",
    "Unity": "environments.unity.suite",
    "ObstacleTower": "environments.unity.suite",
}
# How to install what isn't installed by its name alone.
_UNITY_REMEDY = "pip install -r requirements-unity.txt"
_REMEDIES = {
    "envpool": "on Linux: pip install -r requirements-fast.txt",
    "mlagents_envs": _UNITY_REMEDY,
    "grpc": _UNITY_REMEDY,
    "distutils": _UNITY_REMEDY,
}


def make_environment(
    config: EnvironmentConfig, worker_id: int = PROBING, render_mode: str | None = None
) -> gymnasium.Env:
    """Builds one environment with the spaces that `environments/spaces.py` describes.

    Args:
        config: which environment, and how it is wrapped.
        worker_id: tells environments apart that need something of their own, such as a port.
        render_mode: "human", "rgb_array" or None.

    Raises:
        UserError: a line "environment.KEY: ..." for each thing that can't be built.
        EnvironmentFailure: its constructor fails or hangs.
    """
    suite = import_suite(config.type)
    with guarded(launch_call("the constructor", config)):
        environment = suite.make(config, worker_id, render_mode)
    return wrap_as_configured(checked(environment, config), config)


def wrap_as_configured(environment: gymnasium.Env, config: EnvironmentConfig) -> gymnasium.Env:
    """Wraps what a suite made, but for what its environments do by themselves.

    Raises:
        UserError: as `wrap`.
    """
    return wrap(environment, _left_to_wrappers(config))


def _left_to_wrappers(config: EnvironmentConfig) -> EnvironmentConfig:
    """The config without what its suite's environments do by themselves."""
    own = OWN_KEYS.get(config.type, set())
    fields = EnvironmentConfig.model_fields
    return config.model_copy(update={key: fields[key].default for key in own})


def import_suite(suite: str) -> ModuleType:
    """The module of a suite.

    Raises:
        UserError: a package that it needs isn't installed.
    """
    try:
        return importlib.import_module(SUITE_MODULES[suite])
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        remedy = _REMEDIES.get(package, f"pip install {package}")
        raise UserError(
            f"environment.type: {suite} needs a package that isn't installed: {error} ({remedy})"
        ) from error


@dataclass(frozen=True)
class Probe:
    """What is learnt of an environment by building it.

    Attributes:
        spaces: what it observes and does.
        agents: how many environments exist only together, as the agents of one Unity player do.
    """

    spaces: Spaces
    seats: int = 1


_probed: dict[tuple[str, int], Probe] = {}


def probe(config: EnvironmentConfig, worker_id: int = PROBING) -> Probe:
    """Builds the environment of a config, once, to learn what it is like.

    Raises:
        UserError: as `make_environment` and `backend_of`.
        EnvironmentFailure: it failed or hung.
    """
    if config.backend in ("compiled", "envpool"):
        backend_of(config)
    # None of these changes the spaces, and sweeps ask for many configs.
    unrelated = {"backend", "processes", "reset_params", "launch_timeout", "step_timeout"}
    description = config.model_dump_json(exclude=unrelated)
    key = (description, worker_id)
    if key not in _probed:
        environment = make_environment(config, worker_id)
        try:
            seats = getattr(environment.unwrapped, "seats", 1)
            _probed[key] = Probe(spaces_of(environment), seats)
        finally:
            environment.close()
    return _probed[key]


def probe_spaces(config: EnvironmentConfig, worker_id: int = PROBING) -> Spaces:
    """What the environment of a config observes and does; see `probe`."""
    return probe(config, worker_id).spaces
