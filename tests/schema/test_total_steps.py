"""Tests of a length in environment steps, which becomes a number of whole updates."""

import pytest

from schema.config import Config
from schema.trainer import TrainerConfig
from sweeps.search_space.grid import load_grid
from sweeps.search_space.identity import complete, differences, updates_of
from tests.schema.errors import only_error

SIZES = {"num_workers": 4, "worker_steps": 32}


@pytest.mark.parametrize(
    ("steps", "updates"),
    [(1, 1), (128, 1), (129, 2), (1_000_000, 7813), (1e6, 7813), (2**62 + 1, 2**55 + 1)],
)
def test_steps_are_rounded_up_to_whole_updates(steps, updates):
    config = TrainerConfig.model_validate(SIZES | {"total_steps": steps})
    assert config.updates == updates
    assert config == TrainerConfig(**SIZES, updates=updates), "the updates alone are kept"
    assert TrainerConfig.model_validate(config.model_dump()) == config


def test_defaults_of_workers_and_steps_count():
    assert TrainerConfig(total_steps=1025).updates == 2
    assert TrainerConfig(total_steps=None).updates == TrainerConfig().updates


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "{total_steps: 99, updates: 50}",
            "total_steps: can't be combined with updates; leave one",
        ),
        ("{total_steps: 0}", "total_steps: 0 is out of range; must be at least 1"),
        ("{total_steps: 1.5}", "total_steps: must be a whole number, not 1.5"),
        ("{total_steps: many}", "total_steps: must be a whole number, not the text 'many'"),
        ("{total_steps: 99, num_workers: 0}", "num_workers: 0 is out of range; must be at least 1"),
        (
            "{total_steps: 99, worker_steps: x}",
            "worker_steps: must be a whole number, not the text",
        ),
    ],
)
def test_a_wrong_length_is_one_error(tmp_path, text, line):
    found = only_error(tmp_path, f"trainer: {text}\n")
    assert f"base.yaml, line 1: trainer.{line}" in found


def grid(tmp_path, base, tune):
    (tmp_path / "base.yaml").write_text(f"trainer: {base}\n")
    (tmp_path / "tune.yaml").write_text(f"hyperparameters: {tune}\n")
    found = load_grid(tmp_path / "base.yaml", tmp_path / "tune.yaml")
    found.validate()
    return found


def test_permutations_with_other_rollouts_take_as_many_steps(tmp_path):
    steps = "{total_steps: 4096, num_workers: 4}"
    found = grid(tmp_path, steps, "{worker_steps: [32, 64]}")
    assert [each.config.trainer.updates for each in found.permutations()] == [32, 16]
    assert updates_of(found) is None
    assert updates_of(grid(tmp_path, steps, "{gamma: [0.9]}")) == 16
    tuned = grid(tmp_path, "{num_workers: 4}", "{total_steps: [256, 512]}")
    assert [each.config.trainer.updates for each in tuned.permutations()] == [1, 2]
    assert updates_of(tuned) is None


def test_a_sweep_s_length_in_steps_may_grow():
    before, now = ({"trainer": {"total_steps": steps}} for steps in (2048, 4096))
    assert complete(now)["trainer"]["updates"] == 4
    assert differences(complete(before), complete(now)) == []
    assert complete({}) == Config().as_dict()
