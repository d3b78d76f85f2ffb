"""Checks that an environment's `render` returns frames that fit into a video."""

from __future__ import annotations

from typing import Any

import numpy as np

from environments.interface import EnvironmentFailure
from environments.wrappers.checked import form


def as_frame(name: str, rendered: Any, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """Return what `render` returned as a frame (height, width, 3) uint8.

    Args:
        name: the environment's name.
        rendered: the value that `render` returned.
        shape: the shape of earlier frames; None for the first one.

    Raises:
        EnvironmentFailure: It isn't such a frame, or its size differs from the earlier frames'.
    """
    frame = _as_array(rendered)
    if frame is not None and frame.shape[2:] == (4,):
        frame = frame[:, :, :3]  # RGBA: videos have no transparency
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
    """Return a picture as an array (packages' own image types, too); None if it can't be one."""
    try:
        return np.asarray(rendered)
    except ValueError:  # rows of different lengths, say
        return None
