"""`train.py --check-env` checks environments in a user's package."""

import re

import pytest

from tests.e2e.commands import fail, run, succeed

PACKAGE = '''\
import gymnasium
import numpy as np


class Walk(gymnasium.Env):
    """Walks left or right; ends after ten steps."""

    observation_space = gymnasium.spaces.Box(-10, 10, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.time, self.place = 0, 0.0
        return np.array([self.place], np.float32), {}

    def step(self, action):
        self.time += 1
        self.place += 2 * action - 1
        return np.array([self.place], np.float32), self.reward(), self.time == 10, False, {}

    def reward(self):
        return self.place


class Lucky(Walk):
    def reward(self):
        return np.random.random()


gymnasium.register("Walk-v0", Walk)
gymnasium.register("Lucky-v0", Lucky)
'''


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with configs, and with a package that PYTHONPATH names."""
    (tmp_path / "mine" / "walks").mkdir(parents=True)
    (tmp_path / "mine" / "walks" / "__init__.py").write_text(PACKAGE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "mine"))
    for name in ("Walk", "Lucky", "Run"):
        text = f"environment: {{type: Gymnasium, name: 'walks:{name}-v0'}}\n"
        (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path


def test_a_good_environment_passes_and_nothing_is_written(folder):
    before = sorted(folder.iterdir())
    shown = succeed("train", "--check-env", "--config=Walk.yaml", cwd=folder).splitlines()
    assert shown[0] == "passed: Gymnasium's check_env"
    assert all(line.startswith(("passed: ", "note: ")) for line in shown[:-1])
    assert shown[-1] == "walks:Walk-v0: ready for training"
    assert sorted(folder.iterdir()) == before


def test_a_bad_environment_gives_one_line_with_the_remedy(folder):
    done = run("train", "--check-env", "--config=Lucky.yaml", cwd=folder)
    assert done.returncode == 2 and not done.stderr
    failed = [line for line in done.stdout.splitlines() if line.startswith("failed: ")]
    assert len(failed) == 1
    assert re.search("same episode: .* the reward differs after step 1", failed[0])
    assert "self.np_random" in failed[0]
    assert done.stdout.splitlines()[-1] == "walks:Lucky-v0: 1 to fix"


def test_an_unknown_name_in_the_package_gives_one_line(folder):
    done = run("train", "--check-env", "--config=Run.yaml", cwd=folder)
    assert done.returncode == 2
    assert done.stdout.splitlines()[0].startswith(
        "failed: environment.name: Gymnasium knows no environment walks:Run-v0"
    )


def test_the_rest_of_the_config_is_checked_too(folder):
    (folder / "Walk.yaml").write_text(
        "environment: {type: Gymnasium, name: 'walks:Walk-v0'}\nmodel: {squash_actions: true}\n"
    )
    done = run("train", "--check-env", "--config=Walk.yaml", cwd=folder)
    assert done.returncode == 2
    assert "failed: model.squash_actions: is for continuous actions" in done.stdout


def test_other_types_are_refused_with_one_line(folder):
    (folder / "unity.yaml").write_text("environment: {type: Unity, name: nowhere}\n")
    (line,) = fail("train", "--check-env", "--config=unity.yaml", cwd=folder)
    assert line.startswith("--check-env: is for environments that Gymnasium registers (CartPole, ")
