"""MuJoCo and Memory Gym play and draw; without their packages, one line has the remedy."""

import ctypes
import os
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from unittest.mock import MagicMock

import gymnasium
import numpy as np
import pytest

from environments import make_environment, make_environments, probe_spaces
from environments.levels import RandomLevels
from environments.suites.drawing import prepare_drawing
from schema.environment import EnvironmentConfig
from schema.errors import UserError

HOPPER = EnvironmentConfig(type="Gymnasium", name="Hopper-v5", processes=0)
MORTAR = EnvironmentConfig(type="Gymnasium", name="memory_gym:MortarMayhem-Grid-v0", processes=0)


def error_line(build):
    with pytest.raises(UserError) as caught:
        build()
    (line,) = caught.value.lines
    return line


@pytest.fixture
def mujoco(monkeypatch):
    """Require MuJoCo; unset the display and `MUJOCO_GL`."""
    pytest.importorskip("mujoco")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "MUJOCO_GL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MUJOCO_GL", "")  # so that the choice is undone afterwards


@pytest.fixture
def memory_gym(monkeypatch):
    monkeypatch.setenv("SDL_AUDIODRIVER", "dummy")
    return pytest.importorskip("memory_gym")


def test_mujoco_observes_and_acts_in_numbers(mujoco):
    spaces = probe_spaces(HOPPER)
    assert spaces.observations == {"vector": ((11,), "float32")}
    assert spaces.bounds == ((-1.0, 1.0),) * 3
    environments = make_environments(HOPPER, RandomLevels([1, 2]), 2, 0)
    environments.reset()
    ended = 0
    for _ in range(200):
        step = environments.step(np.ones((2, 3), np.float32))
        assert step.terminated.sum() == len(step.episodes)  # it falls long before the time limit
        ended += len(step.episodes)
    environments.close()
    assert ended >= 2


def test_mujoco_is_drawn_without_a_display(mujoco):
    try:
        environment = make_environment(HOPPER, render_mode="rgb_array")
    except UserError as error:
        pytest.skip(f"no OpenGL here: {error}")
    environment.reset(seed=1)
    frame = environment.render()
    environment.close()
    assert frame.shape == (480, 480, 3)
    assert frame.std() > 10
    assert os.environ["MUJOCO_GL"] in ("egl", "osmesa")


def test_without_opengl_one_line_says_what_to_install(mujoco, monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    monkeypatch.setitem(sys.modules, "mujoco.osmesa", None)
    line = error_line(lambda: make_environment(HOPPER, render_mode="rgb_array"))
    assert line.startswith("environment.name: Hopper-v5 can't be drawn with MUJOCO_GL=osmesa: ")
    assert "libosmesa6" in line


@pytest.mark.parametrize(("backend", "mode"), [("glfw", "rgb_array"), ("egl", "human")])
def test_mujoco_windows_need_a_display(mujoco, monkeypatch, backend, mode):
    monkeypatch.setenv("MUJOCO_GL", backend)
    line = error_line(lambda: make_environment(HOPPER, render_mode=mode))
    assert line.startswith("environment.name: Hopper-v5 needs a display ")


@pytest.mark.parametrize(
    ("installed", "backend"),
    [({"libEGL.so.1", "libOSMesa.so.8"}, "egl"), ({"libOSMesa.so.8"}, "osmesa"), (set(), "egl")],
)
def test_mujoco_draws_with_the_first_backend_that_has_a_library(monkeypatch, installed, backend):
    def load(library):
        if library not in installed:
            raise OSError

    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MUJOCO_GL", "")
    monkeypatch.setattr(ctypes, "CDLL", load)
    for name in ("mujoco", f"mujoco.{backend}"):
        stand_in = ModuleType(name)
        stand_in.__spec__ = ModuleSpec(name, None)
        stand_in.GLContext = MagicMock()
        monkeypatch.setitem(sys.modules, name, stand_in)
    prepare_drawing(gymnasium.spec("Hopper-v5"), "rgb_array")
    assert os.environ["MUJOCO_GL"] == backend


def test_without_mujoco_one_line_says_what_to_install(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("gymnasium.envs.mujoco")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mujoco", None)
    line = error_line(lambda: make_environment(HOPPER))
    assert line == (
        "environment.name: Hopper-v5 can't be created: it needs MuJoCo, which isn't installed "
        "(pip install -r requirements-mujoco.txt)"
    )


def test_memory_gym_is_played_by_many_in_one_process(memory_gym):
    alone = make_environments(MORTAR, RandomLevels([5]), 1, 0)
    among = make_environments(MORTAR, RandomLevels([4, 5]), 2, 0)
    observed = alone.reset()["visual"]
    assert observed.shape == (1, 84, 84, 3)
    np.testing.assert_array_equal(observed[0], among.reset()["visual"][1])
    generator = np.random.default_rng(0)
    episodes = 0
    for _ in range(200):
        action = generator.integers(4, size=(1, 1))
        step, other = alone.step(action), among.step(np.repeat(action, 2, axis=0))
        np.testing.assert_array_equal(
            step.observations["visual"][0], other.observations["visual"][1]
        )
        episodes += len(step.episodes)
        assert all("success" in episode for _, episode in step.episodes)
    assert episodes
    # Closing one doesn't close the window that the others draw in.
    among.close()
    alone.reset()


def test_a_dictionary_of_memory_gym_is_an_image_and_a_vector(memory_gym):
    found = probe_spaces(MORTAR.model_copy(update={"name": "memory_gym:MortarMayhemB-v0"}))
    assert found.observations == {
        "visual_observation": ((84, 84, 3), "uint8"),
        "vector": ((180,), "float32"),
    }
    assert found.branches == (3, 3)


def test_without_memory_gym_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "memory_gym", None)
    line = error_line(lambda: make_environment(MORTAR))
    assert line.endswith("(pip install --no-deps memory-gym==1.0.2)")
