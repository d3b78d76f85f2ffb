"""What an environment's `render` must return, so that a video can be made of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from environments.interface import EnvironmentFailure
from environments.wrappers.checked import form


def as_frame(name: str, rendered: Any, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """What `render` returned, as a frame (height, width, 3) of uint8.

    Args:
        name: of the environment.
        rendered: what its `render` returned.
        shape: of the frames before; None of the first one.

    Raises:
        EnvironmentFailure: it is something else, or of another size than the frames before.
    """
    frame = _as_array(rendered)
    is_frame = frame is not None and frame.shape[2:] == (3,) and frame.dtype == np.uint8
    if frame is None or not is_frame or not frame.size:
        kind = f" of {rendered.dtype}" if isinstance(rendered, np.ndarray) else ""
        raise EnvironmentFailure(
            f"{name}: render gave {form(rendered)}{kind}; must be an array of shape "
            "(height, width, 3) of uint8"
        )
    if shape is not None and frame.shape != shape:
        raise EnvironmentFailure(
            f"{name}: render gave a frame of shape {frame.shape} after frames of {shape}; all must "
            "be of one size"
        )
    return frame


def _as_array(rendered: Any) -> np.ndarray | None:
    """Pictures of other packages become arrays, too; None of what is none."""
    try:
        return np.asarray(rendered)
    except ValueError:  # rows of several lengths, say
        return None
