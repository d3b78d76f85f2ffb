"""Creates environments by their ids in Gymnasium's registry, with errors that name the config's key."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import importlib
import inspect
import json
from collections.abc import Mapping
from typing import Any

import gymnasium
from gymnasium.envs.registration import EnvSpec, load_env_creator
from gymnasium.wrappers import TimeLimit

from environments.interface import EnvironmentFailure
from environments.safety.failures import described, failure_of
from environments.suites.drawing import guard_drawing, prepare_drawing
from environments.suites.ids import CARTPOLE_NAMES, refusal, registered_type
from environments.wrappers.checked import checked
from schema.environment import EnvironmentConfig
from schema.errors import UserError
from schema.messages import nearest

# Arguments of constructors that `environment.kwargs` must not set.
_GIVEN = ("worker_id", "render_mode")
# Gymnasium's name for what its MuJoCo environments need.
_MUJOCO_EXTRA = "gymnasium[mujoco]"
# How to install packages that `pip install <name>` doesn't: Memory Gym requires an old Gymnasium, but
# works with the present one.
_PACKAGES = {"memory_gym": "--no-deps memory-gym==1.0.2"}
# The number of a package's ids to list where none is similar.
_LISTED = 5


def create(
    config: EnvironmentConfig,
    worker_id: int,
    render_mode: str | None,
    is_checked: bool = True,
) -> gymnasium.Env:
    """Create the environment of an id, or of "module:id" after importing the module.

    Args:
        config: the environment's config: its type, id, constructor's arguments and time limit.
        worker_id: the worker id, passed to constructors that have a parameter of that name.
        render_mode: "human", "rgb_array" or None.
        is_checked: whether to wrap it in `Checked`.

    Raises:
        UserError: The id is unknown, another suite's or out of date, a package is missing, or the
            constructor doesn't take `kwargs`.
        EnvironmentFailure: The environment's module raises an error, or it can't be rendered.
    """
    name = config.name
    spec = _find(name, config.type)
    limit = config.max_episode_steps or spec.max_episode_steps
    # Without Gymnasium's own wrappers: their errors would hide the environment's.
    spec = dataclasses.replace(spec, order_enforce=False, max_episode_steps=None)
    try:
        prepare_drawing(spec, render_mode)
        arguments = _arguments(spec, config, worker_id, render_mode)
        environment = _construct(spec, config.kwargs, arguments)
    except (gymnasium.error.Error, ImportError) as error:
        raise UserError(f"environment.name: {name} can't be created: {_remedy(error)}") from error
    except (UserError, EnvironmentFailure):
        raise
    except Exception as error:
        if not config.kwargs:
            raise
        # Only the constructor knows which of the arguments is wrong.
        raise UserError(
            f"environment.kwargs: {name} can't be created with {json.dumps(config.kwargs)}: "
            f"{described(error)}"
        ) from error
    environment = guard_drawing(environment, spec)
    if is_checked:
        environment = checked(environment, config)
    return environment if limit is None else TimeLimit(environment, limit)


def _construct(spec: EnvSpec, kwargs: dict[str, Any], arguments: dict[str, Any]) -> gymnasium.Env:
    """Call a constructor, with tuples for YAML's lists if it refuses lists.

    Args:
        spec: the environment's spec.
        kwargs: `environment.kwargs`.
        arguments: further arguments.

    Raises:
        Exception: The constructor's error about the lists if it refuses tuples, too.
    """

    def construct(given: dict[str, Any]) -> gymnasium.Env:
        own = dataclasses.replace(spec, kwargs={**spec.kwargs, **given})
        return gymnasium.make(own, disable_env_checker=True, **arguments)

    try:
        return construct(kwargs)
    except Exception:
        with_tuples = {key: _as_tuples(value) for key, value in kwargs.items()}
        if with_tuples == kwargs:
            raise
        with contextlib.suppress(Exception):
            return construct(with_tuples)
        raise


def _as_tuples(value: Any) -> Any:
    """Return a value of YAML with tuples instead of its lists, at any depth."""
    if isinstance(value, list):
        return tuple(map(_as_tuples, value))
    if isinstance(value, dict):
        return {key: _as_tuples(each) for key, each in value.items()}
    return value


def step_limit(config: EnvironmentConfig) -> int:
    """Return the number of steps after which an episode of an environment with a limit is cut off."""
    limit = known_limit(config)
    assert limit is not None
    return limit


def known_limit(config: EnvironmentConfig) -> int | None:
    """Return the number of steps after which an episode is cut off; None without a registered limit."""
    return config.max_episode_steps or gymnasium.spec(config.name).max_episode_steps


def _arguments(
    spec: EnvSpec, config: EnvironmentConfig, worker_id: int, render_mode: str | None
) -> dict[str, Any]:
    """Return the constructor's arguments other than `environment.kwargs`.

    Raises:
        UserError: The constructor doesn't take `environment.kwargs`.
        EnvironmentFailure: A render mode is asked for, and the constructor takes none.
    """
    entry = spec.entry_point
    creator = load_env_creator(entry) if isinstance(entry, str) else entry
    arguments: dict[str, Any] = {}
    parameters = inspect.signature(creator).parameters if creator is not None else {}
    _check_kwargs(config, parameters)
    if "worker_id" in parameters:
        arguments["worker_id"] = worker_id
    if render_mode is not None:
        if "render_mode" not in parameters and not _takes_any(parameters):
            raise EnvironmentFailure(
                f"{config.name} can't be rendered: its constructor takes no render_mode"
            )
        arguments["render_mode"] = render_mode
    return arguments


def _check_kwargs(config: EnvironmentConfig, parameters: Mapping[str, inspect.Parameter]) -> None:
    own = [key for key in _GIVEN if key in config.kwargs]
    if own:
        raise UserError(f"environment.kwargs: {own[0]} is chosen by the commands; leave it out")
    if _takes_any(parameters):
        return
    taken = [key for key in parameters if key not in _GIVEN]
    unknown = [key for key in config.kwargs if key not in taken]
    if unknown:
        hint = nearest(unknown[0], taken) if taken else "; it takes none"
        raise UserError(
            f"environment.kwargs: the constructor of {config.name} takes no {unknown[0]}{hint}"
        )


def _takes_any(parameters: Mapping[str, inspect.Parameter]) -> bool:
    return any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())


def _remedy(error: Exception) -> str:
    message = str(error).strip().rstrip(".")
    if _MUJOCO_EXTRA in message:
        return "it needs MuJoCo, which isn't installed (pip install -r requirements-mujoco.txt)"
    if isinstance(error, ModuleNotFoundError) and error.name and "pip install" not in message:
        return f"{message}; install the package that provides it (pip install {error.name})"
    return message


def _find(name: str, suite: str) -> EnvSpec:
    """Return the spec that is registered under an id.

    Raises:
        UserError: The id is unknown, or another suite's.
    """
    module, _, identifier = name.rpartition(":")
    if module:
        _import_module(module, name, suite)
    refused = refusal(name, suite)
    if refused:
        raise UserError(refused)
    spec = gymnasium.registry.get(identifier)
    if spec is None:
        hint = _nearest_of(module, identifier, suite) if module else _nearest(identifier, suite)
        raise UserError(f"environment.name: {suite} knows no environment {name}{hint}")
    return spec


def _import_module(module: str, name: str, suite: str) -> None:
    try:
        importlib.import_module(module)
    except ImportError as error:
        raise UserError(
            refusal(name, suite)
            or f"environment.name: the module of {name} can't be imported: {_why_not(error, module)}"
        ) from error
    except Exception as error:
        raise failure_of(f"{name}: the import of its module", error) from error


def _why_not(error: ImportError, module: str) -> str:
    package = _PACKAGES.get(error.name or "")
    if package:
        return f"{error} (pip install {package})"
    if error.name and f"{module}.".startswith(f"{error.name}."):
        return (
            f"{error}; install its package (pip install -e <folder> for your own), or add its "
            "parent folder to PYTHONPATH"
        )
    # The module exists, and imports something that is missing.
    return str(error)


def _nearest(identifier: str, suite: str) -> str:
    """Return a hint at the most similar known id, or at how ids are written."""
    known = _known(suite)
    unversioned = [key for key in known if key.rpartition("-v")[0] == identifier]
    # A strict cutoff, as the version alone makes a user's own id similar to Gymnasium's ids.
    close = unversioned[-1:] or difflib.get_close_matches(identifier, known, n=1, cutoff=0.8)
    if close:
        return f"; did you mean {close[0]}?"
    if suite == "CartPole":
        return f"; use {' or '.join(CARTPOLE_NAMES)}"
    return "; name an environment of your own package as package:id"


def _nearest_of(module: str, identifier: str, suite: str) -> str:
    """Return a hint at the most similar id of a package, or a list of its ids."""
    package = module.partition(".")[0]
    own = [key for key in _known(suite) if _package_of(gymnasium.registry[key]) == package]
    close = difflib.get_close_matches(identifier, own, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {module}:{close[0]}?"
    if not own:
        return f"; is it registered (gymnasium.register) when {module} is imported?"
    shown = ", ".join(f"{module}:{key}" for key in own[:_LISTED])
    return f"; there is {shown}" + (f" and {len(own) - _LISTED} more" if own[_LISTED:] else "")


def _known(suite: str) -> list[str]:
    suites = {suite, "CartPole"} if suite == "Gymnasium" else {suite}
    return [key for key in gymnasium.registry if registered_type(key) in suites]


def _package_of(spec: EnvSpec) -> str:
    """Return the package that an environment's code belongs to."""
    entry = spec.entry_point
    module = entry if isinstance(entry, str) else getattr(entry, "__module__", "")
    return module.partition(":")[0].partition(".")[0]
