"""Layers of one member, or of M stacked members.

Parameters and inputs of a stacked layer have a leading axis M; those of a single member have none.
`[M,]` in a shape marks an axis that only stacked layers have.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from networks.columns import Columns
from utils import single_thread

# Gain of the orthogonal initialisation of all layers but the last (Andrychowicz et al., 2021, What
# matters for on-policy deep actor-critic methods).
HIDDEN_GAIN = math.sqrt(2)


class _SingleThreadProduct(torch.autograd.Function):
    """bias (J) + inputs (B, K) @ weight (K, J), on one thread.

    Several threads would split the sums, and rounding would depend on their number. Networks with
    convolutions use several threads; convolutions take nearly all of their time and don't split sums.
    """

    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu")
    def forward(ctx: Any, bias: Tensor, inputs: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        with single_thread():
            return torch.addmm(bias, inputs, weight)

    @staticmethod
    @torch.amp.custom_bwd(device_type="cpu")
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        inputs, weight = ctx.saved_tensors
        with single_thread():
            return gradient.sum(0), torch.mm(gradient, weight.t()), torch.mm(inputs.t(), gradient)


def _has_threads(weight: Tensor) -> bool:
    """Return whether torch would multiply on several threads; compiled code makes its own products."""
    if weight.device.type != "cpu" or torch.compiler.is_compiling():
        return False
    return torch.get_num_threads() > 1


def affine(bias: Tensor, inputs: Tensor, weight: Tensor) -> Tensor:
    """Return bias (J) + inputs (B, K) @ weight (K, J), rounded alike for any number of threads."""
    if _has_threads(weight):
        product: Tensor = _SingleThreadProduct.apply(bias, inputs, weight)
        return product
    return torch.addmm(bias, inputs, weight)


class Layer(nn.Module):
    """A layer with a weight ([M,] *shape) and a bias ([M,] outputs), on the meta device until bound.

    Args:
        axis: (M,), or () for a single member.
        shape: of a member's weight.
        outputs: size of a member's bias.
        gain: of the orthogonal initialisation.

    Attributes:
        fan_in: numbers that an output depends on; PyTorch's initial weights depend on it.
    """

    def __init__(
        self, axis: tuple[int, ...], shape: tuple[int, ...], outputs: int, gain: float
    ) -> None:
        super().__init__()
        self.gain = gain
        self.fan_in = math.prod(shape) // outputs
        self.weight = nn.Parameter(torch.empty(*axis, *shape, device="meta"))
        self.bias = nn.Parameter(torch.empty(*axis, outputs, device="meta"))

    def view(self, name: str, flat: Tensor) -> Tensor:
        """View a row ([M,] K) of weights or gradients in the shape of the parameter `name`."""
        return flat.view(getattr(self, name).shape)

    def initialise(self, generator: torch.Generator, scheme: str) -> None:
        """Set a single member's initial weights.

        Args:
            generator: draws the weights.
            scheme: orthogonal, or torch for the initial weights of PyTorch's own layers.
        """
        if scheme == "torch":
            limit = 1 / math.sqrt(self.fan_in)
            for parameter in (self.weight, self.bias):
                drawn = torch.empty(parameter.shape)
                parameter.data.copy_(drawn.uniform_(-limit, limit, generator=generator))
        else:
            self._initialise_orthogonally(generator)

    def _initialise_orthogonally(self, generator: torch.Generator) -> None:
        """Set orthogonal weights and a bias of zero."""
        drawn = torch.empty(self.weight.shape)
        nn.init.orthogonal_(drawn, self.gain, generator=generator)
        self.weight.data.copy_(drawn)
        self.bias.data.zero_()


class Linear(Layer):
    """A fully connected layer: ([M,] B, inputs) -> ([M,] B, outputs).

    Its weight is ([M,] inputs, outputs), which on a CPU multiplies small batches twice as fast as its
    transpose.
    """

    def __init__(self, axis: tuple[int, ...], inputs: int, outputs: int, gain: float) -> None:
        super().__init__(axis, (inputs, outputs), outputs, gain)

    def forward(self, inputs: Tensor, columns: Columns | None = None) -> Tensor:
        """Apply each member's weights to its own inputs, or to the selected columns of them."""
        weight = self.weight if columns is None else columns.merge(self.weight)
        if weight.dim() == 2:
            return affine(self.bias, inputs, weight)
        if weight.device.type == "cpu" and not torch.is_grad_enabled():
            # NumPy multiplies matrix by matrix, so that rounding doesn't depend on M, and takes no
            # longer.
            with np.errstate(all="ignore"):  # the losses report numbers that aren't finite
                products = np.matmul(inputs.numpy(), weight.detach().numpy())
            return torch.from_numpy(products).add_(self.bias.unsqueeze(1))
        return torch.baddbmm(self.bias.unsqueeze(1), inputs, weight)


class Convolution(Layer):
    """A convolution: ([M,] B, channels, height, width) -> ([M,] B, filters, height', width').

    Its weight ([M,] filters, channels, kernel, kernel) is stored channels last, as images are, which
    saves a sixth of the time on a CPU.
    """

    def __init__(
        self, axis: tuple[int, ...], channels: int, filters: int, kernel: int, stride: int
    ) -> None:
        super().__init__(axis, (filters, channels, kernel, kernel), filters, HIDDEN_GAIN)
        self.stride = stride

    def view(self, name: str, flat: Tensor) -> Tensor:
        """View a row as `Layer.view` does, but with a weight stored channels last."""
        if name == "bias":
            return flat
        *axes, channels, height, width = self.weight.shape
        return flat.view(*axes, height, width, channels).movedim(-1, -3)

    def forward(self, images: Tensor) -> Tensor:
        """Apply each member's filters to its own images, as groups of one convolution."""
        if self.weight.dim() == 4:
            return functional.conv2d(images, self.weight, self.bias, self.stride)
        members = len(images)
        # M x B x C -> B x (M * C), and back
        grouped = images.transpose(0, 1).flatten(1, 2)
        weight, bias = self.weight.flatten(0, 1), self.bias.flatten()
        filtered = functional.conv2d(grouped, weight, bias, self.stride, groups=members)
        return filtered.unflatten(1, (members, -1)).transpose(0, 1)


class Vector(nn.Module):
    """Free parameters ([M,] size), which don't depend on observations; all are `initial` at first."""

    def __init__(self, axis: tuple[int, ...], size: int, initial: float = 0.0) -> None:
        super().__init__()
        self.initial = initial
        self.values = nn.Parameter(torch.empty(*axis, size, device="meta"))

    def view(self, name: str, flat: Tensor) -> Tensor:
        """View a row ([M,] size) of weights or gradients in the shape of the parameter."""
        return flat.view(self.values.shape)

    def initialise(self, generator: torch.Generator, scheme: str) -> None:
        """Set the initial value, for a single member, whatever the scheme."""
        self.values.data.fill_(self.initial)
