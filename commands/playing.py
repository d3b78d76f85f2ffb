"""Loads agents for `eval.py` and `enjoy.py`: their configs and policies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from commands.options import find_default
from environments.interface import Spaces
from environments.vector import available_cores
from model import Population
from ppo.run.checkpoint import latest_checkpoint, list_checkpoints, load_checkpoint
from ppo.run.evaluator import Policy
from ppo.validation import load_runnable_config
from schema.config import Config
from schema.errors import UserError
from schema.folders import absolute, shown
from utils import Stream, choose_threads, make_generator

_DEFAULT_CONFIG = Path("./configs/default.yaml")


@dataclass(frozen=True)
class Agent:
    """An agent: its config, and the checkpoint of its weights.

    Attributes:
        name: the checkpoint's path, or "untrained".
        config: the config.
        checkpoint: the file of the weights; None for a model with initial weights.
    """

    name: str
    config: Config
    checkpoint: Path | None

    def policy(self, spaces: Spaces, device: torch.device, seed: int, stochastic: bool) -> Policy:
        """Return the policy that chooses the agent's actions.

        Args:
            spaces: the spaces of observations and actions.
            device: the device of the network.
            seed: the seed of initial weights and of sampled actions.
            stochastic: whether to sample actions instead of choosing the most probable ones.

        Raises:
            UserError: the checkpoint doesn't fit the config's network.
        """
        choose_threads(spaces, available_cores())
        population = Population(spaces, self.config, 1, device)
        if self.checkpoint is None:
            population.initialise(0, make_generator(seed, Stream.INITIALISATION))
        else:
            # Loaded only now, because the weights of all agents may exceed the RAM.
            checkpoint = load_checkpoint(self.checkpoint)
            try:
                population.load_member(0, checkpoint.weights, checkpoint.statistics)
            except ValueError as error:
                raise UserError(f"{self.name}: {error}") from None
            checkpoint.check_model(self.config.model, self.checkpoint)
        generator = make_generator(seed, Stream.ACTIONS)
        recurrence = self.config.model.recurrence
        forgets = recurrence is None or recurrence.reset_hidden_state
        return Policy(population.each[0], device, generator, stochastic, forgets)


def load_agents(
    config_path: Path | None, checkpoint_path: Path | None, untrained: bool
) -> list[Agent]:
    """Return the agents that a command's options name: one for each checkpoint of a folder.

    Args:
        config_path: `--config`; None stands for the config in the checkpoint, or the default file.
        checkpoint_path: `--checkpoint`; None stands for the config's `model.model_path`.
        untrained: `--untrained`, a model with initial weights.

    Raises:
        UserError: a file is missing or invalid, or no checkpoint is named.
    """
    return _load(config_path, checkpoint_path, untrained, list_checkpoints)


def load_agent(config_path: Path | None, checkpoint_path: Path | None, untrained: bool) -> Agent:
    """Return the one agent that a command's options name: the latest checkpoint of a run's folder.

    Args and Raises are those of `load_agents`; a folder of several runs is an error, too.
    """

    def find(path: Path) -> list[Path]:
        return [latest_checkpoint(path)]

    (agent,) = _load(config_path, checkpoint_path, untrained, find)
    return agent


def _load(
    config_path: Path | None,
    checkpoint_path: Path | None,
    untrained: bool,
    find: Callable[[Path], list[Path]],
) -> list[Agent]:
    own_config = config_path is None and checkpoint_path is not None
    config_path = config_path or find_default(_DEFAULT_CONFIG)
    config = None if own_config else load_runnable_config(config_path, trained=False)
    if untrained:
        if checkpoint_path is not None:
            raise UserError(
                "--untrained: can't be combined with --checkpoint; leave out one of them"
            )
        assert config is not None
        return [Agent("untrained", config, None)]
    if checkpoint_path is None:
        assert config is not None
        if not config.model.model_path:
            raise UserError(
                f"{config_path}: model.model_path: names no checkpoint; "
                "set it, or use --checkpoint=<path> or --untrained"
            )
        checkpoint_path = absolute(config.model.model_path)
    return [_agent(path, config) for path in find(checkpoint_path)]


def _agent(path: Path, config: Config | None) -> Agent:
    # Each checkpoint is read before the first agent plays, so that a damaged one is found at once.
    checkpoint = load_checkpoint(path)
    return Agent(str(shown(path)), config or checkpoint.read_config(path), path)
