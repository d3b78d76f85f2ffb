"""Plays one episode in a window or into a video file, for `enjoy.py`."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import imageio.v3 as imageio
import numpy as np
import torch
from imageio.v2 import get_writer
from imageio_ffmpeg import count_frames_and_secs

from commands.command import ExitCode
from commands.options import check_folder
from commands.playing import Agent
from commands.terminal.console import make_console
from environments import EnvironmentFailure, make_environment
from environments.checking.frames import as_frame
from environments.safety.endless import EndlessEpisodes
from environments.spaces import spaces_of
from environments.suites.drawing import draw_without_devices, has_display
from environments.wrappers.checked import find_not_finite
from ppo.run.evaluator import Policy
from schema.environment import EnvironmentConfig
from schema.errors import UserError
from schema.folders import shown
from schema.unity import PLAYER_TYPES
from schema.yaml_file import replace_file

_FORMATS = (".mp4", ".gif")
_DEFAULT_RATE = 30  # frames per second, if the environment names no rate


def check_output(video: Path | None) -> None:
    """Raise an error if the episode can't be shown.

    Args:
        video: the file to write; None shows a window.

    Raises:
        UserError: the video's format is unknown, the file can't be written, or there is no display for
            a window.
    """
    if video is not None:
        if video.suffix.lower() not in _FORMATS:
            raise UserError(f"--video={video}: must end in {' or '.join(_FORMATS)}")
        if video.is_dir():
            raise UserError(f"--video={video}: is a folder; must be a file")
        check_folder(video.parent)
        return
    if not has_display():
        raise UserError("there is no display here; write a video with --video=<path>")


def show_episode(
    agent: Agent,
    seed: int,
    worker_id: int,
    device: torch.device,
    stochastic: bool,
    video: Path | None,
) -> int:
    """Play one episode, print its return and length and return the exit code.

    Args:
        agent: the agent that plays.
        seed: the seed of the level and of sampled actions.
        worker_id: offset of the environment's communication port.
        device: the device of the network.
        stochastic: whether to sample actions instead of choosing the most probable ones.
        video: the file to write; None shows a window.

    Raises:
        UserError: the checkpoint doesn't fit the config's network, or the environment can't be rendered.
    """
    mode = "human" if video is None else "rgb_array"
    # Unity players use SDL, too, and need the real display.
    if video is not None and agent.config.environment.type not in PLAYER_TYPES:
        draw_without_devices()
    environment = make_environment(agent.config.environment, worker_id, mode)
    try:
        policy = agent.policy(spaces_of(environment), device, seed, stochastic)
        episode = _Episode(agent.config.environment, environment, policy, seed)
        if video is None:
            for _ in episode.play():
                pass
        else:
            _write_video(video, episode, environment)
    finally:
        environment.close()
    console = make_console()
    console.print(f"seed {seed}: return {episode.total:.4g}, length {episode.length}")
    if video is not None:
        console.print(f"video: {shown(video)}", soft_wrap=True)
    return ExitCode.SUCCESS


class _Episode:
    """An episode, played step by step.

    Attributes:
        total: the return so far.
        length: the number of steps so far.
    """

    def __init__(
        self,
        config: EnvironmentConfig,
        environment: gymnasium.Env,
        policy: Policy,
        seed: int,
    ) -> None:
        self._config = config
        self._name = config.name
        self._environment = environment
        self._policy = policy
        self._seed = seed
        self.total = 0.0
        self.length = 0

    def frames(self) -> Iterator[np.ndarray]:
        """Play the episode and yield the frames of a video, all of one size.

        Raises:
            EnvironmentFailure: the environment renders something else than a frame of that size.
        """
        shape = None
        for rendered in self.play():
            frame = as_frame(self._name, rendered, shape)
            shape = frame.shape
            yield frame

    def play(self) -> Iterator[Any]:
        """Play the episode and yield what `render` returns before the first and after each step."""
        observation, _ = self._environment.reset(seed=self._seed)
        watch = EndlessEpisodes(self._config, 1)
        self._policy.begin(1)
        yield self._environment.render()
        ended = False
        while not ended:
            # One environment is a batch of one.
            batch = {name: np.asarray(value)[None] for name, value in observation.items()}
            found = find_not_finite(batch)
            if found is not None:
                raise EnvironmentFailure(f"{self._name} gave an observation {found[1]}")
            action = self._policy.act(batch)[0]
            observation, reward, terminated, truncated, _ = self._environment.step(action)
            self.total += float(reward)
            self.length += 1
            ended = terminated or truncated
            watch.step([])
            yield self._environment.render()


def frame_rate(environment: gymnasium.Env) -> float:
    """Return the frames per second that an environment names, as a number or text; else the default."""
    try:
        rate = float(environment.metadata["render_fps"])
    except (KeyError, TypeError, ValueError):
        return _DEFAULT_RATE
    return rate if 0 < rate < math.inf else _DEFAULT_RATE


def _write_video(path: Path, episode: _Episode, environment: gymnasium.Env) -> None:
    """Play the episode and write its frames.

    Raises:
        OSError: the file can't be written; the error names it.
        UserError: ffmpeg failed.
    """
    rate = frame_rate(environment)
    is_gif = path.suffix.lower() == ".gif"
    content = _make_gif(episode, rate) if is_gif else _make_mp4(episode, rate, path)
    # The libraries would meet a full disk with a broken file, or with errors of many lines.
    with replace_file(path, "wb") as file:
        file.write(content)


def _make_gif(episode: _Episode, rate: float) -> bytes:
    frames = list(episode.frames())
    return imageio.imwrite("<bytes>", frames, extension=".gif", duration=1000 / rate, loop=0)


def _make_mp4(episode: _Episode, rate: float, path: Path) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        temporary = Path(folder) / "video.mp4"
        writer: Any = get_writer(temporary, fps=rate, macro_block_size=2)
        with writer:
            for frame in episode.frames():
                try:
                    writer.append_data(frame)
                except OSError as error:  # ffmpeg has printed the cause itself
                    raise UserError(
                        f"--video={path}: ffmpeg stopped before the episode ended"
                    ) from error
        if not _is_whole(temporary):
            raise UserError(f"--video={path}: ffmpeg couldn't write into {tempfile.gettempdir()}")
        return temporary.read_bytes()


def _is_whole(video: Path) -> bool:
    """Return whether ffmpeg can read a video, which it writes an index into last.

    On a full disk, it may stop without an error.
    """
    try:
        count_frames_and_secs(video)
    except (RuntimeError, OSError):
        return False
    return True
