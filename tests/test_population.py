import pytest
import torch

from tests.examples import same, tiny_config, train, train_population


def rate(value):
    return tiny_config(trainer={"learning_rate_schedule": {"initial": value, "final": None}})


def close(first, second):
    assert first.keys() == second.keys()
    for name, weight in first.items():
        torch.testing.assert_close(weight, second[name], rtol=1e-5, atol=1e-5)


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
        {"epochs": 1},
        {"value_coefficient": 0.0},
        {"max_grad_norm": 1e-3},
        {"weight_decay": 0.5},
        {"adam_epsilon": 0.1},
        {"advantage_normalization": "none"},
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
