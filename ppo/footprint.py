"""Estimates the RAM that a training needs, and reads how much is available.

The estimate adds up the arrays of networks, rollouts and mini-batches by their sizes, and measured
sizes of environments (see `docs/results.md`).

Axes: members M, workers N, steps T (see `buffer.py`).
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np

from environments.building import Probe, probe
from environments.interface import ACTION_MASK, Spaces
from networks.sizes import CONVOLUTIONS, GATES, STATE_PARTS, convolved_sizes
from schema.config import Config
from schema.model import ModelConfig, RecurrenceConfig
from schema.yaml_file import KeyPath

MIB = 2**20
# Bytes of a process that trains: Python, torch, Gymnasium and the suite.
BASE = 300 * MIB
# Bytes of a process that steps environments.
_PROCESS = 80 * MIB
# Least bytes of one environment, without its observations. Gymnasium's simplest ones take as much as
# CartPole. Procgen's weren't measured; Atari's size stands in. Unity's is the size of an empty scene.
_ENVIRONMENT = {
    "CartPole": 8 * 2**10,
    "Gymnasium": 8 * 2**10,
    "Minigrid": 16 * 2**10,
    "Procgen": MIB,
    "Atari": MIB,
    "Unity": 64 * MIB,
    "ObstacleTower": 64 * MIB,
}
_FLOAT = 4  # bytes of a float32

_HIDDEN: KeyPath = ("model", "hidden_layer_size")


@dataclass(frozen=True)
class Footprint:
    """The bytes of RAM that a training needs above `BASE`, by the config key that determines them.

    Attributes:
        own: bytes of each member.
        common: bytes that all members share.
    """

    own: dict[KeyPath, int]
    common: dict[KeyPath, int]

    def of(self, members: int) -> int:
        """Return the bytes of a process that trains a number of members."""
        return BASE + members * sum(self.own.values()) + sum(self.common.values())

    @property
    def largest(self) -> tuple[KeyPath, int]:
        """The key that determines most bytes of a single member, and these bytes."""
        both = {
            key: self.own.get(key, 0) + self.common.get(key, 0) for key in self.own | self.common
        }
        return max(both.items(), key=lambda item: item[1])


# Keys that change no size. Most permutations of a grid differ in these alone, so the cache ignores them.
_OF_NO_SIZE = {
    "trainer": {
        *("gamma", "lamda", "updates", "epochs", "value_coefficient", "max_grad_norm"),
        *("adam_epsilon", "weight_decay", "target_kl"),
        *("learning_rate_schedule", "beta_schedule", "clip_range_schedule"),
    },
    "model": {"log_std_init", "initialization"},
}


def footprint(config: Config) -> Footprint:
    """Return the footprint of training a config; its environment must be buildable."""
    return _cached_footprint(config.model_dump_json(by_alias=True, exclude=_OF_NO_SIZE))


@lru_cache(maxsize=1024)
def _cached_footprint(config_json: str) -> Footprint:
    config = Config.model_validate_json(config_json)
    return footprint_in(probe(config.environment), config)


def footprint_in(probed: Probe, config: Config) -> Footprint:
    """Return the footprint of training a config in a probed environment."""
    spaces, environment = probed.spaces, _bytes_of_an_environment(config, probed)
    config = config.resolved(spaces.has_images)
    trainer = config.trainer
    workers, steps = trainer.num_workers, trainer.worker_steps
    of_steps: KeyPath = ("trainer", "num_workers" if workers >= steps else "worker_steps")
    own = {key: 4 * _FLOAT * count for key, count in _weights(config, spaces)}
    # Saving a checkpoint copies the weights and both moments.
    common = {key: 3 * _FLOAT * count for key, count in _weights(config, spaces)}
    _add(own, of_steps, trainer.batch_size * _bytes_of_a_step(config, spaces))
    # Acting reads one observation of each worker at once, which may exceed a mini-batch.
    batch = max(trainer.batch_size // trainer.num_mini_batches, workers)
    _add(common, of_steps, batch * _bytes_of_learning(config.model, spaces))
    is_dense = config.model.recurrence is None and not spaces.has_images
    if is_dense and config.model.has_equal_layers and not config.model.use_sde:
        _add(
            common, _layers_key(config.model), _FLOAT * _numbers_of_workspace(config.model, spaces)
        )
    _add(own, ("trainer", "num_workers"), workers * environment)
    if config.model.use_sde:
        policy, _ = _dense_parts(config.model, spaces)
        # Each worker's random function, and the product with the features from which noise is summed.
        functions = 2 * _FLOAT * workers * policy.features * len(spaces.bounds)
        _add(own, ("trainer", "num_workers"), functions)
    if config.evaluation.evaluate:
        count = min(config.evaluation.num_workers, config.evaluation.seeds.num_seeds)
        _add(common, ("evaluation", "num_workers"), count * environment)
    processes = config.environment.processes
    if processes:
        _add(common, ("environment", "processes"), min(processes, workers) * _PROCESS)
    return Footprint(own, common)


def _add(parts: dict[KeyPath, int], key: KeyPath, size: int) -> None:
    parts[key] = parts.get(key, 0) + size


def count_weights(config: Config, spaces: Spaces) -> int:
    """Return the number of weights of one member."""
    return sum(count for _, count in _weights(config.resolved(spaces.has_images), spaces))


def _weights(config: Config, spaces: Spaces) -> list[tuple[KeyPath, int]]:
    """Return numbers of weights, each with the key that determines it."""
    model = config.model
    counts: dict[KeyPath, int] = {}
    policy, value = _dense_parts(model, spaces)
    for layers in [policy] if model.share_parameters else [policy, value]:
        for key, count in _trunk_weights(model, spaces, layers):
            _add(counts, key, count)
    outputs = sum(spaces.branches) or len(spaces.bounds)
    heads = _connections(policy.features, outputs) + _connections(value.features, 1)
    # Each dimension of a continuous action has one weight for its deviation, or one for each feature.
    deviations = len(spaces.bounds) * (policy.features if model.use_sde else 1)
    _add(counts, _layers_key(model), heads + deviations)
    return list(counts.items())


@dataclass(frozen=True)
class _Dense:
    """The sizes of a trunk's fully connected layers.

    Attributes:
        depth: number of layers.
        first: units of the first layer; 0 without layers.
        features: units of the last layer; without layers, those of the part before them.
        units: of all layers together.
        between: weights and biases of all layers but the first.
    """

    depth: int
    first: int
    features: int
    units: int
    between: int


def _dense_parts(model: ModelConfig, spaces: Spaces) -> tuple[_Dense, _Dense]:
    """Return the sizes of the fully connected layers of policy and value function."""
    if model.hidden_layers is None:
        # By arithmetic alone, because there may be too many layers for a list.
        size, depth = model.hidden_layer_size, model.num_hidden_layers
        alike = _Dense(depth, size, size, depth * size, (depth - 1) * _connections(size, size))
        return alike, alike
    inputs = _dense_inputs(model, spaces)
    policy, value = (
        _Dense(
            depth=len(layers),
            first=next(iter(layers), 0),
            features=[inputs, *layers][-1],
            units=sum(layers),
            between=sum(_connections(*sizes) for sizes in pairwise(layers)),
        )
        for layers in (model.policy_layers, model.value_layers)
    )
    return policy, value


def _layers_key(model: ModelConfig) -> KeyPath:
    return _HIDDEN if model.hidden_layers is None else ("model", "hidden_layers")


def _dense_inputs(model: ModelConfig, spaces: Spaces) -> int:
    """Return the number of inputs of the fully connected layers."""
    if model.recurrence is not None:
        return model.recurrence.hidden_state_size
    width, images = _observed(spaces)
    return width + sum(list(convolved_sizes(shape))[-1] for shape in images)


def _trunk_weights(
    model: ModelConfig, spaces: Spaces, layers: _Dense
) -> Iterator[tuple[KeyPath, int]]:
    width, images = _observed(spaces)
    for shape in images:
        channels = [shape[2], *(filters for filters, _, _ in CONVOLUTIONS)]
        for (before, after), (_, kernel, _) in zip(pairwise(channels), CONVOLUTIONS, strict=True):
            yield ("environment", "obs_stacks"), _connections(before * kernel**2, after)
        width += list(convolved_sizes(shape))[-1]
    if model.recurrence is not None:
        yield from _recurrent_weights(model.recurrence, width)
        width = model.recurrence.hidden_state_size
    if not layers.depth:
        return
    hidden = _layers_key(model)
    # With many inputs or many layers, blame these rather than the layers' size.
    observed: KeyPath = ("environment", "resize_vis_obs" if images else "name")
    is_wide = width > layers.first and model.recurrence is None
    yield observed if is_wide else hidden, _connections(width, layers.first)
    is_deep = model.hidden_layers is None and layers.depth - 1 > layers.first
    yield ("model", "num_hidden_layers") if is_deep else hidden, layers.between


def _recurrent_weights(recurrence: RecurrenceConfig, width: int) -> Iterator[tuple[KeyPath, int]]:
    key: KeyPath = ("model", "recurrence", "hidden_state_size")
    size, gates = recurrence.hidden_state_size, GATES[recurrence.layer_type]
    if recurrence.embed:
        yield key, _connections(width, size)
        width = size
    for layer in range(recurrence.num_layers):
        inputs = size if layer else width
        yield key, _connections(inputs, gates * size) + _connections(size, gates * size)
    if recurrence.hidden_state_init == "learned":
        yield key, _state_size(recurrence)


def _state_size(recurrence: RecurrenceConfig) -> int:
    return recurrence.num_layers * STATE_PARTS[recurrence.layer_type] * recurrence.hidden_state_size


def _connections(inputs: int, outputs: int) -> int:
    """Return the number of weights and biases of a layer."""
    return (inputs + 1) * outputs


def _observed(spaces: Spaces) -> tuple[int, list[tuple[int, ...]]]:
    """Return the size of all observed vectors together, and the shapes of observed images."""
    shapes: list[tuple[int, ...]] = [
        shape for name, (shape, _) in spaces.observations.items() if name != ACTION_MASK
    ]
    images: list[tuple[int, ...]] = [shape for shape in shapes if len(shape) == 3]
    vectors = sum(math.prod(shape) for shape in shapes if len(shape) != 3)
    return vectors, images


def _observation_bytes(spaces: Spaces) -> int:
    return sum(
        math.prod(shape) * np.dtype(kind).itemsize for shape, kind in spaces.observations.values()
    )


# Numbers stored for each step of a rollout: reward, last value, value, advantage, return, and temporary
# results on the way to them.
_NUMBERS_OF_A_STEP = 20
# Greatest number of copies of a policy's outputs at a step: noise, parameters and log-probabilities, and
# the arrays from which these are computed.
_COPIES_OF_OUTPUTS = 5


def _bytes_of_a_step(config: Config, spaces: Spaces) -> int:
    """Return the bytes of one worker's step in a rollout."""
    model = config.model
    observed = _observation_bytes(spaces)
    outputs = sum(spaces.branches) or 2 * len(spaces.bounds)
    numbers = _NUMBERS_OF_A_STEP + _COPIES_OF_OUTPUTS * outputs
    if config.trainer.multi_discrete_ratio == "branch":
        numbers += len(spaces.branches)
    trunks = 1 if model.share_parameters else 2
    if model.share_parameters or model.recurrence is not None:
        _, value = _dense_parts(model, spaces)
        numbers += value.features
    if model.recurrence is not None:
        numbers += trunks * _state_size(model.recurrence)
    # Actions exist three times: step by step, stacked, and in the buffer.
    return observed + _FLOAT * numbers + 3 * 8 * spaces.action_size


def _bytes_of_learning(model: ModelConfig, spaces: Spaces) -> int:
    """Return the bytes of one step of a mini-batch: observations, layers' outputs and gradients."""
    _, images = _observed(spaces)
    # Observations in the network's type; the return value adds the copy in their own type.
    numbers = sum(_numbers_looked_at(*form) for form in spaces.observations.values())
    # Torch stores inputs and outputs of activations, and gradients of both.
    of_layers = sum(2 * sum(convolved_sizes(shape)) for shape in images)
    if model.recurrence is not None:
        of_layers += _numbers_of_recurrence(model.recurrence)
    policy, value = _dense_parts(model, spaces)
    for layers in [policy] if model.share_parameters else [policy, value]:
        numbers += of_layers + layers.units
    numbers += policy.features + value.features
    return _observation_bytes(spaces) + _FLOAT * numbers


def _numbers_of_workspace(model: ModelConfig, spaces: Spaces) -> int:
    """Return the numbers of a dense network's largest weight gradient and transposed weights."""
    layers, _ = _dense_parts(model, spaces)
    size, (width, _) = layers.first, _observed(spaces)
    trunks = 1 if model.share_parameters else 2
    return max(width, size) * size + trunks * (layers.depth - 1) * size * size


# Copies of each gate of a recurrent layer at a step while torch learns.
_COPIES_OF_GATES = 6


def _numbers_of_recurrence(recurrence: RecurrenceConfig) -> int:
    """Return the numbers that recurrent layers store for one step and its share of padding.

    The padding depends on how much longer the longest sequence is than the others.
    """
    gates = GATES[recurrence.layer_type] * recurrence.num_layers * recurrence.hidden_state_size
    padded = 3.0 if recurrence.sequence_length <= 0 else 1.5
    return int(_COPIES_OF_GATES * gates * padded)


def _numbers_looked_at(shape: tuple[int, ...], kind: str) -> int:
    """Return the numbers of an observation that a network reads; of one-hot vectors, about a quarter."""
    size = math.prod(shape)
    return size // 4 if len(shape) == 1 and kind == "uint8" else size


def _bytes_of_an_environment(config: Config, probed: Probe) -> int:
    """Return the bytes of one environment: its own, and its observations here and in wrappers."""
    own = _ENVIRONMENT[config.environment.type] // probed.seats
    return own + 4 * _observation_bytes(probed.spaces)


def show_bytes(count: int) -> str:
    """Return a number of bytes in MiB or GiB."""
    return f"{count / 2**30:,.1f} GiB" if count >= 2**30 else f"{count / MIB:,.0f} MiB"


@cache
def available_ram(root: Path = Path("/")) -> int | None:
    """Return the bytes of RAM that this process may use; None if the system doesn't tell.

    Args:
        root: folder of `proc` and `sys`, where Linux lists a container's limits.
    """
    try:
        installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
    return min([installed, *_container_limits(root)])


def _container_limits(root: Path) -> Iterator[int]:
    groups = root / "sys" / "fs" / "cgroup"
    for line in _text(root / "proc" / "self" / "cgroup").splitlines():
        # A line is number, controllers and path; cgroup v2 lists no controllers.
        _, controllers, path = line.split(":", 2)
        if not controllers:
            folder, name = groups, "memory.max"
        elif "memory" in controllers.split(","):
            folder, name = groups / "memory", "memory.limit_in_bytes"
        else:
            continue
        own = folder / path.lstrip("/")
        # The limits of all parent groups apply, too.
        for group in (own, *own.parents):
            text = _text(group / name).strip()
            if text.isdecimal():
                yield int(text)
            if group == folder:
                break


def _text(path: Path) -> str:
    """Return the text of a file; an empty string if it can't be read."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
