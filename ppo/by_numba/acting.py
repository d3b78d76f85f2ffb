"""Chooses actions by Numba, a step at a time."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from buffer import RolloutBuffer
from environments.interface import ACTION_MASK, Observations
from environments.spaces import VECTOR
from model import ActorCritic
from networks.repeats import Repeats
from ppo.by_numba.deciding import Actions, Actor, decide, find_values
from ppo.by_numba.describing import as_array, describe, locate, workspace_of
from ppo.by_numba.repeats import Seen, decide_repeated, find_values_of_bytes
from ppo.parts import Parts

_NO_VALUES, _NO_BYTES = np.zeros((0, 0), np.float32), np.zeros((0, 0), np.uint8)
_NO_CHOICES, _NO_MOMENTS = np.zeros((0, 0), np.int64), np.zeros(0, np.float32)


class Actors:
    """The members that act, as arguments of compiled functions.

    Args:
        parts: the population in training.
    """

    def __init__(self, parts: Parts) -> None:
        population = parts.population
        self._members = parts.members
        self._population = population
        self._buffer = parts.buffer
        self._networks = [
            locate(network, weights)
            for network, weights in zip(population.each, population.weights, strict=True)
        ]
        self.policy = describe(population.stacked)

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
        )


class NumbaActing:
    """Implements `ppo.interface.Acting` for fully connected networks on a CPU, member by member.

    Args:
        parts: the population in training.
    """

    value_features: Tensor | None = None

    def __init__(self, parts: Parts) -> None:
        members, population, buffer = parts.members, parts.population, parts.buffer
        self._members = members
        self._distribution = population.stacked.distribution
        self._buffer = buffer
        self._actors = Actors(parts)
        self._now: list[Actor] = []
        self._noise: list[np.ndarray] = []
        shape = (buffer.members, buffer.steps, buffer.workers)
        self._logs = np.zeros((*shape, self._actors.policy.ratios), np.float32)
        self._chooses = len(self._actors.policy.branches) > 0
        sees_bytes = _sees_bytes(population.each[0], buffer)
        self._looking = [
            (_Bytes if sees_bytes else _Values)(member.number, network, buffer)
            for member, network in zip(members, population.each, strict=True)
        ]

    def begin(self) -> None:
        """Draws the random numbers of a rollout."""
        shape = (self._buffer.steps, self._buffer.workers)
        self._now = [self._actors.of(member.number) for member in self._members]
        self._noise = [
            self._distribution.noise(shape, member.action_generator).numpy()
            for member in self._members
        ]
        for looking in self._looking:
            looking.begin()

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
        own = self._buffer.actions[number, step].numpy()
        choices, draws = (own, _NO_VALUES) if self._chooses else (_NO_CHOICES, own)
        actions = Actions(choices, draws, self._logs[number, step])
        self._looking[number].decide(self._now[number], step, self._noise[number][step], actions)

    def values(self, observations: Observations, states: Tensor | None) -> Tensor:
        """The values (M, N) of observations (M * N, ...)."""
        assert states is None
        shape = (len(self._members), self._buffer.workers)
        found = np.empty(shape, np.float32)
        for number, looking in enumerate(self._looking):
            seen = {
                name: torch.from_numpy(values).unflatten(0, shape)[number]
                for name, values in observations.items()
            }
            looking.value(self._actors.of(number), seen, found[number])
        return torch.from_numpy(found)

    def finish(self) -> None:
        """Completes the rollout by how likely the actions were."""
        # M x T x N x branches -> branches x M x T x N
        logs = torch.from_numpy(self._logs).movedim(-1, 0)
        self._buffer.finish(self._buffer.actions, logs[0] if len(logs) == 1 else logs)
        for looking in self._looking:
            looking.finish()


class _Values:
    """What a member sees, as numbers.

    Args:
        number: the member's.
        network: its network.
        buffer: has what it observes.
    """

    def __init__(self, number: int, network: ActorCritic, buffer: RolloutBuffer) -> None:
        self._network = network
        self._observed = {name: values[number] for name, values in buffer.observations.items()}

    def begin(self) -> None:
        """Nothing is kept of a rollout."""

    def decide(self, actor: Actor, step: int, noise: np.ndarray, actions: Actions) -> None:
        """Draws the actions (N, A) of a step."""
        seen = {name: values[step] for name, values in self._observed.items()}
        masks = seen[ACTION_MASK].numpy() if ACTION_MASK in seen else _NO_BYTES
        decide(actor, self._numbers(seen), masks, noise, actions)
        assert len(decide.overloads) == 1, "compiled for several types"

    def value(self, actor: Actor, seen: dict[str, Tensor], values: np.ndarray) -> None:
        """Finds the values (N,) of observations (N, ...)."""
        find_values(actor, self._numbers(seen), values)
        assert len(find_values.overloads) == 1, "compiled for several types"

    def _numbers(self, seen: dict[str, Tensor]) -> np.ndarray:
        return as_array(self._network.dense_inputs(seen))

    def finish(self) -> None:
        """Nothing was kept."""


class _Bytes:
    """What a member sees, as bytes, of which many are zero, and many observations the same.

    Args:
        number: the member's.
        network: its network.
        buffer: has what it observes; is told what was the same.
    """

    def __init__(self, number: int, network: ActorCritic, buffer: RolloutBuffer) -> None:
        self._member, self._buffer, steps = number, buffer, buffer.size
        observed = buffer.observations
        seen = observed[VECTOR][number].flatten(0, 1).numpy()
        masks = _NO_BYTES
        if ACTION_MASK in observed:
            masks = observed[ACTION_MASK][number].flatten(0, 1).numpy()
        width, outputs = seen.shape[1], network.distribution.num_outputs
        # The same in each process, though it matters for the time only.
        weights = np.random.default_rng(0).integers(1, 2**32, width + outputs, np.uint32)
        self._seen = Seen(
            seen,
            masks,
            weights,
            table=np.zeros(2 ** (2 * steps - 1).bit_length(), np.int64),
            first=np.zeros(steps, np.int64),
            numbers=np.zeros(steps, np.int64),
            found=np.zeros(1, np.int64),
            outputs=np.zeros((steps, outputs), np.float32),
            places=np.zeros(width, np.int64),
        )

    def begin(self) -> None:
        """Forgets what was seen with other weights."""
        self._seen.table.fill(-1)
        self._seen.found[0] = 0

    def decide(self, actor: Actor, step: int, noise: np.ndarray, actions: Actions) -> None:
        """Draws the actions (N, A) of a step."""
        decide_repeated(actor, self._seen, step * len(noise), noise, actions)
        assert len(decide_repeated.overloads) == 1, "compiled for several types"

    def value(self, actor: Actor, seen: dict[str, Tensor], values: np.ndarray) -> None:
        """Finds the values (N,) of observations (N, ...)."""
        find_values_of_bytes(actor, seen[VECTOR].numpy(), self._seen.places, values)
        assert len(find_values_of_bytes.overloads) == 1, "compiled for several types"

    def finish(self) -> None:
        """Tells the buffer which observations are the same."""
        first = torch.from_numpy(self._seen.first[: self._seen.found[0]].copy())
        repeats = Repeats(first, torch.from_numpy(self._seen.numbers.copy()))
        self._buffer.repeats[self._member] = repeats


def _sees_bytes(network: ActorCritic, buffer: RolloutBuffer) -> bool:
    """Whether all that is observed, but for masks, is one vector of bytes, seen as it is."""
    names = [name for name in buffer.observations if name != ACTION_MASK]
    is_bytes = all(buffer.observations[name].dtype == torch.uint8 for name in names)
    return names == [VECTOR] and is_bytes and network.normaliser is None
