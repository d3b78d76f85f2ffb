"""The actor-critic network of a population.

All weights of a member lie in one row of a single tensor, as do their gradients, so that an optimiser
sees a single flat parameter. Two kinds of network look at those rows: the stacked one sees all members
at once, and each of its layers and inputs has a leading axis M; that of a single member has no such
axis. `[M,]` in a shape means that the axis is there in the first kind only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from columns import Columns, find_columns
from config import ModelConfig
from distributions import MultiCategorical
from environments.interface import Spaces
from normaliser import Normaliser

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "elu": functional.elu,
    "leaky_relu": functional.leaky_relu,
    "relu": functional.relu,
    "swish": functional.silu,
    "tanh": torch.tanh,
    "gelu": functional.gelu,
}
# Filters, kernel size and stride of each layer (Mnih et al., 2015, Human-level control through deep
# reinforcement learning).
_CONVOLUTIONS = ((32, 8, 4), (64, 4, 2), (64, 3, 1))
# Gains of the orthogonal initialisation: nearly uniform policies and unscaled values at the start
# (Andrychowicz et al., 2021, What matters for on-policy deep actor-critic methods).
_HIDDEN_GAIN, _POLICY_GAIN, _VALUE_GAIN = math.sqrt(2), 0.01, 1.0

# Which members are looked at: one, without an axis of members, or all, with it.
Rows = int | slice


class _Layer(nn.Module):
    """A layer with a weight ([M,] *shape) and a bias ([M,] outputs), not yet in memory."""

    def __init__(
        self, axis: tuple[int, ...], shape: tuple[int, ...], outputs: int, gain: float
    ) -> None:
        super().__init__()
        self.gain = gain
        self.weight = nn.Parameter(torch.empty(*axis, *shape, device="meta"))
        self.bias = nn.Parameter(torch.empty(*axis, outputs, device="meta"))

    def view_weight(self, flat: Tensor) -> Tensor:
        """A row ([M,] K) of numbers, or of gradients, as what the weight is."""
        return flat.view(self.weight.shape)

    def initialise(self, generator: torch.Generator) -> None:
        """Orthogonal weights and a bias of zero, for a single member."""
        drawn = torch.empty(self.weight.shape)
        nn.init.orthogonal_(drawn, self.gain, generator=generator)
        self.weight.data.copy_(drawn)
        self.bias.data.zero_()


class Linear(_Layer):
    """A fully connected layer: ([M,] B, inputs) -> ([M,] B, outputs).

    Its weight is ([M,] inputs, outputs), which multiplies small batches twice as fast on a CPU as its
    transpose does.
    """

    def __init__(self, axis: tuple[int, ...], inputs: int, outputs: int, gain: float) -> None:
        super().__init__(axis, (inputs, outputs), outputs, gain)

    def forward(self, inputs: Tensor, columns: Columns | None = None) -> Tensor:
        """Applies each member's weights to its own inputs, or to what `columns` selected of them."""
        weight = self.weight if columns is None else columns.merge(self.weight)
        if weight.dim() == 2:
            return torch.addmm(self.bias, inputs, weight)
        return torch.baddbmm(self.bias.unsqueeze(1), inputs, weight)


class Convolution(_Layer):
    """A convolution: ([M,] B, channels, height, width) -> ([M,] B, filters, height', width').

    Its weight ([M,] filters, channels, kernel, kernel) lies in memory with the channels last, as images
    do, which saves a sixth of the time on a CPU.
    """

    def __init__(
        self, axis: tuple[int, ...], channels: int, filters: int, kernel: int, stride: int
    ) -> None:
        super().__init__(axis, (filters, channels, kernel, kernel), filters, _HIDDEN_GAIN)
        self.stride = stride

    def view_weight(self, flat: Tensor) -> Tensor:
        """A row ([M,] K) of numbers, or of gradients, as what the weight is."""
        *axes, channels, height, width = self.weight.shape
        return flat.view(*axes, height, width, channels).movedim(-1, -3)

    def forward(self, images: Tensor) -> Tensor:
        """Applies each member's filters to its own images, as groups of one convolution."""
        if self.weight.dim() == 4:
            return functional.conv2d(images, self.weight, self.bias, self.stride)
        members = len(images)
        # M x B x C -> B x (M * C), and back
        grouped = images.transpose(0, 1).flatten(1, 2)
        weight, bias = self.weight.flatten(0, 1), self.bias.flatten()
        filtered = functional.conv2d(grouped, weight, bias, self.stride, groups=members)
        return filtered.unflatten(1, (members, -1)).transpose(0, 1)


class Trunk(nn.Module):
    """Observations to features: convolutions for images, then fully connected layers over all.

    Args:
        axis: (M,), or () for a single member.
        spaces: what is observed.
        config: sizes and activation.
    """

    def __init__(self, axis: tuple[int, ...], spaces: Spaces, config: ModelConfig) -> None:
        super().__init__()
        self.in_bfloat16 = config.precision == "bfloat16"
        self.activation_name = config.activation
        self.activation = _ACTIVATIONS[config.activation]
        self.encoders = nn.ModuleDict()
        width = 0
        for name, (shape, _) in spaces.observations.items():
            if len(shape) == 3:
                self.encoders[name] = self._encoder(axis, shape[2])
                width += _encoded_size(shape)
            else:
                width += math.prod(shape)
        sizes = [width] + [config.hidden_layer_size] * config.num_hidden_layers
        self.linear_layers = [
            Linear(axis, inputs, outputs, _HIDDEN_GAIN) for inputs, outputs in pairwise(sizes)
        ]
        self.layers = nn.ModuleList(self.linear_layers)

    @staticmethod
    def _encoder(axis: tuple[int, ...], channels: int) -> nn.ModuleList:
        encoder = nn.ModuleList()
        for filters, kernel, stride in _CONVOLUTIONS:
            encoder.append(Convolution(axis, channels, filters, kernel, stride))
            channels = filters
        return encoder

    def forward(self, observations: dict[str, Tensor], columns: Columns | None = None) -> Tensor:
        """([M,] B, ...) observations -> ([M,] B, hidden_layer_size) features.

        Args:
            observations: what is observed.
            columns: what was selected of the observations; None is everything.
        """
        if not self.in_bfloat16:
            return self._features(observations, columns)
        device = next(iter(observations.values())).device.type
        with torch.autocast(device, torch.bfloat16):
            return self._features(observations, columns).float()

    def _features(self, observations: dict[str, Tensor], columns: Columns | None) -> Tensor:
        features = self.encode(observations)
        for layer in self.linear_layers:
            features = self.activation(layer(features, columns))
            columns = None
        return features

    def encode(self, observations: dict[str, Tensor]) -> Tensor:
        """([M,] B, ...) observations -> ([M,] B, inputs of the first fully connected layer)."""
        parts = [self._encode(name, value) for name, value in observations.items()]
        return parts[0] if len(parts) == 1 else torch.cat(parts, -1)

    def _encode(self, name: str, values: Tensor) -> Tensor:
        if name not in self.encoders:
            return values.float()
        # Bytes to [0, 1]; [M x] B x H x W x C -> [M x] B x C x H x W
        images = values.float().mul_(1 / 255).movedim(-1, -3)
        encoder = self.encoders[name]
        assert isinstance(encoder, nn.ModuleList)
        for layer in encoder:
            images = self.activation(layer(images))
        return images.flatten(-3)


def _encoded_size(shape: tuple[int, ...]) -> int:
    height, width = shape[0], shape[1]
    for _, kernel, stride in _CONVOLUTIONS:
        height, width = (height - kernel) // stride + 1, (width - kernel) // stride + 1
    return height * width * _CONVOLUTIONS[-1][0]


class ActorCritic(nn.Module):
    """Policy and value function of one member, or of M stacked ones.

    Args:
        spaces: what is observed and which actions there are.
        config: sizes, activation, and whether policy and value function share a trunk.
        members: M; None is a single member without that axis.
    """

    def __init__(self, spaces: Spaces, config: ModelConfig, members: int | None = None) -> None:
        super().__init__()
        axis = () if members is None else (members,)
        self.distribution = MultiCategorical(spaces.branches)
        self.normaliser: Normaliser | None = None
        self.trunk = Trunk(axis, spaces, config)
        self.value_trunk = None if config.share_parameters else Trunk(axis, spaces, config)
        size = config.hidden_layer_size
        self.policy_head = Linear(axis, size, self.distribution.num_parameters, _POLICY_GAIN)
        self.value_head = Linear(axis, size, 1, _VALUE_GAIN)

    def forward(
        self, observations: dict[str, Tensor], columns: Columns | None = None
    ) -> tuple[Tensor, Tensor]:
        """The policy's distributions and the values of observations.

        Args:
            observations: tensors of shape ([M,] B, ...), in the environment's own types.
            columns: what was selected of the observations; None is everything.

        Returns:
            Parameters of the distributions ([M,] B, parameters), and values ([M,] B).
        """
        observations = self._normalised(observations)
        features = value_features = self.trunk(observations, columns)
        if self.value_trunk is not None:
            value_features = self.value_trunk(observations, columns)
        return self.policy_head(features), self.value_head(value_features).squeeze(-1)

    def act(self, observations: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The policy's distributions ([M,] B, parameters), and the features ([M,] B, size) they are of.

        Acting needs no values, so that those of a whole rollout can be computed at once.
        """
        features = self.trunk(self._normalised(observations))
        return self.policy_head(features), features

    def values(self, observations: dict[str, Tensor], columns: Columns | None = None) -> Tensor:
        """The values ([M,] B) of observations, by the value function's own trunk."""
        assert self.value_trunk is not None
        return self.value_features(self.value_trunk(self._normalised(observations), columns))

    def value_features(self, features: Tensor) -> Tensor:
        """The values ([M,] B) by the features of a shared trunk, which `act` gave."""
        return self.value_head(features).squeeze(-1)

    def find_columns(self, observations: dict[str, Tensor]) -> Columns | None:
        """What a network must look at of a batch of observations (K, ...); None is everything."""
        (values, *others) = observations.values()
        sparse = values.dim() == 2 and values.dtype == torch.uint8
        if others or not sparse or self.normaliser is not None:
            return None
        return find_columns(values)

    def _normalised(self, observations: dict[str, Tensor]) -> dict[str, Tensor]:
        return observations if self.normaliser is None else self.normaliser(observations)

    @property
    def is_dense(self) -> bool:
        """Whether all layers are fully connected, in float32."""
        return not self.trunk.encoders and not self.trunk.in_bfloat16

    def dense_inputs(self, observations: dict[str, Tensor]) -> Tensor:
        """Observations (B, ...) of a dense network -> (B, inputs)."""
        return self.trunk.encode(self._normalised(observations))

    @property
    def size(self) -> int:
        """The number of weights: P for a single member, M * P for stacked ones."""
        return sum(parameter.numel() for parameter in self.parameters())

    def bind(self, weights: Tensor, gradients: Tensor | None = None) -> ActorCritic:
        """Makes all weights, and their gradients, views of ([M,] P) tensors, and returns itself."""
        offset = 0
        for layer in self._layers():
            views = {"weight": layer.view_weight, "bias": lambda flat: flat}
            for name, view in views.items():
                axes = weights.dim() - 1
                end = offset + getattr(layer, name).shape[axes:].numel()
                parameter = nn.Parameter(view(weights[..., offset:end]))
                if gradients is not None:
                    parameter.grad = view(gradients[..., offset:end])
                setattr(layer, name, parameter)
                offset = end
        return self

    def initialise(self, generator: torch.Generator) -> None:
        """Draws the initial weights of a single member."""
        for layer in self._layers():
            layer.initialise(generator)

    def _layers(self) -> Iterator[_Layer]:
        return (module for module in self.modules() if isinstance(module, _Layer))


class Population:
    """The networks of M members: one for all together, and one view of it for each.

    Args:
        spaces: what is observed and which actions there are.
        config: the network.
        members: M.
        device: where the weights are.

    Attributes:
        weights: (M, P), the weights of each member.
        gradients: (M, P).
        stacked: the network of all members.
        each: the network of each member, on the same weights.
    """

    def __init__(
        self, spaces: Spaces, config: ModelConfig, members: int, device: torch.device
    ) -> None:
        self.each = [ActorCritic(spaces, config) for _ in range(members)]
        self.weights = torch.zeros(members, self.each[0].size, device=device)
        self.gradients = torch.zeros_like(self.weights)
        self.stacked = ActorCritic(spaces, config, members).bind(self.weights, self.gradients)
        for member, network in enumerate(self.each):
            network.bind(self.weights[member], self.gradients[member])
        if config.normalize_observations:
            self.stacked.normaliser = Normaliser.of(spaces, members, device)
            for member, network in enumerate(self.each):
                network.normaliser = self.stacked.normaliser.member(member)

    def initialise(self, member: int, generator: torch.Generator) -> None:
        """Draws the initial weights of one member, from a generator on the CPU."""
        # On the CPU whatever the device, so that the initial weights are the same everywhere.
        host_weights = torch.zeros_like(self.weights[member], device="cpu")
        network = self.each[member]
        network.bind(host_weights).initialise(generator)
        self.weights[member].copy_(host_weights)
        network.bind(self.weights[member], self.gradients[member])

    def part(self, rows: Rows) -> ActorCritic:
        """The network of one member, or the stacked one of all."""
        return self.each[rows] if isinstance(rows, int) else self.stacked

    def member_weights(self, member: int) -> dict[str, Tensor]:
        """The named weights of one member, on the CPU."""
        named = self.each[member].named_parameters()
        return {name: weight.detach().cpu().clone() for name, weight in named}

    def normaliser_state(self, member: int) -> dict[str, Tensor]:
        """The statistics of one member's observations; empty where they aren't normalised."""
        normaliser = self.each[member].normaliser
        return {} if normaliser is None else normaliser.state()

    def observe(self, observations: dict[str, Tensor]) -> None:
        """Takes (M, T, N, ...) observations of a rollout into the statistics, where there are any."""
        if self.stacked.normaliser is not None:
            self.stacked.normaliser.update(observations)

    def load_member(
        self, member: int, weights: dict[str, Tensor], normaliser: dict[str, Tensor]
    ) -> None:
        """Sets the weights and the statistics of one member.

        Raises:
            ValueError: they belong to another network; the message goes on from the checkpoint's name.
        """
        own = dict(self.each[member].named_parameters())
        shapes = {name: tuple(weight.shape) for name, weight in own.items()}
        if shapes != {name: tuple(weight.shape) for name, weight in weights.items()}:
            raise ValueError("is of a network of another shape than model and environment make it")
        own_normaliser = self.each[member].normaliser
        if (own_normaliser is None) != (not normaliser):
            raise ValueError("has the other setting of model.normalize_observations")
        if own_normaliser is not None:
            own_normaliser.restore(normaliser)
        for name, weight in weights.items():
            own[name].data.copy_(weight)
