"""Tests of the estimate of a training's RAM, and of the RAM that is available."""

import subprocess
import sys

import pytest

from environments.building import Probe
from environments.interface import Spaces
from model import ActorCritic
from ppo.footprint import (
    BASE,
    MIB,
    available_ram,
    count_weights,
    footprint,
    footprint_in,
    show_bytes,
)
from ppo.validation import runnable_problems
from schema.config import Config
from sweeps.search_space.merging import deep_merge
from tests.e2e.commands import ROOT
from tests.examples import VECTOR_SPACES, VISUAL_SPACES, tiny_config

BOTH = Spaces(VISUAL_SPACES.observations | VECTOR_SPACES.observations, (3,))
CONTINUOUS = Spaces({"vector": ((5,), "float32")}, bounds=((-1.0, 1.0), (0.0, 2.0)))
MASKED = Spaces({"vector": ((5,), "float32"), "action_mask": ((5,), "uint8")}, (3, 2))
USUAL = {"num_hidden_layers": 2, "hidden_layer_size": 128}
LSTM = {"layer_type": "lstm", "num_layers": 2, "hidden_state_size": 24}
GRU = {"hidden_state_size": 24, "embed": True, "hidden_state_init": "learned"}


@pytest.mark.parametrize("spaces", [VECTOR_SPACES, VISUAL_SPACES, BOTH, CONTINUOUS, MASKED])
@pytest.mark.parametrize(
    "model",
    [
        {},
        {"num_hidden_layers": 3, "share_parameters": False},
        {"recurrence": LSTM},
        {"recurrence": GRU},
        {"use_sde": True},
        USUAL | {"hidden_layers": [7, 3, 5]},
        USUAL | {"hidden_layers": []},
        USUAL | {"hidden_layers": [], "recurrence": LSTM},
        USUAL | {"hidden_layers": {"policy": [7, 2], "value": []}},
    ],
)
def test_the_counted_weights_are_those_of_the_network(spaces, model):
    if model.get("use_sde") and not spaces.bounds:
        pytest.skip("continuous actions only")
    config = tiny_config(model=model)
    assert count_weights(config, spaces) == ActorCritic(spaces, config).size


def test_the_parts_equal_those_computed_by_hand():
    # CartPole: observations of 4 float32, 2 actions. A layer of 16: 4 * 16 + 16; heads: 16 * 3 + 3.
    weights = 80 + 51
    # An observation, 20 numbers such as the reward, 5 x 2 outputs, 16 features, 3 copies of an action.
    step = 16 + 4 * (20 + 10 + 16) + 3 * 8
    # 4 x 32 steps in two mini-batches: observations twice, a layer of 16, the gradients of two layers.
    learning = 16 + 4 * (4 + 16 + 2 * 16)
    # The largest gradient is that of 16 x 16 weights.
    workspace = 4 * 16 * 16
    environment = 8 * 1024 + 4 * 16
    found = footprint(tiny_config(model={"share_parameters": True}))
    assert found.own == {
        ("model", "hidden_layer_size"): 16 * weights,
        ("trainer", "worker_steps"): 128 * step,
        ("trainer", "num_workers"): 4 * environment,
    }
    assert sum(found.common.values()) == 12 * weights + 64 * learning + workspace
    members = 16 * weights + 128 * step + 4 * environment
    assert found.of(3) == BASE + 3 * members + 12 * weights + 64 * learning + workspace


@pytest.mark.parametrize(
    ("sections", "key"),
    [
        (
            {"model": {"hidden_layer_size": 10**6, "num_hidden_layers": 2}},
            "model.hidden_layer_size",
        ),
        ({"model": {"num_hidden_layers": 10**9}}, "model.num_hidden_layers"),
        (
            {"model": {"recurrence": {"hidden_state_size": 10**6}}},
            "model.recurrence.hidden_state_size",
        ),
        ({"trainer": {"num_workers": 10**8}}, "trainer.num_workers"),
        ({"trainer": {"worker_steps": 10**9}}, "trainer.worker_steps"),
        (
            {"evaluation": {"evaluate": True, "num_workers": 10**9, "seeds": {"num-seeds": 10**9}}},
            "evaluation.num_workers",
        ),
        (
            {"environment": {"processes": 10**6}, "trainer": {"num_workers": 10**6}},
            "environment.processes",
        ),
    ],
)
def test_the_key_that_needs_too_much_is_named(sections, key):
    ((found, message),) = runnable_problems(tiny_config(**sections))
    assert ".".join(found) == key
    assert message.startswith("the training needs about ")
    assert message.endswith(
        f"this machine has {show_bytes(available_ram())}; choose a smaller value"
    )


def test_keys_that_change_no_size_leave_the_footprint_alone():
    trainer = {
        **{"gamma": 0.5, "lamda": 0.5, "updates": 9, "epochs": 9, "value_coefficient": 0.1},
        **{"max_grad_norm": 9.0, "adam_epsilon": 0.1, "weight_decay": 0.1, "target_kl": 0.1},
        **{
            f"{name}_schedule": {"initial": 0.5} for name in ("learning_rate", "beta", "clip_range")
        },
    }
    # The same object, from the cache.
    assert footprint(tiny_config(trainer=trainer)) is footprint(tiny_config())


def test_playing_alone_needs_no_rollout():
    config = tiny_config(trainer={"worker_steps": 10**9})
    assert runnable_problems(config, trained=False) == []
    wide = tiny_config(model={"hidden_layer_size": 10**6, "num_hidden_layers": 2})
    assert runnable_problems(wide, trained=False)


def test_images_count_with_the_outputs_of_convolutions():
    config = tiny_config(model={"share_parameters": True})
    images, vectors = (
        footprint_in(Probe(spaces), config) for spaces in (VISUAL_SPACES, VECTOR_SPACES)
    )
    key = ("trainer", "worker_steps")
    image = 84 * 84 * 3
    assert images.own[key] - vectors.own[key] == 128 * (image - 20 - 4 * 5 * 2 - 3 * 8)
    # 20 x 20 x 32, 9 x 9 x 64 and 7 x 7 x 64 numbers, before and after the activation.
    layers = 2 * (12_800 + 5_184 + 3_136)
    more = image - 20 + 4 * (image - 5 + layers)
    assert images.common[key] - vectors.common[key] == 64 * more


def test_the_agents_of_a_unity_player_share_its_ram():
    unity = Config.model_validate({"environment": {"type": "Unity", "name": "player"}})
    key = ("trainer", "num_workers")
    alone, shared = (
        footprint_in(Probe(VECTOR_SPACES, agents), unity).own[key] for agents in (1, 8)
    )
    # 16 workers, each with observations of 5 float32.
    assert alone == 16 * (64 * MIB + 4 * 20)
    assert shared == 16 * (8 * MIB + 4 * 20)


def test_the_limit_of_a_container_counts(tmp_path):
    def limit(name, text):
        path = tmp_path / "sys" / "fs" / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    (tmp_path / "proc" / "self").mkdir(parents=True)
    groups = tmp_path / "proc" / "self" / "cgroup"
    installed = available_ram(tmp_path)
    assert installed > 0

    def found():
        available_ram.cache_clear()
        return available_ram(tmp_path)

    groups.write_text("0::/a/b\n")
    limit("a/b/memory.max", "max\n")
    assert found() == installed
    limit("a/memory.max", "2000000\n")
    assert found() == 2_000_000
    limit("memory.max", "1000000\n")
    assert found() == 1_000_000
    groups.write_text("3:cpu,memory:/c\n2:cpuset:/\n")
    limit("memory/c/memory.limit_in_bytes", "3000000")
    assert found() == 3_000_000
    available_ram.cache_clear()


def test_bytes_are_shown_in_mib_or_gib():
    assert show_bytes(300 * MIB) == "300 MiB"
    assert show_bytes(25 * 2**29) == "12.5 GiB"
    assert show_bytes(2**50) == "1,048,576.0 GiB"


# Sections that make a small CartPole training large.
LARGE = {
    "network": {"model": {"hidden_layer_size": 2000, "num_hidden_layers": 2}},
    "recurrence": {
        "model": {"recurrence": {"layer_type": "lstm", "hidden_state_size": 512}},
        "trainer": {"num_workers": 16, "worker_steps": 128},
    },
}
PEAK = """
import re, sys, torch
from pathlib import Path
from ppo.placement import Placement
from ppo.run.member import Run
from schema.config import Config
from trainer import PPOTrainer

for text in sys.argv[2:]:
    run = Run(Config.model_validate_json(text), 0, None, Path(sys.argv[1]))
    with PPOTrainer([run], Placement(torch.device("cpu"), 2, cores=(0,))) as trainer:
        trainer.run()
    print(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
@pytest.mark.parametrize("large", LARGE)
def test_a_real_training_takes_half_to_twice_the_estimate(large, tmp_path):
    short = {"trainer": {"updates": 1, "epochs": 1}}
    small, config = tiny_config(**short), tiny_config(**deep_merge(short, LARGE[large]))
    texts = [each.model_dump_json(by_alias=True) for each in (small, config)]
    done = subprocess.run(
        [sys.executable, "-c", PEAK, tmp_path, *texts], cwd=ROOT, check=True, capture_output=True
    )
    before, peak = (1024 * int(line) for line in done.stdout.split())
    assert 0.5 < (peak - before) / (footprint(config).of(1) - footprint(small).of(1)) < 2
