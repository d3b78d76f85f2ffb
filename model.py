"""The actor-critic network of a population.

All weights of a member lie in one row of a single tensor, as do their gradients, so that an optimiser
sees one flat parameter. Two kinds of network are views of these rows: the stacked network of all
members, with a leading axis M in each layer and input, and the network of a single member, without that
axis. `[M,]` in a shape marks an axis that only stacked networks have.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from environments.interface import ACTION_MASK, Spaces
from networks.columns import Columns, find_columns
from networks.distributions import FORBIDDEN, Distribution, MultiCategorical
from networks.exploration import noise_log_deviation
from networks.gaussians import DiagonalGaussian, SquashedGaussian
from networks.initial_states import InitialStates
from networks.layers import Layer, Linear, Vector
from networks.normaliser import Normaliser
from networks.recurrence import Recurrence, Sequences
from networks.trunk import Trunk
from schema.config import Config
from utils import single_thread

# Gains of the last layers' initialisation (from the same paper as `HIDDEN_GAIN`): policies are nearly
# uniform at the start, and values aren't scaled.
_POLICY_GAIN, _VALUE_GAIN = 0.01, 1.0

# This many float32 fill whole vector registers of any processor, and whole cache lines.
_ALIGNMENT = 64

# An int selects one member, without the axis of members; a slice selects members with that axis.
MemberSelection = int | slice


@dataclass
class Acted:
    """A network's outputs for acting.

    Attributes:
        parameters: ([M,] B, parameters), of the policy's distributions.
        value_features: ([M,] B, size), input of the value function's last layer. None for a separate
            value trunk without recurrent layers: acting needs no values, and it is faster to compute
            those of a whole rollout at once.
        states: ([M,] B, state_size), hidden states after the step; None without recurrent layers.
        policy_features: ([M,] B, size), input of the policy's last layer; None without state-dependent
            exploration, which alone needs it.
    """

    parameters: Tensor
    value_features: Tensor | None
    states: Tensor | None
    policy_features: Tensor | None = None


class ActorCritic(nn.Module):
    """Policy and value function of one member, or of M stacked members.

    Args:
        spaces: spaces of observations and actions.
        config: the config; the sections model and trainer matter.
        members: M; None for a single member without that axis.

    Attributes:
        state_size: size of a worker's hidden state; 0 without recurrent layers.
        uses_sde: whether exploration depends on the state, see `networks/exploration.py`.
        has_equal_layers: as `ModelConfig.has_equal_layers`.

    Raises:
        ValueError: as `Recurrence`.
    """

    def __init__(self, spaces: Spaces, config: Config, members: int | None = None) -> None:
        super().__init__()
        axis = () if members is None else (members,)
        model = config.model.resolved(spaces.has_images)
        self.distribution = make_distribution(spaces, config)
        self.normaliser: Normaliser | None = None
        self.initial_states: InitialStates | None = None
        self._initialisation = model.initialization
        self.has_equal_layers = model.has_equal_layers
        self.trunk = Trunk(axis, spaces, model, model.policy_layers)
        self.value_trunk = (
            None if model.share_parameters else Trunk(axis, spaces, model, model.value_layers)
        )
        size = self.trunk.output_size
        self.policy_head = Linear(axis, size, self.distribution.num_outputs, _POLICY_GAIN)
        self.value_head = Linear(axis, self._trunks[-1].output_size, 1, _VALUE_GAIN)
        self.uses_sde = model.use_sde
        free = self.distribution.free_parameters
        if self.uses_sde:
            # A deviation for each feature and each dimension of an action.
            free *= size
        self.free_parameters = Vector(axis, free, model.log_std_init) if free else None
        self.state_size = sum(recurrence.state_size for recurrence in self._recurrences())

    @property
    def _trunks(self) -> list[Trunk]:
        return [self.trunk] if self.value_trunk is None else [self.trunk, self.value_trunk]

    def _recurrences(self) -> list[Recurrence]:
        return [trunk.recurrence for trunk in self._trunks if trunk.recurrence is not None]

    @property
    def acts_with_values(self) -> bool:
        """Whether `act` returns `Acted.value_features`."""
        return self.value_trunk is None or bool(self.state_size)

    def forward(
        self,
        observations: dict[str, Tensor],
        columns: Columns | None = None,
        sequences: Sequences | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return the parameters of the policy's distributions and the values.

        Args:
            observations: tensors ([M,] B, ...) by name, in the environment's own types.
            columns: the selected columns of the observations; None: all.
            sequences: order of the steps, for recurrent layers.

        Returns:
            Parameters of the distributions ([M,] B, parameters), and values ([M,] B).
        """
        normalised = self._normalised(observations)
        features, _ = self.trunk(normalised, columns, self._of_policy(sequences))
        value_features = features
        if self.value_trunk is not None:
            value_features, _ = self.value_trunk(normalised, columns, self._of_value(sequences))
        parameters = self._distribution_parameters(features, observations)
        return parameters, self.values_of_features(value_features)

    def act(self, observations: dict[str, Tensor], states: Tensor | None = None) -> Acted:
        """Return the policy's distributions for one step.

        Args:
            observations: tensors ([M,] B, ...) by name, in the environment's own types.
            states: hidden states ([M,] B, state_size), for recurrent layers.
        """
        sequences = None if states is None else Sequences(states)
        normalised = self._normalised(observations)
        features, after = self.trunk(normalised, None, self._of_policy(sequences))
        acted = Acted(
            self._distribution_parameters(features, observations),
            features,
            after,
            features if self.uses_sde else None,
        )
        if self.value_trunk is None:
            return acted
        if after is None:
            return replace(acted, value_features=None)
        features, value_after = self.value_trunk(normalised, None, self._of_value(sequences))
        return replace(acted, value_features=features, states=torch.cat((after, value_after), -1))

    def _of_policy(self, sequences: Sequences | None) -> Sequences | None:
        """Return the sequences with the hidden states of the policy's trunk, which come first."""
        if sequences is None or self.value_trunk is None:
            return sequences
        return sequences.part(0, self.state_size // 2)

    def _of_value(self, sequences: Sequences | None) -> Sequences | None:
        """Return the sequences with the hidden states of the separate value trunk."""
        return sequences and sequences.part(self.state_size // 2, self.state_size // 2)

    def _distribution_parameters(self, features: Tensor, observations: dict[str, Tensor]) -> Tensor:
        """Return the distributions' parameters ([M,] B, parameters) for the policy's last features."""
        outputs = self.policy_head(features)
        if not self.uses_sde:
            return self.policy_parameters(outputs, observations)
        assert self.free_parameters is not None
        return torch.cat((outputs, noise_log_deviation(features, self.free_parameters.values)), -1)

    def policy_parameters(self, outputs: Tensor, observations: dict[str, Tensor]) -> Tensor:
        """Return the distributions' parameters ([M,] B, parameters) for outputs ([M,] B, outputs)."""
        if self.free_parameters is not None:
            free = self.free_parameters.values.unsqueeze(-2).expand(*outputs.shape[:-1], -1)
            return torch.cat((outputs, free), -1)
        if ACTION_MASK in observations:
            return outputs.masked_fill(observations[ACTION_MASK] == 0, FORBIDDEN)
        return outputs

    def values(self, observations: dict[str, Tensor], columns: Columns | None = None) -> Tensor:
        """Return the values ([M,] B) of observations, from the separate value trunk."""
        assert self.value_trunk is not None
        features, _ = self.value_trunk(self._normalised(observations), columns)
        return self.values_of_features(features)

    def values_of_features(self, features: Tensor) -> Tensor:
        """Return the values ([M,] B) of features, the inputs of the value function's last layer."""
        return self.value_head(features).squeeze(-1)

    def begin_states(self, count: int, generator: torch.Generator) -> Tensor:
        """Return initial hidden states (count, state_size) of a single member."""
        learned = [recurrence.initial for recurrence in self._recurrences()]
        if learned[0] is not None:
            return torch.cat([vector.values.detach() for vector in learned if vector]).expand(
                count, -1
            )
        assert self.initial_states is not None
        return self.initial_states.draw(count, generator)

    def find_columns(self, observations: dict[str, Tensor]) -> Columns | None:
        """Return the columns of a batch of observations (K, ...) that matter; None: all."""
        (values, *others) = observations.values()
        sparse = values.dim() == 2 and values.dtype == torch.uint8
        if others or not sparse or self.normaliser is not None:
            return None
        if not all(trunk.reads_columns for trunk in self._trunks):
            return None
        return find_columns(values)

    def _normalised(self, observations: dict[str, Tensor]) -> dict[str, Tensor]:
        return observations if self.normaliser is None else self.normaliser(observations)

    def rounds_alike(self, workers: int) -> bool:
        """Return whether stacked weights round as each member's own weights do when acting.

        Products do; see `Linear`. Activations do if each member's activations fill whole vector
        registers, as the processor computes single numbers differently. Everything else is rounded
        exactly.

        Args:
            workers: N.
        """
        if self.trunk.encoders or self.trunk.in_bfloat16 or self.uses_sde:
            return False
        widths = set().union(*(trunk.widths for trunk in self._trunks))
        return all(workers * width % _ALIGNMENT == 0 for width in widths)

    @property
    def is_dense(self) -> bool:
        """Whether all layers are fully connected, in float32."""
        trunk = self.trunk
        return not trunk.encoders and not trunk.in_bfloat16 and trunk.recurrence is None

    def dense_inputs(self, observations: dict[str, Tensor]) -> Tensor:
        """Return the inputs (B, inputs) of a dense network for observations (B, ...)."""
        return self.trunk.encode(self._normalised(observations))

    @property
    def size(self) -> int:
        """Number of weights: P for a single member, M * P for stacked members."""
        return sum(parameter.numel() for parameter in self.parameters())

    def bind(self, weights: Tensor, gradients: Tensor | None = None) -> ActorCritic:
        """Make all weights and gradients views of ([M,] P) tensors, and return the network."""
        offset = 0
        axes = weights.dim() - 1
        for layer in self._layers():
            for name, placeholder in list(layer.named_parameters(recurse=False)):
                end = offset + placeholder.shape[axes:].numel()
                parameter = nn.Parameter(layer.view(name, weights[..., offset:end]))
                if gradients is not None:
                    parameter.grad = layer.view(name, gradients[..., offset:end])
                setattr(layer, name, parameter)
                offset = end
        return self

    def initialise(self, generator: torch.Generator) -> None:
        """Draw the initial weights of a single member."""
        for layer in self._layers():
            layer.initialise(generator, self._initialisation)

    def _layers(self) -> Iterator[Layer | Vector]:
        return (module for module in self.modules() if isinstance(module, (Layer, Vector)))


def make_distribution(spaces: Spaces, config: Config) -> Distribution:
    """Return the distribution over an environment's actions."""
    if spaces.branches:
        return MultiCategorical(spaces.branches, config.trainer.multi_discrete_ratio == "branch")
    if config.model.squash_actions:
        return SquashedGaussian(spaces.bounds)
    return DiagonalGaussian(spaces.bounds)


def _stack(parts: Sequence[Tensor | None]) -> Tensor | None:
    present = [part for part in parts if part is not None]
    return torch.stack(present) if present else None


def _aligned_rows(rows: int, size: int, device: torch.device) -> Tensor:
    """Return zeros (rows, size); each row starts at a multiple of 64 bytes of memory.

    Libraries may round products differently if a matrix starts elsewhere.
    """
    padded = -(-size // _ALIGNMENT) * _ALIGNMENT
    return torch.zeros(rows, padded, device=device)[:, :size]


class Population:
    """The networks of M members: one stacked network, and a view of it for each member.

    Args:
        spaces: spaces of observations and actions.
        config: the config of the network.
        members: M.
        device: the weights' device.

    Attributes:
        weights: (M, P), the weights of each member.
        gradients: (M, P).
        stacked: the network of all members.
        each: the network of each member, on the same weights.
    """

    def __init__(self, spaces: Spaces, config: Config, members: int, device: torch.device) -> None:
        self.each = [ActorCritic(spaces, config) for _ in range(members)]
        self.weights = _aligned_rows(members, self.each[0].size, device)
        self.gradients = _aligned_rows(members, self.each[0].size, device)
        self.stacked = ActorCritic(spaces, config, members).bind(self.weights, self.gradients)
        for member, network in enumerate(self.each):
            network.bind(self.weights[member], self.gradients[member])
        if config.model.normalize_observations:
            self.stacked.normaliser = Normaliser.of(spaces, members, device)
            for member, network in enumerate(self.each):
                network.normaliser = self.stacked.normaliser.member(member)
        if config.model.recurrence is not None:
            kind, size = config.model.recurrence.hidden_state_init, self.stacked.state_size
            self.stacked.initial_states = InitialStates.of(kind, members, size, device)
            for member, network in enumerate(self.each):
                network.initial_states = self.stacked.initial_states.member(member)

    def initialise(self, member: int, generator: torch.Generator) -> None:
        """Draw the initial weights of one member, from a generator on the CPU."""
        # Always on the CPU and on one thread, so that initial weights are the same everywhere.
        host_weights = torch.zeros_like(self.weights[member], device="cpu")
        network = self.each[member]
        with single_thread():
            network.bind(host_weights).initialise(generator)
        self.weights[member].copy_(host_weights)
        network.bind(self.weights[member], self.gradients[member])

    def act(self, observations: dict[str, Tensor], states: Tensor | None) -> Acted:
        """Return all members' outputs for acting; on a CPU the same bits as if each acted alone.

        Args:
            observations: (M, N, ...) by name, in the environment's own types.
            states: hidden states (M, N, state_size), for recurrent layers.

        Returns:
            Outputs of shapes (M, N, ...).
        """
        workers = next(iter(observations.values())).shape[1]
        if self.weights.device.type != "cpu" or self.stacked.rounds_alike(workers):
            return self.stacked.act(observations, states)
        parts = [
            network.act(own, None if states is None else states[member])
            for member, (network, own) in enumerate(self._of_each(observations))
        ]
        return Acted(
            torch.stack([part.parameters for part in parts]),
            _stack([part.value_features for part in parts]),
            _stack([part.states for part in parts]),
            _stack([part.policy_features for part in parts]),
        )

    def values(self, observations: dict[str, Tensor], states: Tensor | None) -> Tensor:
        """Return the values (M, N) of observations (M, N, ...); on a CPU each member's as if alone."""
        if self.weights.device.type != "cpu":
            return self.stacked(
                observations, None, states if states is None else Sequences(states)
            )[1]
        values = [
            network(own, None, states if states is None else Sequences(states[member]))[1]
            for member, (network, own) in enumerate(self._of_each(observations))
        ]
        return torch.stack(values)

    def _of_each(
        self, observations: dict[str, Tensor]
    ) -> Iterator[tuple[ActorCritic, dict[str, Tensor]]]:
        """Yield each member's network and its own part of (M, ...) observations."""
        for member, network in enumerate(self.each):
            yield network, {name: values[member] for name, values in observations.items()}

    def part(self, selection: MemberSelection) -> ActorCritic:
        """Return the network of one member, or the stacked network for a slice."""
        return self.each[selection] if isinstance(selection, int) else self.stacked

    def member_weights(self, member: int) -> dict[str, Tensor]:
        """Return one member's weights by name, on the CPU."""
        named = self.each[member].named_parameters()
        return {name: weight.detach().cpu().clone() for name, weight in named}

    def observe(self, observations: dict[str, Tensor], states: Tensor | None) -> None:
        """Update running statistics by a rollout, if the networks have any.

        Args:
            observations: (M, T, N, ...) by name.
            states: (M, T, N, state_size), hidden states; None without recurrent layers.
        """
        if self.stacked.normaliser is not None:
            self.stacked.normaliser.update(observations)
        if self.stacked.initial_states is not None and states is not None:
            self.stacked.initial_states.update(states)

    def statistics(self, member: int) -> dict[str, Tensor]:
        """Return the running statistics of one member's network, on the CPU."""
        return {
            f"{kind}.{name}": values
            for kind, part in self._statistics(member).items()
            for name, values in part.state().items()
        }

    def _statistics(self, member: int) -> dict[str, Normaliser | InitialStates]:
        network = self.each[member]
        parts = {"observations": network.normaliser, "hidden_states": network.initial_states}
        return {kind: part for kind, part in parts.items() if part is not None}

    def load_member(
        self, member: int, weights: dict[str, Tensor], statistics: dict[str, Tensor]
    ) -> None:
        """Set the weights and statistics of one member.

        Raises:
            ValueError: they belong to another network; the message continues the checkpoint's name.
        """
        own = dict(self.each[member].named_parameters())
        shapes = {name: tuple(weight.shape) for name, weight in own.items()}
        if shapes != {name: tuple(weight.shape) for name, weight in weights.items()}:
            raise ValueError("holds a network of another shape than model and environment define")
        if self.statistics(member).keys() != statistics.keys():
            raise ValueError("was trained with the other setting of model.normalize_observations")
        for kind, part in self._statistics(member).items():
            prefix = f"{kind}."
            part.restore(
                {
                    name.removeprefix(prefix): values
                    for name, values in statistics.items()
                    if name.startswith(prefix)
                }
            )
        for name, weight in weights.items():
            own[name].data.copy_(weight)
