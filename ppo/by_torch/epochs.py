"""Trains epochs of mini-batches by torch, for all networks and devices."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from buffer import MiniBatch, normalise_advantages
from model import MemberSelection
from networks.columns import Columns
from networks.recurrence import Sequences
from networks.repeats import Repeats, find_repeats
from networks.sequences import RolloutSequences
from ppo.by_torch.losses import Coefficients, Losses, ppo_losses
from ppo.interface import KL_MARGIN
from ppo.parts import Parts

# Torch warns that the gradients of stacked members are views of the population's rows. The weights are
# such views, too, so no layout fits better.
warnings.filterwarnings("ignore", message="grad and param do not obey the gradient layout contract")


class TorchEpochs:
    """Implements `ppo.interface.Epochs` for all networks and devices.

    Args:
        rows: the members to train; all have the same epochs, mini-batches and normalisation. Recurrent
            networks train one member at a time.
        parts: the population in training.

    Attributes:
        observations: the rollout's observations as learning reads them, ([M *] K, ...) by name: all
            K = T * N, or the K distinct ones where repeats are left out.
    """

    def __init__(self, rows: MemberSelection, parts: Parts) -> None:
        self._rows = rows
        self._members = members = parts.selected(rows)
        self._shared = members[0].config
        self._network = parts.population.part(rows)
        self._gradients = parts.population.gradients[rows]
        self._device = parts.population.weights.device
        self._buffer = parts.buffer
        self._optimiser = parts.optimiser
        self._hidden_states = parts.hidden_states
        self._recurrence = members[0].run.config.model.recurrence
        self._torch_compile = parts.torch_compile
        self._losses = self._evaluate
        # The lengths of sequences differ between mini-batches, so torch would compile for each of them.
        if self._torch_compile and self._hidden_states is None:
            # On CUDA, "reduce-overhead" launches all kernels as one graph.
            mode = "reduce-overhead" if torch.cuda.is_available() else "default"
            self._losses = torch.compile(self._evaluate, mode=mode, dynamic=False)
        self._observations: dict[str, Tensor] = {}
        self._columns: Columns | None = None
        self._repeats: Repeats | None = None
        self._rollout_sequences: RolloutSequences | None = None
        self._value_coefficient = self._stack([m.config.value_coefficient for m in members])
        self._max_grad_norm = self._stack([m.config.max_grad_norm for m in members])
        self._epsilon = self._stack([m.config.adam_epsilon for m in members])
        self._weight_decay = self._stack([m.config.weight_decay for m in members])

    def _stack(self, values: list[float]) -> Tensor:
        """Return one number per member as a tensor ([M,] 1)."""
        stacked = torch.tensor(values, device=self._device)
        return stacked if isinstance(self._rows, int) else stacked.unsqueeze(1)

    @torch.no_grad()
    def estimate_values(self, features: Tensor | None) -> Tensor:
        """Prepare the rollout for learning, and return its values ([M,] T, N)."""
        self._rollout_sequences = self._cut_sequences()
        self._observations = self._buffer.batch_observations(self._rows)
        # The numbers of repeats and columns change, so torch would compile for each rollout.
        if not self._torch_compile:
            self._find_repeats()
            self._columns = self._network.find_columns(self._observations)
        if self._columns is not None:
            self._observations = {
                name: self._columns.select(values) for name, values in self._observations.items()
            }
        if features is None:
            return self._values_of_observations()
        # [M x] T x N x size -> [M x] (T * N) x size, and back
        values = self._network.values_of_features(features.flatten(-3, -2))
        return values.unflatten(-1, (self._buffer.steps, -1))

    def _find_repeats(self) -> None:
        """Keep only distinct observations, if a single member learns and that saves time."""
        self._repeats = None
        of_bytes = all(values.dtype == torch.uint8 for values in self._observations.values())
        alone = isinstance(self._rows, int) and self._hidden_states is None
        if not (alone and of_bytes and self._device.type == "cpu"):
            return
        self._repeats = find_repeats(self._observations)
        if self._repeats is not None:
            self._observations = {
                name: values.index_select(0, self._repeats.first)
                for name, values in self._observations.items()
            }

    def _cut_sequences(self) -> RolloutSequences | None:
        if self._hidden_states is None:
            return None
        assert isinstance(self._rows, int) and self._recurrence is not None
        return RolloutSequences(
            self._buffer.ends[self._rows],
            self._recurrence.sequence_length,
            self._hidden_states.states[self._rows],
            self._hidden_states.initial[self._rows],
        )

    def _values_of_observations(self) -> Tensor:
        """Return the values ([M,] T, N), in mini-batches, so as to need no more memory than learning."""
        axis = () if isinstance(self._rows, int) else (len(self._members),)
        shaped = {
            # ([M *] K) x ... -> [M x] K x ...
            name: values.view(*axis, -1, *values.shape[1:])
            for name, values in self._observations.items()
        }
        size = self._buffer.size // self._shared.num_mini_batches
        count = next(iter(shaped.values())).shape[len(axis)]
        parts = []
        for start in range(0, count, size):
            observed = {
                name: values.narrow(len(axis), start, min(size, count - start)).to(self._device)
                for name, values in shaped.items()
            }
            parts.append(self._network.values(observed, self._columns))
        values = torch.cat(parts, -1).to(self._buffer.storage)
        if self._repeats is not None:
            values = values.index_select(0, self._repeats.numbers)
        return values.unflatten(-1, (self._buffer.steps, -1))

    def learn(self, rates: Sequence[dict[str, float]]) -> Tensor:
        """Take an optimiser step for each mini-batch; return `LOGGED` (mini-batches, [M,] 7)."""
        learning_rate = self._stack([rate["learning_rate"] for rate in rates])
        coefficients = Coefficients(
            clip_range=self._stack([rate["clip_range"] for rate in rates]),
            beta=self._stack([rate["beta"] for rate in rates]),
            value_coefficient=self._value_coefficient,
            clip_value=self._shared.clip_value_loss,
        )
        return torch.stack(self._learn_mini_batches(coefficients, learning_rate))

    def _learn_mini_batches(
        self, coefficients: Coefficients, learning_rate: Tensor
    ) -> list[Tensor]:
        limit = self._shared.target_kl and KL_MARGIN * self._shared.target_kl
        logged: list[Tensor] = []
        for _ in range(self._shared.epochs):
            for batch in self._mini_batches():
                losses = self._evaluate_mini_batch(batch, coefficients)
                if limit is not None and losses.kl_divergence.item() > limit:
                    norm = torch.zeros_like(losses.total)
                    return [*logged, self._logged(losses, norm)]
                norm = self._step(learning_rate)
                logged.append(self._logged(losses, norm))
        return logged

    def _mini_batches(self) -> Iterator[MiniBatch]:
        """Yield the mini-batches of one epoch, in random order."""
        return self._buffer.mini_batches(
            self._rows, self._observations, self._deal(), self._repeats
        )

    def _deal(self) -> Iterator[tuple[Tensor, Sequences | None]]:
        """Yield each mini-batch's positions ([M,] B) in the rollout, and its sequences if recurrent.

        Each member's own generator draws the order.
        """
        count = self._shared.num_mini_batches
        if self._rollout_sequences is not None:
            generator = self._members[0].shuffling_generator
            yield from self._rollout_sequences.mini_batches(generator, count)
            return
        orders = [
            torch.randperm(self._buffer.size, generator=member.shuffling_generator)
            for member in self._members
        ]
        order = orders[0] if isinstance(self._rows, int) else torch.stack(orders)
        for chosen in order.unflatten(-1, (count, -1)).unbind(-2):
            yield chosen, None

    @torch.enable_grad()
    def _evaluate_mini_batch(self, batch: MiniBatch, coefficients: Coefficients) -> Losses:
        """Return the losses, and leave their gradient in the population's gradients."""
        if self._shared.advantage_normalization == "minibatch":
            batch.advantages = normalise_advantages(batch.advantages)
        self._gradients.zero_()
        losses = self._losses(batch, coefficients)
        losses.total.sum().backward()
        losses.total = losses.total.detach()
        return losses

    def _evaluate(self, batch: MiniBatch, coefficients: Coefficients) -> Losses:
        parameters, values = self._network(batch.observations, self._columns, batch.sequences)
        return ppo_losses(
            batch.spread(parameters),
            batch.spread(values),
            batch,
            self._network.distribution,
            coefficients,
        )

    def _step(self, learning_rate: Tensor) -> Tensor:
        """Take an optimiser step, and return the gradient's norm ([M]) before clipping."""
        norm = self._gradients.norm(dim=-1, keepdim=True)
        self._gradients.mul_((self._max_grad_norm / (norm + 1e-6)).clamp_(max=1.0))
        self._optimiser.step(self._rows, learning_rate, self._epsilon, self._weight_decay)
        return norm.squeeze(-1)

    @staticmethod
    def _logged(losses: Losses, norm: Tensor) -> Tensor:
        """Return the numbers that `LOGGED` names, ([M,] 7)."""
        parts = (
            losses.policy,
            losses.value,
            losses.total,
            losses.entropy,
            losses.kl_divergence,
            losses.clip_fraction,
            norm,
        )
        return torch.stack(parts, -1)
