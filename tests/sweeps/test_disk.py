"""The estimate of the disk that a sweep needs."""

import numpy as np
import pytest
import torch

from environments import Spaces
from environments.building import Probe
from environments.interface import EpisodeState
from model import Population
from ppo.by_torch.optimiser import AdamW
from ppo.run.member import Member, Run
from schema.config import Config
from sweeps.planning import disk
from sweeps.planning.disk import DiskUsage, checkpoint_bytes
from sweeps.sweep import Sweep
from tests.sweeps.scene import make_grid, options_for

VECTOR = Spaces({"vector": ((4,), "float32")}, (2,))
IMAGES = Spaces({"visual": ((84, 84, 3), "uint8")}, (3, 2))


def written_checkpoint(config, spaces):
    """Return the size of a checkpoint with 4,096 actions of each environment."""
    config = config.resolved(spaces.has_images)
    population = Population(spaces, config, 1, torch.device("cpu"))
    optimiser = AdamW(population.weights, population.gradients)
    member = Member(Run(config, 0), 0, population, optimiser)
    state = EpisodeState(0, np.zeros((4096, spaces.action_size), np.uint8))
    workers = config.trainer.num_workers
    return len(member.checkpoint(0, "", workers * [state], {}, {}).content())


@pytest.mark.parametrize("spaces", [VECTOR, IMAGES], ids=["vector", "images"])
@pytest.mark.parametrize("workers", [2, 16])
@pytest.mark.parametrize(
    "model",
    [
        {"hidden_layer_size": 8},
        {"num_hidden_layers": 3, "share_parameters": False},
        {"recurrence": {"layer_type": "lstm"}},
        {"recurrence": {"layer_type": "gru", "hidden_state_size": 24, "embed": True}},
    ],
    ids=["small", "dense", "lstm", "gru"],
)
def test_a_checkpoint_is_as_large_as_estimated(spaces, workers, model, monkeypatch):
    monkeypatch.setattr(disk, "probe", lambda _: Probe(spaces))
    config = Config.model_validate({"model": model, "trainer": {"num_workers": workers}})
    assert checkpoint_bytes(config) == pytest.approx(written_checkpoint(config, spaces), rel=0.1)


def test_a_full_disk_is_a_shortage_and_an_empty_one_is_none(tmp_path, monkeypatch):
    options = options_for(tmp_path / "out", repetitions=2)
    with Sweep(make_grid(tmp_path), options, overwrite=False) as sweep:
        usage = DiskUsage(sweep.agenda, options.out, jobs=1)
    # Six runs of three checkpoints each.
    assert usage.needed > 18 * checkpoint_bytes(make_grid(tmp_path).permutation(0).config)
    monkeypatch.setattr(DiskUsage, "free", 2**30)
    assert usage.shortage() is None
    monkeypatch.setattr(DiskUsage, "free", 2**20)
    assert usage.shortage() == (
        f"only 1 MiB are left on the disk of {options.out}; the sweep needs more"
    )
