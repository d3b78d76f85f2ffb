"""Wrappers that a config adds to an environment of any suite, in the order in which they apply.

All of them take and return dictionaries of observations: vectors of one dimension and images of three
(height, width, channels).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.wrappers import TransformObservation

from environments.interface import ACTION_MASK, Observations
from environments.observations import observed_numbers
from environments.spaces import VECTOR, vector_space
from environments.wrappers.masks import without_action_mask
from schema.environment import EnvironmentConfig
from schema.errors import UserError

_StepTuple = tuple[Observations, float, bool, bool, dict[str, Any]]


def wrap(environment: gymnasium.Env, config: EnvironmentConfig) -> gymnasium.Env:
    """Add the config's wrappers to a suite's environment.

    Raises:
        UserError: A wrapper needs a visual observation or an action mask, and there is none; or nothing
            is observed.
    """
    if config.use_action_mask is False:
        environment = without_action_mask(environment)
    _check_mask(environment, config)
    _check_visual(environment, config)
    if config.frame_skip > 1:
        environment = FrameSkip(environment, config.frame_skip)
    if config.grayscale:
        environment = grayscale(environment)
    if config.resize_vis_obs:
        width, height = config.resize_vis_obs
        environment = resize(environment, width, height)
    if config.obs_stacks > 1:
        environment = ObservationStack(environment, config.obs_stacks)
    if config.last_action_to_obs:
        environment = LastAction(environment)
    if config.last_reward_to_obs:
        environment = LastReward(environment)
    if config.positional_encoding:
        environment = PositionalEncoding(environment)
    _check_observed(environment, config)
    return environment


def _check_mask(environment: gymnasium.Env, config: EnvironmentConfig) -> None:
    if config.use_action_mask is True and ACTION_MASK not in _spaces(environment):
        raise UserError(
            f"environment.use_action_mask: {config.name} offers no action mask; must be auto or false"
        )


def _check_observed(environment: gymnasium.Env, config: EnvironmentConfig) -> None:
    if not observed_numbers(environment):
        raise UserError(
            f"environment.name: {config.name} observes nothing that a network could read; its "
            f"observations must hold a number or an image beside any {ACTION_MASK}"
        )


def _check_visual(environment: gymnasium.Env, config: EnvironmentConfig) -> None:
    images = _images(environment)
    errors = []
    appends = config.last_action_to_obs or config.last_reward_to_obs or config.positional_encoding
    if VECTOR in images and appends:
        raise UserError(
            f"environment.name: {config.name} has an image under the reserved name {VECTOR}"
        )
    if not images:
        keys = [key for key in ("grayscale", "resize_vis_obs") if getattr(config, key)]
        mend = ", unless visual_observation is true" if config.type == "Minigrid" else ""
        errors = [
            f"environment.{key}: {config.name} has no visual observation{mend}" for key in keys
        ]
    elif config.grayscale:
        errors = [
            f"environment.grayscale: {config.name} has an image '{name}' of {space.shape[2]} "
            "channels; only 1 (gray already) and 3 (RGB) can be turned into gray"
            for name, space in images.items()
            if space.shape[2] not in (1, 3)
        ]
    if errors:
        raise UserError(errors)


class FrameSkip(gymnasium.Wrapper):
    """Repeats each action, sums the rewards, and stops where the episode ends."""

    def __init__(self, environment: gymnasium.Env, steps: int) -> None:
        super().__init__(environment)
        self.steps = steps

    def step(self, action: Any) -> _StepTuple:
        """Take up to `steps` steps."""
        total = 0.0
        for _ in range(self.steps):
            observation, reward, terminated, truncated, info = self.env.step(action)
            total += float(reward)
            if terminated or truncated:
                break
        return observation, total, terminated, truncated, info


def grayscale(environment: gymnasium.Env) -> gymnasium.Env:
    """Convert images (height, width, 3 or 1) to (height, width, 1)."""
    import cv2  # slow to import, and only needed for images

    def convert(image: np.ndarray) -> np.ndarray:
        if image.shape[2] == 1:
            return image
        return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[:, :, np.newaxis]

    return _transform_images(environment, convert, lambda shape: (*shape[:2], 1))


def resize(environment: gymnasium.Env, width: int, height: int) -> gymnasium.Env:
    """Resize images to (height, width, channels); each pixel is the mean of the area it covers."""
    import cv2  # slow to import, and only needed for images

    def convert(image: np.ndarray) -> np.ndarray:
        resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        return resized.reshape(height, width, -1)

    return _transform_images(environment, convert, lambda shape: (height, width, shape[2]))


def _transform_images(
    environment: gymnasium.Env,
    convert: Callable[[np.ndarray], np.ndarray],
    convert_shape: Callable[[tuple[int, ...]], tuple[int, ...]],
) -> gymnasium.Env:
    images = _images(environment)
    converted = {
        name: spaces.Box(0, 255, convert_shape(space.shape), np.uint8)
        for name, space in images.items()
    }
    return TransformObservation(
        environment,
        lambda observation: {
            name: convert(array) if name in images else array for name, array in observation.items()
        },
        spaces.Dict({**_spaces(environment), **converted}),
    )


class ObservationStack(gymnasium.Wrapper):
    """Concatenates the latest observations along their last axis, the oldest first.

    An episode starts with its first observation repeated. Action masks aren't stacked.
    """

    def __init__(self, environment: gymnasium.Env, count: int) -> None:
        super().__init__(environment)
        self.count = count
        before = _spaces(environment)
        stacked = {
            name: spaces.Box(
                np.concatenate([space.low] * count, axis=-1),
                np.concatenate([space.high] * count, axis=-1),
                dtype=space.dtype.type,
            )
            for name, space in before.items()
            if name != ACTION_MASK
        }
        self.observation_space = spaces.Dict({**before, **stacked})
        self._stacked: Observations = {}

    def reset(self, **arguments: Any) -> tuple[Observations, dict[str, Any]]:
        """Start an episode."""
        observation, info = self.env.reset(**arguments)
        self._stacked = {
            name: np.concatenate([array] * self.count, axis=-1)
            for name, array in observation.items()
            if name != ACTION_MASK
        }
        return {**observation, **self._stacked}, info

    def step(self, action: Any) -> _StepTuple:
        """Take a step and drop the oldest observation."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._stacked = {
            name: np.concatenate(
                (stacked[..., observation[name].shape[-1] :], observation[name]), -1
            )
            for name, stacked in self._stacked.items()
        }
        stacked_observation = {**observation, **self._stacked}
        return stacked_observation, float(reward), terminated, truncated, info


class LastAction(gymnasium.Wrapper):
    """Appends the last action to "vector"; zeros at the start of an episode.

    Discrete actions are one-hot for each branch; continuous ones are appended unchanged.
    """

    def __init__(self, environment: gymnasium.Env) -> None:
        super().__init__(environment)
        actions = environment.action_space
        self._offsets: np.ndarray | None = None
        if isinstance(actions, spaces.MultiDiscrete):
            self._offsets = np.cumsum(actions.nvec) - actions.nvec
            self._none = np.zeros(actions.nvec.sum(), np.uint8)
        else:
            assert isinstance(actions, spaces.Box)
            self._none = np.zeros(actions.shape, np.float32)
        kind = self._none.dtype.type
        self.observation_space = _appended_space(environment, len(self._none), kind)

    def reset(self, **arguments: Any) -> tuple[Observations, dict[str, Any]]:
        """Start an episode."""
        observation, info = self.env.reset(**arguments)
        return _append(observation, self._none.copy()), info

    def step(self, action: Any) -> _StepTuple:
        """Take a step."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return (
            _append(observation, self._encode(action)),
            float(reward),
            terminated,
            truncated,
            info,
        )

    def _encode(self, action: np.ndarray) -> np.ndarray:
        """Convert an action (action_size,) to the numbers to append."""
        encoded = self._none.copy()
        if self._offsets is None:
            encoded[:] = action
        else:
            encoded[self._offsets + action] = 1
        return encoded


class LastReward(gymnasium.Wrapper):
    """Appends the last reward to "vector", which becomes float32; 0 at the start of an episode."""

    def __init__(self, environment: gymnasium.Env) -> None:
        super().__init__(environment)
        self.observation_space = _appended_space(environment, 1, np.float32)

    def reset(self, **arguments: Any) -> tuple[Observations, dict[str, Any]]:
        """Start an episode."""
        observation, info = self.env.reset(**arguments)
        return _append(observation, np.zeros(1, np.float32)), info

    def step(self, action: Any) -> _StepTuple:
        """Take a step."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        appended = _append(observation, np.array([reward], np.float32))
        return appended, float(reward), terminated, truncated, info


class PositionalEncoding(gymnasium.Wrapper):
    """Appends the step of the episode to "vector", as sines and cosines of several wavelengths.

    This is the encoding of Vaswani et al. (2017), Attention is all you need, section 3.5, with 16
    numbers: wavelengths form a geometric progression from 2 pi steps to nearly 10,000 times that. It
    tells a policy without memory the time in a partially observed task.
    """

    def __init__(self, environment: gymnasium.Env) -> None:
        super().__init__(environment)
        self._step = 0
        self.observation_space = _appended_space(environment, _ENCODING_SIZE, np.float32)

    def reset(self, **arguments: Any) -> tuple[Observations, dict[str, Any]]:
        """Start an episode, with step 0."""
        observation, info = self.env.reset(**arguments)
        self._step = 0
        return _append(observation, self._encode()), info

    def step(self, action: Any) -> _StepTuple:
        """Take a step."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._step += 1
        appended = _append(observation, self._encode())
        return appended, float(reward), terminated, truncated, info

    def _encode(self) -> np.ndarray:
        angles = self._step * _FREQUENCIES
        # pairs x 2 -> 16, each sine followed by its cosine
        return np.stack((np.sin(angles), np.cos(angles)), 1).ravel().astype(np.float32)


_ENCODING_SIZE = 16
_FREQUENCIES = 10_000.0 ** (-np.arange(0, _ENCODING_SIZE, 2) / _ENCODING_SIZE)  # radians per step


def _append(observation: Observations, values: np.ndarray) -> Observations:
    """Append values to "vector", or create it; uint8 and float32 make float32."""
    if VECTOR in observation:
        values = np.concatenate((observation[VECTOR], values))
    return {**observation, VECTOR: values}


def _appended_space(environment: gymnasium.Env, length: int, kind: type) -> spaces.Dict:
    before = _spaces(environment)
    if VECTOR in before:
        length += before[VECTOR].shape[0]
        kind = np.result_type(before[VECTOR].dtype, kind).type
    return spaces.Dict({**before, VECTOR: vector_space(length, kind)})


def _spaces(environment: gymnasium.Env) -> dict[str, spaces.Box]:
    assert isinstance(environment.observation_space, spaces.Dict)
    return dict(environment.observation_space.spaces)  # type: ignore[arg-type]


def _images(environment: gymnasium.Env) -> dict[str, spaces.Box]:
    return {name: space for name, space in _spaces(environment).items() if len(space.shape) == 3}
