"""Loads the agent that `eval.py` and `enjoy.py` play: its config and its policy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from environments.interface import Spaces
from environments.vector import available_cores
from model import Population
from ppo.checkpoint import Checkpoint, list_checkpoints, load_checkpoint
from ppo.evaluator import Policy
from ppo.validation import load_runnable_config
from schema.config import Config
from schema.errors import UserError
from utils import Stream, choose_threads, make_generator

DEFAULT_CONFIG = Path("./configs/default.yaml")


@dataclass(frozen=True)
class Agent:
    """An agent to be played: its config, and where its weights come from.

    Attributes:
        name: the checkpoint's path, or what stands in its place.
        config: the config.
        checkpoint: the weights; None plays a model from scratch.
    """

    name: str
    config: Config
    checkpoint: Checkpoint | None

    def policy(self, spaces: Spaces, device: torch.device, seed: int, stochastic: bool) -> Policy:
        """The policy that chooses the agent's actions.

        Args:
            spaces: what is observed and which actions there are.
            device: where the network is.
            seed: of the weights of a model from scratch and of the actions drawn.
            stochastic: draw actions instead of taking the most probable ones.

        Raises:
            UserError: the checkpoint is of another network.
        """
        choose_threads(spaces, available_cores())
        population = Population(spaces, self.config, 1, device)
        if self.checkpoint is None:
            population.initialise(0, make_generator(seed, Stream.INITIALISATION))
        else:
            try:
                checkpoint = self.checkpoint
                population.load_member(0, checkpoint.weights, checkpoint.statistics)
            except ValueError as error:
                raise UserError(f"{self.name}: {error}") from None
        generator = make_generator(seed, Stream.ACTIONS)
        recurrence = self.config.model.recurrence
        forgets = recurrence is None or recurrence.reset_hidden_state
        return Policy(population.each[0], device, generator, stochastic, forgets)


def load_agents(
    config_path: Path | None, checkpoint_path: Path | None, untrained: bool
) -> list[Agent]:
    """The agents that a command's options name, several where they name a folder of checkpoints.

    Args:
        config_path: `--config`; None takes the checkpoint's own config, or the default file.
        checkpoint_path: `--checkpoint`; None takes the config's `model.model_path`.
        untrained: `--untrained`, a model from scratch.

    Raises:
        UserError: a file is missing or not valid, or no checkpoint is named.
    """
    own_config = config_path is None and checkpoint_path is not None
    config = (
        None if own_config else load_runnable_config(config_path or DEFAULT_CONFIG, trained=False)
    )
    if untrained:
        if checkpoint_path is not None:
            raise UserError("--untrained: plays no checkpoint; leave out --checkpoint")
        assert config is not None
        return [Agent("untrained", config, None)]
    if checkpoint_path is None:
        assert config is not None
        if not config.model.model_path:
            raise UserError(
                f"{config_path or DEFAULT_CONFIG}: model.model_path: names no checkpoint; "
                "set it, or use --checkpoint=<path> or --untrained"
            )
        checkpoint_path = Path(config.model.model_path).expanduser()
    return [_agent(path, config) for path in list_checkpoints(checkpoint_path)]


def _agent(path: Path, config: Config | None) -> Agent:
    checkpoint = load_checkpoint(path)
    return Agent(str(path), config or checkpoint.read_config(path), checkpoint)
