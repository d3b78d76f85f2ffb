"""Steps several players at the same time, each in a thread that waits for its answer."""

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
from environments.unity.player import Player, SeatStep
from environments.unity.scene import Scene
from schema.environment import EnvironmentConfig

_FAILURES_IN_A_ROW = 3  # how many failures of one player are forgiven between two ends of episodes

_logger = logging.getLogger(__name__)


@dataclass
class _WorkerStep:
    """The results of one step for one worker.

    Attributes:
        observation: the observation to act on next; after an end, the next episode's first one.
        reward: the step's reward.
        terminated: whether the episode reached a real end.
        truncated: whether the episode was cut off.
        final: the last observation of an episode that was cut off; else None.
        statistics: the statistics of an episode that ended; else None.
        crash: why the player failed; None where it didn't.
    """

    observation: Observations
    reward: float = 0.0
    terminated: bool = False
    truncated: bool = False
    final: Observations | None = None
    statistics: dict[str, float] | None = None
    crash: str | None = None


class UnityEnvironments:
    """A `VectorEnvironment` over players; each worker has one seat in a player's scene.

    A player's state can't be set. So an `EpisodeState` holds the episode's number alone, and
    restoring it starts that episode again.

    Args:
        config: the environment's config.
        levels: returns the level of each environment and episode.
        num_environments: E; spare seats of the last player stand still.
        worker_id: worker id of the first player; the others count up from it.

    Raises:
        UserError: There is no such player, a port is in use, or the scene can't be trained.
        EnvironmentFailure: A player died or hung.
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
            # The first player's number of seats tells how many players are needed.
            self._teams = [_Team(0, None, *shared)]
            seats = self._teams[0].seats
            others = [
                self._threads.submit(_Team, number, seats, *shared)
                for number in range(1, -(-num_environments // seats))
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
        """Wait for players that are starting; if one fails, stop the others."""
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
        """Start the first episode of each environment; return observations (E, ...)."""
        self._begin([0] * self._count)
        return self._observations

    def step(self, actions: np.ndarray) -> Step:
        """Take one step with actions (E, action_size)."""
        by_team = self._in_threads(_Team.step, [actions[team.indices] for team in self._teams])
        worker_steps = [each for of_team in by_team for each in of_team]
        step = Step(
            self._observations,
            np.array([each.reward for each in worker_steps], np.float32),
            np.array([each.terminated for each in worker_steps]),
            np.array([each.truncated for each in worker_steps]),
            [],
            [],
        )
        for index, each in enumerate(worker_steps):
            if each.crash is not None:
                # The value of this observation stands for the rewards that the crash cut off.
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
        """Do nothing: restoring starts a player's episodes again in any case."""

    def states(self) -> list[EpisodeState]:
        """Return the number of each environment's episode, for a checkpoint."""
        nothing = np.empty((0, self.spaces.action_size), self.spaces.action_type)
        episodes = [worker.episode for team in self._teams for worker in team.workers]
        return [EpisodeState(episode, nothing) for episode in episodes]

    def restore(self, states: Sequence[EpisodeState]) -> Observations:
        """Start each environment's saved episode again; return observations (E, ...)."""
        assert len(states) == self._count, f"{len(states)} states for {self._count} environments"
        self._begin([state.episode for state in states])
        return self._observations

    def _begin(self, episodes: list[int]) -> None:
        numbers = [[episodes[index] for index in team.indices] for team in self._teams]
        begun = self._in_threads(_Team.begin, numbers)
        for index, observation in enumerate(each for of_team in begun for each in of_team):
            self._write(index, observation)

    def _in_threads(self, act: Any, arguments: Iterable[Any]) -> list[Any]:
        """Run a function on all teams at the same time; return their results."""
        if self._stopped.is_set():
            raise EnvironmentFailure("the environments are closed")
        return list(self._threads.map(act, self._teams, arguments))

    def _write(self, index: int, observation: Observations) -> None:
        for name, array in self._observations.items():
            array[index] = observation[name]

    def close(self) -> None:
        """Stop every player; calling it again does nothing."""
        self._stopped.set()
        self._threads.shutdown(cancel_futures=True)
        teams, self._teams = self._teams, []
        with ThreadPoolExecutor(max(1, len(teams))) as threads:
            list(threads.map(_Team.close, teams))


class _Team:
    """A player and the workers in its seats; a new player replaces one that fails.

    Args:
        number: the player's number, from 0.
        seats: the number of seats of the other players; None for the first one.
        config: the environment's config.
        levels: returns the level of each environment and episode.
        num_environments: E, over all players.
        worker_id: worker id of the first player.
        stopped: an event that interrupts every wait.

    Attributes:
        seats: the number of seats in the player's scene.
        indices: the workers' indices among all environments.
        workers: the workers, one for each index.
    """

    def __init__(
        self,
        number: int,
        seats: int | None,
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
        self._level = levels(number * (seats or 1), 0)
        self._player = self._launch()
        self.seats = self._player.seats
        if seats not in (None, self.seats):
            self.close()
            raise EnvironmentFailure(
                f"one player has {seats} ML-Agents agents of {self._player.scene.behavior} and "
                f"another {self.seats}; their number must be the same"
            )
        first = number * self.seats
        self.indices = list(range(first, min(first + self.seats, num_environments)))
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
        """Start the episodes of those numbers; return each worker's first observation."""
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

    def step(self, actions: np.ndarray) -> list[_WorkerStep]:
        """Take a step with the actions (W, size) of the W workers."""
        episodes = [worker.episode for worker in self.workers]
        seat_actions = np.zeros((self.seats, actions.shape[1]), actions.dtype)
        seat_actions[: len(actions)] = actions
        try:
            steps = self._player.step(seat_actions)
            if self.seats == 1 and steps[0].ended:
                self._level = self._levels(self.indices[0], episodes[0] + 1)
                steps[0].observation = self._player.reset(self._level)[0]
        except PlayerFailure as failure:
            firsts = self._replace(failure, episodes)
            return [_WorkerStep(first, truncated=True, crash=str(failure)) for first in firsts]
        worker_steps = [
            worker.step(seat_step, action)
            for worker, seat_step, action in zip(self.workers, steps, actions, strict=False)
        ]
        if any(each.statistics is not None for each in worker_steps):
            self._failures = 0
        return worker_steps

    def _replace(self, failure: PlayerFailure, episodes: list[int]) -> list[Observations]:
        """Start a new player, and in it the present episodes again.

        Returns:
            Each worker's first observation.

        Raises:
            EnvironmentFailure: Too many players failed in a row.
        """
        while True:
            self._failures += 1
            if self._failures > _FAILURES_IN_A_ROW:
                raise EnvironmentFailure(
                    f"{failure}; {self._failures} failed in a row before an episode ended"
                ) from failure
            _logger.warning("warning: %s; starting another player", failure)
            self._player.close(patience=0)
            try:
                self._player = self._launch()
                return self._begin(episodes)
            except PlayerFailure as next_failure:
                failure = next_failure

    def close(self) -> None:
        """Stop the player."""
        self._player.close()


class _Worker:
    """A worker: plays episodes in one seat, with the config's wrappers around them.

    Args:
        config: the environment's config.
        scene: the scene's observations and actions.
        index: the worker's index among all environments.
        levels: returns the level of each environment and episode.
    """

    def __init__(self, config: EnvironmentConfig, scene: Scene, index: int, levels: Levels) -> None:
        self._below = _SeatEnvironment(scene)
        environment = wrap_as_configured(self._below, config)
        self.spaces = spaces_of(environment)
        self._episodes = EpisodePlayer(environment, index, levels)

    @property
    def episode(self) -> int:
        """The number of the present episode."""
        return self._episodes.episode

    def begin(self, first: Observations, episode: int) -> Observations:
        """Start the episode of that number, given its first observation."""
        self._below.seat_step = SeatStep(observation=first)
        return self._episodes.begin(episode)

    def step(self, seat_step: SeatStep, action: np.ndarray) -> _WorkerStep:
        """Pass the seat's step through the wrappers; after an end, start the next episode."""
        self._below.seat_step = seat_step
        step = self._episodes.step(action)
        if not seat_step.ended:
            return _WorkerStep(step.observation, step.reward)
        assert seat_step.observation is not None
        statistics = self._episodes.statistics(step.info)
        return _WorkerStep(
            self.begin(seat_step.observation, self.episode + 1),
            step.reward,
            step.terminated,
            step.truncated,
            step.observation if step.truncated else None,
            statistics,
        )


class _SeatEnvironment(gymnasium.Env):
    """The environment below the wrappers: returns what the player has answered already.

    Attributes:
        seat_step: the results of the seat's latest step, or the first observation of an episode.
    """

    def __init__(self, scene: Scene) -> None:
        self.observation_space = scene.observation_space
        self.action_space = scene.action_space
        self.seat_step = SeatStep()

    def reset(self, **_: Any) -> tuple[Observations, dict[str, Any]]:
        """Return the episode's first observation."""
        assert self.seat_step.observation is not None
        return self.seat_step.observation, {}

    def step(self, action: Any) -> tuple[Observations, float, bool, bool, dict[str, Any]]:
        """Return the results of the seat's latest step."""
        step = self.seat_step
        observation = step.final if step.final is not None else step.observation
        assert observation is not None
        ends = step.terminated, step.truncated
        return observation, step.reward, *ends, dict(step.statistics)
