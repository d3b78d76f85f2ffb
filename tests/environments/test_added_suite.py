"""The package and the suite in docs/add_environment.md work as the page says."""

import re
import sys
from pathlib import Path
from typing import Literal

import gymnasium
import numpy as np
import pytest

import environments
from environments import Spaces, make_environment, make_environments, probe_spaces
from environments.building import SUITE_MODULES
from environments.checking.check import check_environment
from environments.levels import ListedLevels
from schema.environment import EnvironmentConfig
from schema.errors import UserError

PAGE = Path(environments.__file__).parents[1] / "docs" / "add_environment.md"
MODULE = "corridor_of_the_documentation"


class ExtendedConfig(EnvironmentConfig):
    type: Literal["Corridor"] = "Corridor"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Install the page's package; return the source of its suite."""
    package, suite = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "my_package.py").write_text(package, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield suite
    sys.modules.pop("my_package", None)
    gymnasium.registry.pop("Corridor-v0", None)


@pytest.fixture
def corridor(package, tmp_path, monkeypatch):
    """Install the page's suite."""
    (tmp_path / f"{MODULE}.py").write_text(package, encoding="utf-8")
    monkeypatch.setitem(SUITE_MODULES, "Corridor", MODULE)
    yield
    sys.modules.pop(MODULE, None)


def test_the_page_s_package_passes_the_check(package):
    config = EnvironmentConfig(type="Gymnasium", name="my_package:Corridor-v0")
    found = check_environment(config)
    assert {finding.verdict for finding in found} == {"passed"}
    assert "episodes have a time limit of 100 steps" in [finding.text for finding in found]


def test_it_can_be_filmed(package):
    config = EnvironmentConfig(type="Gymnasium", name="my_package:Corridor-v0")
    environment = make_environment(config, render_mode="rgb_array")
    goal = int(environment.reset(seed=1)[0]["vector"][0])
    frame = environment.render()
    assert frame.shape == (16, 17 * 16, 3) and frame.dtype == np.uint8
    cells = frame[0, ::16].tolist()
    assert cells[8] == [255, 255, 255] and cells[8 + goal] == [0, 255, 0]
    assert environment.metadata["render_fps"] == 10


def test_it_can_be_trained_in(corridor):
    config = ExtendedConfig(name="Corridor-Short", processes=0, last_action_to_obs=True)
    assert probe_spaces(config) == Spaces({"vector": ((3,), "float32")}, (2,))
    built = make_environments(config, ListedLevels([0, 1, 2, 3], 4), 4, 0)
    goals = built.reset()["vector"][:, 0].copy()
    assert set(goals) <= {-2, 2}
    towards = (goals > 0).astype(np.int64)[:, np.newaxis]
    built.step(towards)
    step = built.step(towards)
    assert step.terminated.all()
    expected = {"return": 1.0, "length": 2.0, "success": 1.0}
    assert step.episodes == [(index, expected) for index in range(4)]


def test_its_names_are_checked(corridor):
    with pytest.raises(UserError, match=r"environment\.name: Corridor-None must be one of"):
        probe_spaces(ExtendedConfig(name="Corridor-None"))
