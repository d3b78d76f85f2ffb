"""Checks an environment of a user's own: what Gymnasium asks of it, and what training relies on.

Gymnasium's check looks at a few calls. Training that is resumed also replays whole episodes, from seeds
and actions, in environments that were built anew. So episodes are played here, with random actions, and
played again.
"""

from __future__ import annotations

import contextlib
import re
import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import TimeLimit

from environments.building import import_suite, make_environment
from environments.checking.answers import Answers
from environments.checking.frames import as_frame
from environments.interface import EnvironmentFailure, Observations, Spaces
from environments.ports import PROBING
from environments.spaces import spaces_of
from environments.suites.drawing import draw_without_devices
from environments.suites.registration import create
from environments.vector import random_action
from environments.wrappers.checked import form
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
    lacking = _lacking_spaces(environment.unwrapped)
    if lacking:
        return lacking
    check = _Check(config, worker_id)
    fault = _ask_gymnasium(environment.unwrapped, check.watch)
    try:
        environment.close()
        check.run()
    except Exception as error:
        told = " ".join([*check.watch.faults.values(), fault or ""])
        failures = _failures("it can't be played", error)
        check.findings += [each for each in failures if not _is_said_in(told, each.text)]
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


def _lacking_spaces(environment: gymnasium.Env) -> list[Finding]:
    """The spaces that an environment doesn't have, without which nothing can be asked of it."""
    found = {
        name: getattr(environment, name, None) for name in ("observation_space", "action_space")
    }
    return [
        Finding("failed", f"it has {form(space)} as {name}; must be one of gymnasium.spaces")
        for name, space in found.items()
        if not isinstance(space, spaces.Space)
    ]


def _failures(what: str, error: Exception) -> list[Finding]:
    """An exception as findings; what a user can mend has lines of its own already."""
    if isinstance(error, UserError):
        return [Finding("failed", line) for line in error.lines]
    if isinstance(error, EnvironmentFailure) and isinstance(error.__cause__, Exception):
        # Which says where it was raised.
        error = error.__cause__
    return [Finding("failed", f"{what}: {_described(error)}")]


def _ask_gymnasium(environment: gymnasium.Env, watch: Answers) -> str | None:
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
    if fault in told or _is_said_in(told, fault):
        return []
    return [Finding("failed", f"Gymnasium's check_env: {fault}")]


def _is_said_in(told: str, text: str) -> bool:
    """Whether what is told already says more clearly what a text says."""
    return any(re.search(pattern, text) and words in told for pattern, words in _SAID_MORE_CLEARLY)


# What is said of something, by Gymnasium or in playing, and what is said of it more clearly.
_SAID_MORE_CLEARLY = (
    (r"observation space", "isn't within observation_space"),
    (r"determinis|equivalent", "must give the same episode"),
    (r"unpack|env\.reset|cannot be reset", "reset must return"),
    (r"unpack|step result|Env\.step", "step must return"),
    (r"info.* dictionary, actual type", "as info; must be a dictionary"),
    (r"gave an observation", "isn't within observation_space"),
    (r"gave the reward", "it must be a finite number"),
    (r"unexpected keyword argument 'seed'", "does not provide a `seed`"),
)


def _described(error: Exception) -> str:
    """An exception on one line, with the line of code that raised it where it isn't about rules."""
    text = _one_line(str(error))
    if text and isinstance(error, (AssertionError, gymnasium.error.Error, EnvironmentFailure)):
        return text
    frames = traceback.extract_tb(error.__traceback__)
    where = ""
    # A call that doesn't fit the environment's method fails where it stands: here, not there.
    if frames and Path(frames[-1].filename).parent != Path(__file__).parent:
        where = f" ({frames[-1].filename}, line {frames[-1].lineno})"
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
        watch: over the answers of all environments.
    """

    def __init__(self, config: EnvironmentConfig, worker_id: int) -> None:
        self.findings: list[Finding] = []
        self.watch = Answers()
        self._config = config
        self._worker_id = worker_id
        self._generator = np.random.default_rng(0)

    def run(self) -> None:
        """Plays each seed, the first once more, and the last in an environment that was built anew."""
        with self._environment() as environment:
            self._pass(f"it {_describe(spaces_of(environment))}")
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
