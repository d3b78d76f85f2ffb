"""Prints notices and warnings before a training, and compiles beforehand what the training needs."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from environments.building import probe
from environments.checking.precision import precision_notices
from environments.choosing import backend_notice
from ppo.by_numba import cache_notice, compile_all, is_kept, learning_notice, obstacle
from ppo.validation import bounds_notice
from schema.config import Config
from schema.folders import shown, shown_text


def print_notices(configs: Iterable[Config], numba: bool) -> None:
    """Print why environments or networks run slower or learn worse than they could, each reason once.

    Args:
        configs: the configs to train.
        numba: whether Numba may compile the networks.
    """
    configs = list(configs)
    environments = {config.environment.model_dump_json(): config.environment for config in configs}
    notices = [backend_notice(environment) for environment in environments.values()]
    notices += map(bounds_notice, configs)
    if numba and _suit_numba(configs):
        notices += [learning_notice(), cache_notice()]
    for notice in notices:
        if notice is not None:
            _print_once(notice)


@cache
def _print_once(notice: str) -> None:
    """Print a notice, the first time that this command has it."""
    print(f"notice: {notice}", file=sys.stderr, flush=True)


def print_precision(config: Config) -> None:
    """Print which observations of a config's environment are too fine for float32."""
    for notice in precision_notices(config.environment.model_dump_json(by_alias=True)):
        print(f"notice: {config.environment.name}: {notice}", file=sys.stderr)


def compile_beforehand(configs: Iterable[Config], numba: bool) -> None:
    """Compile what the configs need from Numba, unless the cache has it, and print that this happens.

    Args:
        configs: the configs to train.
        numba: whether Numba may compile the networks.
    """
    if numba and _suit_numba(configs) and not is_kept():
        print(
            "notice: compiling the training for this processor, which takes half a minute, once",
            file=sys.stderr,
            flush=True,
        )
        compile_all()


def _suit_numba(configs: Iterable[Config]) -> bool:
    """Return whether Numba supports the network of any config."""
    return any(
        obstacle(config.model, probe(config.environment).spaces.has_images) is None
        for config in configs
    )


def chosen_lines(configs: Iterable[Config], device: str = "cpu") -> list[str]:
    """Return a line for each value chosen for a key that the configs leave open.

    Args:
        configs: the configs to train.
        device: the type of the device on which networks are trained.
    """
    lines: set[str] = set()
    for config in configs:
        has_images = probe(config.environment).spaces.has_images
        model = config.model.resolved(has_images, device)
        observed = "images" if has_images else "no images"
        if config.model.share_parameters is None:
            shared = "true" if model.share_parameters else "false"
            apart = "model.hidden_layers has a list each for policy and value"
            why = apart if model.has_layers_apart else f"{observed} are observed"
            lines.add(f"model.share_parameters is null: {shared}, because {why}")
        if config.model.precision == "auto":
            if not has_images:
                why = "no images are observed"
            elif model.precision == "bfloat16":
                why = "this CPU has bfloat16 instructions"
            else:
                why = "bfloat16 needs a CPU with bfloat16 instructions"
            lines.add(f"model.precision is auto: {model.precision}, because {why}")
        hindrance = obstacle(model, has_images)
        if device == "cpu" and hindrance is not None:
            lines.add(f"networks are trained by PyTorch, not by Numba, because {hindrance}")
    return sorted(lines)


def warn(lines: list[str]) -> None:
    """Print warnings."""
    for line in lines:
        print(f"warning: {shown_text(line)}", file=sys.stderr)


def curves_line(summaries: Path) -> str:
    """Return the line with the command that shows the learning curves."""
    return f"curves: {shlex.join(['tensorboard', '--logdir', str(shown(summaries))])}"
