"""The numbers that layers are made by, apart from the layers, so that they cost no loading of torch."""

from __future__ import annotations

from collections.abc import Iterator

# Filters, kernel size and stride of each convolution (Mnih et al., 2015, Human-level control through
# deep reinforcement learning).
CONVOLUTIONS = ((32, 8, 4), (64, 4, 2), (64, 3, 1))

# Of recurrent layers, by their kind: gates, and parts of a state (the output, and the cell of an LSTM).
GATES = {"gru": 3, "lstm": 4}
STATE_PARTS = {"gru": 1, "lstm": 2}


def convolved_sizes(shape: tuple[int, ...]) -> Iterator[int]:
    """How many numbers each convolution makes of an image (height, width, channels)."""
    height, width = shape[0], shape[1]
    for filters, kernel, stride in CONVOLUTIONS:
        height, width = (height - kernel) // stride + 1, (width - kernel) // stride + 1
        yield height * width * filters
