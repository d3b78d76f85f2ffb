"""PPO over a population of members, in the order of the algorithm.

Axes: members M, workers N, steps T (see `buffer.py`). Members share the shapes of everything and
differ in their seeds and scalar hyperparameters. Each has generators of its own, so that its result
doesn't depend on who trains beside it. Ordinary training is a population of one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from buffer import MiniBatch, RolloutBuffer, normalise_advantages
from checkpoint import load_checkpoint
from environments import make_environments
from environments.interface import EpisodeState, Observations, VectorEnvironment
from environments.levels import RandomLevels
from evaluator import Evaluator, Policy
from losses import explained_variance, ppo_losses
from member import Member, Run
from model import Population
from record import ReturnRecord
from summaries import episode_scalars
from utils import Stream, choose_threads, derive_seed


class TrainingDivergedError(Exception):
    """A loss became infinite or no number at all."""


@dataclass(frozen=True)
class Progress:
    """Where a training is, after an update.

    Attributes:
        update: how many updates are done.
        updates: how many there will be.
        steps: environment steps of each member so far.
        steps_per_second: of all members together, in the last update.
        returns: each member's mean return of late; None before its first episode ended.
    """

    update: int
    updates: int
    steps: int
    steps_per_second: float
    returns: list[float | None]


class PPOTrainer:
    """Trains one or more members that share the shapes of everything.

    Args:
        runs: the members. Their configs may differ in scalar hyperparameters only.
        worker_id: offset of the environments' communication ports.
        low_memory: keep rollouts in host memory and move one mini-batch at a time to the device.
        device: where networks are trained.

    Raises:
        UserError: a checkpoint to be continued doesn't fit.
    """

    def __init__(
        self, runs: Sequence[Run], worker_id: int, low_memory: bool, device: torch.device
    ) -> None:
        self._shared = runs[0].config
        trainer = self._shared.trainer
        self._device = device
        self._evaluators: list[Evaluator] = []
        # Evaluation has ports of its own, behind those of all training environments.
        self._evaluation_worker_id = worker_id + len(runs) * trainer.num_workers
        self._environments = self._make_environments(runs, worker_id)
        try:
            spaces = self._environments.spaces
            choose_threads(spaces)
            shape = (len(runs), trainer.worker_steps, trainer.num_workers)
            self._population = Population(spaces, self._shared.model, len(runs), device)
            self._distribution = self._population.stacked.distribution
            self._buffer = RolloutBuffer(spaces, shape, device, low_memory)
            self._members = [
                Member(run, number, self._population) for number, run in enumerate(runs)
            ]
            self._gamma = self._per_member([run.config.trainer.gamma for run in runs])
            self._lamda = self._per_member([run.config.trainer.lamda for run in runs])
            self._update = 0
            self._observations = self._begin()
        except BaseException:
            self.close()
            raise

    def _make_environments(self, runs: Sequence[Run], worker_id: int) -> VectorEnvironment:
        levels = self._shared.environment.reset_params
        seeds = [
            derive_seed(run.seed, Stream.ENVIRONMENTS, worker)
            for run in runs
            for worker in range(self._shared.trainer.num_workers)
        ]
        return make_environments(
            self._shared.environment,
            RandomLevels(seeds, levels.start_seed, levels.num_seeds),
            len(seeds),
            worker_id,
        )

    def _per_member(self, values: list[float]) -> Tensor:
        return torch.tensor(values, device=self._buffer.storage).unsqueeze(1)

    def _begin(self) -> Observations:
        """Begins the first episodes, or goes on where the members' checkpoints stopped."""
        if not self._shared.model.load_model:
            return self._environments.reset()
        states: list[EpisodeState] = []
        for member in self._members:
            checkpoint = load_checkpoint(Path(self._shared.model.model_path).expanduser())
            self._update = member.restore(checkpoint, self._population)
            states += [
                EpisodeState(state["episode"], state["actions"].numpy())
                for state in checkpoint.environments
            ]
        if all(member.same_environments for member in self._members):
            return self._environments.restore(states)
        return self._environments.reset()

    def run(self, on_update: Callable[[Progress], None] | None = None) -> None:
        """Trains until all updates are done.

        Args:
            on_update: is told of the progress after each update.

        Raises:
            TrainingDivergedError: a member's loss is no longer finite.
        """
        trainer = self._shared.trainer
        for member in self._members:
            member.write_config()
        while self._update < trainer.updates:
            start = time.perf_counter()
            self._sample()
            self._estimate_advantages()
            for member in self._members:
                self._optimise(member)
            self._population.observe(self._buffer.observations)
            self._update += 1
            self._evaluate()
            self._save_checkpoints()
            rate = self._buffer.size * len(self._members) / (time.perf_counter() - start)
            self._log(rate)
            if on_update:
                on_update(self._progress(rate))

    @property
    def steps(self) -> int:
        """Environment steps of each member so far."""
        return self._update * self._buffer.size

    @property
    def records(self) -> list[ReturnRecord]:
        """What each member has reached."""
        return [member.record for member in self._members]

    @torch.inference_mode()
    def _sample(self) -> None:
        """Collects T steps of every worker."""
        buffer = self._buffer
        noise = self._action_noise()
        outputs: list[Tensor] = []
        truncations: list[_Truncation] = []
        buffer.final_values.zero_()
        for step in range(buffer.steps):
            observed = buffer.store_observations(step, self._observations)
            parameters, values = self._population.stacked(observed)
            actions = self._distribution.sample(parameters, noise[:, step])
            # M x N x branches -> (M * N) x branches
            outcome = self._environments.step(actions.flatten(0, 1).cpu().numpy())
            buffer.store_outcome(step, actions, values, outcome)
            outputs.append(parameters)
            truncations += [
                _Truncation(step, *divmod(environment, buffer.workers), observations)
                for environment, observations in outcome.final_observations
            ]
            self._note_episodes(outcome.episodes)
            self._observations = outcome.observations
        parameters = torch.stack(outputs, 1).to(buffer.storage)
        buffer.log_probabilities.copy_(
            self._distribution.log_probability(parameters, buffer.actions)
        )
        self._value_truncations(truncations)

    def _action_noise(self) -> Tensor:
        """Random numbers in [0, 1) for a whole rollout, each member's from its own generator."""
        shape = (self._buffer.steps, self._buffer.workers, len(self._distribution.branches))
        draws = [torch.rand(shape, generator=member.action_generator) for member in self._members]
        return torch.stack(draws).to(self._device)

    def _note_episodes(self, episodes: list[tuple[int, dict[str, float]]]) -> None:
        for environment, episode in episodes:
            member = self._members[environment // self._buffer.workers]
            member.episodes.append(episode)
            member.record.add_episodes([episode["return"]])

    def _value_truncations(self, truncations: list[_Truncation]) -> None:
        """Values of the last observations of episodes that were cut off, all at once."""
        for number, network in enumerate(self._population.each):
            own = [truncation for truncation in truncations if truncation.member == number]
            if not own:
                continue
            observed = {
                name: torch.from_numpy(np.stack([item.observations[name] for item in own]))
                for name in own[0].observations
            }
            values = network(self._on_device(observed))[1][0].to(self._buffer.storage)
            for truncation, value in zip(own, values, strict=True):
                self._buffer.final_values[number, truncation.step, truncation.worker] = value

    def _on_device(self, observations: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: values.unsqueeze(0).to(self._device) for name, values in observations.items()}

    @torch.inference_mode()
    def _estimate_advantages(self) -> None:
        shape = (len(self._members), self._buffer.workers)
        observed = {
            name: torch.from_numpy(values).unflatten(0, shape).to(self._device)
            for name, values in self._observations.items()
        }
        last_values = self._population.stacked(observed)[1].to(self._buffer.storage)
        self._buffer.estimate_advantages(last_values, self._gamma, self._lamda)

    def _optimise(self, member: Member) -> None:
        """Trains one member on its batch.

        Members are optimised one by one: on a CPU a member's weights and mini-batch then stay in
        the cache, which is faster than products stacked over the members.
        """
        config = member.config
        rates = member.scheduled(self._update)
        member.optimiser.param_groups[0]["lr"] = rates["learning_rate"]
        if config.advantage_normalization == "batch":
            self._buffer.normalise_advantages(member.number)
        totals = torch.zeros(len(_LOGGED_LOSSES), device=self._device)
        for _ in range(config.epochs):
            order = torch.randperm(self._buffer.size, generator=member.shuffling_generator)
            for batch in self._buffer.mini_batches(member.number, order, config.num_mini_batches):
                totals += self._optimise_mini_batch(member, batch, rates)
        means = (totals / (config.epochs * config.num_mini_batches)).tolist()
        if not np.all(np.isfinite(means)):
            raise TrainingDivergedError(f"a loss is not finite in update {self._update + 1}")
        member.scalars = dict(zip(_LOGGED_LOSSES, means, strict=True))
        member.scalars |= {f"schedule/{name}": value for name, value in rates.items()}

    def _optimise_mini_batch(
        self, member: Member, batch: MiniBatch, rates: dict[str, float]
    ) -> Tensor:
        """Takes one optimiser step and returns what `_LOGGED_LOSSES` names."""
        if member.config.advantage_normalization == "minibatch":
            batch.advantages = normalise_advantages(batch.advantages)
        parameters, values = self._population.each[member.number](batch.observations)
        losses = ppo_losses(
            parameters,
            values,
            batch,
            self._distribution,
            rates["clip_range"],
            rates["beta"],
            member.config.value_coefficient,
        )
        gradients = member.gradients
        gradients.zero_()
        losses.total.sum().backward()
        norm = gradients.norm()
        gradients.mul_((member.config.max_grad_norm / (norm + 1e-6)).clamp(max=1.0))
        member.optimiser.step()
        parts = (
            losses.policy,
            losses.value,
            losses.total,
            losses.entropy,
            losses.kl_divergence,
            losses.clip_fraction,
            norm.unsqueeze(0),
        )
        return torch.cat(parts).detach()

    def _evaluate(self) -> None:
        """Plays the evaluation's levels where it is time, without touching the training's state."""
        evaluation = self._shared.evaluation
        last = self._update == self._shared.trainer.updates
        if not evaluation.evaluate or (self._update % evaluation.interval and not last):
            return
        if not self._evaluators:
            self._evaluators.append(Evaluator(self._shared, self._evaluation_worker_id))
        for member, network in zip(self._members, self._population.each, strict=True):
            episodes = self._evaluators[0].evaluate(Policy(network, self._device))
            member.record.add_evaluation(episode["return"] for episode in episodes)
            for episode in episodes:
                del episode["level"]
            member.scalars |= episode_scalars(episodes, "evaluation")

    def _save_checkpoints(self) -> None:
        last = self._update == self._shared.trainer.updates
        if self._update % self._shared.model.checkpoint_interval and not last:
            return
        states = self._environments.states()
        for member in self._members:
            first = member.number * self._buffer.workers
            own = states[first : first + self._buffer.workers]
            member.save(self._update, self._population, own)

    def _log(self, rate: float) -> None:
        explained = explained_variance(
            self._buffer.values.flatten(1), self._buffer.returns.flatten(1)
        ).tolist()
        for member in self._members:
            member.scalars |= episode_scalars(member.episodes, "episode")
            member.scalars["value/explained_variance"] = explained[member.number]
            member.scalars["time/steps_per_second"] = rate
            member.episodes.clear()
            if member.writer:
                member.writer.add_scalars(member.scalars, self.steps)

    def _progress(self, rate: float) -> Progress:
        returns = [member.record.final for member in self._members]
        return Progress(self._update, self._shared.trainer.updates, self.steps, rate, returns)

    def __enter__(self) -> PPOTrainer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes all environments and summaries."""
        self._environments.close()
        for evaluator in self._evaluators:
            evaluator.close()
        for member in getattr(self, "_members", []):
            if member.writer:
                member.writer.close()


@dataclass(frozen=True)
class _Truncation:
    """An episode that was cut off: where in the rollout, and what was observed last."""

    step: int
    member: int
    worker: int
    observations: Observations


# What `_optimise_mini_batch` returns, in its order.
_LOGGED_LOSSES = (
    "loss/policy",
    "loss/value",
    "loss/total",
    "policy/entropy",
    "policy/kl_divergence",
    "policy/clip_fraction",
    "loss/gradient_norm",
)
