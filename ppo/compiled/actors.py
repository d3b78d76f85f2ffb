"""Members that act one step at a time, compiled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from buffer import RolloutBuffer
from environments.interface import ACTION_MASK, Observations
from environments.spaces import VECTOR
from model import ActorCritic, Population
from ppo.compiled.acting import Actions, Actor, decide, find_values
from ppo.compiled.describing import describe, locate, workspace_of
from ppo.member import Member

_NO_VALUES, _NO_BYTES = np.zeros((0, 0), np.float32), np.zeros((0, 0), np.uint8)
_NO_CHOICES, _NO_MOMENTS = np.zeros((0, 0), np.int64), np.zeros(0, np.float32)


class Actors:
    """What compiled functions take of members that act.

    Args:
        members: who acts.
        population: their networks.
        buffer: takes the rollouts.
    """

    def __init__(
        self, members: Sequence[Member], population: Population, buffer: RolloutBuffer
    ) -> None:
        self._members = members
        self._population = population
        self._buffer = buffer
        self._networks = [
            locate(network, weights)
            for network, weights in zip(population.each, population.weights, strict=True)
        ]
        self.policy = describe(population.stacked)
        self._places = np.zeros(int(self._networks[0].trunk[0, 2]), np.int64)

    def of(self, number: int, normaliser_of: str | None = None) -> Actor:
        """A member as it is now.

        Args:
            number: which one.
            normaliser_of: the vector observation that is to be normalised; None where that is done.
        """
        network, place = self._population.each[number], self._networks[number]
        mean = deviation = _NO_MOMENTS
        if normaliser_of is not None and network.normaliser is not None:
            mean, deviation = (
                moment.flatten().numpy() for moment in network.normaliser.moments(normaliser_of)
            )
        parts = self._members[number].config.num_mini_batches
        return Actor(
            place,
            self.policy,
            self._population.weights[number].numpy(),
            mean,
            deviation,
            workspace_of(network, place, self._buffer, parts),
            self._places,
        )


class CompiledActing:
    """As `ppo.acting.Acting`, for fully connected networks on a CPU. Members act one by one.

    Args:
        members: who acts.
        population: their networks.
        buffer: has what they observe.
    """

    value_features: Tensor | None = None

    def __init__(
        self, members: Sequence[Member], population: Population, buffer: RolloutBuffer
    ) -> None:
        self._members = members
        self._networks = population.each
        self._distribution = population.stacked.distribution
        self._buffer = buffer
        self._actors = Actors(members, population, buffer)
        self._now: list[Actor] = []
        self._noise: list[np.ndarray] = []
        shape = (buffer.members, buffer.steps, buffer.workers)
        self._logs = np.zeros((*shape, self._actors.policy.ratios), np.float32)
        self._chooses = len(self._actors.policy.branches) > 0
        self._sees_bytes = _sees_bytes(population.each[0], buffer)

    def begin(self) -> None:
        """Draws the random numbers of a rollout."""
        shape = (self._buffer.steps, self._buffer.workers)
        self._now = [self._actors.of(member.number) for member in self._members]
        self._noise = [
            self._distribution.noise(shape, member.action_generator).numpy()
            for member in self._members
        ]

    def act(self, step: int, states: Tensor | None) -> tuple[np.ndarray, None]:
        """Actions (M * N, A) as environments take them, in what was observed at a step."""
        assert states is None
        for number in range(len(self._members)):
            self._decide(number, step)
        actions = self._buffer.actions[:, step]
        if not self._chooses:
            actions = self._distribution.for_environment(actions)
        return actions.flatten(0, 1).numpy(), None

    def _decide(self, number: int, step: int) -> None:
        buffer = self._buffer
        seen = {name: values[number, step] for name, values in buffer.observations.items()}
        values, sparse = self._look_at(number, seen)
        masks = seen[ACTION_MASK].numpy() if ACTION_MASK in seen else _NO_BYTES
        own = buffer.actions[number, step].numpy()
        choices, draws = (own, _NO_VALUES) if self._chooses else (_NO_CHOICES, own)
        actions = Actions(choices, draws, self._logs[number, step])
        decide(self._now[number], values, sparse, masks, self._noise[number][step], actions)
        assert len(decide.overloads) == 1, "compiled for several types"

    def _look_at(self, number: int, seen: dict[str, Tensor]) -> tuple[np.ndarray, np.ndarray]:
        """What a member observes, as the compiled functions take it: values, or bytes."""
        if self._sees_bytes:
            return _NO_VALUES, seen[VECTOR].numpy()
        return self._networks[number].dense_inputs(seen).contiguous().numpy(), _NO_BYTES

    def values(self, observations: Observations, states: Tensor | None) -> Tensor:
        """The values (M, N) of observations (M * N, ...)."""
        assert states is None
        shape = (len(self._members), self._buffer.workers)
        found = np.empty(shape, np.float32)
        for number in range(len(self._members)):
            seen = {
                name: torch.from_numpy(values).unflatten(0, shape)[number]
                for name, values in observations.items()
            }
            find_values(self._actors.of(number), *self._look_at(number, seen), found[number])
            assert len(find_values.overloads) == 1, "compiled for several types"
        return torch.from_numpy(found)

    def finish(self) -> None:
        """Completes the rollout by how likely the actions were."""
        # M x T x N x branches -> branches x M x T x N
        logs = torch.from_numpy(self._logs).movedim(-1, 0)
        self._buffer.finish(self._buffer.actions, logs[0] if len(logs) == 1 else logs)


def _sees_bytes(network: ActorCritic, buffer: RolloutBuffer) -> bool:
    """Whether all that is observed, but for masks, is one vector of bytes, seen as it is."""
    names = [name for name in buffer.observations if name != ACTION_MASK]
    is_bytes = all(buffer.observations[name].dtype == torch.uint8 for name in names)
    return names == [VECTOR] and is_bytes and network.normaliser is None
