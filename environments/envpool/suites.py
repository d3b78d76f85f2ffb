"""Makes single environments of Procgen and Atari, each over an EnvPool pool of one.

They play listed levels and render them. Training on random levels uses `EnvPoolEnvironments`, which is
far faster.
"""

from __future__ import annotations

import contextlib
import ctypes
import difflib
import importlib.util
from pathlib import Path
from typing import Any

import envpool.registration
import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.wrappers import HumanRendering

from environments.envpool.tasks import Lives, envpool_images, make_pool
from environments.interface import LIFE_LOST, Observations
from environments.spaces import VISUAL, as_trainable_actions
from environments.suites.ids import refusal
from schema.environment import EnvironmentConfig
from schema.errors import UserError

_MODULES = {"Procgen": "envpool.procgen", "Atari": "envpool.atari"}
_FRAME_SIZE = {"Procgen": 512, "Atari": 0}  # pixels along a side; 0 is the game's own size


def make(config: EnvironmentConfig, worker_id: int, render_mode: str | None) -> gymnasium.Env:
    """Make a game that observes "visual" (height, width, channels) uint8.

    Raises:
        UserError: EnvPool doesn't know the game, or lacks a library.
    """
    _check_name(config)
    if config.type == "Procgen":
        _load_qt()
    game: gymnasium.Env = _Single(config, None if render_mode is None else "rgb_array")
    if render_mode == "human":
        game = HumanRendering(game)
    return as_trainable_actions(game, config.name)


class _Single(gymnasium.Env):
    """One game; `reset(seed=level)` starts the level of that number."""

    def __init__(self, config: EnvironmentConfig, render_mode: str | None) -> None:
        self.render_mode = render_mode
        self._type, self._name = config.type, config.name
        self._task = envpool_images(config)
        self.metadata = {"render_modes": ["rgb_array"], "render_fps": self._task.frame_rate}
        self._lives = Lives(1) if self._task.has_lives else None
        self.observation_space = spaces.Dict(
            {VISUAL: spaces.Box(0, 255, self._task.shape, np.uint8)}
        )
        self._pool = self._make_pool(0)
        self.action_space = self._pool.action_space

    def _make_pool(self, level: int) -> Any:
        arguments = self._task.level_arguments(level, 1)
        if self.render_mode is not None:
            side = _FRAME_SIZE[self._type]
            shown = {"render_width": side, "render_height": side, "render_mode": self.render_mode}
            return make_pool(self._name, self._task, [level], 1, **arguments, **shown)
        return make_pool(self._name, self._task, [level], 1, **arguments)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observations, dict[str, Any]]:
        """Start an episode; a seed makes a new pool, as a pool's level can't change."""
        super().reset(seed=seed)
        if seed is not None:
            self._pool = self._make_pool(seed)
        observed, info = self._pool.reset()
        if self._lives is not None:
            self._lives.begin(np.arange(1), info)
        return self._observe(observed), {}

    def step(self, action: Any) -> tuple[Observations, float, bool, bool, dict[str, Any]]:
        """Take a step."""
        observed, rewards, terminated, truncated, info = self._pool.step(
            np.array([action], np.int32)
        )
        terminated, truncated = self._task.ends(rewards, terminated, truncated, info)
        reported: dict[str, Any] = {}
        if self._lives is not None and self._lives.lost(terminated | truncated, info)[0]:
            reported = {LIFE_LOST: True}
        if terminated[0] or truncated[0]:
            columns = self._task.statistics(rewards, info)
            reported = {name: float(column[0]) for name, column in columns.items()}
        ends = bool(terminated[0]), bool(truncated[0])
        return self._observe(observed), float(rewards[0]), *ends, reported

    def _observe(self, observed: Any) -> Observations:
        observations = {VISUAL: np.empty((1, *self._task.shape), np.uint8)}
        self._task.write(observed, observations)
        return {name: array[0] for name, array in observations.items()}

    def render(self) -> np.ndarray | None:
        """Return the frame (height, width, 3) uint8; None without a render mode."""
        return None if self.render_mode is None else self._pool.render()[0]


def _check_name(config: EnvironmentConfig) -> None:
    known = [
        name
        for name, (module, *_) in envpool.registration.registry.specs.items()
        if module == _MODULES[config.type]
    ]
    if config.name not in known:
        refused = refusal(config.name, config.type)
        if refused:
            raise UserError(refused)
        close = difflib.get_close_matches(config.name, known, n=1, cutoff=0.5)
        hint = f"; did you mean {close[0]}?" if close else f"; one that it knows is {known[0]}"
        raise UserError(f"environment.name: {config.type} knows no environment {config.name}{hint}")


def _load_qt() -> None:
    """Load Qt, with which Procgen draws: the system's, or else that of the package PyQt5-Qt5.

    Procgen finds the package's libraries once they are loaded, as the dynamic linker uses libraries that
    are in memory already.

    Raises:
        UserError: Qt isn't installed.
    """
    names = ["libQt5Core.so.5", "libQt5Gui.so.5"]
    if _loads(names):
        return
    package = importlib.util.find_spec("PyQt5")
    folders = package.submodule_search_locations if package else None
    if not any(
        _loads([str(Path(folder) / "Qt5" / "lib" / name) for name in names])
        for folder in folders or []
    ):
        raise UserError(
            "environment.type: Procgen needs the library Qt 5: make procgen, or pip install -r "
            "requirements-procgen.txt, or on Debian and Ubuntu apt-get install libqt5gui5"
        )
    # EnvPool looked for Qt when it was imported, and must look again.
    importlib.reload(importlib.import_module("envpool.procgen"))


def _loads(libraries: list[str]) -> bool:
    with contextlib.suppress(OSError):
        for library in libraries:
            ctypes.CDLL(library)
        return True
    return False
