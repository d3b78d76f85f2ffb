"""PPO over a population of members, in the order of the algorithm.

Axes: members M, workers N, steps T (see `buffer.py`). The members' arrays have equal shapes; their
seeds and scalar hyperparameters differ. Each member has its own random generators, so its result
doesn't depend on the members beside it. Ordinary training is a population of one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from buffer import RolloutBuffer
from environments import make_environments
from environments.interface import EnvironmentFailure, EpisodeState, Observations, VectorEnvironment
from environments.levels import RandomLevels
from environments.vector import available_cores
from model import Population
from networks.normaliser import RewardNormaliser
from ppo.advantages import estimate_advantages
from ppo.by_torch.losses import explained_variance
from ppo.by_torch.optimiser import AdamW
from ppo.hidden_states import HiddenStates
from ppo.learner import Learner
from ppo.parts import Parts
from ppo.placement import Placement
from ppo.run.checkpoint import load_checkpoint
from ppo.run.evaluator import Evaluator, Policy
from ppo.run.member import Failure, Member, Run
from ppo.run.returns import ReturnHistory
from ppo.run.summaries import FINAL_RETURN, episode_scalars
from ppo.sampler import make_sampler
from utils import Stream, choose_threads, derive_seed, make_generator


@dataclass(frozen=True)
class Progress:
    """A training's progress after an update.

    Attributes:
        update: number of updates done.
        updates: number of updates in the whole training.
        steps: environment steps of each member so far.
        steps_per_second: environment steps of all members per second in the last update.
        returns: each member's latest mean return; None before its first episode ended.
    """

    update: int
    updates: int
    steps: int
    steps_per_second: float
    returns: list[float | None]


class PPOTrainer:
    """Trains a population of one or more members.

    Args:
        runs: the members' runs; their configs may differ in scalar hyperparameters only.
        placement: the device, ports and cores.

    Attributes:
        parts: the members, and the networks, rollouts and optimiser that they share.
        environments: the environments of all workers, member by member.
        sampler: collects the members' rollouts.
        learners: train the members on their rollouts, one member each or all at once.

    Raises:
        UserError: a checkpoint to resume from doesn't fit.
    """

    def __init__(self, runs: Sequence[Run], placement: Placement) -> None:
        self._shared = runs[0].config
        trainer = self._shared.trainer
        self._device = placement.device
        self._cores = len(placement.cores) if placement.cores else available_cores()
        self._evaluators: list[Evaluator] = []
        # The ports of evaluation follow those of all training environments.
        self._evaluation_worker_id = placement.worker_id + len(runs) * trainer.num_workers
        self.environments = self._make_environments(runs, placement.worker_id)
        try:
            self.parts = self._make_parts(runs, placement)
            self.sampler = make_sampler(self.parts, self.environments)
            self.learners = self._make_learners()
            self._reward_normaliser = (
                RewardNormaliser(len(runs), trainer.num_workers, self.parts.buffer.storage)
                if trainer.normalize_rewards
                else None
            )
            self._gamma = self._per_member([run.config.trainer.gamma for run in runs])
            self._lamda = self._per_member([run.config.trainer.lamda for run in runs])
            self._update = 0
            self._is_stopped = False
            self.sampler.observations = self._start()
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
            RandomLevels(seeds, *levels.trained()),
            len(seeds),
            worker_id,
            self._cores,
            self._shared.trainer.num_workers,
        )

    def _make_parts(self, runs: Sequence[Run], placement: Placement) -> Parts:
        spaces, device = self.environments.spaces, placement.device
        # Checkpoints record what null means here, as a later version may choose otherwise.
        runs = [
            replace(run, config=run.config.resolved(spaces.has_images, device.type)) for run in runs
        ]
        self._shared = runs[0].config
        choose_threads(spaces, self._cores)
        trainer = self._shared.trainer
        shape = (len(runs), trainer.worker_steps, trainer.num_workers)
        population = Population(spaces, self._shared, len(runs), device)
        ratios = population.stacked.distribution.ratios
        buffer = RolloutBuffer(spaces, shape, device, placement.low_memory, ratios)
        optimiser = AdamW(population.weights, population.gradients)
        members = [Member(run, number, population, optimiser) for number, run in enumerate(runs)]
        hidden_states = self._make_hidden_states(members, population, shape)
        return Parts(members, population, buffer, optimiser, hidden_states, placement.torch_compile)

    def _make_hidden_states(
        self, members: Sequence[Member], population: Population, shape: tuple[int, int, int]
    ) -> HiddenStates | None:
        recurrence = self._shared.model.recurrence
        if recurrence is None:
            return None
        generators = [member.action_generator for member in members]
        return HiddenStates(population, generators, shape, recurrence.reset_hidden_state)

    def _make_learners(self) -> list[Learner]:
        # Members differ in their sequences, and in the mini-batch at which target_kl stops them.
        alone = self._hidden_states is not None or self._shared.trainer.target_kl is not None
        if self._device.type == "cpu" or alone:
            return [Learner(member.number, self.parts) for member in self._members]
        return [Learner(slice(None), self.parts)]

    def _per_member(self, values: list[float]) -> Tensor:
        return torch.tensor(values, device=self._buffer.storage).unsqueeze(1)

    @property
    def _members(self) -> Sequence[Member]:
        return self.parts.members

    @property
    def _buffer(self) -> RolloutBuffer:
        return self.parts.buffer

    @property
    def _hidden_states(self) -> HiddenStates | None:
        return self.parts.hidden_states

    def _start(self) -> Observations:
        """Start the first episodes, or resume those of the checkpoints; return their observations."""
        if self._hidden_states is not None:
            self._hidden_states.begin()
        sources = [source for member in self._members if (source := member.run.source)]
        if not sources:
            return self.environments.reset()
        checkpoints = [load_checkpoint(source) for source in sources]
        starts = [
            member.restore(checkpoint, self.environments.backend)
            for member, checkpoint in zip(self._members, checkpoints, strict=True)
        ]
        assert len(set(starts)) == 1, "members start at different updates"
        self._update = starts[0]
        same = all(member.same_environments for member in self._members)
        for member, checkpoint in zip(self._members, checkpoints, strict=True):
            if self._reward_normaliser is not None and checkpoint.rewards:
                self._reward_normaliser.restore(member.number, checkpoint.rewards, same)
            if self._hidden_states is not None and same:
                self._hidden_states.restore(member.number, checkpoint.hidden_states)
        if not same:
            return self.environments.reset()
        return self.environments.restore(
            [
                EpisodeState(state["episode"], state["actions"].numpy())
                for checkpoint in checkpoints
                for state in checkpoint.environments
            ]
        )

    def run(self, on_update: Callable[[Progress], None] | None = None) -> None:
        """Train until all updates are done, `stop` is called or all members have failed.

        Args:
            on_update: called with the progress after each update.
        """
        for member in self._members:
            member.begin_summaries(self.steps)
        while not (self.is_finished or self._is_stopped):
            start = time.perf_counter()
            self.sampler.sample(self._update)
            self.estimate_advantages()
            self.learn()
            if not self._active():
                return
            states = None if self._hidden_states is None else self._hidden_states.states
            self.parts.population.observe(self._buffer.observations, states)
            self._update += 1
            self._evaluate()
            self._note_returns()
            rate = self._buffer.size * len(self._members) / (time.perf_counter() - start)
            self._log(rate)
            if on_update:
                on_update(self._progress(rate))
            self._save_checkpoints()
            if not self._active():
                return

    def stop(self) -> None:
        """Make `run` save a checkpoint and return after the present update."""
        self._is_stopped = True

    @property
    def is_finished(self) -> bool:
        """Whether all updates are done."""
        return self._update >= self._shared.trainer.updates

    @property
    def update(self) -> int:
        """Number of updates done."""
        return self._update

    @property
    def steps(self) -> int:
        """Environment steps of each member so far."""
        return self._update * self._buffer.size

    @property
    def return_histories(self) -> list[ReturnHistory]:
        """Each member's history of returns."""
        return [member.return_history for member in self._members]

    @property
    def failures(self) -> list[Failure | None]:
        """Each member's failure; None for members that still train."""
        return [member.failure for member in self._members]

    @property
    def diagnostics(self) -> list[dict[str, float]]:
        """Each member's latest diagnostics, by tag."""
        return [member.diagnostics for member in self._members]

    def _active(self) -> list[Member]:
        """Return the members that haven't failed."""
        return [member for member in self._members if not member.failure]

    @torch.no_grad()
    def estimate_advantages(self) -> None:
        """Estimate the values, advantages and returns of the sampled rollouts."""
        features = self.sampler.features
        for learner in self.learners:
            learner.estimate_values(None if features is None else features[learner.rows])
        last_values = self.sampler.values().to(self._buffer.storage)
        if self._reward_normaliser is not None:
            self._reward_normaliser(self._buffer.rewards, self._buffer.ends, self._gamma)
        estimate_advantages(self.parts, last_values, self._gamma, self._lamda)

    def learn(self) -> None:
        """Train each member on its rollout."""
        for learner in self.learners:
            if not learner.failed:
                learner.learn(self._update)

    def _evaluate(self) -> None:
        """Play the evaluation's levels if evaluation is due, without changing the training's state."""
        evaluation = self._shared.evaluation
        last = self._update == self._shared.trainer.updates
        if not evaluation.evaluate or (self._update % evaluation.interval and not last):
            return
        for member in self._active():
            try:
                episodes = self._evaluator().evaluate(self._policy(member))
            except EnvironmentFailure as failure:
                member.fail(failure, self._update)
                self._close_evaluators()
                continue
            member.return_history.add_evaluation(episode["return"] for episode in episodes)
            for episode in episodes:
                del episode["level"]
            member.scalars |= episode_scalars(episodes, "evaluation")

    def _evaluator(self) -> Evaluator:
        if not self._evaluators:
            self._evaluators.append(Evaluator(self._shared, self._evaluation_worker_id))
        return self._evaluators[0]

    def _close_evaluators(self) -> None:
        while self._evaluators:
            self._evaluators.pop().close()

    def _policy(self, member: Member) -> Policy:
        """Return a member's present policy, with a random generator that training doesn't use."""
        network = self.parts.population.each[member.number]
        generator = make_generator(member.run.seed, Stream.EVALUATION)
        forgets = self._hidden_states is None or self._hidden_states.resets
        return Policy(network, self._device, generator, forgets=forgets)

    def _note_returns(self) -> None:
        """Add a point to each learning curve."""
        for member in self._active():
            member.return_history.add_point(self._update, self._shared.trainer.updates, self.steps)

    def _save_checkpoints(self) -> None:
        """Save checkpoints if they are due or the training is about to stop."""
        due = self._update % self._shared.model.checkpoint_interval == 0 or self.is_finished
        if due:
            self._renew_episodes()
            for member in self._active():
                member.return_history.note_checkpoint(self._update)
        elif not self._is_stopped:
            return
        states = self.environments.states()
        for member in self._active():
            first = member.number * self._buffer.workers
            own = states[first : first + self._buffer.workers]
            carried = self._hidden_states
            hidden_states = carried.member_state(member.number) if carried else {}
            normaliser = self._reward_normaliser
            rewards = normaliser.member_state(member.number) if normaliser else {}
            backend = self.environments.backend
            member.save(member.checkpoint(self._update, backend, own, hidden_states, rewards))

    def _renew_episodes(self) -> None:
        """Start new episodes if restoring the present ones from a checkpoint would take long.

        Cutting episodes off here biases no advantage, as the last rollout is already bootstrapped from
        its last observations.
        """
        observations = self.environments.renew()
        if observations is None:
            return
        self.sampler.observations = observations
        if self._hidden_states is not None:
            self._hidden_states.begin()
        if self._reward_normaliser is not None:
            self._reward_normaliser.begin_episodes()

    def _log(self, rate: float) -> None:
        explained = explained_variance(
            self._buffer.values.flatten(1), self._buffer.returns.flatten(1)
        )
        for member in self._members:
            member.scalars |= episode_scalars(member.episodes, "episode")
            member.scalars["value/explained_variance"] = explained[member.number]
            member.scalars["time/steps_per_second"] = rate
            final = member.return_history.final
            if final is not None:
                member.scalars[FINAL_RETURN] = final
            if member.crashes:
                member.scalars["episode/crashes"] = member.crashes
            member.episodes.clear()
            member.log(self.steps)

    def _progress(self, rate: float) -> Progress:
        returns = [member.return_history.final for member in self._members]
        return Progress(self._update, self._shared.trainer.updates, self.steps, rate, returns)

    def __enter__(self) -> PPOTrainer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all summaries, then all environments, which may take long."""
        try:
            for member in self.parts.members if hasattr(self, "parts") else []:
                member.close()
        finally:
            self.environments.close()
            self._close_evaluators()
