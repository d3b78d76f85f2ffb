"""One member of a population: what belongs to its run alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from environments.interface import EnvironmentFailure, EpisodeState
from model import Population
from ppo.by_torch.optimiser import AdamW
from ppo.run.checkpoint import Checkpoint, prune_checkpoints
from ppo.run.returns import ReturnHistory
from ppo.sinks.interface import Log, Sink
from ppo.sinks.opening import open_sinks
from schema.config import Config
from schema.environment import EnvironmentConfig
from schema.errors import UserError
from schema.yaml_file import replace_file
from utils import Stream, make_generator, scheduled_value

# What ended a run, beside its summaries.
FAILURE = "failure.txt"


@dataclass(frozen=True)
class Run:
    """One member's training: what to train, from which seed, and where the results go.

    Attributes:
        config: the config.
        seed: all randomness of the run derives from it.
        summaries: folder of the TensorBoard summaries and of what belongs to them; None logs nothing.
        checkpoints: folder of the checkpoints; None writes none.
        interrupted_at: checkpoint of this very run, at which it goes on; None begins it, or does as
            the config's `model.load_model` says.
        tuned: the values of the tuned keys by their names, by which runs are compared.
        log: where the run is logged, and what it is called there.
    """

    config: Config
    seed: int
    summaries: Path | None = None
    checkpoints: Path | None = None
    interrupted_at: Path | None = None
    tuned: Mapping[str, str | float] = field(default_factory=dict)
    log: Log = field(default_factory=Log)

    @property
    def source(self) -> Path | None:
        """The checkpoint that the training starts from, if any."""
        if self.interrupted_at is not None:
            return self.interrupted_at
        model = self.config.model
        return Path(model.model_path).expanduser() if model.load_model else None

    def write_failure(self, line: str, details: str) -> Path:
        """Writes what ended the run beside its summaries, and returns the file.

        Args:
            line: what happened, and when.
            details: where it happened; may be empty.
        """
        assert self.summaries
        path = self.summaries / FAILURE
        with replace_file(path) as file:
            file.write(f"{line}\n\n{details.rstrip()}".rstrip() + "\n")
        return path


class TrainingDivergedError(Exception):
    """Learning broke down: its numbers aren't finite any more."""


@dataclass(frozen=True)
class Failure:
    """Why a member is no longer trained.

    Attributes:
        error: of its learning, or of one of its environments.
        updates: how many it had done.
    """

    error: TrainingDivergedError | EnvironmentFailure
    updates: int


class Member:
    """A run's generators, record and summaries, and its rows in what the population shares.

    Args:
        run: what is trained, and where the results go.
        number: the member's place in the population.
        population: the networks, of which this member's is initialised.
        optimiser: of all networks.

    Attributes:
        failure: why the member is no longer trained; None while it is.
        episodes: statistics of the training episodes that ended in the present update.
        crashes: how many of its environments broke down and were replaced so far.
        scalars: what is logged of the present update, by tag.
        same_environments: whether a checkpoint's episodes under way may go on.
        sinks: what the run is logged to; none before the training begins.
    """

    def __init__(self, run: Run, number: int, population: Population, optimiser: AdamW) -> None:
        self.run = run
        self._population = population
        self._optimiser = optimiser
        self.failure: Failure | None = None
        self.number = number
        self.config = run.config.trainer
        self.same_environments = False
        self.action_generator = make_generator(run.seed, Stream.ACTIONS)
        self.shuffling_generator = make_generator(run.seed, Stream.SHUFFLING)
        self.return_history = ReturnHistory()
        self.episodes: list[dict[str, float]] = []
        self.crashes = 0
        self.scalars: dict[str, float] = {}
        self.sinks: list[Sink] = []
        self._resumed_at: int | None = None
        population.initialise(number, make_generator(run.seed, Stream.INITIALISATION))

    def fail(self, error: TrainingDivergedError | EnvironmentFailure, updates: int) -> None:
        """Notes why the member isn't trained any more after so many updates; the first reason counts."""
        if self.failure is None:
            self.failure = Failure(error, updates)

    def scheduled(self, update: int) -> dict[str, float]:
        """Learning rate, entropy coefficient and clip range of an update."""
        schedules = {
            "learning_rate": self.config.learning_rate_schedule,
            "beta": self.config.beta_schedule,
            "clip_range": self.config.clip_range_schedule,
        }
        return {
            name: scheduled_value(schedule, update, self.config.updates)
            for name, schedule in schedules.items()
        }

    def begin_summaries(self, step: int) -> None:
        """Opens the sinks and writes the config into them.

        Args:
            step: the environment step at which the training begins or goes on.
        """
        if self.run.summaries is None:
            return
        resumed_at = self._resumed_at
        # An update may have other steps now, or be another one. No step may be there twice then either.
        kept = None if resumed_at is None else min(step, resumed_at)
        self.sinks = open_sinks(self.run.log, self.run.summaries, kept)
        # Of what follows, so that it is dropped with that where the training goes on there once more.
        begin = step if resumed_at is None else step + 1
        for sink in self.sinks:
            sink.add_config(self.run.config.as_dict(), begin)
            if self.run.tuned:
                sink.add_hyperparameters(self.run.tuned, begin)

    def log(self, step: int) -> None:
        """Writes the update's scalars at an environment step."""
        for sink in self.sinks:
            sink.add_scalars(self.scalars, step)

    def close(self) -> None:
        """Ends what the run is logged to."""
        for sink in self.sinks:
            sink.close(self.failure is not None)

    def save(self, checkpoint: Checkpoint) -> None:
        """Writes a checkpoint, where the run has a folder for them, and removes what isn't kept."""
        folder = self.run.checkpoints
        if folder is None:
            return
        for sink in self.sinks:
            # Whoever goes on from the checkpoint counts on what was written until now.
            sink.flush()
        checkpoint.save(folder)
        keep = self.run.config.model.keep_checkpoints
        if keep is not None:
            prune_checkpoints(folder, keep, self.return_history.best_checkpoint)

    def checkpoint(
        self,
        update: int,
        backend: str,
        environments: Sequence[EpisodeState],
        hidden_states: dict[str, Tensor],
        rewards: dict[str, Tensor],
    ) -> Checkpoint:
        """What the run needs to go on; the arguments are attributes of `Checkpoint`."""
        population = self._population
        return Checkpoint(
            config=self.run.config.as_dict(),
            seed=self.run.seed,
            update=update,
            weights=population.member_weights(self.number),
            optimiser=self._optimiser.member_state(self.number),
            generators={
                "actions": self.action_generator.get_state(),
                "shuffling": self.shuffling_generator.get_state(),
            },
            backend=backend,
            environments=[
                {"episode": state.episode, "actions": torch.from_numpy(state.resume_data)}
                for state in environments
            ],
            statistics=population.statistics(self.number),
            hidden_states=hidden_states,
            rewards=rewards,
            return_history=self.return_history.state(),
        )

    def restore(self, checkpoint: Checkpoint, backend: str) -> int:
        """Takes over a checkpoint's state and returns the update at which to go on.

        The episodes under way and the random numbers go on only where seed, environment, what steps it
        and number of workers are the checkpoint's, since only there do they mean the same.

        Raises:
            UserError: the checkpoint is of another network, or has no updates left to do.
        """
        path = self.run.source
        assert path is not None
        try:
            self._population.load_member(self.number, checkpoint.weights, checkpoint.statistics)
        except ValueError as error:
            raise UserError(f"{path}: {error}") from None
        self._optimiser.restore(self.number, checkpoint.optimiser)
        saved = checkpoint.read_config(path)
        self.same_environments = (
            checkpoint.seed == self.run.seed
            and checkpoint.backend == backend
            and _task(saved.environment) == _task(self.run.config.environment)
            and saved.trainer.num_workers == self.config.num_workers
        )
        if self.same_environments:
            self.action_generator.set_state(checkpoint.generators["actions"])
            self.shuffling_generator.set_state(checkpoint.generators["shuffling"])
        if self.same_environments or self.run.interrupted_at:
            self.return_history.restore(checkpoint.return_history)
        self._resumed_at = checkpoint.update * saved.trainer.batch_size
        if self.run.interrupted_at:
            return checkpoint.update
        resume_at = self.config.resume_at
        update = checkpoint.update if resume_at is None else resume_at
        if update >= self.config.updates:
            raise UserError(
                f"{path}: nothing is left to train: it goes on at update {update}, "
                f"and trainer.updates is {self.config.updates}"
            )
        return update


def _task(environment: EnvironmentConfig) -> EnvironmentConfig:
    """The environment without how long it may take, on which no result depends."""
    return environment.model_copy(update={"launch_timeout": None, "step_timeout": None})
