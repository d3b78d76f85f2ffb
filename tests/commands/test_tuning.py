"""The plan that tune.py prints before it trains."""

import pytest
import torch

from commands import tuning
from ppo.placement import Placement
from sweeps.search_space.grid import load_grid
from sweeps.sweep import SweepOptions


@pytest.mark.parametrize(("jobs", "warns"), [(2, False), (3, True), (100, True)])
def test_more_jobs_than_cores_give_a_warning(tmp_path, monkeypatch, capsys, jobs, warns):
    (tmp_path / "base.yaml").write_text("environment: {type: CartPole, name: CartPole-v1}\n")
    (tmp_path / "space.yaml").write_text("hyperparameters: {gamma: [0.9, 0.95, 0.99]}\n")
    grid = load_grid(tmp_path / "base.yaml", tmp_path / "space.yaml")
    monkeypatch.setattr(tuning, "available_cores", lambda: 2)
    device = torch.device("cpu")
    tuning.preview(grid, SweepOptions(tmp_path, "a", 1, 0, Placement(device, 2), jobs=jobs))
    # At most one job starts for each population.
    line = f"warning: --jobs={jobs}: 3 jobs share 2 cores; --jobs=0 is one for each core\n"
    assert capsys.readouterr().err.endswith(line) == warns
