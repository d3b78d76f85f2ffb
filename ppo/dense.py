"""Fully connected layers whose gradient is written out, for a single member on a CPU.

Recording every operation, as torch's autograd does, takes as long as the arithmetic of small layers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from model import Linear
from networks.columns import Columns

_aten = torch.ops.aten
# Each activation, and the gradient of its input from the gradient of its output, its input and its
# output. Where the output is enough, both work in place, which spares the cache.
_Activation = Callable[[Tensor], Tensor]
_Gradient = Callable[[Tensor, Tensor, Tensor], Tensor]
_ACTIVATIONS: dict[str, tuple[_Activation, _Gradient]] = {
    "elu": (
        functional.elu_,
        lambda gradient, _, output: _aten.elu_backward(gradient, 1, 1, 1, True, output),
    ),
    "leaky_relu": (
        functional.leaky_relu_,
        lambda gradient, _, output: _aten.leaky_relu_backward(gradient, output, 0.01, True),
    ),
    "relu": (
        torch.relu_,
        lambda gradient, _, output: _aten.threshold_backward.grad_input(
            gradient, output, 0, grad_input=gradient
        ),
    ),
    "swish": (functional.silu, lambda gradient, value, _: _aten.silu_backward(gradient, value)),
    "tanh": (
        torch.tanh_,
        lambda gradient, _, output: _aten.tanh_backward.grad_input(
            gradient, output, grad_input=gradient
        ),
    ),
    "gelu": (functional.gelu, lambda gradient, value, _: _aten.gelu_backward(gradient, value)),
}


class DenseLayers:
    """Fully connected layers that remember their last inputs, each followed by an activation.

    Args:
        layers: their weights, and where the gradients go; both must stay where they are.
        activation: its name; None is none.
    """

    def __init__(self, layers: Sequence[Linear], activation: str | None) -> None:
        # Looking parameters up in modules takes as long as a small product.
        self._parameters = [(layer.weight, layer.bias) for layer in layers]
        self._activate: _Activation | None = None
        self._gradient: _Gradient | None = None
        if activation is not None:
            self._activate, self._gradient = _ACTIVATIONS[activation]
        # What each layer gave, before and after its activation; the inputs of all before the first.
        self._values: list[Tensor] = []
        self._outputs: list[Tensor] = []

    def forward(self, inputs: Tensor, columns: Columns | None = None) -> Tensor:
        """(B, inputs) -> (B, outputs).

        Args:
            inputs: of the first layer.
            columns: what was selected of the first layer's inputs; None is everything.
        """
        self._values, self._outputs = [], [inputs]
        for weight, bias in self._parameters:
            merged = weight if columns is None else columns.merge(weight)
            value = torch.addmm(bias, self._outputs[-1], merged)
            columns = None
            self._values.append(value)
            self._outputs.append(value if self._activate is None else self._activate(value))
        return self._outputs[-1]

    def backward(
        self, gradient: Tensor, columns: Columns | None = None, of_inputs: bool = False
    ) -> Tensor | None:
        """Writes the gradients of weights and biases, and returns that of the inputs if it is wanted.

        Args:
            gradient: (B, outputs), of what `forward` gave last; it is used up.
            columns: as in `forward`; the gradients of all other weights are left as they are.
            of_inputs: whether to return the gradient (B, inputs) of the inputs.
        """
        for number in reversed(range(len(self._parameters))):
            (weight, bias), inputs = self._parameters[number], self._outputs[number]
            if self._gradient is not None:
                gradient = self._gradient(gradient, self._values[number], self._outputs[number + 1])
            assert weight.grad is not None and bias.grad is not None
            torch.sum(gradient, 0, out=bias.grad)
            if number == 0 and columns is not None:
                columns.write_gradient(inputs.t() @ gradient, weight.grad)
            else:
                torch.mm(inputs.t(), gradient, out=weight.grad)
            if number or of_inputs:
                gradient = gradient @ weight.t()
        return gradient if of_inputs else None
