"""Chooses actions by Numba, one step at a time."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from buffer import RolloutBuffer
from environments.interface import ACTION_MASK, Observations
from environments.spaces import VECTOR
from model import ActorCritic
from networks.repeats import Repeats
from ppo.by_numba.acting_kernels import ActionArrays, Actor, act_on_floats, values_of_floats
from ppo.by_numba.network_arrays import as_array, layout_of, policy_arrays, workspace_of
from ppo.by_numba.repeat_kernels import DistinctObservations, act_on_bytes, values_of_bytes
from ppo.parts import Parts

_NO_FLOATS, _NO_BYTES = np.zeros((0, 0), np.float32), np.zeros((0, 0), np.uint8)
_NO_INTEGERS, _NO_MOMENTS = np.zeros((0, 0), np.int64), np.zeros(0, np.float32)


class Actors:
    """Provides each member's network as an argument of the acting kernels.

    Args:
        parts: the population in training.

    Attributes:
        policy: the kind of the members' distributions.
    """

    def __init__(self, parts: Parts) -> None:
        population = parts.population
        self._members = parts.members
        self._population = population
        self._buffer = parts.buffer
        self._layouts = [
            layout_of(network, weights)
            for network, weights in zip(population.each, population.weights, strict=True)
        ]
        self.policy = policy_arrays(population.stacked)

    def of(self, number: int, normaliser_of: str | None = None) -> Actor:
        """Return a member's network with its present weights.

        Args:
            number: the member's.
            normaliser_of: the vector observation that the kernel must normalise; None if its inputs are
                normalised already.
        """
        network, layout = self._population.each[number], self._layouts[number]
        mean = deviation = _NO_MOMENTS
        if normaliser_of is not None and network.normaliser is not None:
            mean, deviation = (
                moment.flatten().numpy() for moment in network.normaliser.moments(normaliser_of)
            )
        mini_batches = self._members[number].config.num_mini_batches
        return Actor(
            layout,
            self.policy,
            self._population.weights[number].numpy(),
            mean,
            deviation,
            workspace_of(network, layout, self._buffer, mini_batches),
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
        self._present: list[Actor] = []
        self._noise: list[np.ndarray] = []
        shape = (buffer.members, buffer.steps, buffer.workers)
        self._logs = np.zeros((*shape, self._actors.policy.ratios), np.float32)
        self._is_discrete = len(self._actors.policy.branches) > 0
        observer = _ByteObserver if _observes_bytes(population.each[0], buffer) else _FloatObserver
        self._observers = [
            observer(member.number, network, buffer)
            for member, network in zip(members, population.each, strict=True)
        ]

    def begin(self) -> None:
        """Draw the random numbers of a rollout."""
        shape = (self._buffer.steps, self._buffer.workers)
        self._present = [self._actors.of(member.number) for member in self._members]
        self._noise = [
            self._distribution.noise(shape, member.action_generator).numpy()
            for member in self._members
        ]
        for observer in self._observers:
            observer.begin()

    def act(self, step: int, states: Tensor | None) -> tuple[np.ndarray, None]:
        """Return the actions (M * N, A) of a step, as environments take them."""
        assert states is None
        for number in range(len(self._members)):
            self._act_one(number, step)
        actions = self._buffer.actions[:, step]
        if not self._is_discrete:
            actions = self._distribution.for_environment(actions)
        return actions.flatten(0, 1).numpy(), None

    def _act_one(self, number: int, step: int) -> None:
        own = self._buffer.actions[number, step].numpy()
        discrete, continuous = (own, _NO_FLOATS) if self._is_discrete else (_NO_INTEGERS, own)
        actions = ActionArrays(discrete, continuous, self._logs[number, step])
        self._observers[number].act(self._present[number], step, self._noise[number][step], actions)

    def values(self, observations: Observations, states: Tensor | None) -> Tensor:
        """Return the values (M, N) of observations (M * N, ...)."""
        assert states is None
        shape = (len(self._members), self._buffer.workers)
        estimates = np.empty(shape, np.float32)
        for number, observer in enumerate(self._observers):
            own = {
                name: torch.from_numpy(values).unflatten(0, shape)[number]
                for name, values in observations.items()
            }
            observer.estimate_values(self._actors.of(number), own, estimates[number])
        return torch.from_numpy(estimates)

    def finish(self) -> None:
        """Store the log-probabilities of the rollout's actions in the buffer."""
        # M x T x N x branches -> branches x M x T x N
        logs = torch.from_numpy(self._logs).movedim(-1, 0)
        self._buffer.finish(self._buffer.actions, logs[0] if len(logs) == 1 else logs)
        for observer in self._observers:
            observer.finish()


class _FloatObserver:
    """Passes a member's observations to the kernels as float32.

    Args:
        number: the member's.
        network: the member's network.
        buffer: the rollouts.
    """

    def __init__(self, number: int, network: ActorCritic, buffer: RolloutBuffer) -> None:
        self._network = network
        self._observed = {name: values[number] for name, values in buffer.observations.items()}

    def begin(self) -> None:
        """Do nothing: no observations are stored here."""

    def act(self, actor: Actor, step: int, noise: np.ndarray, actions: ActionArrays) -> None:
        """Sample the actions (N, A) of a step from noise (N, O)."""
        observations = {name: values[step] for name, values in self._observed.items()}
        masks = observations[ACTION_MASK].numpy() if ACTION_MASK in observations else _NO_BYTES
        act_on_floats(actor, self._inputs(observations), masks, noise, actions)
        assert len(act_on_floats.overloads) == 1, "compiled for several types"

    def estimate_values(
        self, actor: Actor, observations: dict[str, Tensor], values: np.ndarray
    ) -> None:
        """Write the estimated values (N,) of observations (N, ...) into `values`."""
        values_of_floats(actor, self._inputs(observations), values)
        assert len(values_of_floats.overloads) == 1, "compiled for several types"

    def _inputs(self, observations: dict[str, Tensor]) -> np.ndarray:
        return as_array(self._network.dense_inputs(observations))

    def finish(self) -> None:
        """Do nothing: no observations were stored here."""


class _ByteObserver:
    """Passes a member's observations to the kernels as bytes, and records which are equal.

    The kernels skip bytes that are zero and compute each distinct observation once.

    Args:
        number: the member's.
        network: the member's network.
        buffer: the rollouts; gets the repeats of each.
    """

    def __init__(self, number: int, network: ActorCritic, buffer: RolloutBuffer) -> None:
        self._member, self._buffer, steps = number, buffer, buffer.size
        observed = buffer.observations
        vectors = observed[VECTOR][number].flatten(0, 1).numpy()
        masks = _NO_BYTES
        if ACTION_MASK in observed:
            masks = observed[ACTION_MASK][number].flatten(0, 1).numpy()
        width, outputs = vectors.shape[1], network.distribution.num_outputs
        # A fixed seed makes runs take equal time; the weights don't change the actions.
        weights = np.random.default_rng(0).integers(1, 2**32, width + outputs, np.uint32)
        self._distinct = DistinctObservations(
            vectors,
            masks,
            weights,
            table=np.zeros(2 ** (2 * steps - 1).bit_length(), np.int64),
            first=np.zeros(steps, np.int64),
            numbers=np.zeros(steps, np.int64),
            num_distinct=np.zeros(1, np.int64),
            outputs=np.zeros((steps, outputs), np.float32),
            places=np.zeros(width, np.int64),
        )

    def begin(self) -> None:
        """Forget the observations of the last rollout: the weights have changed since."""
        self._distinct.table.fill(-1)
        self._distinct.num_distinct[0] = 0

    def act(self, actor: Actor, step: int, noise: np.ndarray, actions: ActionArrays) -> None:
        """Sample the actions (N, A) of a step from noise (N, O)."""
        act_on_bytes(actor, self._distinct, step * len(noise), noise, actions)
        assert len(act_on_bytes.overloads) == 1, "compiled for several types"

    def estimate_values(
        self, actor: Actor, observations: dict[str, Tensor], values: np.ndarray
    ) -> None:
        """Write the estimated values (N,) of observations (N, ...) into `values`."""
        values_of_bytes(actor, observations[VECTOR].numpy(), self._distinct.places, values)
        assert len(values_of_bytes.overloads) == 1, "compiled for several types"

    def finish(self) -> None:
        """Tell the buffer which observations are equal."""
        first = torch.from_numpy(self._distinct.first[: self._distinct.num_distinct[0]].copy())
        repeats = Repeats(first, torch.from_numpy(self._distinct.numbers.copy()))
        self._buffer.repeats[self._member] = repeats


def _observes_bytes(network: ActorCritic, buffer: RolloutBuffer) -> bool:
    """Return whether the only observation besides masks is a vector of bytes that isn't normalised."""
    names = [name for name in buffer.observations if name != ACTION_MASK]
    is_bytes = all(buffer.observations[name].dtype == torch.uint8 for name in names)
    return names == [VECTOR] and is_bytes and network.normaliser is None
