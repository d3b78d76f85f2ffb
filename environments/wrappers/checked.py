"""Calls an environment's code as Gymnasium asks for, and says on one line what it does otherwise.

The wrapper lies directly around what isn't this project's. An exception, an answer of another form or
one that never comes is an `EnvironmentFailure`. Values outside of a box's bounds are none: many
environments have them, and nothing depends on the bounds. Whether observations are finite is checked
for all environments at once, by whoever steps them (`find_not_finite`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from environments.interface import ACTION_MASK, EnvironmentFailure, Observations
from environments.safety.failures import failure_of, traceback_of
from environments.safety.watch import Call, Hung, watch
from schema.environment import EnvironmentConfig
from schema.errors import UserError
from schema.unity import PLAYER_TYPES

# What is wrong with an observation; None where nothing is.
_Check = Callable[[Any], str | None]

_GREATEST_REWARD = float(np.finfo(np.float32).max)
_LEAST_REWARD = -_GREATEST_REWARD
_STEP = "(observation, reward, terminated, truncated, info)"
_MASKS = f"{ACTION_MASK}s"


def launch_call(name: str, config: EnvironmentConfig) -> Call:
    """A call of that name with which an environment begins: its constructor, the first reset."""
    return _call(name, config, "launch_timeout")


def step_call(name: str, config: EnvironmentConfig) -> Call:
    """Any other call of that name."""
    return _call(name, config, "step_timeout")


def _call(name: str, config: EnvironmentConfig, key: str) -> Call:
    # Players have limits of their own, after which others take their places.
    limit = None if config.type in PLAYER_TYPES else getattr(config, key)
    return Call(f"{config.name}: {name}", limit, f"environment.{key}")


class guarded:  # noqa: N801  # a context manager; made of a generator it takes several times as long
    """Watches a call of an environment's code, and makes one failure of whatever it raises.

    Args:
        call: what is called.

    Raises:
        EnvironmentFailure: it raises something, or hangs.
        UserError: it raises that.
    """

    def __init__(self, call: Call) -> None:
        self._call = call
        self._outer = watch.call
        watch.start(call.limit)

    def __enter__(self) -> None:
        watch.call = self._call
        watch.calls += 1

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        # What it was called within is watched again.
        watch.call = self._outer
        watch.calls += 1
        if error is not None:
            raise_failure(self._call, error)


def raise_failure(call: Call, error: BaseException) -> None:
    """Raises what an exception within a call of an environment's code is to everybody else.

    Raises:
        EnvironmentFailure: in its place, unless it is meant for the user or for the whole program.
    """
    if isinstance(error, Hung):
        raise call.hung(traceback_of(error)) from error
    if isinstance(error, (EnvironmentFailure, UserError)):
        raise error
    # An environment that wants to end the program only fails.
    if isinstance(error, (Exception, SystemExit)):
        raise failure_of(call.what, error) from error


class Checked(gymnasium.Wrapper):
    """The environment, whose answers can be relied on.

    Args:
        environment: what the wrapper lies around.
        config: the environment's name and limits.
    """

    def __init__(self, environment: gymnasium.Env, config: EnvironmentConfig) -> None:
        super().__init__(environment)
        self._name = config.name
        self._check = _checker(environment.observation_space)
        self._stepping = step_call("step", config)
        self._rendering = step_call("render", config)
        # The first one, which may have much to load.
        self._resetting = launch_call("reset", config)
        self._later_resetting = step_call("reset", config)
        if environment.has_wrapper_attr(_MASKS):
            method, masking = environment.get_wrapper_attr(_MASKS), step_call(_MASKS, config)
            setattr(self, _MASKS, lambda: _guard(masking, method))
        watch.start(self._stepping.limit)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begins an episode."""
        # Many have no parameter for options, and nobody here has any.
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
        """Takes a step."""
        # As `guarded` does, which takes too long here.
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
        """Draws what is seen at present."""
        return _guard(self._rendering, self.env.render)

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
    """The environment with its code checked, which a suite may have done already."""
    inner = environment
    while isinstance(inner, gymnasium.Wrapper):
        if isinstance(inner, Checked):
            return environment
        inner = inner.env
    return Checked(environment, config)


def find_not_finite(observations: Observations) -> tuple[int, str] | None:
    """The first number in the observations of many environments that isn't finite.

    Args:
        observations: arrays (E, ...) by name.

    Returns:
        The index of its environment and a description; None where there is none.
    """
    for name, array in observations.items():
        # Of small arrays, several times as fast as their `all`.
        if array.dtype.kind == "f" and b"\0" in np.isfinite(array).tobytes():
            where = np.argwhere(~np.isfinite(array))[0].tolist()
            value = array[tuple(where)]
            return where[0], f"with {value} at {where[1:]} of {name!r}"
    return None


def _guard(call: Call, function: Callable[[], Any]) -> Any:
    with guarded(call):
        return function()


def is_scalar(value: Any) -> bool:
    """Whether a value is one number or one bool, as Python or NumPy has them."""
    if isinstance(value, (bool, int, float, np.bool_, np.integer, np.floating)):
        return True
    return isinstance(value, np.ndarray) and value.ndim == 0 and value.dtype.kind in "biuf"


def form(value: Any) -> str:
    """What a value is, without its contents, which may be long."""
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    if isinstance(value, tuple):
        return f"{len(value)} values ({', '.join(type(each).__name__ for each in value)})"
    return repr(value) if value is None else f"a {type(value).__name__}"


def _checker(space: spaces.Space) -> _Check:
    """What finds out whether an observation is one of a space, but for a box's bounds."""
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
    return lambda _: None  # can't be trained from, or isn't looked at


def _box_checker(shape: tuple[int, ...], kind: np.dtype) -> _Check:
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
    """Whether a type can hold an array: a float any number, an integer any that is in its range."""
    # Many give float64 for float32, or int64 for uint8.
    if value.dtype.kind in "biu" and kind.kind in "biu":
        return np.can_cast(value.dtype, kind) or bool((value.astype(kind) == value).all())
    return np.can_cast(value.dtype, kind, "same_kind")


def _choice_checker(space: spaces.Discrete) -> _Check:
    first, last = int(space.start), int(space.start + space.n - 1)

    def check(value: Any) -> str | None:
        # The space's own `contains` takes as long as many an environment's step.
        is_choice = isinstance(value, (int, np.integer)) and first <= value <= last
        return None if is_choice or space.contains(value) else f"{value!r} that isn't in {space}"

    return check


def _parts_checker(checks: dict[Any, _Check], kinds: tuple[type, ...]) -> _Check:
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
                return f"whose {key!r} is one {problem}"
        return None

    return check
