"""Steps players at the same time, each in a thread that waits for it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np

from environments.building import wrap_as_configured
from environments.gymnasium.episodes import EpisodePlayer
from environments.interface import (
    EnvironmentFailure,
    EpisodeState,
    Levels,
    Observations,
    Spaces,
    Step,
)
from environments.spaces import spaces_of
from environments.unity.connection import PlayerFailure
from environments.unity.player import Outcome, Player
from environments.unity.scene import Scene
from schema.environment import EnvironmentConfig

_FAILURES_IN_A_ROW = 3  # that are forgiven, of one player before it ends an episode

_logger = logging.getLogger(__name__)


@dataclass
class _Played:
    """What a step did to one worker.

    Attributes:
        observation: of the episode that goes on or begins.
        reward: of the step.
        terminated: the episode reached a real end.
        truncated: the episode was cut off.
        final: what was observed last, where it was cut off.
        statistics: of the episode, where it ended.
        crash: why the player failed, where it did.
    """

    observation: Observations
    reward: float = 0.0
    terminated: bool = False
    truncated: bool = False
    final: Observations | None = None
    statistics: dict[str, float] | None = None
    crash: str | None = None


class UnityEnvironments:
    """A `VectorEnvironment` over players, of whose agents each is a worker.

    An episode under way can't be restored, since a player has no states to be put into. So a state
    has the episode's number only, and that episode is begun again.

    Args:
        config: which environment.
        levels: the level of each environment and episode.
        num_environments: E; agents of the last player that are beyond it stand still.
        worker_id: of the first player; the others count up from it.

    Raises:
        UserError: there is no such player, a port is in use, or what is played can't be trained.
        EnvironmentFailure: a player died or hung.
    """

    backend = "unity"

    def __init__(
        self, config: EnvironmentConfig, levels: Levels, num_environments: int, worker_id: int
    ) -> None:
        self._count = num_environments
        self._stopped = threading.Event()
        self._teams: list[_Team] = []
        self._threads = ThreadPoolExecutor(num_environments)
        try:
            shared = (config, levels, num_environments, worker_id, self._stopped)
            # The first one tells how many there must be.
            self._teams = [_Team(0, None, *shared)]
            agents = self._teams[0].agents
            others = [
                self._threads.submit(_Team, number, agents, *shared)
                for number in range(1, -(-num_environments // agents))
            ]
            self._gather(others)
            self.spaces: Spaces = self._teams[0].workers[0].spaces
            self._observations = {
                name: np.empty((num_environments, *shape), kind)
                for name, (shape, kind) in self.spaces.observations.items()
            }
        except BaseException:
            self.close()
            raise

    def _gather(self, teams: list[Future]) -> None:
        """Waits for players that are being started; if one fails, those of the others are ended."""
        try:
            for team in teams:
                self._teams.append(team.result())
        except BaseException:
            self._stopped.set()
            self._threads.shutdown()
            left = teams[len(self._teams) - 1 :]
            self._teams += [team.result() for team in left if team.exception() is None]
            raise

    def __len__(self) -> int:
        return self._count

    def reset(self) -> Observations:
        """Begins the first episode of each environment and returns (E, ...) observations."""
        self._begin([0] * self._count)
        return self._observations

    def step(self, actions: np.ndarray) -> Step:
        """Takes one step with actions (E, action_size)."""
        plays = self._in_threads(_Team.step, [actions[team.indices] for team in self._teams])
        played = [each for of_team in plays for each in of_team]
        step = Step(
            self._observations,
            np.array([each.reward for each in played], np.float32),
            np.array([each.terminated for each in played]),
            np.array([each.truncated for each in played]),
            [],
            [],
        )
        for index, each in enumerate(played):
            if each.crash is not None:
                # Its value stands for what the episode would have gone on to earn.
                each.final = {
                    name: array[index].copy() for name, array in self._observations.items()
                }
                step.crashes.append((index, each.crash))
            if each.final is not None:
                step.final_observations.append((index, each.final))
            if each.statistics is not None:
                step.episodes.append((index, each.statistics))
            self._write(index, each.observation)
        return step

    def renew(self) -> None:
        """Goes on: a player's episodes are begun again in any case."""

    def states(self) -> list[EpisodeState]:
        """Where each environment is, for a checkpoint: the episode's number."""
        nothing = np.empty((0, self.spaces.action_size), self.spaces.action_type)
        episodes = [worker.episode for team in self._teams for worker in team.workers]
        return [EpisodeState(episode, nothing) for episode in episodes]

    def restore(self, states: Sequence[EpisodeState]) -> Observations:
        """Begins the episodes again in which each environment was; (E, ...) observations."""
        assert len(states) == self._count, f"{len(states)} states for {self._count} environments"
        self._begin([state.episode for state in states])
        return self._observations

    def _begin(self, episodes: list[int]) -> None:
        numbers = [[episodes[index] for index in team.indices] for team in self._teams]
        begun = self._in_threads(_Team.begin, numbers)
        for index, observation in enumerate(each for of_team in begun for each in of_team):
            self._write(index, observation)

    def _in_threads(self, act: Any, arguments: Iterable[Any]) -> list[Any]:
        """Has every team do something at the same time; returns their results."""
        if self._stopped.is_set():
            raise EnvironmentFailure("the environments are closed")
        return list(self._threads.map(act, self._teams, arguments))

    def _write(self, index: int, observation: Observations) -> None:
        for name, array in self._observations.items():
            array[index] = observation[name]

    def close(self) -> None:
        """Ends every player; calling it again does nothing."""
        self._stopped.set()
        self._threads.shutdown(cancel_futures=True)
        teams, self._teams = self._teams, []
        with ThreadPoolExecutor(max(1, len(teams))) as threads:
            list(threads.map(_Team.close, teams))


class _Team:
    """A player and the workers that its agents are; another player takes its place when it fails.

    Args:
        number: of the player, from 0.
        agents: how many agents the other players have; None if it is the first one.
        config: which environment.
        levels: the level of each environment and episode.
        num_environments: E, over all players.
        worker_id: of the first player.
        stopped: ends every wait as soon as it is set.
    """

    def __init__(
        self,
        number: int,
        agents: int | None,
        config: EnvironmentConfig,
        levels: Levels,
        num_environments: int,
        worker_id: int,
        stopped: threading.Event,
    ) -> None:
        self._config = config
        self._levels = levels
        self._worker_id = worker_id + number
        self._stopped = stopped
        self._failures = 0
        self._level = levels(number * (agents or 1), 0)
        self._player = self._launch()
        self.agents = self._player.agents
        if agents not in (None, self.agents):
            self.close()
            raise EnvironmentFailure(
                f"one player has {agents} agents of {self._player.scene.behavior} and another "
                f"{self.agents}; their number must be the same"
            )
        first = number * self.agents
        self.indices = list(range(first, min(first + self.agents, num_environments)))
        try:
            self.workers = [
                _Worker(config, self._player.scene, index, levels) for index in self.indices
            ]
        except BaseException:
            self.close()
            raise

    def _launch(self) -> Player:
        return Player(self._config, self._worker_id, self._level, False, self._stopped)

    def begin(self, episodes: list[int]) -> list[Observations]:
        """Begins the episodes of those numbers and returns what each worker observes first."""
        try:
            return self._begin(episodes)
        except PlayerFailure as failure:
            return self._replace(failure, episodes)

    def _begin(self, episodes: list[int]) -> list[Observations]:
        self._level = self._levels(self.indices[0], episodes[0])
        firsts = self._player.reset(self._level)
        return [
            worker.begin(first, episode)
            for worker, first, episode in zip(self.workers, firsts, episodes, strict=False)
        ]

    def step(self, actions: np.ndarray) -> list[_Played]:
        """Takes a step with the actions (W, size) of its workers."""
        episodes = [worker.episode for worker in self.workers]
        everybodys = np.zeros((self.agents, actions.shape[1]), actions.dtype)
        everybodys[: len(actions)] = actions
        try:
            outcomes = self._player.step(everybodys)
            if self.agents == 1 and outcomes[0].ended:
                self._level = self._levels(self.indices[0], episodes[0] + 1)
                outcomes[0].observation = self._player.reset(self._level)[0]
        except PlayerFailure as failure:
            firsts = self._replace(failure, episodes)
            return [_Played(first, truncated=True, crash=str(failure)) for first in firsts]
        played = [
            worker.step(outcome, action)
            for worker, outcome, action in zip(self.workers, outcomes, actions, strict=False)
        ]
        if any(each.statistics is not None for each in played):
            self._failures = 0
        return played

    def _replace(self, failure: PlayerFailure, episodes: list[int]) -> list[Observations]:
        """Starts another player, which begins the present episodes again.

        Raises:
            EnvironmentFailure: too many failed in a row.
        """
        while True:
            self._failures += 1
            if self._failures > _FAILURES_IN_A_ROW:
                raise EnvironmentFailure(
                    f"{failure}; {self._failures} failed in a row before an episode ended"
                ) from failure
            _logger.warning("warning: %s; another one is started", failure)
            self._player.close(patience=0)
            try:
                self._player = self._launch()
                return self._begin(episodes)
            except PlayerFailure as next_failure:
                failure = next_failure

    def close(self) -> None:
        """Ends the player."""
        self._player.close()


class _Worker:
    """One agent's episodes, wrapped as the config says.

    Args:
        config: how they are wrapped.
        scene: what is observed and done.
        index: of the worker among all environments.
        levels: the level of each environment and episode.
    """

    def __init__(self, config: EnvironmentConfig, scene: Scene, index: int, levels: Levels) -> None:
        self._seat = _Seat(scene)
        environment = wrap_as_configured(self._seat, config)
        self.spaces = spaces_of(environment)
        self._episodes = EpisodePlayer(environment, index, levels)

    @property
    def episode(self) -> int:
        """The number of the present episode."""
        return self._episodes.episode

    def begin(self, first: Observations, episode: int) -> Observations:
        """Begins the episode of that number, in which the agent observes this first."""
        self._seat.outcome = Outcome(observation=first)
        return self._episodes.begin(episode)

    def step(self, outcome: Outcome, action: np.ndarray) -> _Played:
        """What a step of the agent is to the worker; after an end, the next episode has begun."""
        self._seat.outcome = outcome
        step = self._episodes.step(action)
        if not outcome.ended:
            return _Played(step.observation, step.reward)
        assert outcome.observation is not None
        statistics = self._episodes.statistics(step.info)
        return _Played(
            self.begin(outcome.observation, self.episode + 1),
            step.reward,
            step.terminated,
            step.truncated,
            step.observation if step.truncated else None,
            statistics,
        )


class _Seat(gymnasium.Env):
    """The environment below the wrappers, which hands on what the player has done already.

    Attributes:
        outcome: of the latest step, or with what an episode begins.
    """

    def __init__(self, scene: Scene) -> None:
        self.observation_space = scene.observation_space
        self.action_space = scene.action_space
        self.outcome = Outcome()

    def reset(self, **_: Any) -> tuple[Observations, dict[str, Any]]:
        """What the episode begins with."""
        assert self.outcome.observation is not None
        return self.outcome.observation, {}

    def step(self, action: Any) -> tuple[Observations, float, bool, bool, dict[str, Any]]:
        """What the step did."""
        outcome = self.outcome
        observation = outcome.final if outcome.final is not None else outcome.observation
        assert observation is not None
        ends = outcome.terminated, outcome.truncated
        return observation, outcome.reward, *ends, dict(outcome.statistics)
