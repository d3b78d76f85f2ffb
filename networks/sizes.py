"""Sizes of layers, in a module of their own that doesn't import torch."""

from __future__ import annotations

from collections.abc import Iterator

# Filters, kernel size and stride of each convolution (Mnih et al., 2015, Human-level control through
# deep reinforcement learning).
CONVOLUTIONS = ((32, 8, 4), (64, 4, 2), (64, 3, 1))

# Gates of a recurrent layer by its type, and parts of its hidden state (the output, and an LSTM's cell).
GATES = {"gru": 3, "lstm": 4}
STATE_PARTS = {"gru": 1, "lstm": 2}


def convolved_sizes(shape: tuple[int, ...]) -> Iterator[int]:
    """Yield the size of each convolution's output for an image (height, width, channels)."""
    height, width = shape[0], shape[1]
    for filters, kernel, stride in CONVOLUTIONS:
        height, width = (height - kernel) // stride + 1, (width - kernel) // stride + 1
        yield height * width * filters
