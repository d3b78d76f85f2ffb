import math

import numpy as np
import pytest
import torch

from environments.interface import Spaces
from model import ActorCritic, Population
from ppo.by_torch.epochs import TorchEpochs
from ppo.by_torch.losses import Coefficients, ppo_losses
from ppo.interface import LOGGED
from ppo.run.member import Run
from schema.config import Config
from schema.model import ModelConfig
from tests.examples import (
    CPU,
    ON_CPU,
    VECTOR_SPACES,
    VISUAL_SPACES,
    global_random_state,
    tiny_config,
)
from trainer import PPOTrainer


def population(spaces=VECTOR_SPACES, members=3, **config):
    config = Config(model=ModelConfig(**{"hidden_layer_size": 16, **config}))
    found = Population(spaces, config, members, CPU)
    for member in range(members):
        found.initialise(member, torch.Generator().manual_seed(member))
    return found


def observations(spaces, members, batch):
    random = np.random.default_rng(0)
    found = {}
    for name, (shape, kind) in spaces.observations.items():
        size = (members, batch, *shape)
        values = random.integers(256, size=size) if kind == "uint8" else random.normal(size=size)
        found[name] = torch.tensor(values.astype(kind))
    return found


COEFFICIENTS = Coefficients(torch.tensor([0.2]), torch.tensor([0.01]), torch.tensor([0.5]), True)
BOTH_SPACES = Spaces(VISUAL_SPACES.observations | VECTOR_SPACES.observations, (3,))


@pytest.mark.parametrize("share_parameters", [True, False])
@pytest.mark.parametrize("spaces", [VECTOR_SPACES, VISUAL_SPACES, BOTH_SPACES])
def test_a_population_answers_as_each_member_alone(spaces, share_parameters):
    members = population(spaces, share_parameters=share_parameters)
    observed = observations(spaces, 3, 4)
    parameters, values = members.stacked(observed)
    assert parameters.shape == (3, 4, sum(spaces.branches))
    assert values.shape == (3, 4)
    for member, network in enumerate(members.each):
        own = {name: value[member] for name, value in observed.items()}
        own_parameters, own_values = network(own)
        torch.testing.assert_close(parameters[member], own_parameters, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(values[member], own_values, rtol=1e-5, atol=1e-5)
    assert (values[0] - values[1]).abs().max() > 1e-3


@pytest.mark.parametrize("share_parameters", [True, False])
@pytest.mark.parametrize("spaces", [VECTOR_SPACES, VISUAL_SPACES, BOTH_SPACES])
def test_acting_and_valuing_separately_gives_the_same(spaces, share_parameters):
    members = population(spaces, share_parameters=share_parameters)
    observed = observations(spaces, 3, 4)
    acted = members.stacked.act(observed)
    parameters, features = acted.parameters, acted.value_features
    expected_parameters, expected_values = members.stacked(observed)
    assert torch.equal(parameters, expected_parameters)
    if share_parameters:
        found_values = members.stacked.values_of_features(features)
    else:
        found_values = members.stacked.values(observed)
    assert torch.equal(found_values, expected_values)


@pytest.mark.parametrize("share_parameters", [True, False])
def test_bfloat16_is_nearly_float32_when_acting_and_when_learning(share_parameters):
    exact = population(BOTH_SPACES, share_parameters=share_parameters)
    rounded = population(BOTH_SPACES, share_parameters=share_parameters, precision="bfloat16")
    observed = {name: v[0] for name, v in observations(BOTH_SPACES, 1, 8).items()}
    found = []
    for members in (exact, rounded):
        parameters, values = members.each[0](observed)
        (parameters.square().sum() + values.square().sum()).backward()
        assert parameters.dtype == values.dtype == torch.float32
        assert torch.equal(members.each[0].act(observed).parameters, parameters)
        found.append((parameters.detach(), values.detach(), members.gradients[0]))
    assert not rounded.each[0].is_dense
    for first, second in zip(*found, strict=True):
        assert not torch.equal(first, second)
        # Eight bits of mantissa are two to three decimal digits.
        assert (first - second).norm() < 0.02 * first.norm()


@pytest.mark.parametrize(
    ("activation", "function"),
    [
        ("tanh", np.tanh),
        ("relu", lambda x: np.maximum(x, 0)),
        ("leaky_relu", lambda x: np.where(x > 0, x, 0.01 * x)),
        ("elu", lambda x: np.where(x > 0, x, np.expm1(x))),
        ("swish", lambda x: x / (1 + np.exp(-x))),
        ("gelu", lambda x: x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))),
    ],
)
def test_a_network_of_vectors_computes_what_its_weights_define(activation, function):
    members = population(members=1, activation=activation, share_parameters=False)
    random = np.random.default_rng(1)
    weights = {
        name: random.normal(size=tuple(weight.shape))
        for name, weight in members.member_weights(0).items()
    }
    members.load_member(0, {name: torch.tensor(w) for name, w in weights.items()}, {})
    observed = random.normal(size=(6, 5))

    def layer(name, inputs):
        return inputs @ weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def trunk(name):
        hidden = function(layer(f"{name}.layers.0", observed))
        return function(layer(f"{name}.layers.1", hidden))

    parameters, values = members.stacked({"vector": torch.tensor(observed[None]).float()})
    np.testing.assert_allclose(
        parameters[0].detach(), layer("policy_head", trunk("trunk")), rtol=1e-4, atol=1e-4
    )
    np.testing.assert_allclose(
        values[0].detach(), layer("value_head", trunk("value_trunk"))[:, 0], rtol=1e-4, atol=1e-4
    )


def test_images_are_scaled_to_one_and_channels_stay_separate():
    members = population(VISUAL_SPACES, members=1, activation="relu", num_hidden_layers=1)
    observed = observations(VISUAL_SPACES, 1, 2)["visual"]
    weights = {name: w.double() for name, w in members.member_weights(0).items()}
    features = observed[0].permute(0, 3, 1, 2).double() / 255
    for number, stride in enumerate((4, 2, 1)):
        prefix = f"trunk.encoders.visual.{number}"
        features = torch.nn.functional.conv2d(
            features, weights[f"{prefix}.weight"], weights[f"{prefix}.bias"], stride
        ).relu()
    assert features.shape == (2, 64, 7, 7)
    hidden = features.flatten(1) @ weights["trunk.layers.0.weight"]
    expected = hidden.relu() @ weights["value_head.weight"]
    found = members.stacked({"visual": observed})[1][0].double()
    torch.testing.assert_close(found, expected[:, 0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("spaces", [VECTOR_SPACES, VISUAL_SPACES])
def test_initial_weights_are_orthogonal_and_initial_biases_zero(spaces):
    members = population(spaces, share_parameters=False)
    gains = {"policy_head": 0.01, "value_head": 1.0}
    for member in range(3):
        weights = members.member_weights(member)
        for name, weight in weights.items():
            if name.endswith("bias"):
                assert weight.abs().max() == 0
                continue
            gain = gains.get(name.split(".")[0], math.sqrt(2))
            matrix = weight.flatten(1).double()
            short = matrix if len(matrix) <= matrix.shape[1] else matrix.T
            product = short @ short.T
            expected = gain**2 * torch.eye(len(short), dtype=torch.float64)
            torch.testing.assert_close(product, expected, rtol=1e-4, atol=gain**2 * 1e-5)


def test_initial_weights_depend_on_their_generator_alone():
    before = global_random_state()
    torch.manual_seed(1)
    first = population(members=2)
    state = global_random_state()
    again = population(members=3)
    assert global_random_state() == state != before
    assert torch.equal(first.weights, again.weights[:2])
    assert not torch.equal(again.weights[0], again.weights[1])


def test_all_weights_and_gradients_are_views_of_flat_rows():
    members = population(VISUAL_SPACES, share_parameters=False)
    size = sum(parameter.numel() for parameter in members.each[0].parameters())
    assert members.weights.shape == members.gradients.shape == (3, size)
    observed = observations(VISUAL_SPACES, 3, 2)
    assert not members.gradients.any()
    own = {name: value[1] for name, value in observed.items()}
    parameters, values = members.each[1](own)
    (parameters.square().sum() + values.square().sum()).backward()
    assert members.gradients[1].any()
    assert not members.gradients[0].any()
    assert not members.gradients[2].any()
    flat = torch.cat([parameter.grad.flatten() for parameter in members.each[1].parameters()])
    assert flat.square().sum() == pytest.approx(members.gradients[1].square().sum().item())
    members.weights[1] = 0.25
    assert all((parameter == 0.25).all() for parameter in members.each[1].parameters())
    assert all((parameter[1] == 0.25).all() for parameter in members.stacked.parameters())
    assert not any((parameter == 0.25).all() for parameter in members.each[0].parameters())


def test_the_weights_of_one_member_move_to_another():
    members = population()
    observed = observations(VECTOR_SPACES, 3, 2)
    before = members.weights.clone()
    members.load_member(2, members.member_weights(0), {})
    assert torch.equal(members.weights[2], before[0])
    assert torch.equal(members.weights[:2], before[:2])
    observed["vector"][2] = observed["vector"][0]
    values = members.stacked(observed)[1]
    torch.testing.assert_close(values[2], values[0])


def test_images_have_one_trunk_and_vectors_two_by_default():
    assert population(VISUAL_SPACES).stacked.value_trunk is None
    assert population(BOTH_SPACES).stacked.value_trunk is None
    assert population(VECTOR_SPACES).stacked.value_trunk is not None
    assert population(VECTOR_SPACES, share_parameters=True).stacked.value_trunk is None
    assert population(VISUAL_SPACES, share_parameters=False).stacked.value_trunk is not None


def test_only_fully_connected_networks_are_dense():
    assert population().each[0].is_dense
    assert not population(VISUAL_SPACES).each[0].is_dense
    assert not population(recurrence={"hidden_state_size": 8}).each[0].is_dense


def test_weights_of_another_network_are_refused():
    members = population()
    before = members.weights.clone()
    for other in (population(hidden_layer_size=8), population(share_parameters=True)):
        with pytest.raises(ValueError, match="another shape"):
            members.load_member(0, other.member_weights(0), {})
    assert torch.equal(members.weights, before)


@pytest.mark.parametrize("max_grad_norm", [0.05, 100.0])
def test_flat_steps_equal_those_of_torch_over_separate_parameters(max_grad_norm):
    settings = {"weight_decay": 0.1, "max_grad_norm": max_grad_norm, "adam_epsilon": 1e-5}
    losses = {"value_coefficient": 0.5, "clip_value_loss": True}
    config = tiny_config(
        model={"share_parameters": True},
        trainer=settings | losses | {"num_mini_batches": 4, "epochs": 1},
    )
    with PPOTrainer([Run(config, 1)], ON_CPU) as trainer:
        trainer.sampler.sample(0)
        trainer.estimate_advantages()
        members, buffer = trainer.parts.population, trainer.parts.buffer
        spaces = Spaces({"vector": ((4,), "float32")}, (2,))
        reference = ActorCritic(spaces, config).bind(members.weights[0].clone())
        start = members.weights.clone()
        generator = torch.Generator()
        generator.set_state(trainer.parts.members[0].shuffling_generator.get_state())
        order = torch.randperm(128, generator=generator)
        epochs = TorchEpochs(0, trainer.parts)
        epochs.estimate_values(torch.zeros(32, 4, 16))  # the buffer has the values already
        logged = epochs.learn([{"learning_rate": 0.01, "clip_range": 0.2, "beta": 0.01}])
        own = torch.cat([weight.flatten() for weight in members.member_weights(0).values()])
        norms = learn_with_torch(reference, buffer, order, max_grad_norm)
    flat = torch.cat([parameter.flatten() for parameter in reference.parameters()])
    torch.testing.assert_close(own, flat, rtol=1e-5, atol=2e-6)
    assert logged[:, LOGGED.index("loss/gradient_norm")].tolist() == pytest.approx(norms, rel=1e-4)
    assert (members.weights - start).abs().max() > 0.01
    assert all(0.05 < norm < 100 for norm in norms), "both sides of the clipping are tried"


def learn_with_torch(network, buffer, order, max_grad_norm):
    """Take a step for each of 4 mini-batches, and return the norms of their gradients."""
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=0.01, eps=1e-5, weight_decay=0.1, foreach=False
    )
    dealt, norms = [(chosen, None) for chosen in order.chunk(4)], []
    for batch in buffer.mini_batches(0, buffer.batch_observations(0), dealt):
        advantages = batch.advantages.numpy()
        batch.advantages = (batch.advantages - advantages.mean()) / (advantages.std() + 1e-8)
        losses = ppo_losses(*network(batch.observations), batch, network.distribution, COEFFICIENTS)
        optimiser.zero_grad()
        losses.total.sum().backward()
        norm = torch.nn.utils.clip_grad_norm_(network.parameters(), max_grad_norm)
        optimiser.step()
        norms.append(norm.item())
    return norms


def test_an_image_may_have_any_name():
    names = ["a.b", "a%2eb", "%a%2eb", "", "values", "training", "0", "%", "visual", "camera/rgb"]
    spaces = Spaces(dict.fromkeys(names, ((36, 36, 1), "uint8")), (3,))
    members = population(spaces, members=1, num_hidden_layers=1)
    weights = members.member_weights(0)
    assert len([name for name in weights if name.endswith(".0.weight") and "encoders" in name]) == (
        len(names) * (1 if members.stacked.value_trunk is None else 2)
    )
    assert {f"trunk.encoders.{name}.0.weight" for name in ("visual", "0", "camera/rgb")} <= set(
        weights
    )
    _, values = members.stacked(observations(spaces, 1, 2))
    assert values.isfinite().all()
