"""The trunk of a network: observations to features.

`[M,]` in a shape marks the axis of members that only stacked networks have (see `model.py`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

import numerics
from environments.interface import ACTION_MASK, Spaces
from networks.columns import Columns
from networks.layers import HIDDEN_GAIN, Convolution, Linear
from networks.recurrence import Recurrence, Sequences
from networks.sizes import CONVOLUTIONS, convolved_sizes
from schema.model import ModelConfig

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "elu": functional.elu,
    "leaky_relu": functional.leaky_relu,
    "relu": functional.relu,
    "swish": functional.silu,
    "tanh": torch.tanh,
    "gelu": functional.gelu,
}


def module_name(name: str) -> str:
    """Return a name that a `ModuleDict` takes for an observation's; most names stay as they are."""
    is_taken = not name or "." in name or hasattr(nn.ModuleDict(), name)
    # With the mark, no two names become the same one.
    return (
        f"%{name.replace('%', '%25').replace('.', '%2e')}" if is_taken or name[0] == "%" else name
    )


class Trunk(nn.Module):
    """Convolutions for images, then recurrent layers, then fully connected layers.

    Args:
        axis: (M,), or () for a single member.
        spaces: spaces of the observations.
        config: activation, precision and recurrent layers.
        units: of each fully connected layer.

    Attributes:
        output_size: number of features.
        widths: sizes of the activations' outputs.
    """

    def __init__(
        self, axis: tuple[int, ...], spaces: Spaces, config: ModelConfig, units: Sequence[int]
    ) -> None:
        super().__init__()
        self.in_bfloat16 = config.precision == "bfloat16"
        self.activation_name = config.activation
        self.activation = _ACTIVATIONS[config.activation]
        self.encoders = nn.ModuleDict()
        self._module_names: dict[str, str] = {}
        width = 0
        for name, (shape, _) in spaces.observations.items():
            if len(shape) == 3:
                self._module_names[name] = module_name(name)
                self.encoders[module_name(name)] = self._encoder(axis, shape[2])
                width += list(convolved_sizes(shape))[-1]
            elif name != ACTION_MASK:
                width += math.prod(shape)
        self.recurrence: Recurrence | None = None
        if config.recurrence is not None:
            self.recurrence = Recurrence(axis, width, config.recurrence, self.activation)
            # With convolutions torch has several threads, which speed up its own recurrent layers.
            is_lstm, alone = config.recurrence.layer_type == "lstm", not self.encoders
            self.recurrence.uses_numba = is_lstm and alone and numerics.is_installed()
            width = self.recurrence.output_size
        sizes = [width, *units]
        self.linear_layers = [
            Linear(axis, inputs, outputs, HIDDEN_GAIN) for inputs, outputs in pairwise(sizes)
        ]
        self.layers = nn.ModuleList(self.linear_layers)
        self.output_size = sizes[-1]
        self.widths = {*units}
        if self.recurrence is not None:
            self.widths.add(self.recurrence.output_size)

    @property
    def reads_columns(self) -> bool:
        """Whether a first layer multiplies the observations, so that it can read columns of them."""
        return self.recurrence is not None or bool(self.linear_layers)

    @staticmethod
    def _encoder(axis: tuple[int, ...], channels: int) -> nn.ModuleList:
        encoder = nn.ModuleList()
        for filters, kernel, stride in CONVOLUTIONS:
            encoder.append(Convolution(axis, channels, filters, kernel, stride))
            channels = filters
        return encoder

    def forward(
        self,
        observations: dict[str, Tensor],
        columns: Columns | None = None,
        sequences: Sequences | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Return the features of observations and hidden states.

        Args:
            observations: ([M,] B, ...) by name.
            columns: the selected columns of the observations; None: all.
            sequences: order of the steps, for recurrent layers.

        Returns:
            Features ([M,] B, output_size), and the hidden states after each step as from
            `Recurrence`.
        """
        device = next(iter(observations.values())).device.type
        with self._precision(device):
            features = self.encode(observations)
        states = None
        if self.recurrence is not None:
            assert sequences is not None
            features, states = self.recurrence(features.float(), sequences, columns)
            columns = None
        with self._precision(device):
            for layer in self.linear_layers:
                features = self.activation(layer(features, columns))
                columns = None
        return features.float(), states

    def _precision(self, device: str) -> AbstractContextManager[object]:
        return torch.autocast(device, torch.bfloat16) if self.in_bfloat16 else nullcontext()

    def encode(self, observations: dict[str, Tensor]) -> Tensor:
        """Encode observations: ([M,] B, ...) -> ([M,] B, inputs of the first other layer)."""
        parts = [
            self._encode(name, value) for name, value in observations.items() if name != ACTION_MASK
        ]
        return parts[0] if len(parts) == 1 else torch.cat(parts, -1)

    def _encode(self, name: str, values: Tensor) -> Tensor:
        if name not in self._module_names:
            return values.float()
        # Bytes to [0, 1]; [M x] B x H x W x C -> [M x] B x C x H x W
        images = values.float().mul_(1 / 255).movedim(-1, -3)
        encoder = self.encoders[self._module_names[name]]
        assert isinstance(encoder, nn.ModuleList)
        for layer in encoder:
            images = self.activation(layer(images))
        return images.flatten(-3)
