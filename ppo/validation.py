"""Checks a config beyond the schema: environment, network, RAM and checkpoint."""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import chain
from pathlib import Path

from environments import EnvironmentFailure, probe
from environments.interface import LEAST_IMAGE_SIZE
from environments.safety.failures import keep_details
from ppo.footprint import available_ram, footprint, show_bytes
from schema.config import Config, load_config
from schema.environment import EnvironmentConfig
from schema.errors import UserError
from schema.folders import absolute
from schema.model import ModelConfig
from schema.yaml_file import KeyPath


def load_runnable_config(path: Path, trained: bool = True) -> Config:
    """Load a config that can be trained or played.

    Args:
        path: the config's file.
        trained: whether to train the config; playing alone needs no RAM for a rollout.

    Raises:
        UserError: the config can't run; one line per problem.
    """
    config = load_config(path)
    problems = runnable_problems(config, trained)
    if problems:
        raise UserError(f"{path}: {'.'.join(key)}: {message}" for key, message in problems)
    return config


def runnable_problems(config: Config, trained: bool = True) -> list[tuple[KeyPath, str]]:
    """Return the key and message of each problem that keeps a config from running.

    Args:
        config: a config that fits the schema.
        trained: whether to train the config; playing alone needs no RAM for a rollout.
    """
    problems, agents = _environment_problems(config.environment)
    workers = config.trainer.num_workers
    if workers % agents:
        message = f"{workers} isn't a multiple of the {agents} agents in a player"
        problems = [*problems, (("trainer", "num_workers"), message)]
    # The checks below need the spaces of an environment that could be built.
    problems = problems or _network_problems(config)
    sized = config if trained else _without_rollout(config)
    problems = problems or _ram_problems(sized)
    if config.model.load_model and not absolute(config.model.model_path).is_file():
        message = f"no checkpoint at {config.model.model_path}"
        problems = [*problems, (("model", "model_path"), message)]
    return problems


# The key and message of each problem, and the number of environments that one Unity player holds.
_Found = tuple[list[tuple[KeyPath, str]], int]


def _environment_problems(environment: EnvironmentConfig) -> _Found:
    return _cached_environment_problems(environment.model_dump_json(by_alias=True))


@lru_cache(maxsize=1024)
def _cached_environment_problems(environment_json: str) -> _Found:
    environment = EnvironmentConfig.model_validate_json(environment_json)
    try:
        found = probe(environment)
    except UserError as error:
        return [_split(line) for line in error.lines], 1
    except EnvironmentFailure as error:
        return [(("environment", "name"), f"can't be played: {keep_details(error)}")], 1
    problems: list[tuple[KeyPath, str]] = [
        (
            ("environment", "name"),
            f"the visual observation '{name}' of {shape[1]} x {shape[0]} pixels is too small for the "
            f"encoder; must be at least {LEAST_IMAGE_SIZE} x {LEAST_IMAGE_SIZE} "
            "(set environment.resize_vis_obs)",
        )
        for name, (shape, _) in found.spaces.observations.items()
        if len(shape) == 3 and min(shape[:2]) < LEAST_IMAGE_SIZE
    ]
    return problems, found.seats


def _network_problems(config: Config) -> list[tuple[KeyPath, str]]:
    """Return the problems of the network's keys with the environment's spaces."""
    model = config.model
    bounds = probe(config.environment).spaces.bounds
    if not bounds and (problems := _problems_of_discrete_actions(model)):
        return problems
    if model.squash_actions and not all(map(math.isfinite, chain.from_iterable(bounds))):
        return [(("model", "squash_actions"), "needs actions with finite bounds; must be false")]
    if model.recurrence is not None and model.recurrence.residual:
        # Imported here because torch takes seconds to load, and few configs need it here.
        from model import ActorCritic

        try:
            # Its weights are on no device, so they take no RAM.
            ActorCritic(probe(config.environment).spaces, config)
        except ValueError as error:
            return [(("model", "recurrence", "residual"), str(error))]
    return []


def _problems_of_discrete_actions(model: ModelConfig) -> list[tuple[KeyPath, str]]:
    """Return a problem for each key that is set, but is for continuous actions only."""
    return [
        (
            ("model", key),
            f"is for continuous actions, but the environment's are discrete; must be {default}",
        )
        for key, default in _OF_CONTINUOUS_ACTIONS.items()
        if getattr(model, key)
    ]


# Keys that only continuous actions have, and their defaults as YAML.
_OF_CONTINUOUS_ACTIONS = {"squash_actions": "false", "use_sde": "false", "log_std_init": "0"}

# A policy draws from a Gaussian of mean 0 at first. With a smaller chance, none of its first 10,000
# actions may lie within the bounds.
_LEAST_CHANCE = 1e-4


def bounds_notice(config: Config) -> str | None:
    """Return a line if hardly any drawn action lies within the environment's bounds; else None."""
    bounds = probe(config.environment).spaces.bounds
    if config.model.squash_actions or config.model.use_sde:
        # Squashed actions are always within; state-dependent deviations aren't known beforehand.
        return None
    deviation = math.exp(config.model.log_std_init)
    for number, (low, high) in enumerate(bounds, 1):
        if low < high and _chance(low / deviation, high / deviation) < _LEAST_CHANCE:
            is_finite = all(map(math.isfinite, chain.from_iterable(bounds)))
            remedy = "set model.squash_actions to true, or let" if is_finite else "let"
            return (
                f"hardly any action that a new policy draws is within {low:g} and {high:g}, the bounds "
                f"of action {number} of {len(bounds)}, so it is moved to a bound; {remedy} "
                "the environment scale actions from -1 to 1"
            )
    return None


def _chance(low: float, high: float) -> float:
    """Return the probability that a standard normal number lies between two bounds."""
    if low > 0:
        low, high = -high, -low  # the tail in which a difference is exact
    return (math.erfc(-high / math.sqrt(2)) - math.erfc(-low / math.sqrt(2))) / 2


def _without_rollout(config: Config) -> Config:
    least = {"num_workers": 1, "worker_steps": 1, "num_mini_batches": 1}
    return config.model_copy(update={"trainer": config.trainer.model_copy(update=least)})


def _ram_problems(config: Config) -> list[tuple[KeyPath, str]]:
    """Return a problem at the key that needs most RAM, if training needs more than available."""
    available, needed = available_ram(), footprint(config)
    if available is None or needed.of(1) <= available:
        return []
    key, size = needed.largest
    message = (
        f"the training needs about {show_bytes(needed.of(1))} of RAM, {show_bytes(size)} of it "
        f"because of this key, and this machine has {show_bytes(available)}; choose a smaller value"
    )
    return [(key, message)]


def _split(line: str) -> tuple[KeyPath, str]:
    key, _, message = line.partition(": ")
    return tuple(key.split(".")), message
