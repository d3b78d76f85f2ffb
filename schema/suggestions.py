"""Suggests a key for an unknown name: a misspelt one, another library's, or one of another section."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Final

from schema.section import Section, key_paths, keys_of
from schema.yaml_file import KeyPath

# Names of keys in other libraries and papers. None of them is a key here.
USUAL_NAMES: Final[dict[KeyPath, tuple[str, ...]]] = {
    ("trainer", "learning_rate_schedule", "initial"): ("learning_rate", "lr"),
    ("trainer", "beta_schedule", "initial"): (
        "beta",
        "ent_coef",
        "entropy_coef",
        "entropy_coeff",
        "entropy_coefficient",
    ),
    ("trainer", "clip_range_schedule", "initial"): (
        "clip_range",
        "clip_coef",
        "clip_eps",
        "clip_epsilon",
        "clip_param",
        "clip_ratio",
    ),
    ("trainer", "gamma"): ("discount", "discount_factor"),
    ("trainer", "lamda"): ("lam", "lambda", "gae_lambda"),
    ("trainer", "updates"): (
        "iterations",
        "num_updates",
    ),
    ("trainer", "total_steps"): ("n_timesteps", "timesteps", "total_timesteps"),
    ("trainer", "epochs"): ("n_epochs", "num_epochs", "update_epochs", "num_sgd_iter"),
    ("trainer", "num_workers"): ("n_envs", "num_envs", "num_processes"),
    ("trainer", "worker_steps"): ("n_steps", "num_steps", "rollout_length", "time_horizon"),
    ("trainer", "num_mini_batches"): (
        "batch_size",
        "mini_batch_size",
        "minibatch_size",
        "n_minibatches",
        "num_minibatches",
    ),
    ("trainer", "value_coefficient"): ("vf_coef", "value_coef", "value_loss_coef", "vf_loss_coeff"),
    ("trainer", "max_grad_norm"): ("clip_grad_norm", "grad_clip", "gradient_clip"),
    ("trainer", "clip_value_loss"): ("clip_vloss",),
    ("trainer", "advantage_normalization"): ("norm_adv", "normalize_advantage"),
    ("trainer", "normalize_rewards"): ("norm_reward",),
    ("model", "normalize_observations"): ("norm_obs", "normalize"),
    ("model", "hidden_layer_size"): ("hidden_dim", "hidden_size", "hidden_units"),
    ("model", "hidden_layers"): ("net_arch", "hidden_sizes", "fcnet_hiddens"),
    ("model", "initialization"): ("ortho_init", "orthogonal_init"),
    ("model", "use_sde"): ("gsde", "state_dependent_exploration"),
    ("environment",): ("env",),
    ("environment", "name"): ("env_id", "env_name"),
    ("environment", "obs_stacks"): ("frame_stack", "n_stack"),
}

# Options of the command line that users may look for in a config.
OPTIONS: Final = ("device", "run_id", "seed", "worker_id")

_CLOSE: Final = 0.85
# A lower threshold for guesses that do little harm; below it, names resemble each other by chance.
_SIMILAR: Final = 0.72


def is_misspelt(name: str, own: Iterable[str]) -> bool:
    """Return whether a name is nearly the same as one of the names that exist in its place."""
    return bool(difflib.get_close_matches(name, list(own), n=1, cutoff=_CLOSE))


def is_similar(name: str, own: Iterable[str]) -> bool:
    """Return whether a name may be meant for one of the names that exist."""
    return bool(difflib.get_close_matches(name, list(own), n=1, cutoff=_SIMILAR))


def key_elsewhere(name: str, root: type[Section]) -> KeyPath | None:
    """Return the path of a key with this usual name, or of a key in another section.

    Args:
        name: a name that doesn't exist in its place.
        root: the section that paths start from.

    Returns:
        The path; None if no name is close enough.
    """
    paths = _names(root)
    close = difflib.get_close_matches(name, paths, n=1, cutoff=_CLOSE)
    return paths[close[0]] if close else None


def _names(root: type[Section]) -> dict[str, KeyPath]:
    """Return the paths of usual names and of keys that only one section directly below the root has."""
    names = {name: path for path, usual in USUAL_NAMES.items() for name in usual}
    below = [path for path in key_paths(root) if len(path) == 2]
    keys = [path[-1] for path in below]
    names |= {path[-1]: path for path in below if keys.count(path[-1]) == 1}
    return names | {key: (key,) for key in keys_of(root)}
