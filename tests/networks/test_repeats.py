import numpy as np
import pytest
import torch

from buffer import MiniBatch
from environments.interface import ACTION_MASK, Spaces
from networks.repeats import find_repeats
from ppo.by_torch import epochs
from ppo.by_torch.losses import Coefficients, ppo_losses
from ppo.run.member import Run
from schema.config import Config
from tests.examples import ON_CPU
from tests.networks.test_network import population
from trainer import PPOTrainer


def of_bytes(values):
    return torch.tensor(values, dtype=torch.uint8)


def test_each_distinct_observation_is_found_once():
    repeats = find_repeats({"vector": of_bytes([[7, 0], [0, 7], [7, 0], [7, 0], [0, 7], [7, 0]])})
    assert repeats.first.tolist() == [0, 1]
    assert repeats.numbers.tolist() == [0, 1, 0, 0, 1, 0]
    wanted, observed = repeats.among(torch.tensor([4, 1]))
    assert (wanted.tolist(), observed.tolist()) == ([1], [0, 0])
    wanted, observed = repeats.among(torch.tensor([4, 3, 1]))
    assert (wanted.tolist(), observed.tolist()) == ([0, 1], [1, 0, 1])


def test_observations_are_equal_only_if_all_their_parts_are():
    first = of_bytes([[1, 2], [1, 2], [1, 2], [1, 2], [1, 2], [1, 2]])
    second = of_bytes([3, 3, 4, 3, 4, 4]).view(6, 1, 1, 1)
    assert find_repeats({"a": first, "b": second}).numbers.tolist() == [0, 0, 1, 0, 1, 1]


@pytest.mark.parametrize(("distinct", "found"), [(5, True), (6, False)])
def test_repeats_are_used_only_if_they_save_time(distinct, found):
    values = of_bytes([number % distinct for number in range(10)]).view(10, 1)
    assert (find_repeats({"vector": values}) is not None) == found


COEFFICIENTS = Coefficients(torch.tensor(0.2), torch.tensor(0.05), torch.tensor(0.7), True)


def batch(observations, branches, size=30):
    """Return random numbers with the first action of each branch, as masks may forbid others."""
    random = np.random.default_rng(1)

    def draw():
        return torch.tensor(random.normal(size=size), dtype=torch.float32)

    actions = torch.zeros(size, len(branches), dtype=torch.int64)
    return MiniBatch(observations, actions, draw() * 0.3 - 1.2, draw(), draw(), draw())


SPACES = {
    "vector": Spaces({"vector": ((6,), "uint8")}, (4, 3)),
    "mask": Spaces({"vector": ((6,), "uint8"), ACTION_MASK: ((4,), "uint8")}, (4,)),
    "visual": Spaces({"visual": ((36, 36, 3), "uint8")}, (4,)),
}


def repeated(spaces, size, distinct):
    """Return observations (size, ...) with repeats, and masks that allow the first action."""
    random = np.random.default_rng(0)
    numbers = random.integers(distinct, size=size)
    found = {}
    for name, (shape, _) in spaces.observations.items():
        values = random.integers(2 if name == ACTION_MASK else 256, size=(distinct, *shape))
        values[:, 0] = 1
        found[name] = of_bytes(values[numbers])
    return found


@pytest.mark.parametrize("kind", SPACES)
@pytest.mark.parametrize("share_parameters", [True, False])
def test_losses_and_gradients_equal_those_of_all_observations(kind, share_parameters):
    members = population(SPACES[kind], members=1, share_parameters=share_parameters)
    network = members.each[0]
    whole = repeated(SPACES[kind], 30, 7)
    repeats = find_repeats(whole)
    assert len(repeats.first) == 7
    distinct = {name: values[repeats.first] for name, values in whole.items()}
    found = []
    for observations, observed in ((whole, None), (distinct, repeats.numbers)):
        steps = batch(observations, SPACES[kind].branches)
        steps.observed = observed
        members.gradients.zero_()
        parameters, values = network(observations)
        losses = ppo_losses(
            steps.spread(parameters),
            steps.spread(values),
            steps,
            network.distribution,
            COEFFICIENTS,
        )
        losses.total.backward()
        found.append((list(vars(losses).values()), members.gradients.clone()))
    assert found[0][1].any()
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-5)


@pytest.mark.long
@pytest.mark.parametrize("pixels", [True, False])
@pytest.mark.parametrize("share_parameters", [True, False])
def test_a_training_learns_the_same(pixels, share_parameters, monkeypatch):
    config = Config.model_validate(
        {
            "environment": {"visual_observation": pixels, "processes": 0},
            "model": {"hidden_layer_size": 16, "share_parameters": share_parameters},
            "trainer": {
                "updates": 1,
                "epochs": 1,
                "num_workers": 4,
                "worker_steps": 64,
                "num_mini_batches": 4,
                # With a greater epsilon, rounding of tiny gradients changes steps little.
                "adam_epsilon": 1e-3,
            },
        }
    )
    monkeypatch.setattr("numerics.is_installed", lambda: False)
    found, counts = [], []

    def counting(observations):
        repeats = find_repeats(observations)
        counts.append(len(repeats.first))
        return repeats

    for look in (counting, lambda _: None):
        monkeypatch.setattr(epochs, "find_repeats", look)
        with PPOTrainer([Run(config, 3)], ON_CPU) as trainer:
            initial = trainer.parts.population.weights.clone()
            trainer.run()
            found.append(
                (trainer.parts.population.weights.clone(), trainer.parts.buffer.values.clone())
            )
    assert len(counts) == 1 and 10 < counts[0] < 64
    torch.testing.assert_close(found[0], found[1], rtol=1e-5, atol=1e-5)
    assert (found[0][0] - initial).abs().max() > 1e-3
