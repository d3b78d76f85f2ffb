"""Outputs and gradients of the layer compiled by Numba equal those of torch's cells, step by step."""

import pytest
import torch

pytest.importorskip("numba")

from networks.by_numba.lstm import LSTM

INPUTS, UNITS = 3, 5


def arguments(lengths, generator):
    """Return features, hidden states and weights, all with gradients."""
    steps, sequences = sum(lengths), len(lengths)
    shapes = [
        (steps, INPUTS),
        (sequences, UNITS),
        (sequences, UNITS),
        (INPUTS, 4 * UNITS),
        (4 * UNITS,),
        (UNITS, 4 * UNITS),
        (4 * UNITS,),
    ]
    return [torch.randn(shape, generator=generator).requires_grad_() for shape in shapes]


def step_by_step(features, states, cells, weight, bias, hidden_weight, hidden_bias, lengths):
    """Return the outputs (B, H) of torch's own operations."""
    outputs, begin = [], 0
    for sequence, length in enumerate(lengths):
        state, cell = states[sequence], cells[sequence]
        for row in range(begin, begin + length):
            gates = features[row] @ weight + bias + state @ hidden_weight + hidden_bias
            into, forget, new, out = gates.chunk(4)
            cell = forget.sigmoid() * cell + into.sigmoid() * new.tanh()
            state = out.sigmoid() * cell.tanh()
            outputs.append(state)
        begin += length
    return torch.stack(outputs)


@pytest.mark.parametrize("lengths", [[1], [7], [3, 1, 5, 5, 2], [1, 1, 1]])
def test_outputs_and_gradients_equal_those_of_single_steps(lengths):
    random = torch.Generator().manual_seed(len(lengths))
    given = arguments(lengths, random)
    by_outputs = torch.randn(sum(lengths), UNITS, generator=random)
    found = LSTM.apply(*given, torch.tensor(lengths))
    expected = step_by_step(*given, lengths)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    gradients = torch.autograd.grad(found, given, by_outputs)
    wanted = torch.autograd.grad(expected, given, by_outputs)
    for gradient, want in zip(gradients, wanted, strict=True):
        torch.testing.assert_close(gradient, want, rtol=1e-4, atol=1e-5)


def test_results_are_the_same_each_time():
    given = arguments([4, 9, 2], torch.Generator().manual_seed(0))
    lengths = torch.tensor([4, 9, 2])
    first, second = LSTM.apply(*given, lengths), LSTM.apply(*given, lengths)
    assert torch.equal(first, second)
    by_outputs = torch.ones_like(first)
    for one, other in zip(
        torch.autograd.grad(first, given, by_outputs),
        torch.autograd.grad(second, given, by_outputs),
        strict=True,
    ):
        assert torch.equal(one, other)
