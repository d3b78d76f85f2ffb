"""Checks a user's own environment: Gymnasium's rules, and what training relies on.

Gymnasium's `check_env` looks at a few calls only. Resumed training replays whole episodes, from seeds
and actions, in new instances. So this check plays episodes with random actions, and replays them.
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
from environments.wrappers.checked import form, guarded, step_call
from schema.environment import EnvironmentConfig
from schema.errors import UserError

_SEEDS = (1, 2)
# The longest that an episode is played, in steps and in s.
_STEPS = 20_000
_SECONDS = 5.0


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        verdict: "passed", "failed", or "note" for a warning that is no fault.
        text: one line; a failure's has its remedy.
    """

    verdict: Literal["passed", "failed", "note"]
    text: str


def check_environment(config: EnvironmentConfig, worker_id: int = PROBING) -> list[Finding]:
    """Build and play the environment of a config, and return the findings.

    The environment's exceptions and warnings become findings: none is raised or printed.

    Args:
        config: the environment's config, of a type that Gymnasium registers by id.
        worker_id: worker id of the environments.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        findings = _findings(config, worker_id)
    # Deprecation warnings are no fault of the environment's, unless Gymnasium raises them.
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
        # The import registers the suite's ids.
        import_suite(config.type)
        # Unchecked, as this check reports faults in answers itself, and more of them.
        environment = create(config, worker_id, None, is_checked=False)
    except Exception as error:
        return _failures("it can't be built", error)
    lacking = _lacking_spaces(environment.unwrapped)
    if lacking:
        return lacking
    check = _EpisodeCheck(config, worker_id)
    fault = _ask_gymnasium(environment.unwrapped, check.watch)
    try:
        with guarded(step_call("close", config)):
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
    """Check whether `enjoy.py` can make a video, which training doesn't need."""
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
    """Return a failure for each space that an environment lacks."""
    found = {
        name: getattr(environment, name, None) for name in ("observation_space", "action_space")
    }
    return [
        Finding("failed", f"it has {form(space)} as {name}; must be one of gymnasium.spaces")
        for name, space in found.items()
        if not isinstance(space, spaces.Space)
    ]


def _failures(what: str, error: Exception) -> list[Finding]:
    """Return an exception as findings; a `UserError` has lines of its own."""
    if isinstance(error, UserError):
        return [Finding("failed", line) for line in error.lines]
    if isinstance(error, EnvironmentFailure) and isinstance(error.__cause__, Exception):
        # The cause has the line of code that raised it.
        error = error.__cause__
    return [Finding("failed", f"{what}: {_described(error)}")]


def _ask_gymnasium(environment: gymnasium.Env, watch: Answers) -> str | None:
    """Return the first fault that Gymnasium's `check_env` finds, without rendering."""
    try:
        watch.over(environment)
        check_env(environment, skip_render_check=True, skip_close_check=True)
    except Exception as error:
        return _described(error)
    return None


def _verdict(fault: str | None, others: Sequence[Finding]) -> list[Finding]:
    """Return Gymnasium's finding, unless another finding reports the same fault more clearly."""
    if fault is None:
        return [Finding("passed", "Gymnasium's check_env")]
    told = " ".join(finding.text for finding in others if finding.verdict == "failed")
    if fault in told or _is_said_in(told, fault):
        return []
    return [Finding("failed", f"Gymnasium's check_env: {fault}")]


def _is_said_in(told: str, text: str) -> bool:
    """Return whether the lines told already report a text's fault more clearly."""
    return any(re.search(pattern, text) and words in told for pattern, words in _SAID_MORE_CLEARLY)


# Patterns of messages, by Gymnasium or from playing, and words of the clearer lines on the same fault.
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
    """Return an exception on one line; unless it states a broken rule, with the line that raised it."""
    text = _one_line(str(error))
    if text and isinstance(error, (AssertionError, gymnasium.error.Error, EnvironmentFailure)):
        return text
    frames = traceback.extract_tb(error.__traceback__)
    where = ""
    # A call with arguments that the method doesn't take fails in this folder, which is no help.
    if frames and Path(frames[-1].filename).parent != Path(__file__).parent:
        where = f" ({frames[-1].filename}, line {frames[-1].lineno})"
    return f"{type(error).__name__}: {text}".removesuffix(": ") + where


def _one_line(text: str) -> str:
    """Return a message without line breaks and colours; Gymnasium's warnings are marked as such."""
    plain = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", text).split())
    return re.sub(f"^{_OF_GYMNASIUM}", "Gymnasium warns: ", plain)


@dataclass
class _Episode:
    """An episode that was played, for comparison with its replay.

    Attributes:
        seed: the seed of the reset.
        actions: the action of each step.
        fingerprints: the fingerprint of the reset and of each step: hashes of the observations, the
            reward and the ends.
        ended: whether the episode ended.
        ran_out_of_time: whether the time for it was over first.
    """

    seed: int
    actions: list[np.ndarray] = field(default_factory=list)
    fingerprints: list[dict[str, Any]] = field(default_factory=list)
    ended: bool = False
    ran_out_of_time: bool = False


class _EpisodeCheck:
    """Plays episodes through the wrappers that training uses, and replays them.

    Args:
        config: the environment's config.
        worker_id: worker id of the environments.

    Attributes:
        findings: the findings so far.
        watch: the record of faults in all environments' answers.
        is_complete: whether `run` played and replayed all episodes.
    """

    def __init__(self, config: EnvironmentConfig, worker_id: int) -> None:
        self.findings: list[Finding] = []
        self.watch = Answers()
        self.is_complete = False
        self._config = config
        self._worker_id = worker_id
        self._generator = np.random.default_rng(0)

    def run(self) -> None:
        """Play each seed, replay the first one, and replay the last one in a new instance."""
        with self._environment() as environment:
            self._pass(f"it {_describe(spaces_of(environment))}")
            limit = self._time_limit(environment)
            episodes = [self._play(environment, _Episode(seed)) for seed in _SEEDS]
            differences = [self._difference(environment, episodes[0], "once more")]
        with self._environment() as environment:
            differences.append(self._difference(environment, episodes[-1], "in another instance"))
        self._note_difference(next(filter(None, differences), None))
        self._note_ends(episodes, limit)
        self.is_complete = True

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
        """Play an episode with random actions until it ends or reaches a limit of steps or time."""
        observed = spaces_of(environment)
        observation, _ = environment.reset(seed=episode.seed)
        episode.fingerprints.append(_fingerprint(observation))
        deadline = time.monotonic() + _SECONDS
        while not episode.ended and len(episode.actions) < _STEPS:
            if time.monotonic() > deadline:
                episode.ran_out_of_time = True
                break
            action = random_action(observed, observation, self._generator)
            observation, reward, terminated, truncated, _ = environment.step(action)
            episode.actions.append(action)
            episode.fingerprints.append(_fingerprint(observation, reward, terminated, truncated))
            episode.ended = bool(terminated or truncated)
        return episode

    @staticmethod
    def _difference(environment: gymnasium.Env, episode: _Episode, how: str) -> str | None:
        """Replay an episode; return where it differs, or None if it is the same."""
        observation, _ = environment.reset(seed=episode.seed)
        played = _fingerprint(observation)
        for step, expected in enumerate(episode.fingerprints):
            other = [name for name in expected if played.get(name) != expected[name]]
            if other:
                when = f"after step {step}" if step else "after the reset"
                return f"with seed {episode.seed} {other[0]} differs {when}, played {how}"
            if step < len(episode.actions):
                played = _fingerprint(*environment.step(episode.actions[step])[:4])
        return None

    def note_contents(self) -> None:
        """Add the faults in what the environments returned, and what is too fine for float32."""
        self.findings += [Finding("failed", fault) for fault in self.watch.faults.values()]
        if self.watch.precision is not None:
            self.findings += [Finding("note", line) for line in self.watch.precision.notices()]
        if self.is_complete and not self.watch.faults:
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
                "super().reset(seed=seed), draw random numbers from self.np_random only, and "
                "initialise in reset everything that changes",
            )
        )

    def _note_ends(self, episodes: Sequence[_Episode], limit: int | None) -> None:
        longest = max(len(episode.actions) for episode in episodes)
        if limit is not None:
            self._pass(f"episodes have a time limit of {limit:,} steps")
        elif any(episode.ended for episode in episodes):
            self._pass(f"episodes end, here within {longest:,} steps")
        elif any(episode.ran_out_of_time for episode in episodes):
            # A slow environment: so few steps show nothing.
            self.findings.append(
                Finding(
                    "note",
                    f"no episode ended in the {longest:,} steps that {_SECONDS:g} s allowed, and "
                    "there is no time limit; if episodes never end, set "
                    "environment.max_episode_steps",
                )
            )
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


def _fingerprint(observation: Observations, *rest: Any) -> dict[str, Any]:
    """Return the parts of a reset or step to compare, by their names in messages.

    Args:
        observation: the observation.
        *rest: a step's reward, terminated and truncated; nothing for a reset.
    """
    fingerprints: dict[str, Any] = {
        f"the observation '{name}'": hash(np.asarray(array).tobytes())
        for name, array in observation.items()
    }
    if rest:
        reward, terminated, truncated = rest
        fingerprints["the reward"] = repr(float(reward))
        fingerprints["the end of the episode"] = bool(terminated), bool(truncated)
    return fingerprints


def _describe(found: Spaces) -> str:
    observed = ", ".join(
        f"{name} {shape} {kind}" for name, (shape, kind) in found.observations.items()
    )
    if found.branches:
        return f"observes {observed}; acts by {' x '.join(map(str, found.branches))} choices"
    return f"observes {observed}; acts by {len(found.bounds)} numbers"
