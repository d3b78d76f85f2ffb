"""Tests of the sizes of fully connected layers: a list, a list each for policy and value, none."""

import pytest
import torch
from torch import nn

from commands.notices import chosen_lines
from environments.building import Probe
from environments.interface import Spaces
from model import ActorCritic, Population
from ppo.by_numba import can_train, obstacle
from ppo.run.member import Run
from schema.config import Config
from schema.model import ModelConfig
from sweeps.search_space.grid import load_grid
from tests.examples import CPU, ON_CPU, VECTOR_SPACES, same, tiny_config
from tests.schema.errors import only_error
from trainer import PPOTrainer

USUAL = {"num_hidden_layers": 2, "hidden_layer_size": 128}
APART = {"policy": [7], "value": [9, 3]}


def network(spaces=VECTOR_SPACES, **model):
    """Return the network of a single member with random weights, its weights and its population."""
    members = Population(spaces, Config(model=ModelConfig.model_validate(model)), 1, CPU)
    members.initialise(0, torch.Generator().manual_seed(0))
    members.weights += 0.1 * torch.randn(
        members.weights.shape, generator=torch.Generator().manual_seed(1)
    )
    return members.each[0], members.member_weights(0), members


def by_torch(weights, trunk, head):
    """Return the same network of PyTorch's own layers."""
    names = sorted({name.rpartition(".")[0] for name in weights if name.startswith(f"{trunk}.")})
    modules: list[nn.Module] = []
    for name in [*names, head]:
        weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
        layer = nn.Linear(*weight.shape)
        layer.weight.data, layer.bias.data = weight.T.clone(), bias.clone()
        modules += [layer] if name == head else [layer, nn.Tanh()]
    return nn.Sequential(*modules)


@pytest.mark.parametrize(
    ("hidden_layers", "share", "policy", "value"),
    [
        ([7, 3], True, [7, 3], [7, 3]),
        ([7, 3], False, [7, 3], [7, 3]),
        (APART, None, [7], [9, 3]),
        ({"policy": [], "value": [4]}, False, [], [4]),
        ([], True, [], []),
        ([], False, [], []),
    ],
)
def test_outputs_and_gradients_equal_those_of_torch_s_own_layers(
    hidden_layers, share, policy, value
):
    actor_critic, weights, _ = network(hidden_layers=hidden_layers, share_parameters=share)
    sizes = {
        trunk: [w.shape[-1] for name, w in weights.items() if name.startswith(f"{trunk}.layers")]
        for trunk in ("trunk", "value_trunk")
    }
    assert sizes["trunk"][1::2] == policy
    assert sizes["value_trunk"][1::2] == ([] if share else value)
    expected = by_torch(weights, "trunk", "policy_head")
    estimate = by_torch(weights, "trunk" if share else "value_trunk", "value_head")
    observed = torch.randn(6, 5, generator=torch.Generator().manual_seed(2))
    parameters, values = actor_critic({"vector": observed})
    torch.testing.assert_close(parameters, expected(observed))
    torch.testing.assert_close(values, estimate(observed).squeeze(-1))
    (parameters.square().sum() + values.square().sum()).backward()
    (expected(observed).square().sum() + estimate(observed).square().sum()).backward()
    head = actor_critic.policy_head.weight.grad
    torch.testing.assert_close(head, expected[-1].weight.grad.T)
    torch.testing.assert_close(actor_critic.value_head.weight.grad, estimate[-1].weight.grad.T)
    if policy and not share:
        first = actor_critic.trunk.linear_layers[0].weight.grad
        torch.testing.assert_close(first, expected[0].weight.grad.T)


def test_a_list_of_equal_sizes_is_the_same_network_as_two_numbers():
    spaces = {"hidden_layers": [16, 16, 16]}, {"num_hidden_layers": 3, "hidden_layer_size": 16}
    (_, listed, _), (_, counted, _) = (network(**model) for model in spaces)
    assert same(listed, counted)


@pytest.mark.parametrize("share", [True, False])
def test_sparse_observations_reach_a_network_without_layers(share):
    spaces = Spaces({"vector": ((60,), "uint8")}, (4,))
    actor_critic, _, _ = network(spaces, hidden_layers=[], share_parameters=share)
    observed = {"vector": torch.zeros(8, 60, dtype=torch.uint8)}
    observed["vector"][:, 3] = 1
    assert actor_critic.find_columns(observed) is None
    with_layer, _, _ = network(spaces, hidden_layers=[4], share_parameters=share)
    assert with_layer.find_columns(observed) is not None


def test_recurrent_layers_may_be_the_last_ones():
    model = ModelConfig.model_validate(
        {"hidden_layers": [], "recurrence": {"hidden_state_size": 24}}
    )
    found = ActorCritic(VECTOR_SPACES, Config(model=model))
    assert found.policy_head.weight.shape == (24, 5)
    assert found.value_head.weight.shape == (24, 1)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ({"hidden_layers": [16, 16]}, None),
        ({"hidden_layers": {"policy": [16], "value": [16]}}, None),
        *(
            (
                {"hidden_layers": hidden_layers},
                "model.hidden_layers aren't all of one size, or there are none",
            )
            for hidden_layers in ([16, 8], [], APART, {"policy": [8], "value": [8, 8]})
        ),
    ],
)
def test_numba_trains_layers_of_one_size_and_says_why_not_others(model, reason, monkeypatch):
    monkeypatch.setattr("numerics.is_installed", lambda: True)
    config = Config(model=ModelConfig.model_validate(model))
    assert obstacle(config.model, has_images=False) == reason
    assert can_train(network(**model)[2]) is (reason is None)
    monkeypatch.setattr("commands.notices.probe", lambda _: Probe(VECTOR_SPACES))
    lines = chosen_lines([config])
    assert (f"networks are trained by PyTorch, not by Numba, because {reason}" in lines) is (
        reason is not None
    )
    if config.model.has_layers_apart:
        why = "because model.hidden_layers has a list each for policy and value"
        assert f"model.share_parameters is null: false, {why}" in lines


def test_lists_apart_are_never_shared():
    model = ModelConfig.model_validate({"hidden_layers": APART})
    assert model.resolved(has_images=True).share_parameters is False
    assert ModelConfig(hidden_layers=[7]).resolved(has_images=True).share_parameters is True


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("64", "hidden_layers: must be a list, not 64"),
        ("[64, 0]", "hidden_layers.1: 0 is out of range; must be more than 0"),
        ("[64, x]", "hidden_layers.1: must be a whole number, not the text 'x'"),
        ("{policy: [0]}", "hidden_layers.policy.0: 0 is out of range; must be more than 0"),
        ("{values: [1]}", "hidden_layers.values: unknown key; did you mean value?"),
        (
            "[64]\n  num_hidden_layers: 3",
            "num_hidden_layers: can't be combined with hidden_layers; leave one of them out",
        ),
        (
            "[]\n  hidden_layer_size: 64",
            "hidden_layer_size: can't be combined with hidden_layers; leave one of them out",
        ),
        (
            "{policy: [64]}\n  share_parameters: true",
            "share_parameters: must be false or null, because hidden_layers has a list each",
        ),
    ],
)
def test_wrong_layers_are_one_error(tmp_path, text, line):
    assert f": model.{line}" in only_error(tmp_path, f"model:\n  hidden_layers: {text}\n")


@pytest.mark.parametrize("hidden_layers", [None, [], [64.0, 1e1], {"policy": [3.0], "value": []}])
def test_a_written_config_is_read_again(hidden_layers):
    model = ModelConfig.model_validate({"hidden_layers": hidden_layers})
    config = Config(model=model)
    assert Config.model_validate(config.as_dict()) == config
    assert Config.model_validate_json(config.model_dump_json(by_alias=True)) == config
    assert all(type(units) is int for units in [*model.policy_layers, *model.value_layers])


def test_layers_can_be_tuned(tmp_path):
    (tmp_path / "base.yaml").write_text("environment: {type: CartPole, name: CartPole-v1}\n")
    choices = "[null, [64, 32], [], {policy: [8], value: [16]}]"
    (tmp_path / "tune.yaml").write_text(f"hyperparameters:\n  hidden_layers: {choices}\n")
    grid = load_grid(tmp_path / "base.yaml", tmp_path / "tune.yaml")
    grid.validate()
    found = [
        (p.config.model.policy_layers, p.config.model.value_layers) for p in grid.permutations()
    ]
    assert found == [([128] * 2,) * 2, ([64, 32],) * 2, ([], []), ([8], [16])]


@pytest.mark.parametrize("hidden_layers", [[24, 8], [], APART])
def test_a_checkpoint_resumes_to_the_same_weights(tmp_path, hidden_layers):
    model = USUAL | {"hidden_layers": hidden_layers, "checkpoint_interval": 1}
    config = tiny_config(model=model)
    ended = []
    for stopped in (False, True):
        folder = tmp_path / str(stopped)
        with PPOTrainer([Run(config, 1, checkpoints=folder)], ON_CPU) as trainer:
            trainer.run(lambda progress, own=trainer, stop=stopped: stop and own.stop())
        if stopped:
            resumed = Run(config, 1, interrupted_at=folder / "update_000001.pt")
            with PPOTrainer([resumed], ON_CPU) as trainer:
                trainer.run()
        ended.append(trainer.parts.population.member_weights(0))
    assert same(*ended)
