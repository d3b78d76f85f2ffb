"""Environments that can't be trained are refused with a line that names the key and the remedy."""

import sys

import gymnasium
import pytest

from environments import make_environment, probe_spaces
from environments.suites.ids import rightful_type
from schema.environment import EnvironmentConfig
from schema.errors import UserError
from tests.environments import scripted


def lines(type_, name, **keys):
    with pytest.raises(UserError) as caught:
        probe_spaces(EnvironmentConfig(type=type_, name=name, **keys))
    return caught.value.lines


def one_line(type_, name, **keys):
    (line,) = lines(type_, name, **keys)
    return line


@pytest.mark.parametrize(
    ("type_", "name", "hint"),
    [
        ("Minigrid", "MiniGrid-Empty-Random-6x6", "MiniGrid-Empty-Random-6x6-v0"),
        ("Minigrid", "MinGrid-DoorKey-8x8-v0", "MiniGrid-DoorKey-8x8-v0"),
        ("Minigrid", "BabyAI-GoToRedBal-v0", "BabyAI-GoToRedBall-v0"),
        ("CartPole", "CartPol-v1", "CartPole-v1"),
        ("Gymnasium", "Acrobat-v1", "Acrobot-v1"),
        ("Gymnasium", "CartPole", "CartPole-v"),
    ],
)
def test_an_unknown_id_comes_with_the_nearest(type_, name, hint):
    line = one_line(type_, name)
    assert line.startswith(f"environment.name: {type_} knows no environment {name}; did you mean ")
    assert hint in line


@pytest.mark.parametrize("name", ["qqqqqqqqqqqq", "Forager-v0", "Corridor-v0", "Walk-v0"])
def test_an_id_without_a_similar_one_may_be_a_package_s(name):
    assert one_line("Gymnasium", name) == (
        f"environment.name: Gymnasium knows no environment {name}; name an environment of your "
        "own package as package:id"
    )


@pytest.fixture
def forager(tmp_path, monkeypatch):
    """Install a package that registers its environments in a submodule, as many do."""
    folder = tmp_path / "forager"
    folder.mkdir()
    folder.joinpath("__init__.py").write_text(
        "import gymnasium\n"
        "from forager.tasks import Task\n"
        "gymnasium.register('Forager-v0', Task)\n"
        "gymnasium.register('Gatherer-v0', 'forager.tasks:Task')\n"
    )
    folder.joinpath("tasks.py").write_text("class Task: pass\n")
    tmp_path.joinpath("idle.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for module in ("forager", "forager.tasks", "idle"):
        sys.modules.pop(module, None)
    for identifier in ("Forager-v0", "Gatherer-v0"):
        gymnasium.registry.pop(identifier, None)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("forager:Forger-v0", "did you mean forager:Forager-v0?"),
        ("forager.tasks:Gatherer-v1", "did you mean forager.tasks:Gatherer-v0?"),
        ("forager:Nope-v0", "there is forager:Forager-v0, forager:Gatherer-v0"),
        ("idle:Nope-v0", "is it registered (gymnasium.register) when idle is imported?"),
    ],
)
def test_an_unknown_id_of_a_package_comes_with_the_package_s_ids(forager, name, hint):
    expected = f"environment.name: Gymnasium knows no environment {name}; {hint}"
    assert one_line("Gymnasium", name) == expected


def test_a_package_of_many_environments_lists_a_few():
    line = one_line("Gymnasium", scripted.name("Zzzzzzzzzzzzzzzz"))
    assert line.count("tests.environments.scripted:") == 1 + 5
    assert line.endswith(" more")


@pytest.mark.parametrize(
    ("type_", "name", "owner"),
    [
        ("Minigrid", "CartPole-v1", "CartPole"),
        ("Minigrid", "Acrobot-v1", "Gymnasium"),
        ("Gymnasium", "MiniGrid-Empty-5x5-v0", "Minigrid"),
        ("CartPole", "MiniGrid-Empty-5x5-v0", "Minigrid"),
    ],
)
def test_an_id_of_another_suite_names_that_suite(type_, name, owner):
    expected = f"environment.name: {name} isn't of type {type_}; set environment.type to {owner}"
    assert one_line(type_, name).startswith(expected)


def test_cartpole_lists_its_ids():
    assert "CartPole-v0 or CartPole-v1" in one_line("CartPole", "Acrobot-v1")


def test_a_missing_dependency_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "Box2D", None)
    monkeypatch.delitem(sys.modules, "gymnasium.envs.box2d", raising=False)
    monkeypatch.delitem(sys.modules, "gymnasium.envs.box2d.lunar_lander", raising=False)
    monkeypatch.delitem(sys.modules, "gymnasium.envs.box2d.bipedal_walker", raising=False)
    line = one_line("Gymnasium", "LunarLander-v3")
    assert line.startswith("environment.name: LunarLander-v3 can't be created: Box2D is not inst")
    assert 'pip install "gymnasium[box2d]"' in line


def test_a_missing_suite_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "minigrid.core.constants", None)
    monkeypatch.delitem(sys.modules, "environments.suites.minigrid_suite", raising=False)
    with pytest.raises(UserError) as caught:
        make_environment(EnvironmentConfig(type="Minigrid", name="MiniGrid-LavaGapS5-v0"))
    (line,) = caught.value.lines
    assert line.startswith("environment.type: Minigrid needs a package that isn't installed")
    assert "pip install minigrid" in line


def test_a_module_that_cannot_be_imported():
    line = one_line("Gymnasium", "no_such_module:Thing-v0")
    assert line.startswith("environment.name: the module of no_such_module:Thing-v0 can't be imp")
    assert "pip install -e" in line and "PYTHONPATH" in line


def test_a_module_with_a_missing_import_is_not_itself_reported_missing(tmp_path, monkeypatch):
    (tmp_path / "needy.py").write_text("import no_such_module\n")
    monkeypatch.syspath_prepend(tmp_path)
    line = one_line("Gymnasium", "needy:Thing-v0")
    assert line.endswith("can't be imported: No module named 'no_such_module'")


def test_hybrid_actions():
    name = scripted.name("Hybrid")
    assert one_line("Gymnasium", name) == (
        f"environment.name: {name} has a Dict action space; only Discrete, MultiDiscrete of one "
        "dimension and Box can be trained"
    )


@pytest.mark.parametrize(
    ("identifier", "described"),
    [
        ("Matrix", "has a MultiDiscrete action space of 2 dimensions"),
        ("Switches", "has a MultiBinary action space"),
        ("Text", "observes a Text space"),
        ("Reserved", "has an image under the reserved name vector"),
    ],
)
def test_unsupported_spaces(identifier, described):
    name = scripted.name(identifier)
    assert one_line("Gymnasium", name).startswith(f"environment.name: {name} {described}")


def test_every_key_without_its_visual_observation_is_named():
    name = "MiniGrid-Empty-5x5-v0"
    found = lines("Minigrid", name, grayscale=True, resize_vis_obs=[8, 8])
    message = f"{name} has no visual observation, unless visual_observation is true"
    assert found == [
        f"environment.grayscale: {message}",
        f"environment.resize_vis_obs: {message}",
    ]
    assert one_line("CartPole", "CartPole-v1", grayscale=True) == (
        "environment.grayscale: CartPole-v1 has no visual observation"
    )


def test_images_of_other_channels_are_not_turned_gray():
    line = one_line("Gymnasium", scripted.name("FiveChannels"), grayscale=True)
    assert line.startswith("environment.grayscale: ")
    assert "5 channels" in line


def test_a_probe_is_remembered():
    config = EnvironmentConfig(name="MiniGrid-Empty-8x8-v0", processes=3)
    other = config.model_copy(update={"processes": 0})
    assert probe_spaces(config) is probe_spaces(other)


@pytest.mark.parametrize(
    ("type_", "name", "remedy"),
    [
        ("Gymnasium", "ALE/Pong-v5", "environment.type to Atari and environment.name to Pong-v5"),
        ("Gymnasium", "ale_py:ALE/Pong-v5", "Atari and environment.name to Pong-v5"),
        ("Gymnasium", "PongNoFrameskip-v4", "Atari and environment.name to Pong-v5"),
        ("Gymnasium", "MsPacmanDeterministic-v4", "Atari and environment.name to MsPacman-v5"),
        ("Gymnasium", "Breakout-ramNoFrameskip-v4", "Atari and environment.name to Breakout-v5"),
        ("Gymnasium", "Pong-v5", "environment.type to Atari"),
        ("Minigrid", "ALE/Space_Invaders-v5", "Atari and environment.name to SpaceInvaders-v5"),
        ("Gymnasium", "CoinrunEasy-v0", "environment.type to Procgen"),
        ("Gymnasium", "procgen-coinrun-v0", "Procgen and environment.name to CoinrunHard-v0"),
        ("Gymnasium", "procgen:procgen-maze-v0", "Procgen and environment.name to MazeHard-v0"),
        ("Atari", "CoinrunHard-v0", "environment.type to Procgen"),
        ("Atari", "CartPole-v1", "environment.type to CartPole"),
        ("Atari", "LunarLander-v3", "environment.type to Gymnasium"),
        ("Procgen", "MiniGrid-Empty-5x5-v0", "environment.type to Minigrid"),
        ("Procgen", "Pong-v5", "environment.type to Atari"),
    ],
)
def test_an_id_of_another_package_names_type_and_id(type_, name, remedy):
    if type_ in ("Atari", "Procgen"):
        pytest.importorskip("envpool")
    line = one_line(type_, name)
    assert line.startswith(f"environment.name: {name} isn't of type {type_}; set environment.type")
    assert line.endswith(remedy)


@pytest.mark.parametrize(
    ("type_", "name", "right"),
    [
        ("Atari", "ALE/Pong-v5", "Pong-v5"),
        ("Atari", "PongNoFrameskip-v4", "Pong-v5"),
        ("Procgen", "procgen-starpilot-v0", "StarpilotHard-v0"),
    ],
)
def test_an_id_of_the_right_type_is_spelt_right(type_, name, right):
    pytest.importorskip("envpool")
    expected = f"environment.name: {type_} knows no environment {name}; did you mean {right}?"
    assert one_line(type_, name) == expected


def test_every_game_of_envpool_is_recognised():
    registration = pytest.importorskip("envpool.registration")
    types = {"envpool.atari": "Atari", "envpool.procgen": "Procgen"}
    games = [
        (name, types[module])
        for name, (module, *_) in registration.registry.specs.items()
        if module in types
    ]
    assert len(games) > 100
    assert [game for game in games if rightful_type(game[0]) != game[::-1]] == []
