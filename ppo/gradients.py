"""Two ways to the gradient of PPO's losses, which lead to the same numbers.

Torch can record what it does and derive the gradient from that, which works for every network and on
every device. For small fully connected networks on a CPU the gradient is written out, which takes two
thirds of the time.
"""

from __future__ import annotations

from typing import Protocol

import torch

from buffer import MiniBatch
from model import ActorCritic
from networks.columns import Columns
from ppo.dense import DenseLayers
from ppo.losses import Coefficients, Losses, objective, ppo_losses


class Gradients(Protocol):
    """Evaluates the losses of a mini-batch and puts their gradient where the parameters' is.

    That must have been zero.
    """

    def __call__(
        self, batch: MiniBatch, columns: Columns | None, coefficients: Coefficients
    ) -> Losses:
        """The losses; `columns` selected what the batch holds of the observations."""


class RecordedGradients:
    """Gradients by torch's autograd.

    Args:
        network: of one member, or of all.
        compiled: whether to compile the losses with `torch.compile`.
    """

    def __init__(self, network: ActorCritic, compiled: bool) -> None:
        self._network = network
        self._losses = self._evaluate
        if compiled:
            # On CUDA, "reduce-overhead" launches all kernels as one graph.
            mode = "reduce-overhead" if torch.cuda.is_available() else "default"
            self._losses = torch.compile(self._evaluate, mode=mode, dynamic=False)

    @torch.enable_grad()
    def __call__(
        self, batch: MiniBatch, columns: Columns | None, coefficients: Coefficients
    ) -> Losses:
        """The losses of a mini-batch."""
        losses = self._losses(batch, columns, coefficients)
        losses.total.sum().backward()
        losses.total = losses.total.detach()
        return losses

    def _evaluate(
        self, batch: MiniBatch, columns: Columns | None, coefficients: Coefficients
    ) -> Losses:
        parameters, values = self._network(batch.observations, columns, batch.sequences)
        return ppo_losses(
            batch.spread(parameters),
            batch.spread(values),
            batch,
            self._network.distribution,
            coefficients,
        )


class WrittenGradients:
    """Gradients of a fully connected network of a single member.

    Args:
        network: one of which `is_dense` is true.
    """

    def __init__(self, network: ActorCritic) -> None:
        self._network = network
        activation = network.trunk.activation_name
        self._trunk = DenseLayers(network.trunk.linear_layers, activation)
        self._value_trunk = None
        if network.value_trunk is not None:
            self._value_trunk = DenseLayers(network.value_trunk.linear_layers, activation)
        self._policy_head = DenseLayers([network.policy_head], None)
        self._value_head = DenseLayers([network.value_head], None)

    @torch.no_grad()
    def __call__(
        self, batch: MiniBatch, columns: Columns | None, coefficients: Coefficients
    ) -> Losses:
        """The losses of a mini-batch."""
        inputs = self._network.dense_inputs(batch.observations)
        features = value_features = self._trunk.forward(inputs, columns)
        if self._value_trunk is not None:
            value_features = self._value_trunk.forward(inputs, columns)
        parameters = self._network.policy_parameters(
            self._policy_head.forward(features), batch.observations
        )
        values = batch.spread(self._value_head.forward(value_features).squeeze(-1))

        policy = self._network.distribution.evaluate(batch.spread(parameters), batch.actions)
        losses, slopes = objective(
            policy.log_probability, policy.entropy, values, batch, coefficients
        )
        by_outputs = self._network.policy_gradient(
            batch.collect(policy.gradient(slopes.log_probability, slopes.entropy))
        )
        by_values = batch.collect(slopes.value.unsqueeze(-1))
        by_features = self._policy_head.backward(by_outputs, of_inputs=True)
        by_value_features = self._value_head.backward(by_values, of_inputs=True)
        assert by_features is not None and by_value_features is not None
        if self._value_trunk is None:
            by_features = by_features + by_value_features
        else:
            self._value_trunk.backward(by_value_features, columns)
        self._trunk.backward(by_features, columns)
        return losses
