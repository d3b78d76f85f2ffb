"""Recurrent layers, with which a policy remembers earlier observations.

A hidden state is one vector of all layers' states, (state_size,), stored like any other array. Acting
takes single steps, for one member or for M stacked members. Training processes whole sequences of a
single member, padded to equal lengths; outputs of padding are dropped, so they enter no mean.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from networks.columns import Columns
from networks.layers import HIDDEN_GAIN, Linear, Vector
from networks.sizes import GATES, STATE_PARTS
from schema.model import RecurrenceConfig


@dataclass
class Sequences:
    """The order of B steps in sequences, and the hidden state before each sequence.

    Attributes:
        states: ([M,] S, state_size), hidden states before the first step of each sequence.
        initial: ([M,] S) bool, whether that is an episode's initial hidden state; None: it never is.
        mask: (S, L) bool, the places of padded sequences that hold the B steps, row by row. None if
            each sequence is a single step, S = B.
    """

    states: Tensor
    initial: Tensor | None = None
    mask: Tensor | None = None

    def part(self, start: int, size: int) -> Sequences:
        """Return the same sequences with a part of each hidden state."""
        return Sequences(self.states.narrow(-1, start, size), self.initial, self.mask)


class GatedLinear(Linear):
    """A fully connected layer to all gates of a recurrent layer, each initialised separately."""

    def __init__(self, axis: tuple[int, ...], inputs: int, gates: int, size: int) -> None:
        super().__init__(axis, inputs, gates * size, 1.0)
        self._gates = gates
        # PyTorch draws all weights of its recurrent layers by the size of the hidden state.
        self.fan_in = size

    def _initialise_orthogonally(self, generator: torch.Generator) -> None:
        """Set orthogonal weights for each gate and a bias of zero."""
        for part in self.weight.data.chunk(self._gates, -1):
            drawn = torch.empty(part.shape)
            nn.init.orthogonal_(drawn, self.gain, generator=generator)
            part.copy_(drawn)
        self.bias.data.zero_()


class Recurrence(nn.Module):
    """Recurrent layers, with an optional linear layer before them.

    Args:
        axis: (M,), or () for a single member.
        width: size of the inputs.
        config: type, number and size of the layers.
        activation: activation of the linear layer.

    Attributes:
        state_size: size of a hidden state.
        output_size: size of the outputs.
        uses_numba: whether whole sequences are computed by Numba on a CPU.

    Raises:
        ValueError: `residual` is set, but the inputs aren't as wide as the hidden state.
    """

    def __init__(
        self,
        axis: tuple[int, ...],
        width: int,
        config: RecurrenceConfig,
        activation: Callable[[Tensor], Tensor],
    ) -> None:
        super().__init__()
        self.output_size = size = config.hidden_state_size
        self._config = config
        self.uses_numba = False
        self._activation = activation
        self._parts = STATE_PARTS[config.layer_type]
        self.state_size = config.num_layers * self._parts * size
        self.embedding = Linear(axis, width, size, HIDDEN_GAIN) if config.embed else None
        if config.embed:
            width = size
        if config.residual and width != size:
            raise ValueError(
                f"adds inputs of size {width} to outputs of size {size}; set "
                f"model.recurrence.embed to true, or model.recurrence.hidden_state_size to {width}"
            )
        gates = GATES[config.layer_type]
        sizes = [width] + [size] * config.num_layers
        self._inputs = [GatedLinear(axis, before, gates, size) for before, _ in pairwise(sizes)]
        self._hidden = [GatedLinear(axis, size, gates, size) for _ in self._inputs]
        self.inputs, self.hidden = nn.ModuleList(self._inputs), nn.ModuleList(self._hidden)
        self.initial = (
            Vector(axis, self.state_size) if config.hidden_state_init == "learned" else None
        )

    def forward(
        self, features: Tensor, sequences: Sequences, columns: Columns | None
    ) -> tuple[Tensor, Tensor | None]:
        """Return outputs and hidden states.

        Args:
            features: ([M,] B, width).
            sequences: order of the steps.
            columns: the selected columns of the features; None: all.

        Returns:
            Outputs ([M,] B, hidden_state_size), and the hidden states ([M,] B, state_size) after each
            step if each sequence is a single step, else None.
        """
        if self.embedding is not None:
            features, columns = self._activation(self.embedding(features, columns)), None
        states = self._begin(sequences)
        if sequences.mask is None:
            outputs, after = self._step(features, states, columns)
        else:
            outputs, after = self._run(features, states, sequences.mask, columns), None
        return (outputs + features if self._config.residual else outputs), after

    def _begin(self, sequences: Sequences) -> Tensor:
        """Return hidden states ([M,] S, state_size), with the present values of learned ones."""
        if self.initial is None or sequences.initial is None:
            return sequences.states
        learned = self.initial.values.unsqueeze(-2)
        return torch.where(sequences.initial.unsqueeze(-1), learned, sequences.states)

    def _step(
        self, features: Tensor, states: Tensor, columns: Columns | None
    ) -> tuple[Tensor, Tensor]:
        """Take one step in each of S sequences; return outputs and hidden states ([M,] S, ...)."""
        cell = _lstm_cell if self._config.layer_type == "lstm" else _gru_cell
        after: list[Tensor] = []
        layers = states.split(self.output_size, -1)
        for number, (of_inputs, of_hidden) in enumerate(
            zip(self._inputs, self._hidden, strict=True)
        ):
            state = layers[number * self._parts : (number + 1) * self._parts]
            after += cell(of_inputs(features, columns), of_hidden(state[0]), state[-1])
            features, columns = after[-self._parts], None
        return features, torch.cat(after, -1)

    def _run(
        self, features: Tensor, states: Tensor, mask: Tensor, columns: Columns | None
    ) -> Tensor:
        """Process whole sequences: features (B, ...) -> outputs (B, hidden_state_size)."""
        if self.uses_numba and features.device.type == "cpu":
            return self._run_by_numba(features, states, mask, columns)
        # B x width -> S x L x width
        padded = features.new_zeros(*mask.shape, features.shape[-1])
        padded[mask] = features
        # S x (layers * parts * size) -> parts x layers x S x size
        shape = (self._config.num_layers, self._parts, self.output_size)
        first = states.unflatten(-1, shape).permute(2, 1, 0, 3).contiguous()
        parameters = self._parameters_of_torch(columns)
        options = (True, self._config.num_layers, 0.0, False, False, True)
        if self._config.layer_type == "lstm":
            outputs = torch.lstm(padded, (first[0], first[1]), parameters, *options)[0]
        else:
            outputs = torch.gru(padded, first[0], parameters, *options)[0]
        return outputs[mask]

    def _run_by_numba(
        self, features: Tensor, states: Tensor, mask: Tensor, columns: Columns | None
    ) -> Tensor:
        """Process whole sequences by Numba, without padding."""
        # Imported here because loading Numba takes half a second.
        from networks.by_numba.lstm import LSTM

        shape = (self._config.num_layers, self._parts, self.output_size)
        # S x (layers * parts * size) -> layers x parts x S x size
        first, lengths = states.unflatten(-1, shape).permute(1, 2, 0, 3), mask.sum(1)
        for of_inputs, of_hidden, begin in zip(self._inputs, self._hidden, first, strict=True):
            weight = of_inputs.weight if columns is None else columns.merge(of_inputs.weight)
            own = (weight, of_inputs.bias, of_hidden.weight, of_hidden.bias)
            features, columns = LSTM.apply(features, *begin, *own, lengths), None
        return features

    def _parameters_of_torch(self, columns: Columns | None) -> list[Tensor]:
        """Return all weights and biases in torch's order; torch's weights are (outputs, inputs)."""
        parameters = []
        for of_inputs, of_hidden in zip(self._inputs, self._hidden, strict=True):
            weight = of_inputs.weight if columns is None else columns.merge(of_inputs.weight)
            columns = None
            parameters += [weight.t(), of_hidden.weight.t(), of_inputs.bias, of_hidden.bias]
        return parameters


def _gru_cell(inputs: Tensor, hidden: Tensor, state: Tensor) -> tuple[Tensor, ...]:
    """Cho et al. (2014), Learning phrase representations using RNN encoder-decoder."""
    reset, update, new = inputs.chunk(3, -1)
    hidden_reset, hidden_update, hidden_new = hidden.chunk(3, -1)
    candidate = torch.tanh(new + torch.sigmoid(reset + hidden_reset) * hidden_new)
    return (torch.lerp(candidate, state, torch.sigmoid(update + hidden_update)),)


def _lstm_cell(inputs: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, ...]:
    """Hochreiter and Schmidhuber (1997), Long short-term memory, with forget gates."""
    into, forget, new, out = (inputs + hidden).chunk(4, -1)
    kept = torch.sigmoid(forget) * cell
    cell = kept + torch.sigmoid(into) * torch.tanh(new)
    return torch.sigmoid(out) * torch.tanh(cell), cell
