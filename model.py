"""The actor-critic network of a population.

All members' networks are one: each layer's weights have a leading axis of members M, and so has each
input. A population of one is the ordinary network. All weights of a member lie in one row of a single
tensor, as do their gradients, so that an optimiser sees a single flat parameter.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

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


class _Layer(nn.Module):
    """A layer with a weight (M, outputs, ...) and a bias (M, outputs), not yet in memory."""

    def __init__(self, members: int, shape: tuple[int, ...], gain: float) -> None:
        super().__init__()
        self.gain = gain
        self.weight = nn.Parameter(torch.empty(members, *shape, device="meta"))
        self.bias = nn.Parameter(torch.empty(members, shape[0], device="meta"))

    def initialise(self, member: int, generator: torch.Generator) -> None:
        """Orthogonal weights and a bias of zero for one member."""
        nn.init.orthogonal_(self.weight.data[member], self.gain, generator=generator)
        self.bias.data[member].zero_()


class Linear(_Layer):
    """A fully connected layer: (M, B, inputs) -> (M, B, outputs)."""

    def __init__(self, members: int, inputs: int, outputs: int, gain: float) -> None:
        super().__init__(members, (outputs, inputs), gain)

    def forward(self, inputs: Tensor) -> Tensor:
        """Applies each member's weights to its own inputs."""
        if len(inputs) == 1:
            return functional.linear(inputs[0], self.weight[0], self.bias[0]).unsqueeze(0)
        return torch.baddbmm(self.bias.unsqueeze(1), inputs, self.weight.transpose(1, 2))


class Convolution(_Layer):
    """A convolution: (M, B, channels, height, width) -> (M, B, filters, height', width')."""

    def __init__(self, members: int, channels: int, filters: int, kernel: int, stride: int) -> None:
        super().__init__(members, (filters, channels, kernel, kernel), _HIDDEN_GAIN)
        self.stride = stride

    def forward(self, images: Tensor) -> Tensor:
        """Applies each member's filters to its own images, as groups of one convolution."""
        members = len(images)
        if members == 1:
            image, weight, bias = images[0], self.weight[0], self.bias[0]
            return functional.conv2d(image, weight, bias, self.stride).unsqueeze(0)
        # M x B x C -> B x (M * C), and back
        grouped = images.transpose(0, 1).flatten(1, 2)
        weight, bias = self.weight.flatten(0, 1), self.bias.flatten()
        filtered = functional.conv2d(grouped, weight, bias, self.stride, groups=members)
        return filtered.unflatten(1, (members, -1)).transpose(0, 1)


class Trunk(nn.Module):
    """Observations to features: convolutions for images, then fully connected layers over all.

    Args:
        members: M.
        spaces: what is observed.
        config: sizes and activation.
    """

    def __init__(self, members: int, spaces: Spaces, config: ModelConfig) -> None:
        super().__init__()
        self.activation = _ACTIVATIONS[config.activation]
        self.encoders = nn.ModuleDict()
        width = 0
        for name, (shape, _) in spaces.observations.items():
            if len(shape) == 3:
                self.encoders[name] = self._encoder(members, shape[2])
                width += _encoded_size(shape)
            else:
                width += math.prod(shape)
        sizes = [width] + [config.hidden_layer_size] * config.num_hidden_layers
        self.layers = nn.ModuleList(
            Linear(members, inputs, outputs, _HIDDEN_GAIN) for inputs, outputs in pairwise(sizes)
        )

    @staticmethod
    def _encoder(members: int, channels: int) -> nn.ModuleList:
        encoder = nn.ModuleList()
        for filters, kernel, stride in _CONVOLUTIONS:
            encoder.append(Convolution(members, channels, filters, kernel, stride))
            channels = filters
        return encoder

    def forward(self, observations: dict[str, Tensor]) -> Tensor:
        """(M, B, ...) observations -> (M, B, hidden_layer_size) features."""
        parts = [self._encode(name, value) for name, value in observations.items()]
        features = parts[0] if len(parts) == 1 else torch.cat(parts, -1)
        for layer in self.layers:
            features = self.activation(layer(features))
        return features

    def _encode(self, name: str, values: Tensor) -> Tensor:
        if name not in self.encoders:
            return values.float()
        # M x B x H x W x C -> M x B x C x H x W, bytes to [0, 1]
        images = values.permute(0, 1, 4, 2, 3).float().mul_(1 / 255)
        encoder = self.encoders[name]
        assert isinstance(encoder, nn.ModuleList)
        for layer in encoder:
            images = self.activation(layer(images))
        return images.flatten(2)


def _encoded_size(shape: tuple[int, ...]) -> int:
    height, width = shape[0], shape[1]
    for _, kernel, stride in _CONVOLUTIONS:
        height, width = (height - kernel) // stride + 1, (width - kernel) // stride + 1
    return height * width * _CONVOLUTIONS[-1][0]


class ActorCritic(nn.Module):
    """Policy and value function of M members.

    Args:
        spaces: what is observed and which actions there are.
        config: sizes, activation, and whether policy and value function share a trunk.
        members: M.
    """

    def __init__(self, spaces: Spaces, config: ModelConfig, members: int = 1) -> None:
        super().__init__()
        self.distribution = MultiCategorical(spaces.branches)
        self.normaliser: Normaliser | None = None
        self.trunk = Trunk(members, spaces, config)
        self.value_trunk = None if config.share_parameters else Trunk(members, spaces, config)
        size = config.hidden_layer_size
        self.policy_head = Linear(members, size, self.distribution.num_parameters, _POLICY_GAIN)
        self.value_head = Linear(members, size, 1, _VALUE_GAIN)

    def forward(self, observations: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The policy's distributions and the values of observations.

        Args:
            observations: tensors of shape (M, B, ...), in the environment's own types.

        Returns:
            Parameters of the distributions (M, B, parameters), and values (M, B).
        """
        if self.normaliser is not None:
            observations = self.normaliser(observations)
        features = self.trunk(observations)
        value_features = features if self.value_trunk is None else self.value_trunk(observations)
        return self.policy_head(features), self.value_head(value_features).squeeze(-1)

    @property
    def size(self) -> int:
        """The number P of one member's weights."""
        return sum(parameter[0].numel() for parameter in self.parameters())

    def bind(self, weights: Tensor, gradients: Tensor | None = None) -> ActorCritic:
        """Makes all weights, and their gradients, views of (M, P) tensors, and returns itself."""
        offset = 0
        for layer in self._layers():
            for name, parameter in list(layer.named_parameters()):
                end = offset + parameter[0].numel()
                view = nn.Parameter(weights[:, offset:end].view(parameter.shape))
                if gradients is not None:
                    view.grad = gradients[:, offset:end].view(parameter.shape)
                setattr(layer, name, view)
                offset = end
        return self

    def initialise(self, member: int, generator: torch.Generator) -> None:
        """Draws the initial weights of one member."""
        for layer in self._layers():
            layer.initialise(member, generator)

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
        each: the network of each member, of one member each, on the same weights.
    """

    def __init__(
        self, spaces: Spaces, config: ModelConfig, members: int, device: torch.device
    ) -> None:
        self.stacked = ActorCritic(spaces, config, members)
        self.weights = torch.zeros(members, self.stacked.size, device=device)
        self.gradients = torch.zeros_like(self.weights)
        self.stacked.bind(self.weights, self.gradients)
        self.each = [
            ActorCritic(spaces, config).bind(
                self.weights[member : member + 1], self.gradients[member : member + 1]
            )
            for member in range(members)
        ]
        if config.normalize_observations:
            self.stacked.normaliser = Normaliser.of(spaces, members, device)
            for member, network in enumerate(self.each):
                network.normaliser = self.stacked.normaliser.member(member)

    def initialise(self, member: int, generator: torch.Generator) -> None:
        """Draws the initial weights of one member, from a generator on the CPU."""
        # On the CPU whatever the device, so that the initial weights are the same everywhere.
        device_weights = self.weights[member : member + 1]
        host_weights = torch.zeros_like(device_weights, device="cpu")
        network = self.each[member]
        network.bind(host_weights).initialise(0, generator)
        device_weights.copy_(host_weights)
        network.bind(device_weights, self.gradients[member : member + 1])

    def member_weights(self, member: int) -> dict[str, Tensor]:
        """The named weights of one member, without the axis of members, on the CPU."""
        named = self.each[member].named_parameters()
        return {name: weight.detach()[0].cpu().clone() for name, weight in named}

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
        shapes = {name: tuple(weight.shape[1:]) for name, weight in own.items()}
        if shapes != {name: tuple(weight.shape) for name, weight in weights.items()}:
            raise ValueError("is of a network of another shape than model and environment make it")
        own_normaliser = self.each[member].normaliser
        if (own_normaliser is None) != (not normaliser):
            raise ValueError("has the other setting of model.normalize_observations")
        if own_normaliser is not None:
            own_normaliser.restore(normaliser)
        for name, weight in weights.items():
            own[name].data[0].copy_(weight)
