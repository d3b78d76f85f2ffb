"""Steps one player, with one seat for each ML-Agents agent of the trained behaviour.

An ML-Agents agent gets a new id with each of its episodes, and asks for decisions at times of its own.
Training needs a fixed number S of workers that act together. So there are S seats, from 0 to S - 1: an
ML-Agents agent that starts an episode takes a free seat, and a step lasts until every seat has asked for
its next decision. A seat that asks more often repeats its action.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import numpy as np
from mlagents_envs.base_env import TerminalSteps
from mlagents_envs.side_channel.engine_configuration_channel import EngineConfigurationChannel
from mlagents_envs.side_channel.environment_parameters_channel import EnvironmentParametersChannel

from environments.interface import EnvironmentFailure, Observations
from environments.unity.connection import Connection
from environments.unity.scene import Scene, choose_behavior
from environments.unity.tower import Tower
from schema.environment import EnvironmentConfig
from schema.errors import UserError

_EXCHANGES = 1000  # messages within which every seat must ask for a decision
_SECONDS_TO_QUIT = 5.0
_SHOWN_SIZE = (1280, 720)
_SHOWN_RATE = 60  # frames per second


@dataclass
class SeatStep:
    """The results of one step for one seat.

    Attributes:
        reward: the step's reward, without any reward of the next episode.
        terminated: whether the episode reached a real end.
        truncated: whether the episode was cut off.
        final: the last observation of an episode that ended; None while it lasts.
        statistics: the statistics of an episode that ended.
        observation: the observation to act on next; None where the next episode hasn't started.
    """

    reward: float = 0.0
    terminated: bool = False
    truncated: bool = False
    final: Observations | None = None
    statistics: dict[str, float] = field(default_factory=dict)
    observation: Observations | None = None

    @property
    def ended(self) -> bool:
        """Whether the episode ended."""
        return self.final is not None


class Player:
    """A running player; its first episodes have started.

    A player with one seat is reset before each episode, with the episode's level. A player with several
    starts their episodes by itself, and gets a level only from `reset`.

    Args:
        config: the environment's config.
        worker_id: the worker id, which chooses the port.
        level: the level of the first episode.
        shown: whether somebody watches.
        stopped: an event that interrupts every wait.

    Attributes:
        scene: the scene's observations and actions.
        seats: the number S of seats.

    Raises:
        UserError: There is no such player, or its scene can't be trained.
        PlayerFailure: The player died or hung.
        EnvironmentFailure: The number of its ML-Agents agents changes, or one asks for no decisions.
    """

    def __init__(
        self,
        config: EnvironmentConfig,
        worker_id: int,
        level: int,
        shown: bool,
        stopped: threading.Event,
    ) -> None:
        unity = config.unity
        self._seat_of: dict[int, int] = {}  # by agent_id
        self._free: list[int] = []
        self._config = config
        self._parameters = EnvironmentParametersChannel()
        automatic = config.type == "ObstacleTower" if unity.graphics is None else unity.graphics
        self._connection = Connection(
            config.name,
            worker_id,
            seed=level,
            graphics=shown or automatic,
            timeouts=(unity.launch_timeout, unity.step_timeout),
            arguments=list(unity.arguments),
            channels=[self._parameters, _engine(config, shown)],
            stopped=stopped,
        )
        try:
            with self._connection.failing_as_one():
                self.scene = self._learn_scene(level)
                self.seats = self._count_seats()
        except BaseException:
            self.close()
            raise

    def _learn_scene(self, level: int) -> Scene:
        """Start a first episode: a behaviour is known only once it has ML-Agents agents."""
        config, connection = self._config, self._connection
        kind = Tower if config.type == "ObstacleTower" else Scene
        self._send_parameters(kind.parameters(config, level))
        connection.reset()
        for _ in range(_EXCHANGES):
            if connection.behavior_specs:
                behavior = choose_behavior(connection.behavior_specs, config.unity.behavior)
                return kind(config, behavior, connection.behavior_specs[behavior])
            connection.step()
        raise UserError("environment.name: no ML-Agents agent of the scene asks for decisions")

    def _send_parameters(self, parameters: dict[str, float]) -> None:
        """Queue parameters, which the next message to the player carries."""
        for name, value in parameters.items():
            self._parameters.set_float_parameter(name, value)

    def _count_seats(self) -> int:
        """Return how many ML-Agents agents are in the first answer that asks for decisions."""
        for _ in range(_EXCHANGES):
            decisions, _ = self._connection.get_steps(self.scene.behavior)
            if len(decisions):
                return len(decisions)
            self._connection.step()
        raise UserError(
            f"environment.unity.behavior: no ML-Agents agent of {self.scene.behavior} asks for "
            "decisions"
        )

    def reset(self, level: int) -> list[Observations]:
        """Start an episode in every seat; return each seat's first observation."""
        with self._connection.failing_as_one():
            self._send_parameters(self.scene.parameters(self._config, level))
            self._connection.reset()
            self._seat_of.clear()
            self._free = list(range(self.seats))
            steps = [SeatStep() for _ in range(self.seats)]
            self._await_decisions(steps, None)
        return [step.observation for step in steps if step.observation is not None]

    def step(self, actions: np.ndarray) -> list[SeatStep]:
        """Take a step with actions (S, size), repeated `frame_skip` times.

        The end of an episode stops the repetition.
        """
        steps = [SeatStep() for _ in range(self.seats)]
        with self._connection.failing_as_one():
            for _ in range(self._config.frame_skip):
                self._act(actions)
                self._await_decisions(steps, actions)
                if any(step.ended for step in steps):
                    break
        return steps

    def _await_decisions(self, steps: list[SeatStep], actions: np.ndarray | None) -> None:
        """Exchange messages until every seat has asked for a decision; None sends no actions."""
        waiting = set(range(self.seats))
        for _ in range(_EXCHANGES):
            self._receive(steps, waiting)
            if not waiting or (self.seats == 1 and steps[0].ended):
                return
            self._act(actions)
        raise EnvironmentFailure(
            f"{len(waiting)} of the {self.seats} ML-Agents agents of {self.scene.behavior} asked "
            f"for no decision in {_EXCHANGES} steps"
        )

    def _act(self, actions: np.ndarray | None) -> None:
        """Answer the seats that asked for a decision, and let the player continue."""
        behavior = self.scene.behavior
        decisions, _ = self._connection.get_steps(behavior)
        if len(decisions) and actions is not None:
            seats = [self._seat_of[agent_id] for agent_id in decisions.agent_id.tolist()]
            self._connection.set_actions(behavior, self.scene.actions(actions[seats]))
        self._connection.step()

    def _receive(self, steps: list[SeatStep], waiting: set[int]) -> None:
        """Add the player's answer to the seats' steps.

        Args:
            steps: the step of each seat so far; updated.
            waiting: the seats that haven't asked for a decision yet; updated. If a seat's episode ends
                after it asked, it waits again.
        """
        decisions, ends = self._connection.get_steps(self.scene.behavior)
        finals = self.scene.observe(ends.obs, None) if len(ends) else []
        for row, agent_id in enumerate(ends.agent_id.tolist()):
            if agent_id in self._seat_of:
                seat = self._seat_of.pop(agent_id)
                self._free.append(seat)
                waiting.add(seat)
                self._end(steps[seat], ends, row, finals[row])
        observed = (
            self.scene.observe(decisions.obs, decisions.action_mask) if len(decisions) else []
        )
        for row, agent_id in enumerate(decisions.agent_id.tolist()):
            if agent_id in self._seat_of:
                step = steps[self._seat_of[agent_id]]
                if not step.ended:
                    step.reward += float(decisions.reward[row] + decisions.group_reward[row])
            else:
                self._seat_of[agent_id] = self._take_seat()
            steps[self._seat_of[agent_id]].observation = observed[row]
            waiting.discard(self._seat_of[agent_id])

    def _end(self, step: SeatStep, ends: TerminalSteps, row: int, final: Observations) -> None:
        """Record an episode's end, unless an earlier episode ended in the same step."""
        if step.ended:
            return
        step.reward += float(ends.reward[row] + ends.group_reward[row])
        step.truncated = bool(ends.interrupted[row])
        step.terminated = not step.truncated
        step.final = final
        step.statistics = self.scene.statistics(ends.obs, row)
        step.observation = None

    def _take_seat(self) -> int:
        if not self._free:
            raise EnvironmentFailure(
                f"the scene has more ML-Agents agents of {self.scene.behavior} than the {self.seats} "
                "at its start; their number must stay the same"
            )
        return self._free.pop(0)

    def close(self, patience: float = _SECONDS_TO_QUIT) -> None:
        """Ask the player to quit; kill it if that takes longer than `patience` seconds."""
        self._connection.shut_down(patience)


def _engine(config: EnvironmentConfig, shown: bool) -> EngineConfigurationChannel:
    """Return the engine's speed and quality of drawing: real time where somebody watches."""
    channel = EngineConfigurationChannel()
    width, height = _SHOWN_SIZE if shown else config.unity.screen_size
    channel.set_configuration_parameters(
        width=width,
        height=height,
        quality_level=config.unity.quality_level,
        time_scale=1.0 if shown else config.unity.time_scale,
        target_frame_rate=_SHOWN_RATE if shown else -1,
        # Time and physics advance by equal frames, however long one takes to compute.
        capture_frame_rate=_SHOWN_RATE,
    )
    return channel
