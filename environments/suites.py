"""Builds single environments of every suite."""

from __future__ import annotations

import importlib
from types import ModuleType

import gymnasium

from config import EnvironmentConfig
from environments.backends import OWN_KEYS, backend_of
from environments.interface import Spaces
from environments.spaces import spaces_of
from environments.wrappers import wrap
from errors import UserError

# Each module has a function `make`. It is imported when it is needed, as MiniGrid takes a while.
SUITE_MODULES = {
    "CartPole": "environments.cartpole",
    "Gymnasium": "environments.gymnasium_suite",
    "Minigrid": "environments.minigrid_suite",
    "Procgen": "environments.pooled_suites",
    "Atari": "environments.pooled_suites",
}
# How to install what isn't installed by its name alone.
_REMEDIES = {"envpool": "on Linux: pip install -r requirements-fast.txt"}


def make_environment(
    config: EnvironmentConfig, worker_id: int = 0, render_mode: str | None = None
) -> gymnasium.Env:
    """Builds one environment with the spaces that `environments/spaces.py` describes.

    Args:
        config: which environment, and how it is wrapped.
        worker_id: tells environments apart that need something of their own, such as a port.
        render_mode: "human", "rgb_array" or None.

    Raises:
        UserError: a line "environment.KEY: ..." for each thing that can't be built.
    """
    suite = _import_suite(config.type)
    return wrap(suite.make(config, worker_id, render_mode), _left_to_wrappers(config))


def _left_to_wrappers(config: EnvironmentConfig) -> EnvironmentConfig:
    """The config without what its suite's environments do by themselves."""
    own = OWN_KEYS.get(config.type, set())
    fields = EnvironmentConfig.model_fields
    return config.model_copy(update={key: fields[key].default for key in own})


def _import_suite(suite: str) -> ModuleType:
    try:
        return importlib.import_module(SUITE_MODULES[suite])
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        remedy = _REMEDIES.get(package, f"pip install {package}")
        raise UserError(
            f"environment.type: {suite} needs a package that isn't installed: {error} ({remedy})"
        ) from error


_probed: dict[tuple[str, int], Spaces] = {}


def probe_spaces(config: EnvironmentConfig, worker_id: int = 0) -> Spaces:
    """What the environment of a config observes and does, found by building it once.

    Raises:
        UserError: as `make_environment` and `backend_of`.
    """
    if config.backend == "envpool":
        backend_of(config)
    # Neither of these changes the spaces, and sweeps ask for many configs.
    description = config.model_dump_json(exclude={"backend", "processes", "reset_params"})
    key = (description, worker_id)
    if key not in _probed:
        environment = make_environment(config, worker_id)
        try:
            _probed[key] = spaces_of(environment)
        finally:
            environment.close()
    return _probed[key]
