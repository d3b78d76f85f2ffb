"""Checks an environment of a user's own: what Gymnasium asks of it, and what training relies on.

Gymnasium's check looks at a few calls. Training that is resumed also replays whole episodes, from seeds
and actions, in environments that were built anew. So episodes are played here, with random actions, and
played again.
"""

from __future__ import annotations

import contextlib
import functools
import math
import re
import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import TimeLimit

from environments.building import import_suite, make_environment
from environments.frames import as_frame
from environments.interface import EnvironmentFailure, Observations, Spaces
from environments.ports import PROBING
from environments.spaces import spaces_of
from environments.suites.drawing import draw_without_devices
from environments.suites.registration import create
from environments.vector import random_action
from schema.environment import EnvironmentConfig
from schema.errors import UserError

_SEEDS = (1, 2)
# How long an episode is played at most, in steps and in seconds.
_STEPS = 20_000
_SECONDS = 5.0


@dataclass(frozen=True)
class Finding:
    """One thing that was checked.

    Attributes:
        verdict: a note is no fault: what Gymnasium warns of.
        text: one line; of a failure, with what would mend it.
    """

    verdict: Literal["passed", "failed", "note"]
    text: str


def check_environment(config: EnvironmentConfig, worker_id: int = PROBING) -> list[Finding]:
    """Builds and plays the environment of a config, whose type is one that Gymnasium registers.

    Nothing that the environment does wrong is raised, and no warnings are printed.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        findings = _findings(config, worker_id)
    # What is old is no fault of the environment's, unless Gymnasium says so.
    messages = [
        str(warning.message)
        for warning in caught
        if _OF_GYMNASIUM in str(warning.message) or issubclass(warning.category, _WORTH_A_NOTE)
    ]
    return [*findings, *(Finding("note", text) for text in dict.fromkeys(map(_one_line, messages)))]


_OF_GYMNASIUM = "WARN: "
_WORTH_A_NOTE = (UserWarning, RuntimeWarning)


def _findings(config: EnvironmentConfig, worker_id: int) -> list[Finding]:
    try:
        # Which registers what the suite has.
        import_suite(config.type)
        # It is told here, and more of it, what is wrong with its answers.
        environment = create(config, worker_id, None, is_checked=False)
    except Exception as error:
        return _failures("it can't be built", error)
    check = _Check(config, worker_id)
    fault = _ask_gymnasium(environment.unwrapped, check.watch)
    try:
        environment.close()
        check.run()
    except Exception as error:
        # What isn't in its space may break what wraps the environment.
        if not check.watch.faults:
            check.findings += _failures("it can't be played", error)
    check.note_contents()
    findings = [*_verdict(fault, check.findings), *check.findings]
    if any(finding.verdict == "failed" for finding in findings):
        return findings
    return [*findings, _film(config, worker_id)]


def _film(config: EnvironmentConfig, worker_id: int) -> Finding:
    """Whether a video can be made of an episode, which training does without."""
    draw_without_devices()
    try:
        environment = make_environment(config, worker_id, "rgb_array")
        with contextlib.closing(environment):
            environment.reset(seed=_SEEDS[0])
            height, width, _ = as_frame(config.name, environment.render()).shape
    except (UserError, EnvironmentFailure) as error:
        return Finding("note", f"enjoy.py can't film it: {_one_line(str(error))}")
    except Exception as error:
        return Finding("note", f"enjoy.py can't film it: {_described(error)}")
    return Finding("passed", f"enjoy.py can film it, in {width} x {height} pixels")


def _failures(what: str, error: Exception) -> list[Finding]:
    """An exception as findings; what a user can mend has lines of its own already."""
    if isinstance(error, UserError):
        return [Finding("failed", line) for line in error.lines]
    if isinstance(error, EnvironmentFailure) and isinstance(error.__cause__, Exception):
        # Which says where it was raised.
        error = error.__cause__
    return [Finding("failed", f"{what}: {_described(error)}")]


def _ask_gymnasium(environment: gymnasium.Env, watch: _Watch) -> str | None:
    """The first fault that Gymnasium's own check finds. No pictures are drawn."""
    try:
        watch.over(environment)
        check_env(environment, skip_render_check=True, skip_close_check=True)
    except Exception as error:
        return _described(error)
    return None


def _verdict(fault: str | None, others: Sequence[Finding]) -> list[Finding]:
    """What Gymnasium found, unless another finding says it already, and more clearly."""
    if fault is None:
        return [Finding("passed", "Gymnasium's check_env")]
    told = " ".join(finding.text for finding in others if finding.verdict == "failed")
    is_told = fault in told or any(
        re.search(pattern, fault) and words in told for pattern, words in _SAID_MORE_CLEARLY
    )
    return [] if is_told else [Finding("failed", f"Gymnasium's check_env: {fault}")]


# What Gymnasium says of something, and what is said of it here.
_SAID_MORE_CLEARLY = (
    (r"observation space", "isn't within observation_space"),
    (r"determinis|equivalent", "must give the same episode"),
)


def _described(error: Exception) -> str:
    """An exception on one line, with the line of code that raised it where it isn't about rules."""
    text = _one_line(str(error))
    if text and isinstance(error, (AssertionError, gymnasium.error.Error, EnvironmentFailure)):
        return text
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {text}".removesuffix(": ") + where


def _one_line(text: str) -> str:
    """A message without line breaks and colours, and with the name of Gymnasium where it warns."""
    plain = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", text).split())
    return re.sub(f"^{_OF_GYMNASIUM}", "Gymnasium warns: ", plain)


@dataclass
class _Episode:
    """What was played: the actions, and a print of what followed each (the reset first).

    A print has a hash of each observation, the reward and whether the episode ended.
    """

    seed: int
    actions: list[np.ndarray] = field(default_factory=list)
    prints: list[dict[str, Any]] = field(default_factory=list)
    ended: bool = False


class _Check:
    """Plays episodes through the interface that training uses.

    Args:
        config: which environment.
        worker_id: worker id of the environments.

    Attributes:
        findings: what was found so far.
        watch: over all environments.
    """

    def __init__(self, config: EnvironmentConfig, worker_id: int) -> None:
        self.findings: list[Finding] = []
        self.watch = _Watch()
        self._config = config
        self._worker_id = worker_id
        self._generator = np.random.default_rng(0)

    def run(self) -> None:
        """Plays each seed, the first once more, and the last in an environment that was built anew."""
        with self._environment() as environment:
            self._pass(f"it can be trained in: {_describe(spaces_of(environment))}")
            limit = self._time_limit(environment)
            episodes = [self._play(environment, _Episode(seed)) for seed in _SEEDS]
            differences = [self._difference(environment, episodes[0], "once more")]
        with self._environment() as environment:
            differences.append(self._difference(environment, episodes[-1], "in another instance"))
        self._note_difference(next(filter(None, differences), None))
        self._note_ends(episodes, limit)

    @contextlib.contextmanager
    def _environment(self) -> Iterator[gymnasium.Env]:
        environment = make_environment(self._config, self._worker_id)
        self.watch.over(environment.unwrapped)
        try:
            yield environment
        finally:
            environment.close()

    @staticmethod
    def _time_limit(environment: gymnasium.Env) -> int | None:
        while isinstance(environment, gymnasium.Wrapper):
            if isinstance(environment, TimeLimit) and environment.spec is not None:
                return environment.spec.max_episode_steps
            environment = environment.env
        return None

    def _play(self, environment: gymnasium.Env, episode: _Episode) -> _Episode:
        """Plays an episode with random actions, until it ends or has lasted long enough."""
        observed = spaces_of(environment)
        observation, _ = environment.reset(seed=episode.seed)
        episode.prints.append(_print(observation))
        deadline = time.monotonic() + _SECONDS
        while not episode.ended and len(episode.actions) < _STEPS:
            if time.monotonic() > deadline:
                break
            action = random_action(observed, observation, self._generator)
            observation, reward, terminated, truncated, _ = environment.step(action)
            episode.actions.append(action)
            episode.prints.append(_print(observation, reward, terminated, truncated))
            episode.ended = bool(terminated or truncated)
        return episode

    @staticmethod
    def _difference(environment: gymnasium.Env, episode: _Episode, how: str) -> str | None:
        """Where an episode differs when it is played again; None where it is the same."""
        observation, _ = environment.reset(seed=episode.seed)
        played = _print(observation)
        for step, expected in enumerate(episode.prints):
            other = [name for name in expected if played.get(name) != expected[name]]
            if other:
                when = f"after step {step}" if step else "after the reset"
                return f"with seed {episode.seed} {other[0]} is another {when}, played {how}"
            if step < len(episode.actions):
                played = _print(*environment.step(episode.actions[step])[:4])
        return None

    def note_contents(self) -> None:
        """Notes what was wrong with what the environments returned."""
        self.findings += [Finding("failed", fault) for fault in self.watch.faults.values()]
        if self.watch.steps and not self.watch.faults:
            self._pass(
                "observations are within observation_space and rewards finite, in "
                f"{self.watch.steps:,} steps"
            )

    def _note_difference(self, difference: str | None) -> None:
        if difference is None:
            self._pass("the same seed and actions give the same episode")
            return
        self.findings.append(
            Finding(
                "failed",
                f"the same seed and actions must give the same episode: {difference}; call "
                "super().reset(seed=seed), draw random numbers from self.np_random only, and set all "
                "that changes anew in reset",
            )
        )

    def _note_ends(self, episodes: Sequence[_Episode], limit: int | None) -> None:
        longest = max(len(episode.actions) for episode in episodes)
        if limit is not None:
            self._pass(f"episodes have a time limit of {limit:,} steps")
        elif any(episode.ended for episode in episodes):
            self._pass(f"episodes end, here within {longest:,} steps")
        else:
            self.findings.append(
                Finding(
                    "failed",
                    f"no episode ended in {longest:,} steps and there is no time limit; register it "
                    "with max_episode_steps, or set environment.max_episode_steps",
                )
            )

    def _pass(self, text: str) -> None:
        self.findings.append(Finding("passed", text))


def _print(observation: Observations, *outcome: Any) -> dict[str, Any]:
    """What makes a step comparable, by what it is called in a message."""
    prints: dict[str, Any] = {
        f"the observation '{name}'": hash(np.asarray(array).tobytes())
        for name, array in observation.items()
    }
    if outcome:
        reward, terminated, truncated = outcome
        prints["the reward"] = repr(float(reward))
        prints["the end of the episode"] = bool(terminated), bool(truncated)
    return prints


def _describe(found: Spaces) -> str:
    observed = ", ".join(
        f"{name} {shape} {kind}" for name, (shape, kind) in found.observations.items()
    )
    if found.branches:
        return f"observes {observed}; acts by {' x '.join(map(str, found.branches))} choices"
    return f"observes {observed}; acts by {len(found.bounds)} numbers"


class _Watch:
    """Looks at what environments themselves return, before anything wraps it.

    Attributes:
        faults: a line for each thing that is wrong, by what it is about.
        steps: how many were watched.
    """

    def __init__(self) -> None:
        self.steps = 0
        self.faults: dict[str, str] = {}

    def over(self, environment: gymnasium.Env) -> None:
        """Watches an environment from now on."""
        reset, step = environment.reset, environment.step
        space = environment.observation_space

        @functools.wraps(reset)
        def watched_reset(**arguments: Any) -> Any:
            returned = reset(**arguments)
            self._look_at(space, returned[0], "reset")
            return returned

        @functools.wraps(step)
        def watched_step(action: Any) -> Any:
            returned = step(action)
            self.steps += 1
            self._look_at(space, returned[0], "step")
            if not math.isfinite(returned[1]):
                self.faults.setdefault(
                    "reward", f"step gave the reward {returned[1]}; it must be a finite number"
                )
            return returned

        # On the instance, so that all wrappers around it see the same as ever.
        vars(environment).update(reset=watched_reset, step=watched_step)

    def _look_at(self, space: spaces.Space, observation: Any, method: str) -> None:
        fault = _misfit(space, observation)
        if fault is not None:
            self.faults.setdefault(
                "observation",
                f"the observation that {method} gave isn't within observation_space: {fault}; mend "
                "either of them",
            )


def _misfit(space: spaces.Space, value: Any, name: str = "it") -> str | None:
    """Why a value isn't in a space, or isn't finite; None where all is well."""
    if isinstance(space, spaces.Dict) and isinstance(value, dict):
        if value.keys() != space.keys():
            return f"{name} has {sorted(value)} where {sorted(space.keys())} belong"
        inner = ((space[key], value[key], f"'{key}'") for key in space.keys())  # noqa: SIM118
        return next(filter(None, (_misfit(*each) for each in inner)), None)
    if isinstance(space, spaces.Box) and isinstance(value, np.ndarray):
        return next((text.format(name) for text in _box_faults(space, value)), None)
    return None if space.contains(value) else f"{name} is {value!r}, not in {space}"


def _box_faults(space: spaces.Box, value: np.ndarray) -> Iterator[str]:
    if value.shape != space.shape:
        yield f"{{}} has the shape {value.shape} where {space.shape} belongs"
    elif not np.can_cast(value.dtype, space.dtype):
        yield f"{{}} is {value.dtype} where {space.dtype} belongs"
    elif not np.isfinite(value).all():
        yield f"{{}} holds {value[~np.isfinite(value)][0]}"
    elif not space.contains(value):
        index = np.unravel_index(((value < space.low) | (value > space.high)).argmax(), value.shape)
        place = f"[{', '.join(map(str, map(int, index)))}]"
        bounds = f"{space.low[index]:g} to {space.high[index]:g}"
        yield f"{{}} has {value[index]:g} at {place}, where {bounds} is allowed"
