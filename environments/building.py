"""Builds single environments of every suite."""

from __future__ import annotations

import importlib
import os
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

# Modules with a function `make` each. They are imported when needed, as MiniGrid's import is slow.
SUITE_MODULES = {
    "CartPole": "environments.suites.cartpole",
    "Gymnasium": "environments.suites.gymnasium_suite",
    "Minigrid": "environments.suites.minigrid_suite",
    "Procgen": "environments.envpool.suites",
    "Atari": "environments.envpool.suites",
    "Unity": "environments.unity.suite",
    "ObstacleTower": "environments.unity.suite",
}
# How to install packages that `pip install <name>` doesn't.
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
    """Build one environment, with the spaces that `environments/spaces.py` describes.

    Args:
        config: the environment's config.
        worker_id: the environment's own number, from which it derives its port, say.
        render_mode: "human", "rgb_array" or None.

    Raises:
        UserError: A line "environment.KEY: ..." for each key that can't be satisfied.
        EnvironmentFailure: The environment's constructor failed or hung.
    """
    suite = import_suite(config.type)
    with guarded(launch_call("the constructor", config)):
        environment = suite.make(config, worker_id, render_mode)
    return wrap_as_configured(checked(environment, config), config)


def wrap_as_configured(environment: gymnasium.Env, config: EnvironmentConfig) -> gymnasium.Env:
    """Wrap an environment, except for the keys that its suite applies by itself.

    Raises:
        UserError: As `wrap`.
    """
    return wrap(environment, _left_to_wrappers(config))


def _left_to_wrappers(config: EnvironmentConfig) -> EnvironmentConfig:
    """Return the config without the keys that its suite applies by itself."""
    own = OWN_KEYS.get(config.type, set())
    fields = EnvironmentConfig.model_fields
    return config.model_copy(update={key: fields[key].default for key in own})


def import_suite(suite: str) -> ModuleType:
    """Return the module of a suite.

    Raises:
        UserError: A package that the suite needs isn't installed.
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
    """The properties of an environment that only building it reveals.

    Attributes:
        spaces: its observations and actions.
        seats: the number of seats in a Unity player's scene, one for a worker each; 1 elsewhere.
    """

    spaces: Spaces
    seats: int = 1


_probed: dict[tuple[str, int], Probe] = {}


def probe(config: EnvironmentConfig, worker_id: int = PROBING) -> Probe:
    """Return the properties of a config's environment, which is built once and then remembered.

    Raises:
        UserError: As `make_environment` and `backend_of`.
        EnvironmentFailure: The environment failed or hung.
    """
    if config.backend in ("compiled", "envpool"):
        backend_of(config)
    # These keys don't change the spaces. Without them, the configs of a sweep share one probe.
    unrelated = {"backend", "processes", "reset_params", "launch_timeout", "step_timeout"}
    description = config.model_dump_json(exclude=unrelated)
    key = (description, worker_id)
    if key not in _probed:
        _probed[key] = _build_and_probe(config, worker_id)
    return _probed[key]


def _build_and_probe(config: EnvironmentConfig, worker_id: int) -> Probe:
    # Processes that start later inherit the working folder, which the environment may change.
    folder = os.getcwd()
    try:
        environment = make_environment(config, worker_id)
        try:
            seats = getattr(environment.unwrapped, "seats", 1)
            return Probe(spaces_of(environment), seats)
        finally:
            environment.close()
    finally:
        os.chdir(folder)


def probe_spaces(config: EnvironmentConfig, worker_id: int = PROBING) -> Spaces:
    """Return the observations and actions of a config's environment; see `probe`."""
    return probe(config, worker_id).spaces
