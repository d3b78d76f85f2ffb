import pytest

from tests.sweeps.scene import CARTPOLE, make_grid


@pytest.fixture
def load(tmp_path):
    """A function from a tuning config, and perhaps a base config, to the grid they make."""
    return lambda tune, base=CARTPOLE: make_grid(tmp_path, tune, base)
