"""Plays one episode after the other, in single environments and in blocks of them."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import gymnasium
import numpy as np

from environments.building import make_environment
from environments.gymnasium.shared_arrays import SharedArrays
from environments.interface import (
    LIFE_LOST,
    EnvironmentFailure,
    EpisodeState,
    Levels,
    Observations,
)
from environments.safety.failures import failure_of
from environments.spaces import spaces_of
from environments.wrappers.checked import find_not_finite, is_scalar
from schema.environment import EnvironmentConfig

# Statistics that an episode has whatever the environment reports; evaluations add the level.
_OWN_STATISTICS = {"level", "return", "length"}


@dataclass
class EpisodeEnds:
    """The episodes that ended in a step, and its failures; see the same attributes of `Step`."""

    final_observations: list[tuple[int, Observations]] = field(default_factory=list)
    episodes: list[tuple[int, dict[str, float]]] = field(default_factory=list)
    failures: list[tuple[int, EnvironmentFailure]] = field(default_factory=list)


@dataclass(slots=True)
class EpisodeStep:
    """The results of one step of one environment, before any reset."""

    observation: Observations
    reward: float
    terminated: bool
    truncated: bool
    info: dict[str, Any]


class EpisodePlayer:
    """Plays the episodes of one environment, each at its level.

    Args:
        environment: the wrapped environment.
        index: its index among all that are stepped together.
        levels: returns the level of each environment and episode.
    """

    def __init__(self, environment: gymnasium.Env, index: int, levels: Levels) -> None:
        self.index = index
        self._environment = environment
        self._levels = levels
        self._spaces = spaces_of(environment)
        self._episode = -1
        self._return = 0.0
        self._actions = self._no_actions()

    def _no_actions(self) -> array:
        # Compact, as an episode may have no limit. "f" is float32, which makes a replay exact.
        return array("q" if self._spaces.branches else "f")

    @property
    def episode(self) -> int:
        """The number of the present episode, from 0."""
        return self._episode

    @property
    def latest_call(self) -> str:
        """The method that returned the present observation."""
        return "step" if self._actions else "reset"

    @property
    def whereabouts(self) -> str:
        """The environment, its episode, its level and the step, for an error's details."""
        level = self._levels(self.index, self._episode)
        steps = len(self._actions) // self._spaces.action_size
        return (
            f"environment {self.index}, episode {self._episode}, which began with "
            f"reset(seed={level}), step {steps}"
        )

    def begin(self, episode: int) -> Observations:
        """Start the episode of that number; return its first observation."""
        self._episode = episode
        self._return = 0.0
        self._actions = self._no_actions()
        observation, _ = self._environment.reset(seed=self._levels(self.index, episode))
        return observation

    def begin_next(self) -> Observations:
        """Start the episode after the present one; return its first observation."""
        return self.begin(self._episode + 1)

    def step(self, action: np.ndarray) -> EpisodeStep:
        """Take a step with an action of shape (action_size,)."""
        self._actions.extend(action.tolist())
        observation, reward, terminated, truncated, info = self._environment.step(action)
        # `Checked` made sure that it is a float; converting it again would cost time.
        self._return += reward  # type: ignore[operator]
        # A real end has no value to bootstrap from, even in the step in which the time limit is met.
        ended = truncated and not terminated
        return EpisodeStep(observation, reward, terminated, ended, info)  # type: ignore[arg-type]

    def statistics(self, info: dict[str, Any]) -> dict[str, float]:
        """Return the statistics of the episode that just ended, given its last info."""
        reported = {_name(key): _number(value) for key, value in info.items() if is_scalar(value)}
        length = len(self._actions) / self._spaces.action_size
        return {**reported, "return": self._return, "length": length}

    def state(self) -> EpisodeState:
        """Return the environment's state."""
        actions = np.array(self._actions, self._spaces.action_type)
        return EpisodeState(self._episode, actions.reshape(-1, self._spaces.action_size))

    def restore(self, state: EpisodeState) -> Observations:
        """Replay an episode's actions; return the last observation.

        Raises:
            EnvironmentFailure: The episode ended during the replay.
        """
        observation = self.begin(state.episode)
        for action in state.resume_data:
            step = self.step(action)
            if step.terminated or step.truncated:
                raise EnvironmentFailure(
                    f"environment {self.index} can't be restored: its episode ended during the "
                    "replay, so the same level and actions don't lead to the same episode"
                )
            observation = step.observation
        return observation

    def close(self) -> None:
        """Close the environment."""
        self._environment.close()


def _name(key: object) -> str:
    """Return the name of a statistic; `info.` marks names that episodes have by themselves."""
    name = str(key)
    return f"info.{name}" if name in _OWN_STATISTICS else name


def _number(value: Any) -> float:
    """Return a scalar as a float; whole numbers beyond its range are infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


class EpisodeBlock:
    """Steps a block of environments one after the other, and writes into shared arrays.

    Args:
        config: the environment's config.
        levels: returns the level of each environment and episode.
        worker_id: worker id of the environment of index 0.
        indices: the indices of this block's environments.
        shared: the arrays of all environments.
        workers: the number of workers per member; their indices follow each other. If one of them
            fails in a step, the block stops stepping that member's workers; None makes the step
            raise.
    """

    def __init__(
        self,
        config: EnvironmentConfig,
        levels: Levels,
        worker_id: int,
        indices: range,
        shared: SharedArrays,
        workers: int | None = None,
    ) -> None:
        self._shared = shared
        self._workers = workers
        self._config = config
        self._players: list[EpisodePlayer] = []
        self._given_up: set[EpisodePlayer] = set()
        own = slice(indices.start, indices.stop)
        self._observed = {name: array[own] for name, array in shared.observations.items()}
        try:
            for index in indices:
                environment = make_environment(config, worker_id + index)
                self._players.append(EpisodePlayer(environment, index, levels))
        except BaseException:
            self.close()
            raise

    def reset(self) -> None:
        """Start the first episode of each environment."""
        self._for_each(lambda player: self._write(player, player.begin(0)))

    def step(self) -> EpisodeEnds:
        """Take a step with the actions in the shared arrays."""
        ends = EpisodeEnds()
        self._for_each(lambda player: self._step(player, ends), ends)
        return ends

    def _step(self, player: EpisodePlayer, ends: EpisodeEnds) -> None:
        """Take a step with one environment."""
        shared, index = self._shared, player.index
        step = player.step(shared.actions[index])
        clips, splits = self._config.clip_rewards, self._config.terminal_on_life_loss
        shared.rewards[index] = np.sign(step.reward) if clips else step.reward
        shared.terminated[index] = step.terminated or (splits and LIFE_LOST in step.info)
        shared.truncated[index] = step.truncated
        if step.terminated or step.truncated:
            ends.episodes.append((index, player.statistics(step.info)))
            if step.truncated:
                final = self._copy(step.observation)
                found = find_not_finite({name: array[None] for name, array in final.items()})
                if found is not None:
                    raise self._not_finite(player, found[1])
                ends.final_observations.append((index, final))
            step.observation = player.begin_next()
        self._write(player, step.observation)

    def states(self) -> list[EpisodeState]:
        """Return the state of each environment."""
        return [player.state() for player in self._players]

    def restore(self, states: Sequence[EpisodeState]) -> None:
        """Restore the state of each environment."""
        first = self._players[0].index
        self._for_each(
            lambda player: self._write(player, player.restore(states[player.index - first]))
        )

    def _for_each(
        self, act: Callable[[EpisodePlayer], None], ends: EpisodeEnds | None = None
    ) -> None:
        """Call a function for each environment that hasn't been given up.

        Args:
            act: the function.
            ends: collects the failures; None makes them raise.
        """
        for player in self._players:
            if player in self._given_up:
                continue
            try:
                act(player)
            except EnvironmentFailure as failure:
                self._fail(player, failure, ends)
            except Exception as error:
                what = f"{self._config.name}: playing it"
                self._fail(player, failure_of(what, error), ends)
        # One check of all observations is faster than one for each environment.
        while (found := find_not_finite(self._observed)) is not None:
            player = self._players[found[0]]
            self._fail(player, self._not_finite(player, found[1]), ends)

    def _fail(
        self, player: EpisodePlayer, failure: EnvironmentFailure, ends: EpisodeEnds | None
    ) -> None:
        """Record an environment's failure, and give up its member's workers in this block."""
        failure.details = f"{player.whereabouts}\n\n{failure.details}".rstrip()
        if ends is None or self._workers is None:
            raise failure
        ends.failures.append((player.index, failure))
        member = player.index // self._workers
        for other in self._players:
            if other.index // self._workers == member:
                self._given_up.add(other)
                self._shared.clear(other.index)

    def _not_finite(self, player: EpisodePlayer, what: str) -> EnvironmentFailure:
        return EnvironmentFailure(
            f"{self._config.name}: {player.latest_call} gave an observation {what}"
        )

    def close(self) -> None:
        """Close every environment; calling it again does nothing."""
        while self._players:
            self._players.pop().close()

    def _write(self, player: EpisodePlayer, observation: Observations) -> None:
        for name, array_of_all in self._shared.observations.items():
            array_of_all[player.index] = observation[name]

    def _copy(self, observation: Observations) -> Observations:
        """Return a copy with the shared arrays' types; environments may reuse their own arrays."""
        return {
            name: np.array(observation[name], array_of_all.dtype)
            for name, array_of_all in self._shared.observations.items()
        }
