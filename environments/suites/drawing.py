"""Prepares drawing, for machines without a display and for environments that share a window.

MuJoCo draws with OpenGL, which without a display needs EGL or OSMesa. Memory Gym draws its observations
with pygame, in one window for all environments of a process.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import os
import sys
import warnings

import gymnasium
from gymnasium.envs.registration import EnvSpec

from schema.errors import UserError

# Gymnasium's warnings about a render mode that an environment's metadata doesn't list.
_OTHER_MODE = r".*(being initialised with render_mode=|trying to use 'human' rendering)"
_OFFSCREEN = {"egl": "libEGL.so.1", "osmesa": "libOSMesa.so.8"}  # the library of each backend


def has_display() -> bool:
    """Return whether a window can be shown."""
    variables = ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")
    return sys.platform != "linux" or any(map(os.environ.get, variables))


def draw_without_devices() -> None:
    """Keep SDL, pygame's library, from looking for a display and for loudspeakers.

    Otherwise it prints messages if it finds none.
    """
    os.environ.setdefault("SDL_AUDIODRIVER", "dummy")
    if not has_display():
        os.environ["SDL_VIDEODRIVER"] = "dummy"


def prepare_drawing(spec: EnvSpec, render_mode: str | None) -> None:
    """Set up the drawing of an environment's package, before the environment is made.

    Args:
        spec: the environment's spec.
        render_mode: "human", "rgb_array" or None.

    Raises:
        UserError: MuJoCo can't draw on this machine.
    """
    if render_mode is not None:
        # The environment may render all the same, and its frames are checked.
        warnings.filterwarnings("ignore", _OTHER_MODE, UserWarning)
    # If MuJoCo isn't installed, Gymnasium raises an error later.
    if _is_from(spec, "gymnasium.envs.mujoco") and importlib.util.find_spec("mujoco"):
        _choose_opengl(spec.id, render_mode)
    if _is_from(spec, "memory_gym"):
        # It starts all of pygame, which prints lines about sound on a machine without a sound card.
        os.environ.setdefault("SDL_AUDIODRIVER", "dummy")


def guard_drawing(environment: gymnasium.Env, spec: EnvSpec) -> gymnasium.Env:
    """Keep an environment's `close` from closing a window that others draw in."""
    return _SharedWindow(environment) if _is_from(spec, "memory_gym") else environment


class _SharedWindow(gymnasium.Wrapper):
    """Leaves pygame open on `close`, as other environments of the process use it, too."""

    def close(self) -> None:
        """Do nothing: the exit of the process frees everything."""


def _is_from(spec: EnvSpec, package: str) -> bool:
    entry = spec.entry_point
    return isinstance(entry, str) and entry.startswith((f"{package}.", f"{package}:"))


def _choose_opengl(name: str, render_mode: str | None) -> None:
    """Choose MuJoCo's OpenGL backend, and make sure that it works.

    A window needs a display; pictures don't. `MUJOCO_GL` (egl, osmesa or glfw) chooses the backend where
    it is set.

    Raises:
        UserError: The backend doesn't work on this machine.
    """
    has_display = sys.platform != "linux" or any(
        map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY"))
    )
    chosen = os.environ.get("MUJOCO_GL")
    backend = chosen or ("glfw" if has_display else _installed_backend())
    if render_mode == "rgb_array" and backend in _OFFSCREEN:
        os.environ["MUJOCO_GL"] = backend
    elif render_mode is not None and not has_display:
        raise UserError(
            f"environment.name: {name} needs a display for a window, or with MUJOCO_GL={backend}; "
            "without one, write a video with MUJOCO_GL=egl or osmesa"
        )
    try:
        importlib.import_module("mujoco")
        if render_mode == "rgb_array" and backend in _OFFSCREEN:
            importlib.import_module(f"mujoco.{backend}").GLContext(16, 16).free()
    except Exception as error:  # from OpenGL, from an import, or from the system's linker
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise UserError(
            f"environment.name: {name} can't be drawn with MUJOCO_GL={backend}: {reason}; "
            "unset it or choose egl or osmesa, and install its library (on Debian and "
            "Ubuntu: apt-get install libegl1 libgl1-mesa-dri, or libosmesa6)"
        ) from error


def _installed_backend() -> str:
    """Return the first offscreen backend with an installed library; else the usual one."""
    for backend, library in _OFFSCREEN.items():
        try:
            ctypes.CDLL(library)
        except OSError:
            continue
        return backend
    return "egl"
