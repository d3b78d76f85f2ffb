"""A member of a population, with the state that belongs to its run alone."""

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
from ppo.run.summaries import diagnostics_of
from ppo.sinks.interface import Log, Sink
from ppo.sinks.opening import open_sinks
from schema.config import Config
from schema.environment import EnvironmentConfig
from schema.errors import UserError
from schema.folders import absolute
from schema.yaml_file import replace_file
from utils import Stream, make_generator, scheduled_value

# File beside a run's summaries with the reason of its failure.
FAILURE = "failure.txt"


@dataclass(frozen=True)
class Run:
    """One training of a config from a seed, and the folders of its results.

    Attributes:
        config: the config.
        seed: the seed of all random generators of the run.
        summaries: folder of the TensorBoard summaries and the files beside them; None logs nothing.
        checkpoints: folder of the checkpoints; None writes none.
        interrupted_at: checkpoint of this run from which to resume it; None starts the run, from the
            config's `model.model_path` if `model.load_model` is set.
        tuned: the values of the tuned keys by name, by which runs are compared.
        log: the sinks that log the run, and the run's name there.
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
        """The checkpoint from which training starts or resumes; None without one."""
        if self.interrupted_at is not None:
            return self.interrupted_at
        model = self.config.model
        return absolute(model.model_path) if model.load_model else None

    def write_failure(self, line: str, details: str) -> Path:
        """Write the reason of the run's failure beside its summaries, and return the file's path.

        Args:
            line: the failure and its update, in one line.
            details: a traceback or a log; may be empty.
        """
        assert self.summaries
        path = self.summaries / FAILURE
        with replace_file(path) as file:
            file.write(f"{line}\n\n{details.rstrip()}".rstrip() + "\n")
        return path


class TrainingDivergedError(Exception):
    """Raised when losses or weights aren't finite."""


@dataclass(frozen=True)
class Failure:
    """The failure of a member, which stops its training.

    Attributes:
        error: the error of its learning or of one of its environments.
        updates: number of updates done before the failure.
    """

    error: TrainingDivergedError | EnvironmentFailure
    updates: int


class Member:
    """A run's generators, returns and sinks, and its rows in the population's arrays.

    Creating a member initialises its network.

    Args:
        run: the run to train.
        number: the member's index in the population.
        population: the networks of all members.
        optimiser: the optimiser of all networks.

    Attributes:
        run: the run to train.
        number: the member's index in the population.
        config: the trainer's section of the run's config.
        failure: the failure that stopped the member's training; None while it trains.
        action_generator: draws actions and initial hidden states.
        shuffling_generator: draws the order of mini-batches.
        return_history: the returns so far.
        episodes: statistics of the training episodes that ended in the present update.
        crashes: number of its environments that crashed and were replaced so far.
        scalars: scalars to log for the present update, by tag.
        diagnostics: the latest value of each scalar that describes the run beside its return, by tag.
        same_environments: whether the checkpoint's unfinished episodes can be resumed.
        sinks: the sinks that log the run; empty before training starts.
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
        self.diagnostics: dict[str, float] = {}
        self.sinks: list[Sink] = []
        self._resumed_at: int | None = None
        population.initialise(number, make_generator(run.seed, Stream.INITIALISATION))

    def fail(self, error: TrainingDivergedError | EnvironmentFailure, updates: int) -> None:
        """Stop the member's training after a number of updates; later failures change nothing."""
        if self.failure is None:
            self.failure = Failure(error, updates)

    def scheduled(self, update: int) -> dict[str, float]:
        """Return the learning rate, entropy coefficient and clip range of an update."""
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
        """Open the sinks and log the config to them.

        Args:
            step: the environment step at which the training starts or resumes.
        """
        if self.run.summaries is None:
            return
        resumed_at = self._resumed_at
        # With another batch size or trainer.resume_at, the training may resume at a lower step than the
        # checkpoint's. Steps from there on are dropped, so that none is logged twice.
        kept = None if resumed_at is None else min(step, resumed_at)
        self.sinks = open_sinks(self.run.log, self.run.summaries, kept)
        # One step later, so that resuming from the same checkpoint again drops this config.
        begin = step if resumed_at is None else step + 1
        for sink in self.sinks:
            sink.add_config(self.run.config.as_dict(), begin)
            if self.run.tuned:
                sink.add_hyperparameters(self.run.tuned, begin)

    def log(self, step: int) -> None:
        """Log the update's scalars at an environment step, and keep the diagnostics among them."""
        self.diagnostics |= diagnostics_of(self.scalars)
        for sink in self.sinks:
            sink.add_scalars(self.scalars, step)

    def close(self) -> None:
        """Close the sinks."""
        for sink in self.sinks:
            sink.close(self.failure is not None)

    def save(self, checkpoint: Checkpoint) -> None:
        """Save a checkpoint if the run has a folder for them, and delete those that aren't kept."""
        folder = self.run.checkpoints
        if folder is None:
            return
        for sink in self.sinks:
            # A training that resumes from the checkpoint relies on everything logged until now.
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
        """Return a checkpoint of the run; the arguments are attributes of `Checkpoint`."""
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
            diagnostics=dict(self.diagnostics),
        )

    def restore(self, checkpoint: Checkpoint, backend: str) -> int:
        """Restore a checkpoint's state, and return the update at which to resume.

        Unfinished episodes and random generators are restored only if seed, environment, environment
        backend and number of workers equal the checkpoint's.

        Args:
            checkpoint: a checkpoint loaded from `run.source`.
            backend: the environment backend.

        Raises:
            UserError: the checkpoint's network differs, or no updates are left to train.
        """
        path = self.run.source
        assert path is not None
        try:
            self._population.load_member(self.number, checkpoint.weights, checkpoint.statistics)
        except ValueError as error:
            raise UserError(f"{path}: {error}") from None
        checkpoint.check_model(self.run.config.model, path)
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
            self.diagnostics = dict(checkpoint.diagnostics)
        self._resumed_at = checkpoint.update * saved.trainer.batch_size
        if self.run.interrupted_at:
            return checkpoint.update
        resume_at = self.config.resume_at
        update = checkpoint.update if resume_at is None else resume_at
        if update >= self.config.updates:
            raise UserError(
                f"{path}: nothing is left to train: it resumes at update {update}, "
                f"and trainer.updates is {self.config.updates}"
            )
        return update


def _task(environment: EnvironmentConfig) -> EnvironmentConfig:
    """Return the environment's config without its timeouts, on which no result depends."""
    return environment.model_copy(update={"launch_timeout": None, "step_timeout": None})
