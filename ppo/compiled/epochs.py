"""A member's rollout, network and hyperparameters as the compiled functions take them."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence

import numpy as np
import scipy.linalg.cython_blas  # noqa: F401  # the products of Numba
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from buffer import RolloutBuffer
from environments.interface import ACTION_MASK
from model import ActorCritic, Population
from networks.distributions import MultiCategorical
from networks.gaussians import SquashedGaussian
from networks.layers import Linear
from networks.repeats import find_repeats
from ppo.compiled import learning
from ppo.compiled.activations import ACTIVATIONS
from ppo.compiled.arguments import (
    Inputs,
    Network,
    Parameters,
    Policy,
    Rollout,
    Settings,
    Update,
    Workspace,
)
from ppo.epochs import KL_MARGIN, LOGGED
from ppo.member import Member
from ppo.optimiser import AdamW

# What products round to may depend on the number of threads, and theirs are too small for several.
threadpool_limits(1, "blas")

# Observations that are looked at at once.
_ROWS = 128

_NO_BYTES, _NO_NUMBERS = np.zeros((0, 0), np.uint8), np.zeros((0, 0), np.float32)
_NO_CHOICES, _NONE = np.zeros((0, 0), np.int64), np.zeros(0, np.int64)
_NO_VALUES = np.zeros(0, np.float32)
_NO_RATES = {"learning_rate": 0.0, "clip_range": 0.0, "beta": 0.0}


class CompiledEpochs:
    """As `ppo.epochs.Epochs` has it, for a single member with a fully connected network on a CPU.

    Args:
        member: who is trained.
        population: the networks.
        buffer: the rollouts.
        optimiser: of all members.
    """

    def __init__(
        self, member: Member, population: Population, buffer: RolloutBuffer, optimiser: AdamW
    ) -> None:
        row = member.number
        self._member = member
        self._buffer = buffer
        self._actor_critic = population.each[row]
        self._network = _locate(self._actor_critic, population.weights[row])
        self._policy = _describe(self._actor_critic)
        weights, gradient = population.weights[row], population.gradients[row]
        state = optimiser.state_of(row)
        self._parameters = Parameters(
            weights.numpy(),
            gradient.numpy(),
            state["first_moments"].numpy(),
            state["second_moments"].numpy(),
            state["steps"].numpy(),
        )
        self._inputs, self._masks = Inputs(_NO_NUMBERS, _NONE, _NONE), _NO_BYTES
        self._observed = _NONE

    def estimate_values(self, features: Tensor | None) -> Tensor:
        """Values (T, N) of the rollout."""
        self._look_at(self._buffer.batch_observations(self._member.number))
        if features is not None:
            # T x N x size -> (T * N) x size, and back
            values = self._actor_critic.value_features(features.flatten(0, 1))
            return values.unflatten(0, (self._buffer.steps, -1))
        values_of_each = np.empty(len(self._inputs.values), np.float32)
        self._run(_NO_RATES, _NO_CHOICES, _NO_NUMBERS, values_of_each)
        return torch.from_numpy(values_of_each[self._observed]).view(self._buffer.steps, -1)

    def _look_at(self, observations: dict[str, Tensor]) -> None:
        """Takes what the network sees of a rollout, without what needn't be computed."""
        network, self._observed = self._actor_critic, np.arange(self._buffer.size)
        if all(values.dtype == torch.uint8 for values in observations.values()):
            repeats = find_repeats(observations)
            if repeats is not None:
                observations = {name: o[repeats.first] for name, o in observations.items()}
                self._observed = repeats.numbers.numpy()
        masks = observations.get(ACTION_MASK)
        self._masks = _NO_BYTES if masks is None else _array(masks.to(torch.uint8))
        columns = network.find_columns(observations)
        if columns is None:
            self._inputs = Inputs(_array(network.dense_inputs(observations)), _NONE, _NONE)
        else:
            (selected,) = map(columns.select, observations.values())
            self._inputs = Inputs(_array(selected), _array(columns.used), _array(columns.groups))

    def learn(self, rates: Sequence[dict[str, float]]) -> Tensor:
        """Takes an optimiser step for each mini-batch, and returns what is logged of each."""
        batches = self._deal()
        logged = np.empty((len(batches), len(LOGGED)), np.float32)
        looked_at = self._run(rates[0], batches, logged, _NO_VALUES)
        return torch.from_numpy(logged[:looked_at])

    def _run(
        self, rates: dict[str, float], batches: np.ndarray, logged: np.ndarray, values: np.ndarray
    ) -> int:
        """Calls what is compiled, with its arguments."""
        update = Update(
            self._network,
            self._policy,
            self._rollout(),
            self._settings(rates),
            self._parameters,
            self._work(),
        )
        looked_at: int = learning.run(update, batches, logged, values)
        assert len(learning.run.overloads) == 1, "compiled for several types"
        return looked_at

    def _deal(self) -> np.ndarray:
        """The steps (mini-batches of all epochs, steps) in random order."""
        config, size = self._member.config, self._buffer.size
        generator = self._member.shuffling_generator
        orders = [torch.randperm(size, generator=generator) for _ in range(config.epochs)]
        batches = torch.stack(orders).view(config.epochs * config.num_mini_batches, -1).numpy()
        if len(self._inputs.values) < size:
            # Steps of equal observations one after another.
            order = np.argsort(self._observed[batches], axis=1, kind="stable")
            batches = np.take_along_axis(batches, order, axis=1)
        return batches

    def _rollout(self) -> Rollout:
        buffer, row = self._buffer, self._member.number
        actions = _array(buffer.actions[row].flatten(0, 1))
        # [branches x] M x T x N -> branches x (T * N)
        log_probabilities = buffer.log_probabilities[..., row, :, :].reshape(-1, buffer.size)
        return Rollout(
            self._inputs,
            self._observed,
            self._masks,
            actions if len(self._policy.branches) else _NO_CHOICES,
            _NO_NUMBERS if len(self._policy.branches) else actions,
            _array(log_probabilities),
            _array(buffer.values[row].flatten()),
            _array(buffer.advantages[row].flatten()),
            _array(buffer.returns[row].flatten()),
        )

    def _settings(self, rates: dict[str, float]) -> Settings:
        config = self._member.config
        return Settings(
            learning_rate=float(rates["learning_rate"]),
            clip_range=float(rates["clip_range"]),
            beta=float(rates["beta"]),
            value_coefficient=float(config.value_coefficient),
            clip_value=config.clip_value_loss,
            max_grad_norm=float(config.max_grad_norm),
            epsilon=float(config.adam_epsilon),
            weight_decay=float(config.weight_decay),
            kl_limit=math.inf if config.target_kl is None else KL_MARGIN * config.target_kl,
            normalise=config.advantage_normalization == "minibatch",
        )

    def _work(self) -> Workspace:
        trunk, config = self._network.trunk, self._member.config
        return _workspace(
            rows=min(self._buffer.size // config.num_mini_batches, _ROWS),
            steps=self._buffer.size // config.num_mini_batches,
            inputs=int(trunk[0, 2]),
            layers=len(trunk),
            units=int(trunk[0, 3]),
            outputs=self._actor_critic.distribution.num_outputs,
            ratios=self._policy.ratios,
        )


def _array(tensor: Tensor) -> np.ndarray:
    """A tensor as an array in the one layout that the functions are compiled for."""
    return tensor.contiguous().numpy()


def _locate(network: ActorCritic, weights: Tensor) -> Network:
    """Where the layers of a network are in its row of weights (P,)."""

    def place(parameter: Tensor) -> int:
        return int(parameter.storage_offset() - weights.storage_offset())

    def locate(layers: Sequence[Linear]) -> np.ndarray:
        places = [(place(layer.weight), place(layer.bias), *layer.weight.shape) for layer in layers]
        return np.array(places, np.int64)

    trunk, free = network.trunk, network.free_parameters
    value_trunk = network.value_trunk or trunk
    return Network(
        locate(trunk.linear_layers),
        locate(value_trunk.linear_layers),
        locate([network.policy_head])[0],
        locate([network.value_head])[0],
        free_parameters=0 if free is None else place(free.values),
        activation=ACTIVATIONS.index(trunk.activation_name),
        shared=network.value_trunk is None,
    )


def _describe(network: ActorCritic) -> Policy:
    """The distribution over actions of a network."""
    distribution = network.distribution
    if isinstance(distribution, MultiCategorical):
        branches = np.array(distribution.branches, np.int64)
        return Policy(branches, distribution.ratios, *_squashing(None))
    squashed = distribution if isinstance(distribution, SquashedGaussian) else None
    return Policy(np.zeros(0, np.int64), 1, *_squashing(squashed))


def _squashing(distribution: SquashedGaussian | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Half widths (A,) of actions, and the places and weights (32,) of quadrature; or nothing."""
    if distribution is None:
        return (np.zeros(0, np.float32),) * 3
    return (
        distribution.half_width.numpy(),
        distribution.places.flatten().numpy(),
        distribution.weights.flatten().numpy(),
    )


_workspaces = threading.local()


def _workspace(**sizes: int) -> Workspace:
    """Memory of some sizes; a thread has only one at a time, so that it stays in the cache."""
    if getattr(_workspaces, "sizes", None) != sizes:
        _workspaces.sizes, _workspaces.work = sizes, _make_workspace(**sizes)
    return _workspaces.work


def _make_workspace(
    rows: int, steps: int, inputs: int, layers: int, units: int, outputs: int, ratios: int
) -> Workspace:
    def numbers(*shape: int) -> np.ndarray:
        # Of torch, which begins arrays at whole lines of the cache.
        return torch.zeros(shape).numpy()

    return Workspace(
        inputs=numbers(rows * inputs),
        weight=numbers(inputs * units),
        values=numbers(layers, rows, units),
        slopes=numbers(layers, rows, units),
        by_features=numbers(rows, units),
        by_more_features=numbers(rows, units),
        outputs=numbers(rows, outputs),
        by_outputs=numbers(rows, outputs),
        estimates=numbers(rows, 1),
        by_estimates=numbers(rows, 1),
        entropies=numbers(rows),
        entropy_slopes=numbers(2, rows, outputs),
        product=numbers(max(inputs, units) * max(units, outputs)),
        observed=np.zeros(rows, np.int64),
        rows=np.zeros(steps, np.int64),
        log_probabilities=numbers(ratios, steps),
    )
