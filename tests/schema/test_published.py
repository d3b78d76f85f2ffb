"""Published hyperparameters become configs."""

import re

import pytest

from environments.checking.check import check_environment
from ppo.validation import runnable_problems
from schema.config import Config, load_config
from sweeps.search_space.grid import load_grid
from tests.e2e.commands import ROOT
from tests.schema.zoo import entries, translate

FOLDER = ROOT / "configs" / "published"
PUBLISHED = sorted(FOLDER.glob("*.yaml"))
# Keys of the zoo's entries that can't be translated; docs/from_other_tools.md has the reasons.
LEFT_OUT = {"MiniGrid": {"env_wrapper"}, "CarRacing": {"policy"}}
# Faults of Gymnasium's environments that the check finds. BipedalWalker keeps one Box2D world for all
# episodes, so a replayed episode may differ from the first one (https://github.com/openai/gym/issues/2390).
KNOWN_FAULTS = {"BipedalWalker-v3": "the same seed and actions must give the same episode"}


def problems_of(config):
    """Return the errors of a config; skip the test where its environment isn't installed."""
    lines = [line for _, line in runnable_problems(config)]
    if any("pip install" in line for line in lines):
        pytest.skip(lines[0])
    return lines


@pytest.mark.parametrize("name", entries())
def test_an_entry_of_the_zoo_becomes_a_config(name):
    translated, left_out = translate(name, entries()[name])
    config = Config.model_validate(translated)
    assert left_out.keys() == LEFT_OUT.get(name.partition("-")[0], set())
    assert config.trainer.updates * config.trainer.batch_size >= entries()[name]["n_timesteps"]
    assert problems_of(config) == []


def test_all_kinds_of_values_are_translated():
    entry = {
        "n_timesteps": 1e5,
        "n_envs": 4,
        "n_steps": 50,
        "batch_size": 40,
        "learning_rate": "lin_0.001",
        "clip_range": "lin_0.3",
        "normalize": "dict(norm_obs=False, norm_reward=True)",
        "policy_kwargs": "dict(ortho_init=False, activation_fn=nn.ReLU, net_arch=dict(pi=[8], vf=[]))",
    }
    translated, left_out = translate("Ant-v2", entry)
    config = Config.model_validate(translated)
    assert left_out == {}
    assert config.environment.name == "Ant-v5"
    assert config.trainer.updates == 500 and config.trainer.num_mini_batches == 5
    assert config.trainer.learning_rate_schedule.initial == 0.001
    assert config.trainer.learning_rate_schedule.final == 0
    assert config.trainer.clip_range_schedule.final == 0
    assert config.trainer.epochs == 10, "Stable-Baselines3's default, not this project's"
    assert config.trainer.normalize_rewards and not config.model.normalize_observations
    assert config.model.policy_layers == [8] and config.model.value_layers == []
    assert config.model.activation == "relu" and config.model.initialization == "torch"


def test_a_smaller_last_mini_batch_can_t_be_translated():
    _, left_out = translate("Ant-v4", {"n_envs": 1, "n_steps": 100, "batch_size": 64})
    assert left_out == {"batch_size": "the last mini-batch is smaller than the others"}


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.stem)
def test_a_published_config_has_the_values_of_the_zoo(path):
    config = load_config(path)
    translations = [Config.model_validate(translate(*entry)[0]) for entry in entries().items()]
    (wanted,) = [each for each in translations if each.environment == config.environment]
    assert config == wanted


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.stem)
def test_the_environment_of_a_published_config_passes_the_check(path):
    config = load_config(path)
    assert problems_of(config) == []
    findings = check_environment(config.environment, worker_id=2)
    faults = [each.text for each in findings if each.verdict == "failed"]
    known = KNOWN_FAULTS.get(config.environment.name)
    assert [each for each in faults if known is None or not each.startswith(known)] == []


def test_each_published_config_names_its_source_and_score():
    assert len(PUBLISHED) == 11
    for path in PUBLISHED:
        comment = " ".join(
            line.removeprefix("# ") for line in path.read_text("utf-8").splitlines() if "# " in line
        )
        assert "hyperparams/ppo.yml at commit 22e3ff2" in comment
        assert re.search(r"benchmark.md reports(, for \S+,)? a return of -?[\d.,]+ ± ", comment)


def test_the_grid_around_a_published_setting_begins_with_it():
    base = FOLDER / "pendulum.yaml"
    grid = load_grid(base, ROOT / "configs" / "tune" / "published_pendulum.yaml")
    assert grid.validate() == []
    assert grid.permutation(0).config == load_config(base)
