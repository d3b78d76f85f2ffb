"""An LSTM layer with forget gates over whole sequences, and its gradient, compiled by Numba.

Hochreiter and Schmidhuber (1997), Long short-term memory. Axes: B steps of S sequences of different
lengths, one sequence after another; K inputs, H units. The gates are input, forget, cell and output
gate, H numbers each. Torch takes as many steps in each sequence as the longest has; here each sequence
takes only its own.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

import numerics.products  # noqa: F401  # on one thread
from numerics.compiler import entry, jit
from numerics.functions import ONE, sigmoid, tanh


class Steps(NamedTuple):
    """The order of steps in sequences, the longest sequence first.

    Attributes:
        starts: (S,) int64, first step of each sequence.
        lengths: (S,) int64.
    """

    starts: np.ndarray
    lengths: np.ndarray


class SavedActivations(NamedTuple):
    """Results of a layer's forward pass that its gradient needs.

    Attributes:
        gates: (B, 4 H), after their activations; the backward pass replaces them with the gradient of
            the inputs of these activations.
        cells, outputs: (B, H), hidden states after each step.
        before: (B, H), outputs of the step before.
        cells_before: (B, H), cells of the step before.
    """

    gates: np.ndarray
    cells: np.ndarray
    outputs: np.ndarray
    before: np.ndarray
    cells_before: np.ndarray


@entry
def forward(
    steps: Steps,
    begin: np.ndarray,
    begin_cells: np.ndarray,
    hidden_weight: np.ndarray,
    saved: SavedActivations,
) -> None:
    """Take all steps.

    Args:
        steps: order of the steps.
        begin: (S, H), outputs before each sequence, the longest first.
        begin_cells: (S, H), cells before each sequence.
        hidden_weight: (H, 4 H).
        saved: has the inputs' part of the gates, and is filled with the results of each step.
    """
    units = begin.shape[1]
    states, products = begin.copy(), np.empty((len(begin), 4 * units), np.float32)
    cells = begin_cells.copy()
    for time in range(steps.lengths[0]):
        active = _active(steps, time)
        np.dot(states[:active], hidden_weight, products[:active])
        for number in range(active):
            row = steps.starts[number] + time
            _step(saved, row, products[number], states[number], cells[number])


@jit
def _active(steps: Steps, time: int) -> int:
    """Return the number of sequences that are longer than `time` steps."""
    count = 0
    while count < len(steps.lengths) and steps.lengths[count] > time:
        count += 1
    return count


@jit
def _step(
    saved: SavedActivations, row: int, product: np.ndarray, state: np.ndarray, cell: np.ndarray
) -> None:
    """Take one step in one sequence, which updates its state (H,) and cell (H,)."""
    gates, units = saved.gates[row], len(state)
    for unit in range(2 * units):
        gates[unit] = sigmoid(gates[unit] + product[unit])
    for unit in range(2 * units, 3 * units):
        gates[unit] = tanh(gates[unit] + product[unit])
    for unit in range(3 * units, 4 * units):
        gates[unit] = sigmoid(gates[unit] + product[unit])
    before, cells_before = saved.before[row], saved.cells_before[row]
    for unit in range(units):
        before[unit], cells_before[unit] = state[unit], cell[unit]
        cell[unit] = gates[units + unit] * cell[unit] + gates[unit] * gates[2 * units + unit]
    cells, outputs = saved.cells[row], saved.outputs[row]
    for unit in range(units):
        cells[unit] = cell[unit]
        state[unit] = gates[3 * units + unit] * tanh(cell[unit])
        outputs[unit] = state[unit]


@entry
def backward(
    steps: Steps,
    by_outputs: np.ndarray,
    transposed: np.ndarray,
    saved: SavedActivations,
    by_begin: np.ndarray,
    by_begin_cells: np.ndarray,
) -> None:
    """Compute gradients, from the last steps to the first.

    Args:
        steps: order of the steps.
        by_outputs: (B, H), gradient of the outputs.
        transposed: (4 H, H), the transposed hidden weight.
        saved: results of `forward`; its gates become the gradient of their inputs.
        by_begin: (S, H) zeros; become the gradient of the outputs before each sequence.
        by_begin_cells: (S, H) zeros; become the gradient of the cells before each sequence.
    """
    by_states, by_cells = by_begin, by_begin_cells
    by_gates = np.empty((len(by_states), len(transposed)), np.float32)
    for time in range(steps.lengths[0] - 1, -1, -1):
        active = _active(steps, time)
        for number in range(active):
            row = steps.starts[number] + time
            _step_back(saved, row, by_outputs[row], by_states[number], by_cells[number])
            copied = saved.gates[row]
            for place in range(len(copied)):
                by_gates[number, place] = copied[place]
        np.dot(by_gates[:active], transposed, by_states[:active])


@jit
def _step_back(
    saved: SavedActivations,
    row: int,
    by_output: np.ndarray,
    by_state: np.ndarray,
    by_cell: np.ndarray,
) -> None:
    """Compute the gradient of one step's gates, and of the cell (H,) before it.

    With c = f c' + i g and h = o tanh(c); sigmoid and tanh have the derivatives s (1 - s) and 1 - t^2.
    """
    gates, units = saved.gates[row], len(by_state)
    cells, cells_before = saved.cells[row], saved.cells_before[row]
    for unit in range(units):
        into, forget = gates[unit], gates[units + unit]
        new, out = gates[2 * units + unit], gates[3 * units + unit]
        shown, slope = tanh(cells[unit]), by_output[unit] + by_state[unit]
        by_own = by_cell[unit] + slope * out * (ONE - shown * shown)
        gates[unit] = by_own * new * into * (ONE - into)
        gates[units + unit] = by_own * cells_before[unit] * forget * (ONE - forget)
        gates[2 * units + unit] = by_own * into * (ONE - new * new)
        gates[3 * units + unit] = slope * shown * out * (ONE - out)
        by_cell[unit] = by_own * forget


class LSTM(torch.autograd.Function):
    """The layer as an autograd function."""

    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        begin: Tensor,
        begin_cells: Tensor,
        weight: Tensor,
        bias: Tensor,
        hidden_weight: Tensor,
        hidden_bias: Tensor,
        lengths: Tensor,
    ) -> Tensor:
        """Return the outputs (B, H).

        Args:
            ctx: stores what the backward pass needs.
            features: (B, K).
            begin: (S, H).
            begin_cells: (S, H).
            weight: (K, 4 H).
            bias: (4 H,).
            hidden_weight: (H, 4 H).
            hidden_bias: (4 H,).
            lengths: (S,) int64, of the sequences.
        """
        starts = lengths.cumsum(0) - lengths
        order = lengths.argsort(descending=True, stable=True)
        steps = Steps(starts[order].numpy(), lengths[order].numpy())
        gates = torch.addmm(bias + hidden_bias, features, weight)
        size = (len(features), begin.shape[1])
        saved = SavedActivations(gates.numpy(), *(torch.empty(size).numpy() for _ in range(4)))
        forward(
            steps,
            begin[order].numpy(),
            begin_cells[order].numpy(),
            hidden_weight.contiguous().numpy(),
            saved,
        )
        assert len(forward.overloads) == 1, "compiled for several types"
        ctx.save_for_backward(features, weight, hidden_weight, order)
        ctx.steps, ctx.activations = steps, saved
        return torch.from_numpy(saved.outputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of the arguments."""
        features, weight, hidden_weight, order = ctx.saved_tensors
        saved: SavedActivations = ctx.activations
        by_sorted, by_sorted_cells = (
            torch.zeros(len(order), hidden_weight.shape[0]) for _ in range(2)
        )
        backward(
            ctx.steps,
            gradients[0].contiguous().numpy(),
            hidden_weight.t().contiguous().numpy(),
            saved,
            by_sorted.numpy(),
            by_sorted_cells.numpy(),
        )
        assert len(backward.overloads) == 1, "compiled for several types"
        by_gates = torch.from_numpy(saved.gates)
        by_begin, by_begin_cells = torch.empty_like(by_sorted), torch.empty_like(by_sorted)
        by_begin[order], by_begin_cells[order] = by_sorted, by_sorted_cells
        by_bias = by_gates.sum(0)
        return (
            by_gates @ weight.t() if ctx.needs_input_grad[0] else None,
            by_begin,
            by_begin_cells,
            features.t() @ by_gates,
            by_bias,
            torch.from_numpy(saved.before).t() @ by_gates,
            by_bias,
            None,
        )
