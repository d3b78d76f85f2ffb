"""Rollouts by Numba equal those by torch in the same environments."""

import numpy as np
import pytest
import torch

from buffer import RolloutBuffer
from environments import make_environments
from environments.levels import RandomLevels
from model import Population
from ppo.by_torch.acting import TorchActing
from ppo.by_torch.optimiser import AdamW
from ppo.parts import Parts
from ppo.run.member import Member, Run
from ppo.sampler import Sampler, make_sampler
from tests.examples import CPU, tiny_config

pytest.importorskip("numba")

from ppo.by_numba.rollout_sampler import NumbaSampler

MEMBERS, WORKERS, STEPS = 2, 5, 70
CARTPOLE = {"type": "CartPole", "name": "CartPole-v1", "max_episode_steps": 20}
PENDULUM = {"type": "Gymnasium", "name": "Pendulum-v1", "max_episode_steps": 30}
ACROBOT = {"type": "Gymnasium", "name": "Acrobot-v1", "max_episode_steps": 25}


class Scene:
    """Two members' networks and environments before their first rollout."""

    def __init__(self, environment, uses_numba, model=None, **trainer):
        shape = {"num_workers": WORKERS, "worker_steps": STEPS, "num_mini_batches": 2}
        config = tiny_config(
            environment={"processes": None} | environment,
            model=model or {},
            trainer=shape | trainer,
        )
        config = config.resolved(False)
        seeds = list(range(MEMBERS * WORKERS))
        self.environments = make_environments(
            config.environment, RandomLevels(seeds), len(seeds), 0
        )
        spaces = self.environments.spaces
        self.population = Population(spaces, config, MEMBERS, CPU)
        optimiser = AdamW(self.population.weights, self.population.gradients)
        self.members = [
            Member(Run(config, 3 + number), number, self.population, optimiser)
            for number in range(MEMBERS)
        ]
        random = torch.Generator().manual_seed(0)
        # Larger than the initial weights, so that not all choices are equally likely.
        self.population.weights += 0.3 * torch.randn(
            self.population.weights.shape, generator=random
        )
        if config.model.normalize_observations:
            seen = {
                name: torch.randn(MEMBERS, 9, 7, *shape, generator=random) * 2 + 1
                for name, (shape, _) in spaces.observations.items()
            }
            self.population.stacked.normaliser.update(seen)
        self.buffer = RolloutBuffer(spaces, (MEMBERS, STEPS, WORKERS), CPU, False)
        parts = Parts(self.members, self.population, self.buffer, optimiser)
        self.sampler = (
            make_sampler(parts, self.environments)
            if uses_numba
            else Sampler(parts, self.environments, TorchActing(parts))
        )
        assert isinstance(self.sampler, NumbaSampler) == uses_numba
        self.sampler.observations = self.environments.reset()


@pytest.mark.parametrize(
    ("environment", "model", "trainer"),
    [
        (CARTPOLE, {}, {}),
        (CARTPOLE | {"mask_velocities": True}, {}, {}),
        (CARTPOLE, {"share_parameters": True}, {}),
        (CARTPOLE, {"normalize_observations": True}, {}),
        (CARTPOLE, {}, {"bootstrap_truncated": False}),
        (ACROBOT, {"activation": "relu"}, {}),
        (PENDULUM, {}, {}),
        (PENDULUM, {"squash_actions": True, "normalize_observations": True}, {}),
    ],
)
def test_a_rollout_by_numba_equals_one_by_torch(environment, model, trainer):
    by_numba = Scene(environment, True, model, **trainer)
    by_torch = Scene(environment, False, model, **trainer)
    for update in range(2):
        by_numba.sampler.sample(update)
        by_torch.sampler.sample(update)
        assert (by_numba.buffer.actions[0] != by_numba.buffer.actions[1]).any()
        for name in ("actions", "log_probabilities", "rewards", "ends", "final_values"):
            found, expected = (getattr(each.buffer, name) for each in (by_numba, by_torch))
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
        for part in ("buffer", "sampler"):
            found, expected = (
                torch.as_tensor(getattr(each, part).observations["vector"])
                for each in (by_numba, by_torch)
            )
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(
            by_numba.sampler.values(), by_torch.sampler.values(), rtol=1e-4, atol=1e-4
        )
        bootstraps = trainer.get("bootstrap_truncated", True)
        assert bool(by_numba.buffer.final_values.any()) == bootstraps
    for member, other in zip(by_numba.members, by_torch.members, strict=True):
        assert len(member.episodes) == len(other.episodes) > 0
        for found, expected in zip(member.episodes, other.episodes, strict=True):
            assert found == pytest.approx(expected, rel=1e-4)
        assert member.return_history.final == pytest.approx(other.return_history.final, rel=1e-4)


def test_more_workers_than_a_kernel_computes_at_once(monkeypatch):
    monkeypatch.setattr("ppo.by_numba.network_arrays.MAX_ROWS", 2)
    by_numba = Scene(CARTPOLE, True)
    by_numba.sampler.sample(0)
    monkeypatch.undo()
    by_torch = Scene(CARTPOLE, False)
    by_torch.sampler.sample(0)
    assert torch.equal(by_numba.buffer.actions, by_torch.buffer.actions)
    torch.testing.assert_close(by_numba.buffer.log_probabilities, by_torch.buffer.log_probabilities)


def test_a_member_s_rollout_does_not_depend_on_other_members():
    together, disturbed = Scene(CARTPOLE, True), Scene(CARTPOLE, True)
    disturbed.population.weights[0] *= 2
    for scene in (together, disturbed):
        scene.sampler.sample(0)
    assert not torch.equal(together.buffer.actions[0], disturbed.buffer.actions[0])
    for name in ("actions", "log_probabilities", "rewards"):
        assert torch.equal(getattr(together.buffer, name)[1], getattr(disturbed.buffer, name)[1])
    observed = [scene.buffer.observations["vector"][1].numpy() for scene in (together, disturbed)]
    np.testing.assert_array_equal(*observed)
