"""Procgen and Atari, which only EnvPool has, as single environments and in pools."""

import copy
import ctypes

import cv2
import numpy as np
import pytest

from environments import make_environment, make_environments, probe_spaces
from environments.gymnasium.in_process import InProcessEnvironments
from environments.levels import ListedLevels, RandomLevels
from ppo.run.evaluator import Evaluator
from schema.config import Config
from schema.environment import EnvironmentConfig
from schema.errors import UserError
from schema.levels import TrainingSeeds

pytest.importorskip("envpool")

from environments.envpool.vector import EnvPoolEnvironments

MAZE = EnvironmentConfig(type="Procgen", name="MazeEasy-v0")


def has_qt():
    try:
        probe_spaces(MAZE)
    except UserError as error:
        if any("needs the library Qt 5" in line for line in error.lines):
            return False
        raise
    return True


needs_qt = pytest.mark.skipif(not has_qt(), reason="Procgen draws with Qt 5")
PONG = EnvironmentConfig(type="Atari", name="Pong-v5", obs_stacks=1, resize_vis_obs=[84, 60])
PACMAN = EnvironmentConfig(type="Atari", name="MsPacman-v5")  # three lives, rewards of ten and more
RAW = {"frame_skip": 1, "obs_stacks": 1, "grayscale": False, "resize_vis_obs": None}
BOTH = pytest.mark.parametrize(
    "config", [pytest.param(MAZE, marks=needs_qt, id="Procgen"), pytest.param(PONG, id="Atari")]
)


def build(config, seeds, **levels):
    built = make_environments(config, RandomLevels(seeds, **levels), len(seeds), 0)
    assert isinstance(built, EnvPoolEnvironments)
    return built


def record(environments, steps, seed=0):
    generator = np.random.default_rng(seed)
    shape = (len(environments), 1)
    return [
        copy.deepcopy(
            environments.step(generator.integers(environments.spaces.branches, size=shape))
        )
        for _ in range(steps)
    ]


@needs_qt
def test_procgen_spaces():
    found = probe_spaces(MAZE)
    assert found.observations == {"visual": ((64, 64, 3), "uint8")}
    assert found.branches == (15,)


def test_atari_spaces():
    def visual(**keys):
        return probe_spaces(EnvironmentConfig(type="Atari", name="Pong-v5", **keys)).observations

    assert visual() == {"visual": ((84, 84, 4), "uint8")}
    assert visual(**RAW) == {"visual": ((210, 160, 3), "uint8")}
    assert visual(resize_vis_obs=None) == {"visual": ((210, 160, 4), "uint8")}
    assert visual(resize_vis_obs=[84, 60], grayscale=False) == {"visual": ((60, 84, 12), "uint8")}
    assert visual(last_action_to_obs=True)["vector"] == ((6,), "uint8")


@BOTH
def test_a_level_is_always_the_same(config):
    first, second = make_environment(config), make_environment(config)
    second.reset(seed=4)
    frames = []
    for environment in (first, second):
        observation, _ = environment.reset(seed=3)
        frames.append([observation["visual"]])
        for action in [0, 1, 2, 3, 2, 1]:
            observation, *_ = environment.step(np.array([action]))
            frames[-1].append(observation["visual"])
    np.testing.assert_array_equal(*frames)
    assert frames[0][0].dtype == np.uint8


@needs_qt
def test_different_levels_differ():
    environment = make_environment(MAZE)
    starts = [environment.reset(seed=level)[0]["visual"] for level in (3, 4)]
    assert not np.array_equal(*starts)


@needs_qt
def test_training_keeps_to_its_levels():
    seeds = TrainingSeeds.model_validate({"start-seed": 20, "num-seeds": 2})
    config = MAZE.model_copy(update={"reset_params": seeds})
    environments = build(config, list(range(6)), start_seed=20, num_seeds=2)
    single = make_environment(config)
    allowed = [single.reset(seed=level)[0]["visual"] for level in (20, 21)]
    found = [environments.reset()["visual"].copy()]
    for step in record(environments, 520):
        ended = step.terminated | step.truncated
        found.append(step.observations["visual"][ended])
    starts = np.concatenate(found)
    played = [sum(np.array_equal(start, level) for start in starts) for level in allowed]
    assert sum(played) == len(starts) > 6
    assert min(played) > 0


@needs_qt
def test_unlimited_training_starts_with_the_first_level():
    environments = build(MAZE, [1, 2], start_seed=2**31 - 3)
    single = make_environment(MAZE)
    allowed = [single.reset(seed=2**31 - 3 + level)[0]["visual"] for level in range(2)]
    for start in environments.reset()["visual"]:
        assert any(np.array_equal(start, level) for level in allowed)


@needs_qt
def test_procgens_time_limit_truncates_and_its_goals_end():
    environments = build(MAZE, list(range(8)), start_seed=1000)
    before = environments.reset()["visual"].copy()
    seen = set()
    for step in record(environments, 1010):
        finals = dict(step.final_observations)
        assert list(finals) == np.flatnonzero(step.truncated).tolist()
        for index, episode in step.episodes:
            success = bool(step.terminated[index])
            seen.add(success)
            assert episode["success"] == float(success)
            assert episode["return"] == (10 if success else 0)
            assert (episode["length"] == 500) != success
        for index, final in finals.items():
            # The last picture shows the old maze, hardly changed by the last move.
            moved = np.abs(final["visual"].astype(int) - before[index]).mean()
            other = np.abs(step.observations["visual"][index].astype(int) - before[index]).mean()
            assert moved < 2 < other
        before = step.observations["visual"]
    assert seen == {True, False}


@BOTH
def test_an_environment_depends_on_its_seed_alone(config):
    alone, among = build(config, [7]), build(config, [3, 7, 5])
    np.testing.assert_array_equal(alone.reset()["visual"][0], among.reset()["visual"][1])
    generator = np.random.default_rng(0)
    for _ in range(60):
        actions = generator.integers(alone.spaces.branches, size=(3, 1))
        step, other = alone.step(actions[1:2]), among.step(actions)
        np.testing.assert_array_equal(
            step.observations["visual"][0], other.observations["visual"][1]
        )
        assert step.rewards[0] == other.rewards[1]
    assert not np.array_equal(other.observations["visual"][0], other.observations["visual"][1])


@BOTH
def test_a_restored_environment_continues_like_the_original(config):
    original, restored = build(config, [1, 2]), build(config, [1, 2])
    original.reset()
    last = record(original, 120)[-1]
    observations = restored.restore(original.states())
    np.testing.assert_array_equal(observations["visual"], last.observations["visual"])
    for step, other in zip(record(original, 60, 1), record(restored, 60, 1), strict=True):
        np.testing.assert_array_equal(step.observations["visual"], other.observations["visual"])
        np.testing.assert_array_equal(step.rewards, other.rewards)
        assert step.episodes == other.episodes


@BOTH
def test_the_pool_plays_what_a_single_environment_plays(config):
    seed = 11
    levels = RandomLevels([seed], 30, 1)
    keys = {"start_seed": 30, "num_seeds": 1} if config is MAZE else {}
    environments = build(config, [seed], **keys)
    single = make_environment(config)
    level = levels(0, 0) if config is MAZE else levels.stream_seed(0)
    observed, _ = single.reset(seed=level)
    np.testing.assert_array_equal(environments.reset()["visual"][0], observed["visual"])
    generator = np.random.default_rng(0)
    for _ in range(40):
        action = generator.integers(environments.spaces.branches, size=(1, 1))
        step = environments.step(action)
        observed, reward, terminated, truncated, _ = single.step(action[0])
        assert (reward, terminated, truncated) == (
            step.rewards[0],
            step.terminated[0],
            step.truncated[0],
        )
        if terminated or truncated:
            break  # the pool has started the next episode
        np.testing.assert_array_equal(step.observations["visual"][0], observed["visual"])


def test_atari_is_preprocessed_as_the_keys_say():
    def build_raw(**keys):
        return make_environment(PONG.model_copy(update={**RAW, **keys}))

    plain, stacked, gray = build_raw(), build_raw(obs_stacks=2), build_raw(grayscale=True)
    environments = (plain, stacked, gray)
    frame, frames, shades = (env.reset(seed=1)[0]["visual"] for env in environments)
    for action in [2, 2, 3, 0, 3]:
        previous = frame
        frame, frames, shades = (env.step(np.array([action]))[0]["visual"] for env in environments)
        np.testing.assert_array_equal(frames, np.concatenate([previous, frame], axis=2))
        expected = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        assert np.abs(shades[:, :, 0].astype(int) - expected).max() <= 3


@pytest.mark.parametrize("processes", [None, 0], ids=["pool", "single"])
def test_training_sees_lives_and_signs_and_reports_whole_games(processes):
    environments = make_environments(
        PACMAN.model_copy(update={"processes": processes}), RandomLevels([4, 5]), 2, 0
    )
    environments.reset()
    clipped, lives_lost, games = np.zeros(2), np.zeros(2, int), []
    for step in record(environments, 700):
        assert set(np.unique(step.rewards)) <= {-1.0, 0.0, 1.0}
        clipped += step.rewards
        ended = [index for index, _ in step.episodes]
        lives_lost += step.terminated
        for index, episode in step.episodes:
            assert step.terminated[index]
            games.append((lives_lost[index], episode["return"] / clipped[index]))
            assert set(episode) == {"return", "length"}
        lives_lost[ended], clipped[ended] = 0, 0
    environments.close()
    assert len(games) >= 2
    assert all(lives == 3 and ratio >= 10 for lives, ratio in games)


def test_a_lost_life_starts_no_new_game():
    with_lives = build(PACMAN, [4])
    whole = build(PACMAN.for_evaluation(), [4])
    np.testing.assert_array_equal(with_lives.reset()["visual"], whole.reset()["visual"])
    outcomes = list(zip(record(with_lives, 700), record(whole, 700), strict=True))
    for step, other in outcomes:
        np.testing.assert_array_equal(step.observations["visual"], other.observations["visual"])
        np.testing.assert_array_equal(step.rewards, np.sign(other.rewards))
        assert step.episodes == other.episodes
        assert len(other.episodes) == other.terminated[0]
    assert sum(step.terminated[0] for step, _ in outcomes) >= 3
    assert sum(len(step.episodes) for step, _ in outcomes) >= 1


def test_evaluation_plays_whole_games_for_unclipped_rewards():
    config = Config.model_validate(
        {
            "environment": {"type": "Atari", "name": "MsPacman-v5", "processes": 0},
            "evaluation": {"num_workers": 1, "seeds": {"num-seeds": 1}},
        }
    )
    evaluator = Evaluator(config, 0)
    (episode,) = evaluator.evaluate(RandomPolicy())
    evaluator.close()
    assert episode["return"] >= 100
    assert episode["return"] % 10 == 0
    game = make_environment(config.environment)
    game.reset(seed=0)
    policy, rewards, ended, length = RandomPolicy(), 0.0, False, 0
    while not ended:
        _, reward, ended, _, _ = game.step(policy.act(None)[0])
        rewards, length = rewards + reward, length + 1
    assert (episode["return"], episode["length"]) == (rewards, length)


class RandomPolicy:
    """A stand-in for a network's policy, in one game of nine actions."""

    def __init__(self):
        self.generator = np.random.default_rng(0)

    def begin(self, count):
        pass

    def act(self, observations):
        return self.generator.integers(9, size=(1, 1))

    def end_episodes(self, environments):
        pass


def test_sticky_actions_are_part_of_a_level():
    def play(probability):
        game = make_environment(PONG.model_copy(update={"sticky_actions": probability}))
        game.reset(seed=1)
        return np.stack([game.step(np.array([2 + step % 2]))[0]["visual"] for step in range(30)])

    np.testing.assert_array_equal(play(0.5), play(0.5))
    assert not np.array_equal(play(0.5), play(0.0))


@BOTH
def test_listed_levels_are_played_one_by_one(config):
    here = config.model_copy(update={"processes": 0})
    environments = make_environments(here, ListedLevels([5, 6, 7], 2), 2, 0)
    assert isinstance(environments, InProcessEnvironments)
    single = make_environment(config)
    for observed, level in zip(environments.reset()["visual"], (5, 6), strict=True):
        np.testing.assert_array_equal(observed, single.reset(seed=level)[0]["visual"])
    environments.close()


@BOTH
def test_a_picture_can_be_shown(config, monkeypatch):
    environment = make_environment(config, render_mode="rgb_array")
    environment.reset(seed=1)
    frame = environment.render()
    assert frame.dtype == np.uint8
    assert frame.shape == ((512, 512, 3) if config is MAZE else (210, 160, 3))
    assert frame.std() > 0
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    window = make_environment(config, render_mode="human")
    window.reset(seed=1)
    assert window.render() is None
    window.close()


@pytest.mark.parametrize(
    ("type_", "name", "hint"),
    [
        ("Procgen", "CoinrunEasi-v0", "CoinrunEasy-v0"),
        ("Procgen", "Leeper-v0", "Leaper"),
        ("Procgen", "Pong", "-v0"),
        ("Atari", "Pung-v5", "Pong-v5"),
    ],
)
def test_an_unknown_name_comes_with_the_nearest(type_, name, hint):
    with pytest.raises(UserError) as caught:
        probe_spaces(EnvironmentConfig(type=type_, name=name))
    (line,) = caught.value.lines
    assert line.startswith(f"environment.name: {type_} knows no environment {name}; ")
    assert hint in line


def test_a_missing_qt_is_one_line_with_the_remedy(monkeypatch):
    def missing(library):
        raise OSError

    monkeypatch.setattr(ctypes, "CDLL", missing)
    with pytest.raises(UserError) as caught:
        make_environment(MAZE)
    (line,) = caught.value.lines
    assert line.startswith("environment.type: Procgen needs the library Qt 5: ")
    assert "make procgen" in line
    assert "libqt5gui5" in line
