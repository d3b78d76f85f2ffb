"""What packages of environments need for drawing where there is no display, and beside others.

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

# How Gymnasium warns of a render mode that an environment's metadata doesn't list.
_OTHER_MODE = r".*(being initialised with render_mode=|trying to use 'human' rendering)"
_OFFSCREEN = {"egl": "libEGL.so.1", "osmesa": "libOSMesa.so.8"}  # and their libraries


def has_display() -> bool:
    """Whether a window can be shown."""
    variables = ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")
    return sys.platform != "linux" or any(map(os.environ.get, variables))


def draw_without_devices() -> None:
    """Keeps SDL, with which pygame draws, from looking for a display and for loudspeakers.

    What it prints where it finds none is meant for whoever wants a window.
    """
    os.environ.setdefault("SDL_AUDIODRIVER", "dummy")
    if not has_display():
        os.environ["SDL_VIDEODRIVER"] = "dummy"


def prepare_drawing(spec: EnvSpec, render_mode: str | None) -> None:
    """Chooses how the environments of a package draw, before one is made.

    Args:
        spec: of the environment.
        render_mode: "human", "rgb_array" or None.

    Raises:
        UserError: MuJoCo can't draw here.
    """
    if render_mode is not None:
        # It may render all the same, and what it renders is looked at.
        warnings.filterwarnings("ignore", _OTHER_MODE, UserWarning)
    # Where it isn't installed, Gymnasium says so.
    if _is_from(spec, "gymnasium.envs.mujoco") and importlib.util.find_spec("mujoco"):
        _choose_opengl(spec.id, render_mode)
    if _is_from(spec, "memory_gym"):
        # It starts all of pygame; without a sound card, that prints lines about sound.
        os.environ.setdefault("SDL_AUDIODRIVER", "dummy")


def guard_drawing(environment: gymnasium.Env, spec: EnvSpec) -> gymnasium.Env:
    """Keeps an environment that is closed from closing what others draw with."""
    return _SharedWindow(environment) if _is_from(spec, "memory_gym") else environment


class _SharedWindow(gymnasium.Wrapper):
    """Leaves pygame as it is when it is closed, as the process's other environments use it, too."""

    def close(self) -> None:
        """Does nothing: all that there is to free ends with the process."""


def _is_from(spec: EnvSpec, package: str) -> bool:
    entry = spec.entry_point
    return isinstance(entry, str) and entry.startswith((f"{package}.", f"{package}:"))


def _choose_opengl(name: str, render_mode: str | None) -> None:
    """Makes sure that MuJoCo can draw: a window needs a display, pictures don't.

    `MUJOCO_GL` (egl, osmesa or glfw) chooses how pictures are drawn, where it is set.
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
    except Exception as error:  # of OpenGL, of its absence, of the system's linker
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise UserError(
            f"environment.name: {name} can't be drawn with MUJOCO_GL={backend}: {reason}; "
            "unset it or choose egl or osmesa, and install its library (on Debian and "
            "Ubuntu: apt-get install libegl1 libgl1-mesa-dri, or libosmesa6)"
        ) from error


def _installed_backend() -> str:
    """The way to draw without a display whose library is there; else the usual one."""
    for backend, library in _OFFSCREEN.items():
        try:
            ctypes.CDLL(library)
        except OSError:
            continue
        return backend
    return "egl"
