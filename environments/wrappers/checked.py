"""Checks what an environment's code returns, and reports every fault on one line.

The wrapper `Checked` is the innermost one, directly around the environment's own code. An exception, a
malformed answer or a call that never returns becomes an `EnvironmentFailure`. Values outside of a box's
bounds are allowed: many environments return them, and nothing depends on the bounds. `find_not_finite`
finds NaN and infinity, once per step for all environments that are stepped together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from environments.interface import ACTION_MASK, EnvironmentFailure, Observations
from environments.safety.failures import failure_of, traceback_of, warn_once
from environments.safety.watch import Call, Hung, watch
from schema.environment import EnvironmentConfig
from schema.errors import UserError
from schema.unity import PLAYER_TYPES

# Returns an observation's fault; None if it has none.
_FindFault = Callable[[Any], str | None]

_GREATEST_REWARD = float(np.finfo(np.float32).max)
_LEAST_REWARD = -_GREATEST_REWARD
_STEP = "(observation, reward, terminated, truncated, info)"
_MASKS = f"{ACTION_MASK}s"
# Names of environments with a `close` that hung in this process. Waiting again would take long.
_unclosable: set[str] = set()


def launch_call(name: str, config: EnvironmentConfig) -> Call:
    """Return a `Call` with the time limit of a launch, for a constructor or a first reset."""
    return _call(name, config, "launch_timeout")


def step_call(name: str, config: EnvironmentConfig) -> Call:
    """Return a `Call` with the time limit of a step, for any other call."""
    return _call(name, config, "step_timeout")


def _call(name: str, config: EnvironmentConfig, key: str) -> Call:
    # Unity players have time limits of their own, after which they are replaced.
    limit = None if config.type in PLAYER_TYPES else getattr(config, key)
    return Call(f"{config.name}: {name}", limit, f"environment.{key}")


class guarded:  # noqa: N801  # a context manager; a generator would take several times as long
    """Watches a call of an environment's code, and turns its exceptions into one kind.

    Args:
        call: the call.

    Raises:
        EnvironmentFailure: The call raised an exception, or hung.
        UserError: The call raised a `UserError`.
    """

    def __init__(self, call: Call) -> None:
        self._call = call
        self._outer = watch.call
        watch.start(call.limit)

    def __enter__(self) -> None:
        watch.call = self._call
        watch.calls += 1

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        # Calls may be nested: the outer one is watched again.
        watch.call = self._outer
        watch.calls += 1
        if error is not None:
            raise_failure(self._call, error)


def raise_failure(call: Call, error: BaseException) -> None:
    """Raise the `EnvironmentFailure` for an exception within a call of an environment's code.

    Return where the exception stops the whole program, so that it propagates.

    Raises:
        EnvironmentFailure: For any other exception.
        UserError: If the exception is one.
    """
    if isinstance(error, Hung):
        raise call.hung(traceback_of(error)) from error
    if isinstance(error, (EnvironmentFailure, UserError)):
        raise error
    # An environment that calls `sys.exit` fails; the program continues.
    if isinstance(error, (Exception, SystemExit)):
        raise failure_of(call.what, error) from error


class Checked(gymnasium.Wrapper):
    """Checks all that an environment returns.

    Args:
        environment: the environment.
        config: its config, with its name and time limits.
    """

    def __init__(self, environment: gymnasium.Env, config: EnvironmentConfig) -> None:
        super().__init__(environment)
        self._name = config.name
        self._check = _checker(environment.observation_space)
        self._stepping = step_call("step", config)
        self._rendering = step_call("render", config)
        self._closing = step_call("close", config)
        # The first reset has a longer time limit, as it may load a lot.
        self._resetting = launch_call("reset", config)
        self._later_resetting = step_call("reset", config)
        if environment.has_wrapper_attr(_MASKS):
            method, masking = environment.get_wrapper_attr(_MASKS), step_call(_MASKS, config)
            setattr(self, _MASKS, lambda: _guard(masking, method))
        watch.start(self._stepping.limit)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode."""
        # Many environments have no parameter `options`, and nothing here passes any.
        arguments = {} if options is None else {"options": options}
        answer = _guard(self._resetting, lambda: self.env.reset(seed=seed, **arguments))
        if not (isinstance(answer, tuple) and len(answer) == 2 and isinstance(answer[1], dict)):
            raise self._failure("reset", f"must return (observation, info), not {form(answer)}")
        self._resetting = self._later_resetting
        problem = self._check(answer[0])
        if problem is not None:
            raise self._failure("reset", f"gave an observation {problem}")
        return answer

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take a step."""
        # This does by hand what `guarded` does, which would be too slow.
        watch.call = self._stepping
        watch.calls += 1
        try:
            answer = self.env.step(action)
        except BaseException as error:
            raise_failure(self._stepping, error)
            raise
        finally:
            watch.call = None
        try:
            observation, reward, terminated, truncated, info = answer
        except (TypeError, ValueError):
            raise self._failure("step", f"must return {_STEP}, not {form(answer)}") from None
        if type(reward) is not float:
            reward = self._number(reward)
        if not _LEAST_REWARD <= reward <= _GREATEST_REWARD:
            raise self._failure("step", f"gave the reward {reward}, which isn't a finite number")
        if type(terminated) is not bool:
            terminated = self._truth("terminated", terminated)
        if type(truncated) is not bool:
            truncated = self._truth("truncated", truncated)
        if type(info) is not dict:
            info = self._information(info)
        problem = self._check(observation)
        if problem is not None:
            raise self._failure("step", f"gave an observation {problem}")
        return observation, reward, terminated, truncated, info

    def render(self) -> Any:
        """Render the environment."""
        return _guard(self._rendering, self.env.render)

    def close(self) -> None:
        """Close the environment; a fault is only a warning, since everything was played by then."""
        if self._name in _unclosable:
            return
        try:
            _guard(self._closing, self.env.close)
        except (EnvironmentFailure, UserError) as failure:
            if isinstance(failure.__cause__, Hung):
                _unclosable.add(self._name)
            warn_once(f"{failure}; the results are kept")

    def _number(self, reward: Any) -> float:
        if is_scalar(reward):
            return float(reward)
        raise self._failure("step", f"gave {form(reward)} as the reward; must be a number")

    def _truth(self, name: str, value: Any) -> bool:
        if is_scalar(value):
            return bool(value)
        raise self._failure("step", f"gave {form(value)} as {name}; must be true or false")

    def _information(self, info: Any) -> dict[str, Any]:
        if isinstance(info, dict):
            return info
        raise self._failure("step", f"gave {form(info)} as info; must be a dictionary")

    def _failure(self, call: str, problem: str) -> EnvironmentFailure:
        return EnvironmentFailure(f"{self._name}: {call} {problem}")


def checked(environment: gymnasium.Env, config: EnvironmentConfig) -> gymnasium.Env:
    """Wrap an environment in `Checked`, unless its suite has done so."""
    inner = environment
    while isinstance(inner, gymnasium.Wrapper):
        if isinstance(inner, Checked):
            return environment
        inner = inner.env
    return Checked(environment, config)


def find_not_finite(observations: Observations) -> tuple[int, str] | None:
    """Find the first NaN or infinity in the observations of E environments.

    Args:
        observations: arrays (E, ...) by name.

    Returns:
        The environment's index and a description; None if all numbers are finite.
    """
    for name, array in observations.items():
        # For small arrays several times as fast as NumPy's `all`.
        if array.dtype.kind == "f" and b"\0" in np.isfinite(array).tobytes():
            where = np.argwhere(~np.isfinite(array))[0].tolist()
            value = array[tuple(where)]
            return where[0], f"with {value} at {where[1:]} of {name!r}"
    return None


def _guard(call: Call, function: Callable[[], Any]) -> Any:
    with guarded(call):
        return function()


def is_scalar(value: Any) -> bool:
    """Return whether a value is a single number or bool, of Python or NumPy."""
    if isinstance(value, (bool, int, float, np.bool_, np.integer, np.floating)):
        return True
    return isinstance(value, np.ndarray) and value.ndim == 0 and value.dtype.kind in "biuf"


def form(value: Any) -> str:
    """Return a short description of a value's type and shape."""
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    if isinstance(value, tuple):
        return f"{len(value)} values ({', '.join(type(each).__name__ for each in value)})"
    return repr(value) if value is None else f"a {type(value).__name__}"


def _checker(space: spaces.Space) -> _FindFault:
    """Return a function that finds an observation's fault; it ignores a box's bounds."""
    if isinstance(space, spaces.Box):
        return _box_checker(space.shape, space.dtype)
    if isinstance(space, spaces.Dict):
        return _parts_checker({key: _checker(inner) for key, inner in space.items()}, (dict,))
    if isinstance(space, spaces.Tuple):
        return _parts_checker(dict(enumerate(map(_checker, space.spaces))), (tuple, list))
    if isinstance(space, spaces.Discrete):
        return _choice_checker(space)
    if isinstance(space, (spaces.MultiDiscrete, spaces.MultiBinary)):
        return lambda value: None if space.contains(value) else f"{value!r} that isn't in {space}"
    return lambda _: None  # spaces that can't be trained from, or that nothing reads


def _box_checker(shape: tuple[int, ...], kind: np.dtype) -> _FindFault:
    def check(value: Any) -> str | None:
        if type(value) is not np.ndarray:
            try:
                value = np.asarray(value)
            except ValueError:
                return f"that is no array, but {form(value)}"
        if value.shape != shape:
            return f"of shape {value.shape}; its space's is {shape}"
        if value.dtype is not kind and not _holds(kind, value):
            return f"of type {value.dtype}; its space's is {kind}"
        return None

    return check


def _holds(kind: np.dtype, value: np.ndarray) -> bool:
    """Return whether a type can hold an array: floats any number, integers those in their range."""
    # Many environments return float64 for float32, or int64 for uint8.
    if value.dtype.kind in "biu" and kind.kind in "biu":
        return np.can_cast(value.dtype, kind) or bool((value.astype(kind) == value).all())
    return np.can_cast(value.dtype, kind, "same_kind")


def _choice_checker(space: spaces.Discrete) -> _FindFault:
    first, last = int(space.start), int(space.start + space.n - 1)

    def check(value: Any) -> str | None:
        # The space's own `contains` takes as long as a step of a fast environment.
        is_choice = isinstance(value, (int, np.integer)) and first <= value <= last
        return None if is_choice or space.contains(value) else f"{value!r} that isn't in {space}"

    return check


def _parts_checker(checks: dict[Any, _FindFault], kinds: tuple[type, ...]) -> _FindFault:
    def check(value: Any) -> str | None:
        if not isinstance(value, kinds):
            return f"that is {form(value)}; its space's is a {kinds[0].__name__}"
        for key, check_part in checks.items():
            try:
                part = value[key]  # type: ignore[index]  # a dictionary or a tuple
            except (KeyError, IndexError):
                return f"without {key!r}, which its space has"
            problem = check_part(part)
            if problem is not None:
                return f"with a part {key!r} {problem}"
        return None

    return check
