"""A member with a random rollout, on which Numba and torch can both learn."""

from dataclasses import replace

import numpy as np
import torch

from buffer import RolloutBuffer
from environments.interface import ACTION_MASK, Spaces
from model import Population
from ppo.by_torch.epochs import TorchEpochs
from ppo.by_torch.optimiser import AdamW
from ppo.parts import Parts
from ppo.run.member import Member, Run
from tests.examples import CPU, tiny_config

STEPS, WORKERS = 60, 5
RATES = {"learning_rate": 0.01, "beta": 0.05, "clip_range": 0.2}
ONE_BRANCH = Spaces({"vector": ((5,), "float32")}, (4,))


class Scene:
    """Two members with random rollouts; only the second member learns.

    Weights are larger than initial ones, and stored log-probabilities differ from the present policy's,
    so that ratios and values are clipped on both sides.
    """

    def __init__(self, spaces=ONE_BRANCH, model=None, **trainer):
        common = {
            "num_workers": WORKERS,
            "worker_steps": STEPS,
            "num_mini_batches": 2,
            "epochs": 2,
            "adam_epsilon": 1e-3,  # keeps rounding of tiny gradients from making large steps
            "max_grad_norm": 10.0,
        }
        config = tiny_config(model=model or {}, trainer=common | trainer).resolved(False)
        self.population = Population(spaces, config, 2, CPU)
        self.distribution = self.population.stacked.distribution
        self.buffer = RolloutBuffer(
            spaces, (2, STEPS, WORKERS), CPU, False, self.distribution.ratios
        )
        self.optimiser = AdamW(self.population.weights, self.population.gradients)
        run = Run(config, 3)
        self.members = [Member(run, number, self.population, self.optimiser) for number in range(2)]
        random = torch.Generator().manual_seed(0)
        self.population.weights += 0.3 * torch.randn(
            self.population.weights.shape, generator=random
        )
        self._observe(spaces, random)
        self._act(random)

    def _observe(self, spaces, random):
        for name, values in self.buffer.observations.items():
            if name == ACTION_MASK:
                values.copy_(torch.randint(2, values.shape, generator=random))
                begins = np.cumsum([0, *spaces.branches[:-1]])
                values[..., begins] = 1
            elif values.dtype == torch.uint8:
                values.copy_(torch.rand(values.shape, generator=random) < 2 / values.shape[-1])
            else:
                values.normal_(generator=random)

    def _act(self, random):
        buffer, network = self.buffer, self.population.each[1]
        parameters, _ = network(buffer.batch_observations(1))
        parameters = parameters.detach().unflatten(0, (STEPS, WORKERS))
        noise = self.distribution.noise((STEPS, WORKERS), random)
        buffer.actions[1] = self.distribution.sample(parameters, noise)
        now = self.distribution.log_probability(parameters, buffer.actions[1])
        for values in (buffer.values, buffer.advantages, buffer.returns):
            values.normal_(generator=random)
        buffer.log_probabilities[..., 1, :, :] = now + 0.3 * torch.randn(
            now.shape, generator=random
        )

    @property
    def parts(self):
        return Parts(self.members, self.population, self.buffer, self.optimiser)

    def by_torch(self, torch_compile=False):
        """Return torch's epochs for the second member."""
        return TorchEpochs(1, replace(self.parts, torch_compile=torch_compile))

    def learn(self, epochs):
        """Return values, weights and first moments after an update, and its logged numbers."""
        features = None
        if self.population.stacked.acts_with_values:
            features = self.population.each[1].act(self.buffer.batch_observations(1)).value_features
            features = features.detach().unflatten(0, (STEPS, WORKERS))
        with torch.no_grad():
            values = epochs.estimate_values(features).clone()
            logged = epochs.learn([RATES])
        state = self.optimiser.state_of(1)
        return values, self.population.weights[1], state["first_moments"], logged
