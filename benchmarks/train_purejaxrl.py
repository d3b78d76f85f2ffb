"""Trains one run of PureJaxRL and prints steps and seconds without compilation, as JSON.

Usage: python benchmarks/train_purejaxrl.py FOLDER WORK UPDATES SEED

FOLDER has PureJaxRL's `ppo.py`. The same loop plays MiniGrid with NAVIX. It runs in its own Python
environment:
pip install jax==0.10.2 flax==0.12.8 optax==0.2.8 distrax==0.1.9 gymnax==0.0.9 navix==0.7.4
"""

from __future__ import annotations

import importlib
import json
import sys
import time
import types
from typing import Any
from unittest.mock import MagicMock

from works import (
    CLIP_RANGE,
    ENTROPY_COEFFICIENT,
    EPOCHS,
    GAMMA,
    LAMDA,
    LEARNING_RATE,
    MAX_GRAD_NORM,
    MINI_BATCHES,
    VALUE_COEFFICIENT,
    WORKS,
    Work,
)

_WIDTH = 64  # width of the layers in PureJaxRL's script


def load(folder: str, work: Work) -> Any:
    """Return PureJaxRL's script as a module, with the environment and the layer width of a workload."""
    import flax.linen
    import jax

    # PureJaxRL's wrappers import Brax, which isn't needed here.
    for name in ("brax", "brax.envs", "brax.envs.wrappers", "brax.envs.wrappers.training"):
        sys.modules[name] = MagicMock()
    sys.path.insert(0, folder)
    if work.suite != "Minigrid":
        sys.modules["navix"] = MagicMock()
    ppo: Any = importlib.import_module("ppo")
    if work.layers[0] != _WIDTH:

        def dense(width: int, **arguments: Any) -> Any:
            return flax.linen.Dense(work.layers[0] if width == _WIDTH else width, **arguments)

        ppo.nn = types.SimpleNamespace(**vars(flax.linen) | {"Dense": dense})
    if work.suite == "Minigrid":
        wrappers = importlib.import_module("wrappers")

        def make(name: str) -> tuple[Any, None]:
            return wrappers.NavixGymnaxWrapper(name), None

        ppo.gymnax = types.SimpleNamespace(make=make)
    assert jax.default_backend() == "cpu"
    return ppo


def config_of(work: Work, updates: int) -> dict[str, Any]:
    """Return a workload as PureJaxRL's config."""
    return {
        "LR": LEARNING_RATE,
        "NUM_ENVS": work.workers,
        "NUM_STEPS": work.steps,
        "TOTAL_TIMESTEPS": updates * work.batch,
        "UPDATE_EPOCHS": EPOCHS,
        "NUM_MINIBATCHES": MINI_BATCHES,
        "GAMMA": GAMMA,
        "GAE_LAMBDA": LAMDA,
        "CLIP_EPS": CLIP_RANGE,
        "ENT_COEF": ENTROPY_COEFFICIENT,
        "VF_COEF": VALUE_COEFFICIENT,
        "MAX_GRAD_NORM": MAX_GRAD_NORM,
        "ACTIVATION": work.activation,
        "ENV_NAME": work.environment.replace("MiniGrid", "Navix"),
        "ANNEAL_LR": False,
        "DEBUG": False,
    }


def main() -> None:
    """Compile, train once to warm up, and once more for the measurement."""
    folder, name, updates, seed = sys.argv[1:]
    work = WORKS[name]
    ppo = load(folder, work)
    import jax

    trained = work.warm_up + int(updates)
    train = jax.jit(ppo.make_train(config_of(work, trained)))
    key = jax.random.PRNGKey(int(seed))
    compiled = train.lower(key).compile()
    seconds = []
    for _ in range(2):
        begin = time.perf_counter()
        jax.block_until_ready(compiled(key))
        seconds.append(time.perf_counter() - begin)
    print(json.dumps({"steps": trained * work.batch, "seconds": seconds[-1]}))


if __name__ == "__main__":
    main()
