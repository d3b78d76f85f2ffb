"""One player, whose A agents of the trained behaviour act together.

ML-Agents numbers agents anew with each of their episodes, and lets each ask for decisions when it
likes. Here an agent is a seat, from 0 to A - 1: whoever begins an episode takes a free one, and a step
lasts until every seat has asked for its next decision. Agents that ask more often repeat their action.
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

_EXCHANGES = 1000  # within which every agent must ask for a decision
_SECONDS_TO_QUIT = 5.0
_SHOWN_SIZE = (1280, 720)
_SHOWN_RATE = 60  # frames per second


@dataclass
class Outcome:
    """The outcome of a step for one agent.

    Attributes:
        reward: of the step, without what a next episode may have begun with.
        terminated: the episode reached a real end.
        truncated: the episode was cut off.
        final: what was observed last; None while the episode goes on.
        statistics: what is known of the episode at its end.
        observation: what the agent decides on next; None where the next episode hasn't begun.
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
    """A player that runs, with its first episodes begun.

    A player of one agent is told before each episode which level to begin, by resetting it. Where there
    are several, the scene begins their episodes by itself, and only `reset` tells it a level.

    Args:
        config: which environment.
        worker_id: chooses the port.
        level: the level of the first episode.
        shown: whether somebody watches.
        stopped: ends every wait as soon as it is set.

    Attributes:
        scene: what is observed and done.
        agents: A.

    Raises:
        UserError: there is no such player, or what it plays can't be trained.
        PlayerFailure: it died or hung.
        EnvironmentFailure: its agents don't stay the same, or don't ask for decisions.
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
        self._seats: dict[int, int] = {}  # of each agent
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
                self.agents = self._count_agents()
        except BaseException:
            self.close()
            raise

    def _learn_scene(self, level: int) -> Scene:
        """Begins a first episode, since behaviours are known only once they have agents."""
        config, connection = self._config, self._connection
        kind = Tower if config.type == "ObstacleTower" else Scene
        self._send_parameters(kind.parameters(config, level))
        connection.reset()
        for _ in range(_EXCHANGES):
            if connection.behavior_specs:
                behavior = choose_behavior(connection.behavior_specs, config.unity.behavior)
                return kind(config, behavior, connection.behavior_specs[behavior])
            connection.step()
        raise UserError("environment.name: no agent of the scene asks for decisions")

    def _send_parameters(self, parameters: dict[str, float]) -> None:
        """Has parameters sent with what the player is told next."""
        for name, value in parameters.items():
            self._parameters.set_float_parameter(name, value)

    def _count_agents(self) -> int:
        """How many agents ask for decisions when the first of them do."""
        for _ in range(_EXCHANGES):
            decisions, _ = self._connection.get_steps(self.scene.behavior)
            if len(decisions):
                return len(decisions)
            self._connection.step()
        raise UserError(
            f"environment.unity.behavior: no agent of {self.scene.behavior} asks for decisions"
        )

    def reset(self, level: int) -> list[Observations]:
        """Begins an episode of every agent and returns what each observes first."""
        with self._connection.failing_as_one():
            self._send_parameters(self.scene.parameters(self._config, level))
            self._connection.reset()
            self._seats.clear()
            self._free = list(range(self.agents))
            outcomes = [Outcome() for _ in range(self.agents)]
            self._await_decisions(outcomes, None)
        return [outcome.observation for outcome in outcomes if outcome.observation is not None]

    def step(self, actions: np.ndarray) -> list[Outcome]:
        """Has every agent take an action (A, size), as often as frames are skipped.

        Where an episode ends, no more frames are skipped.
        """
        outcomes = [Outcome() for _ in range(self.agents)]
        with self._connection.failing_as_one():
            for _ in range(self._config.frame_skip):
                self._act(actions)
                self._await_decisions(outcomes, actions)
                if any(outcome.ended for outcome in outcomes):
                    break
        return outcomes

    def _await_decisions(self, outcomes: list[Outcome], actions: np.ndarray | None) -> None:
        """Goes on until every agent has asked for a decision; without actions, they do nothing."""
        waiting = set(range(self.agents))
        for _ in range(_EXCHANGES):
            self._receive(outcomes, waiting)
            if not waiting or (self.agents == 1 and outcomes[0].ended):
                return
            self._act(actions)
        raise EnvironmentFailure(
            f"{len(waiting)} of the {self.agents} agents of {self.scene.behavior} asked for no "
            f"decision in {_EXCHANGES} steps"
        )

    def _act(self, actions: np.ndarray | None) -> None:
        """Answers the agents that asked for a decision, and has the player go on."""
        behavior = self.scene.behavior
        decisions, _ = self._connection.get_steps(behavior)
        if len(decisions) and actions is not None:
            seats = [self._seats[agent] for agent in decisions.agent_id.tolist()]
            self._connection.set_actions(behavior, self.scene.actions(actions[seats]))
        self._connection.step()

    def _receive(self, outcomes: list[Outcome], waiting: set[int]) -> None:
        """Takes over what the player answered, and keeps the seats up to date that are waited for.

        One whose episode ended after it had asked is waited for again.
        """
        decisions, ends = self._connection.get_steps(self.scene.behavior)
        finals = self.scene.observe(ends.obs, None) if len(ends) else []
        for row, agent in enumerate(ends.agent_id.tolist()):
            if agent in self._seats:
                seat = self._seats.pop(agent)
                self._free.append(seat)
                waiting.add(seat)
                self._end(outcomes[seat], ends, row, finals[row])
        observed = (
            self.scene.observe(decisions.obs, decisions.action_mask) if len(decisions) else []
        )
        for row, agent in enumerate(decisions.agent_id.tolist()):
            if agent in self._seats:
                outcome = outcomes[self._seats[agent]]
                if not outcome.ended:
                    outcome.reward += float(decisions.reward[row] + decisions.group_reward[row])
            else:
                self._seats[agent] = self._take_seat()
            outcomes[self._seats[agent]].observation = observed[row]
            waiting.discard(self._seats[agent])

    def _end(self, outcome: Outcome, ends: TerminalSteps, row: int, final: Observations) -> None:
        """Notes an episode's end, unless another one ended in the same step before."""
        if outcome.ended:
            return
        outcome.reward += float(ends.reward[row] + ends.group_reward[row])
        outcome.truncated = bool(ends.interrupted[row])
        outcome.terminated = not outcome.truncated
        outcome.final = final
        outcome.statistics = self.scene.statistics(ends.obs, row)
        outcome.observation = None

    def _take_seat(self) -> int:
        if not self._free:
            raise EnvironmentFailure(
                f"the scene has more agents of {self.scene.behavior} than the {self.agents} that it "
                "began with; their number must stay the same"
            )
        return self._free.pop(0)

    def close(self, patience: float = _SECONDS_TO_QUIT) -> None:
        """Asks the player to quit, and kills it if that takes longer than so many seconds."""
        self._connection.shut_down(patience)


def _engine(config: EnvironmentConfig, shown: bool) -> EngineConfigurationChannel:
    """Says how fast the engine runs and how well it draws: as the eye wants it, if somebody watches."""
    channel = EngineConfigurationChannel()
    width, height = _SHOWN_SIZE if shown else config.unity.screen_size
    channel.set_configuration_parameters(
        width=width,
        height=height,
        quality_level=config.unity.quality_level,
        time_scale=1.0 if shown else config.unity.time_scale,
        target_frame_rate=_SHOWN_RATE if shown else -1,
        # Physics and time advance by equal frames, however long one takes to compute.
        capture_frame_rate=_SHOWN_RATE,
    )
    return channel
