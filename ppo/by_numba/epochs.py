"""Trains one member by Numba: passes its rollout, network and hyperparameters to the kernels."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from environments.interface import ACTION_MASK
from networks.repeats import find_repeats
from ppo.by_numba import learning_kernels
from ppo.by_numba.kernel_arguments import Inputs, Parameters, RolloutArrays, Settings, Update
from ppo.by_numba.network_arrays import as_array, layout_of, policy_arrays, workspace_of
from ppo.interface import KL_MARGIN, LOGGED
from ppo.parts import Parts

_NO_BYTES, _NO_FLOATS = np.zeros((0, 0), np.uint8), np.zeros((0, 0), np.float32)
_NO_INTEGERS, _NO_INDICES = np.zeros((0, 0), np.int64), np.zeros(0, np.int64)
_NO_VALUES = np.zeros(0, np.float32)
_NO_RATES = {"learning_rate": 0.0, "clip_range": 0.0, "beta": 0.0}


class NumbaEpochs:
    """Implements `ppo.interface.Epochs` for a single member with a fully connected network on a CPU.

    Args:
        row: the member to train.
        parts: the population in training.
    """

    def __init__(self, row: int, parts: Parts) -> None:
        population, optimiser = parts.population, parts.optimiser
        self._member = parts.members[row]
        self._buffer = parts.buffer
        self._actor_critic = population.each[row]
        self._network = layout_of(self._actor_critic, population.weights[row])
        self._policy = policy_arrays(self._actor_critic)
        weights, gradient = population.weights[row], population.gradients[row]
        state = optimiser.state_of(row)
        self._parameters = Parameters(
            weights.numpy(),
            gradient.numpy(),
            state["first_moments"].numpy(),
            state["second_moments"].numpy(),
            state["steps"].numpy(),
        )
        self._inputs, self._masks = Inputs(_NO_FLOATS, _NO_INDICES, _NO_INDICES), _NO_BYTES
        self._observed = _NO_INDICES

    def estimate_values(self, features: Tensor | None) -> Tensor:
        """Prepare the rollout for learning, and return its values (T, N)."""
        self._prepare(self._buffer.batch_observations(self._member.number))
        if features is not None:
            # T x N x size -> (T * N) x size, and back
            values = self._actor_critic.values_of_features(features.flatten(0, 1))
            return values.unflatten(0, (self._buffer.steps, -1))
        distinct = np.empty(len(self._inputs.values), np.float32)
        self._run(_NO_RATES, _NO_INTEGERS, _NO_FLOATS, distinct)
        return torch.from_numpy(distinct[self._observed]).view(self._buffer.steps, -1)

    def _prepare(self, observations: dict[str, Tensor]) -> None:
        """Set the network's inputs for a rollout, without repeated observations and unused columns."""
        network, self._observed = self._actor_critic, np.arange(self._buffer.size)
        if all(values.dtype == torch.uint8 for values in observations.values()):
            repeats = self._buffer.repeats.get(self._member.number) or find_repeats(observations)
            if repeats is not None and repeats.pays:
                observations = {name: o[repeats.first] for name, o in observations.items()}
                self._observed = repeats.numbers.numpy()
        masks = observations.get(ACTION_MASK)
        self._masks = _NO_BYTES if masks is None else as_array(masks.to(torch.uint8))
        columns = network.find_columns(observations)
        if columns is None:
            self._inputs = Inputs(
                as_array(network.dense_inputs(observations)), _NO_INDICES, _NO_INDICES
            )
        else:
            (selected,) = map(columns.select, observations.values())
            self._inputs = Inputs(
                as_array(selected), as_array(columns.used), as_array(columns.groups)
            )

    def learn(self, rates: Sequence[dict[str, float]]) -> Tensor:
        """Take an optimiser step for each mini-batch, and return the numbers that `LOGGED` names."""
        batches = self._deal()
        logged = np.empty((len(batches), len(LOGGED)), np.float32)
        evaluated = self._run(rates[0], batches, logged, _NO_VALUES)
        return torch.from_numpy(logged[:evaluated])

    def _run(
        self, rates: dict[str, float], batches: np.ndarray, logged: np.ndarray, values: np.ndarray
    ) -> int:
        """Call the kernel, and return the number of mini-batches that it evaluated."""
        update = Update(
            self._network,
            self._policy,
            self._rollout(),
            self._settings(rates),
            self._parameters,
            workspace_of(
                self._actor_critic,
                self._network,
                self._buffer,
                self._member.config.num_mini_batches,
            ),
        )
        evaluated: int = learning_kernels.run(update, batches, logged, values)
        assert len(learning_kernels.run.overloads) == 1, "compiled for several types"
        return evaluated

    def _deal(self) -> np.ndarray:
        """Return shuffled positions in the rollout, (mini-batches of all epochs, steps)."""
        config, size = self._member.config, self._buffer.size
        generator = self._member.shuffling_generator
        orders = [torch.randperm(size, generator=generator) for _ in range(config.epochs)]
        batches = torch.stack(orders).view(config.epochs * config.num_mini_batches, -1).numpy()
        if len(self._inputs.values) < size:
            # The kernel needs the steps of equal observations one after another.
            order = np.argsort(self._observed[batches], axis=1, kind="stable")
            batches = np.take_along_axis(batches, order, axis=1)
        return batches

    def _rollout(self) -> RolloutArrays:
        buffer, row = self._buffer, self._member.number
        actions = as_array(buffer.actions[row].flatten(0, 1))
        # [branches x] M x T x N -> branches x (T * N)
        log_probabilities = buffer.log_probabilities[..., row, :, :].reshape(-1, buffer.size)
        return RolloutArrays(
            self._inputs,
            self._observed,
            self._masks,
            actions if len(self._policy.branches) else _NO_INTEGERS,
            _NO_FLOATS if len(self._policy.branches) else actions,
            as_array(log_probabilities),
            as_array(buffer.values[row].flatten()),
            as_array(buffer.advantages[row].flatten()),
            as_array(buffer.returns[row].flatten()),
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
