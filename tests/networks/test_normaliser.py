import numpy as np
import pytest
import torch

from networks.normaliser import Normaliser
from ppo.run.checkpoint import checkpoint_path, load_checkpoint
from ppo.run.member import Run
from schema.config import Config
from schema.errors import UserError
from tests.examples import CPU, ON_CPU, VECTOR_SPACES
from trainer import PPOTrainer

SECTIONS = {
    "environment": {"type": "CartPole", "name": "CartPole-v1", "processes": 0},
    "model": {"hidden_layer_size": 8, "normalize_observations": True, "checkpoint_interval": 2},
    "trainer": {
        "updates": 4,
        "epochs": 1,
        "num_workers": 2,
        "worker_steps": 32,
        "num_mini_batches": 1,
    },
}


def train(folder, **model):
    sections = {**SECTIONS, "model": {**SECTIONS["model"], **model}}
    config = Config.model_validate(sections)
    with PPOTrainer([Run(config, 3, checkpoints=folder)], ON_CPU) as trainer:
        trainer.run()


def test_observations_are_unchanged_before_the_first_update():
    observations = {"vector": torch.randn(2, 7, 5)}
    normalised = Normaliser.of(VECTOR_SPACES, 2, CPU)(observations)
    assert torch.allclose(normalised["vector"], observations["vector"], atol=1e-6)


def test_statistics_of_several_rollouts_equal_those_of_all_observations():
    generator = np.random.default_rng(0)
    # M x T x N x D, with members and dimensions of different means and scales
    rollouts = [generator.normal(3, 2, (2, 4, 3, 5)) * [1, 5, 0.1, 2, 9] for _ in range(3)]
    rollouts = [rollout + np.array([0, 50]).reshape(2, 1, 1, 1) for rollout in rollouts]
    normaliser = Normaliser.of(VECTOR_SPACES, 2, CPU)
    for rollout in rollouts:
        normaliser.update({"vector": torch.tensor(rollout, dtype=torch.float32)})
    everything = np.concatenate([rollout.reshape(2, 12, 5) for rollout in rollouts], axis=1)
    expected = (everything - everything.mean(1, keepdims=True)) / everything.std(1, keepdims=True)
    values = torch.tensor(everything, dtype=torch.float32)
    found = normaliser({"vector": values})["vector"].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-3)
    # Each member's view has its own statistics.
    alone = normaliser.member(1)({"vector": values[1:]})["vector"].numpy()
    np.testing.assert_allclose(alone, expected[1:], atol=1e-3)


def test_extreme_observations_are_clipped_and_images_are_left_alone():
    normaliser = Normaliser.of(VECTOR_SPACES, 1, CPU)
    image = torch.ones(1, 1, 4, 4, 3, dtype=torch.uint8)
    found = normaliser({"vector": torch.full((1, 1, 5), 1e6), "image": image})
    assert found["vector"].tolist() == [[[10.0] * 5]]
    assert found["image"] is image


def test_statistics_are_saved_and_a_resumed_training_ends_the_same(tmp_path):
    train(tmp_path / "whole")
    path = checkpoint_path(tmp_path / "whole", 2)
    train(tmp_path / "resumed", load_model=True, model_path=str(path))
    whole, resumed = (
        load_checkpoint(checkpoint_path(tmp_path / name, 4)) for name in ("whole", "resumed")
    )
    assert whole.statistics["observations.count"].item() == 4 * 2 * 32
    for name, values in whole.statistics.items():
        assert torch.equal(values, resumed.statistics[name])
    for name, values in whole.weights.items():
        assert torch.equal(values, resumed.weights[name])


def test_a_checkpoint_of_the_other_setting_is_refused_in_one_line(tmp_path):
    train(tmp_path)
    path = str(checkpoint_path(tmp_path, 2))
    with pytest.raises(UserError, match=r"other setting of model\.normalize_observations"):
        train(tmp_path, load_model=True, model_path=path, normalize_observations=False)
