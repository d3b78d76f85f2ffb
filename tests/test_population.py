import pytest
import torch

from ppo.learner import Learner
from ppo.member import Run
from tests.examples import CPU, close, same, tiny_config, train, train_population
from trainer import PPOTrainer


def rate(value):
    return tiny_config(trainer={"learning_rate_schedule": {"initial": value, "final": None}})


def test_a_member_is_trained_as_if_it_were_alone(tmp_path):
    configs, seeds = [rate(1e-2), rate(3e-3), rate(1e-4)], [11, 12, 13]
    together = train_population(configs, seeds, tmp_path / "together")
    for number, (config, seed) in enumerate(zip(configs, seeds, strict=True)):
        alone = train(config, seed, tmp_path / f"alone{number}")
        beside = together[number]
        close(alone.weights, beside.weights)
        assert same(alone.record, beside.record)
        assert same(alone.generators, beside.generators)
        assert same(alone.environments, beside.environments)
        assert (beside.seed, beside.config) == (seed, config.as_dict())
    kernel = "trunk.layers.0.weight"
    assert (together[0].weights[kernel] - together[1].weights[kernel]).abs().max() > 0.01


@pytest.mark.parametrize(
    "changes",
    [
        {"gamma": 0.5},
        {"lamda": 0.5},
        {"value_coefficient": 0.0},
        {"max_grad_norm": 1e-3},
        {"weight_decay": 0.5},
        {"adam_epsilon": 0.1},
        {"beta_schedule": {"initial": 0.5}},
        {"clip_range_schedule": {"initial": 1e-3}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_each_member_has_hyperparameters_of_its_own(tmp_path, changes):
    usual, other = tiny_config(), tiny_config(trainer=changes)
    together = train_population([usual, other], [5, 5], tmp_path / "together")
    close(train(other, 5, tmp_path / "alone").weights, together[1].weights)
    differences = [
        (weight - together[1].weights[name]).abs().max().item()
        for name, weight in together[0].weights.items()
    ]
    assert max(differences) > 1e-4, "the hyperparameter has no effect"


def test_members_that_are_equal_stay_equal(tmp_path):
    first, second = train_population([tiny_config()] * 2, [5, 5], tmp_path)
    close(first.weights, second.weights)
    assert same(first.record, second.record)


def trained_stacked(configs, stacked):
    """Weights after an update of members that learn at once, as on a GPU, or one by one."""
    runs = [Run(config, seed) for seed, config in enumerate(configs)]
    with PPOTrainer(runs, 2, False, CPU) as trainer:
        if stacked:
            shared = (trainer._population, trainer._buffer, trainer._optimiser, False)
            trainer._learners = [Learner(slice(None), trainer._members, *shared)]
        trainer.run()
        scalars = [member.scalars for member in trainer._members]
        return trainer._population.weights.clone(), scalars


@pytest.mark.parametrize("normalisation", ["minibatch", "batch", "none"])
def test_members_that_learn_at_once_learn_as_one_by_one(normalisation):
    # One update, and steps that rounding doesn't make great where gradients are tiny.
    common = {"updates": 1, "adam_epsilon": 1e-3, "advantage_normalization": normalisation}
    configs = [
        tiny_config(trainer=common | own)
        for own in (
            {"weight_decay": 0.3, "beta_schedule": {"initial": 0.2}},
            {"adam_epsilon": 0.01, "value_coefficient": 2.0, "max_grad_norm": 0.05},
            {"learning_rate_schedule": {"initial": 0.01}, "clip_range_schedule": {"initial": 0.05}},
        )
    ]
    (one_by_one, expected), (at_once, found) = (
        trained_stacked(configs, stacked) for stacked in (False, True)
    )
    torch.testing.assert_close(at_once, one_by_one, rtol=1e-4, atol=1e-5)
    for own, other in zip(expected, found, strict=True):
        assert own.keys() == other.keys()
        assert all(
            own[name] == pytest.approx(other[name], abs=1e-3) for name in own if "time" not in name
        )


def test_a_member_that_diverges_leaves_the_others_alone(tmp_path):
    usual = tiny_config()
    bad = tiny_config(
        trainer={"learning_rate_schedule": {"initial": 1.0}, "value_coefficient": 1e38}
    )
    runs = [
        Run(config, 5, checkpoints=tmp_path / str(number))
        for number, config in enumerate((usual, bad))
    ]
    with PPOTrainer(runs, 2, False, CPU) as trainer:
        trainer.run()
        assert trainer.failures == [None, "a loss is not finite in update 1"]
        weights = trainer._population.member_weights(0)
    assert not (tmp_path / "1").exists()
    close(train(usual, 5, tmp_path / "alone").weights, weights)
