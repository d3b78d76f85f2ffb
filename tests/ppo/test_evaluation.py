import gymnasium
import numpy as np
import pytest
import torch

from environments.interface import Spaces
from model import Population
from ppo.run.evaluator import Evaluator, Policy
from ppo.run.summaries import episode_scalars
from schema.config import Config
from schema.model import ModelConfig
from tests.environments import scripted
from tests.examples import CPU, tiny_config
from utils import Stream, make_generator


class Balancing:
    """A policy without a network, which pushes the cart to the side to which the pole falls."""

    def begin(self, count):
        self.ended = []

    def act(self, observations):
        return (observations["vector"][:, 2:3] > 0).astype(np.int64)

    def end_episodes(self, environments):
        self.ended += environments


def played_by_gymnasium(levels):
    returns = []
    environment = gymnasium.make("CartPole-v1")
    for level in levels:
        observation, _ = environment.reset(seed=level)
        total, ended = 0.0, False
        while not ended:
            observation, reward, terminated, truncated, _ = environment.step(
                int(observation[2] > 0)
            )
            total += reward
            ended = terminated or truncated
        returns.append(total)
    environment.close()
    return returns


def evaluate(num_workers, start, count, policy=None):
    seeds = {"start-seed": start, "num-seeds": count}
    config = tiny_config(evaluation={"num_workers": num_workers, "seeds": seeds})
    evaluator = Evaluator(config, 2)
    try:
        return evaluator.evaluate(policy or Balancing())
    finally:
        evaluator.close()


@pytest.mark.parametrize("num_workers", [1, 3, 7, 20])
def test_each_level_is_played_once_whatever_the_number_of_workers(num_workers):
    expected = played_by_gymnasium(range(40, 47))
    assert len(set(expected)) > 1
    episodes = evaluate(num_workers, 40, 7)
    assert [episode["level"] for episode in episodes] == list(range(40, 47))
    assert [episode["return"] for episode in episodes] == expected
    assert [episode["length"] for episode in episodes] == expected


def test_a_repeated_evaluation_gives_the_same_episodes():
    config = tiny_config(evaluation={"num_workers": 2, "seeds": {"num-seeds": 3}})
    evaluator = Evaluator(config, 2)
    assert evaluator.spaces == Spaces({"vector": ((4,), "float32")}, (2,))
    first, second = (evaluator.evaluate(Balancing()) for _ in range(2))
    evaluator.close()
    assert first == second
    assert [episode["return"] for episode in first] == played_by_gymnasium(range(3))


def test_reported_names_and_numbers_become_statistics():
    environment = {"type": "Gymnasium", "name": scripted.name("Informing"), "processes": 0}
    seeds = {"start-seed": 0, "num-seeds": 3}
    config = tiny_config(environment=environment, evaluation={"num_workers": 2, "seeds": seeds})
    evaluator = Evaluator(config, 2)
    episodes = evaluator.evaluate(Still())
    evaluator.close()
    assert [episode["level"] for episode in episodes] == [0, 1, 2]
    expected = {
        **{"return": 6.0, "length": 3.0, "info.level": 7.0, "info.return": -1.0},
        **{"info.length": 0.0, "(0, 1)": 2.0, "3": 4.0, "depth": -np.inf, "atoms": np.inf},
        **{"a/b/../c": 1e308, "level": 0, "ratio": 0.5},
    }
    assert episodes[0] == expected
    scalars = episode_scalars([{**expected, "ratio": np.nan}, expected, expected], "evaluation")
    assert scalars["evaluation/ratio_mean"] == scalars["evaluation/ratio_max"] == 0.5
    assert scalars["evaluation/a/b/../c_mean"] == pytest.approx(1e308)
    assert not any("depth" in tag or "atoms" in tag for tag in scalars)
    assert np.isfinite(list(scalars.values())).all()


class Still:
    """A policy that always takes the first action."""

    def begin(self, count):
        pass

    def act(self, observations):
        return np.zeros((len(observations["vector"]), 1), np.int64)

    def end_episodes(self, environments):
        pass


@pytest.fixture
def network():
    spaces = Spaces({"vector": ((4,), "float32")}, (3,))
    population = Population(spaces, Config(model=ModelConfig(hidden_layer_size=8)), 1, CPU)
    population.initialise(0, make_generator(0, Stream.INITIALISATION))
    population.member_weights(0)
    return population.each[0]


def policy(network, seed, stochastic=False):
    return Policy(network, CPU, torch.Generator().manual_seed(seed), stochastic)


def test_a_deterministic_policy_takes_the_most_probable_action(network):
    observed = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    logits = network({"vector": torch.tensor(observed)})[0].detach().numpy()
    actions = policy(network, 0).act({"vector": observed})
    assert actions.shape == (50, 1)
    assert actions[:, 0].tolist() == logits.argmax(-1).tolist()
    assert len(set(actions[:, 0].tolist())) > 1


def test_a_stochastic_policy_draws_the_same_actions_from_the_same_seed(network):
    observed = {"vector": np.zeros((200, 4), np.float32)}
    drawn = [
        policy(network, seed, stochastic=True).act(observed)[:, 0].tolist() for seed in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    assert set(drawn[0]) == {0, 1, 2}


def test_drawing_actions_advances_the_generator(network):
    drawing = policy(network, 1, stochastic=True)
    observed = {"vector": np.zeros((200, 4), np.float32)}
    assert drawing.act(observed).tolist() != drawing.act(observed).tolist()
