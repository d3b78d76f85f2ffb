"""Unity environments, with a stand-in that speaks the protocol of real players."""

import os
import subprocess
import sys
import time

import grpc
import numpy as np
import pytest
from mlagents_envs.communicator_objects.unity_message_pb2 import UnityMessageProto
from mlagents_envs.communicator_objects.unity_to_external_pb2_grpc import UnityToExternalProtoStub

from environments import EnvironmentFailure, make_environment, probe
from environments.interface import ACTION_MASK
from environments.levels import ListedLevels
from environments.ports import DefaultWorkerId
from ppo.validation import runnable_problems
from schema.errors import UserError
from tests.e2e.commands import ROOT
from tests.unity_player.build import build_player
from tests.unity_player.recorder import read_records
from tests.unity_player.use import assert_players_end, players_with, running, unity_config


@pytest.fixture
def player(tmp_path):
    return build_player(tmp_path)


@pytest.fixture
def first_worker_id():
    """Return the first of some worker ids that other test sessions are unlikely to use."""
    return 1000 + os.getpid() * 50 % 20_000


@pytest.fixture
def records(tmp_path):
    folder = tmp_path / "records"
    folder.mkdir()
    return folder


def random_actions(environments, generator):
    """Return random actions (E, size), masked ones included."""
    if environments.spaces.branches:
        shape = (len(environments), len(environments.spaces.branches))
        return generator.integers(environments.spaces.branches, size=shape)
    shape = (len(environments), len(environments.spaces.bounds))
    return generator.uniform(-1, 1, shape).astype(np.float32)


def events(records, *kinds):
    """Return the events of these kinds, of all players in the order of their ports."""
    players = read_records(records).values()
    return [[event for event in player if event["event"] in kinds] for player in players]


# Observations and actions


def test_a_scene_of_one_vector_and_discrete_actions(player):
    found = probe(unity_config(player))
    assert found.spaces.observations == {"vector": ((3,), "float32"), ACTION_MASK: ((3,), "uint8")}
    assert found.spaces.branches == (3,) and found.seats == 1


def test_several_images_and_vectors_and_branches(player):
    found = probe(unity_config(player, "--scene=senses", "--agents=3"))
    assert found.spaces.observations == {
        "visual": ((36, 40, 3), "uint8"),
        "visual_1": ((38, 36, 1), "uint8"),
        "vector": ((5,), "float32"),
        ACTION_MASK: ((5,), "uint8"),
    }
    assert found.spaces.branches == (3, 2) and found.seats == 3


def test_continuous_actions(player, first_worker_id):
    config = unity_config(player, "--scene=reach")
    with running(config, 1, first_worker_id) as environments:
        assert environments.spaces.bounds == ((-1.0, 1.0),) * 2
        cue = environments.reset()["vector"].copy()
        assert environments.step(cue).rewards.tolist() == [1.0]


def test_hybrid_actions_are_one_clear_line(player):
    with pytest.raises(UserError) as caught:
        probe(unity_config(player, "--scene=hybrid"))
    (line,) = caught.value.lines
    assert line.startswith("environment.name: ") and "2 continuous and 1 discrete" in line


@pytest.mark.parametrize("name", ["Copy?team=0", "Copy"])
def test_one_of_several_behaviours_is_chosen(player, name):
    config = unity_config(player, "--scene=crowd", unity={"behavior": name})
    assert probe(config).spaces.branches == (3,)


@pytest.mark.parametrize("name", [None, "Cop"])
def test_several_behaviours_are_listed_where_none_is_chosen(player, name):
    with pytest.raises(UserError) as caught:
        probe(unity_config(player, "--scene=crowd", unity={"behavior": name}))
    (line,) = caught.value.lines
    assert line.startswith("environment.unity.behavior: ") and "Copy?team=0, Other?team=1" in line


@pytest.mark.parametrize(
    ("scene", "agents", "players", "interrupt"),
    [
        ("copy", 1, 2, []),
        ("senses", 2, 2, ["--interrupt"]),
        ("senses", 1, 1, []),
        ("reach", 3, 1, []),
    ],
)
def test_the_trainer_sees_what_the_players_recorded(
    player, records, first_worker_id, scene, agents, players, interrupt
):
    config = unity_config(
        player, f"--scene={scene}", f"--agents={agents}", f"--record={records}", *interrupt
    )
    generator = np.random.default_rng(1)
    with running(config, players * agents, first_worker_id) as environments:
        observations = environments.reset()
        seen = [[("begin", None, at(observations, index))] for index in range(players * agents)]
        for _ in range(20):
            step = environments.step(random_actions(environments, generator))
            finals = dict(step.final_observations)
            assert set(finals) == set(np.flatnonzero(step.truncated))
            assert not (step.terminated if interrupt else step.truncated).any()
            for index, own in enumerate(seen):
                now = at(step.observations, index)
                if step.terminated[index] or step.truncated[index]:
                    own.append(("end", float(step.rewards[index]), finals.get(index)))
                    own.append(("begin", None, now))
                else:
                    own.append(("step", float(step.rewards[index]), now))
    recorded = [
        [event for event in of_player if event["agent"] == agent]
        for of_player in events(records, "begin", "step", "end")
        for agent in range(agents)
    ]
    for own, told in zip(seen, map(begun_by_the_trainer, recorded), strict=True):
        for (kind, reward, observed), event in zip(own, told, strict=True):
            assert event["event"] == kind
            assert reward is None or reward == pytest.approx(event["reward"], abs=1e-6)
            if observed is not None:
                assert_observed(observed, event)


def at(observations, index):
    return {name: array[index].copy() for name, array in observations.items()}


def begun_by_the_trainer(events):
    """Leave out the episodes that were replaced before their first step."""
    following = [event["event"] for event in events[1:]] + ["nothing"]
    return [
        event
        for event, after in zip(events, following, strict=True)
        if (event["event"], after) != ("begin", "begin")
    ]


def assert_observed(observed, event):
    assert observed["vector"].tolist() == [value for each in event["vectors"] for value in each]
    for name, pixels in zip(("visual", "visual_1"), event["pixels"], strict=False):
        flat = observed[name].reshape(-1, observed[name].shape[2])[:2]
        assert flat.tolist() == [pixel if isinstance(pixel, list) else [pixel] for pixel in pixels]
    # No action follows the end of an episode.
    if event["mask"] and event["event"] != "end":
        assert observed[ACTION_MASK].tolist() == [int(not forbidden) for forbidden in event["mask"]]


def test_seats_with_decisions_at_different_times_wait_for_each_other(
    player, records, first_worker_id
):
    config = unity_config(player, "--agents=2", "--lazy=2", "--length=50", f"--record={records}")
    with running(config, 2, first_worker_id) as environments:
        environments.reset()
        steps = [environments.step(np.zeros((2, 1), np.int64)) for _ in range(4)]
    (own,) = events(records, "step")
    rewards = [[event["reward"] for event in own if event["agent"] == agent] for agent in range(2)]
    # The first agent acts three times while the second, which lets two steps pass, acts once.
    assert [step.rewards[1] for step in steps] == rewards[1][:4]
    assert sum(float(step.rewards[0]) for step in steps) == sum(rewards[0])
    assert len(rewards[0]) >= 3 * len(rewards[1]) - 2


def test_a_seat_that_ends_while_others_are_awaited_is_awaited_too(player, first_worker_id):
    config = unity_config(player, "--scene=late", "--agents=2", "--lazy=4", "--length=3")
    with running(config, 2, first_worker_id) as environments:
        environments.reset()
        steps = [environments.step(np.zeros((2, 1), np.int64)) for _ in range(20)]
    assert sum(len(step.episodes) for step in steps) > 4
    assert not any(step.crashes for step in steps)
    assert all(step.observations["vector"].sum(1).tolist() == [1, 1] for step in steps)


def test_the_next_episode_starts_within_the_same_step(player, first_worker_id):
    with running(unity_config(player, "--length=2"), 1, first_worker_id) as environments:
        environments.reset()
        ends = [environments.step(np.zeros((1, 1), np.int64)) for _ in range(6)]
    assert [bool(step.terminated[0]) for step in ends] == [False, True] * 3
    assert [episode["length"] for step in ends for _, episode in step.episodes] == [2, 2, 2]


def test_skipped_frames_are_summed_and_stop_at_an_end(player, first_worker_id):
    config = unity_config(player, "--scene=reach", "--length=5", frame_skip=3)
    with running(config, 1, first_worker_id) as environments:
        environments.reset()
        first = environments.step(np.zeros((1, 2), np.float32))
        second = environments.step(np.zeros((1, 2), np.float32))
    assert not first.terminated[0] and second.terminated[0]
    (_, episode) = second.episodes[0]
    assert episode["length"] == 2
    assert episode["return"] == pytest.approx(float(first.rewards[0] + second.rewards[0]))
    assert 1.5 < float(first.rewards[0]) < 3 and float(second.rewards[0]) < 2


def test_wrappers_apply_to_every_seat(player, first_worker_id):
    config = unity_config(
        player, "--agents=2", obs_stacks=2, last_action_to_obs=True, last_reward_to_obs=True
    )
    with running(config, 2, first_worker_id) as environments:
        first = environments.reset()["vector"].copy()
        step = environments.step(np.array([[1], [2]]))
        after = step.observations["vector"]
    assert first.shape == (2, 3 + 3 + 3 + 1)
    assert (after[:, :3] == first[:, 3:6]).all()
    assert after[:, 6:9].tolist() == [[0, 1, 0], [0, 0, 1]]
    assert (after[:, 9] == step.rewards).all()


# Messages to players


def test_parameters_and_levels_are_sent_before_each_episode(player, records, first_worker_id):
    config = unity_config(
        player, f"--record={records}", reset_params={"length": 2, "start-seed": 7, "num-seeds": 1}
    )
    with running(config, 1, first_worker_id) as environments:
        environments.reset()
        for _ in range(4):
            environments.step(np.zeros((1, 1), np.int64))
    (told,) = events(records, "told")
    # For the probe, for the first episode, and after each of two ends.
    assert [event["parameters"] for event in told] == [{"length": 2.0, "seed": 7.0}] * 4


def test_each_episode_plays_its_level(player, records, first_worker_id):
    config = unity_config(player, f"--record={records}", "--length=1")
    with running(config, 2, first_worker_id, ListedLevels([5, 6, 7, 8], 2)) as environments:
        environments.reset()
        environments.step(np.zeros((2, 1), np.int64))
    seeds = [[event["parameters"]["seed"] for event in own] for own in events(records, "told")]
    assert seeds == [[5, 5, 7], [6, 6, 8]]


def test_the_engine_is_fast_and_draws_nothing_in_training(player, records, first_worker_id):
    unity = {"time_scale": 3.0, "screen_size": [64, 48], "quality_level": 2}
    with running(unity_config(player, f"--record={records}", unity=unity), 1, first_worker_id):
        pass
    ((start, told),) = events(records, "start", "told")
    assert "-nographics" in start["arguments"]
    assert told["engine"]["time_scale"] == [3.0]
    assert told["engine"]["screen_size"] == [64, 48]
    assert told["engine"]["quality_level"] == [2]


def test_the_engine_runs_in_real_time_and_draws_when_shown(player, records, first_worker_id):
    config = unity_config(player, "--scene=senses", "--interrupt", f"--record={records}")
    environment = make_environment(config, first_worker_id, "rgb_array")
    try:
        observation, _ = environment.reset(seed=3)
        assert (environment.render() == observation["visual"]).all()
        for _ in range(8):
            observation, _, terminated, truncated, _ = environment.step(np.zeros(2, np.int64))
        assert truncated and not terminated
        assert (environment.render() == observation["visual"]).all()
    finally:
        environment.close()
    ((start, told, *_),) = events(records, "start", "told")
    assert "-nographics" not in start["arguments"]
    assert told["engine"]["time_scale"] == [1.0]


def test_a_scene_without_images_makes_no_video(player):
    with pytest.raises(UserError, match="no visual observation to make a video of"):
        make_environment(unity_config(player), 41_000, "rgb_array")
    assert_players_end(player.parent)


def test_a_restored_episode_starts_again(player, first_worker_id):
    with running(unity_config(player, "--length=3"), 2, first_worker_id) as environments:
        environments.reset()
        for _ in range(4):
            step = environments.step(np.zeros((2, 1), np.int64))
        states = environments.states()
        begun = step.observations["vector"].copy()
        again = environments.restore(states)["vector"].copy()
    assert [(state.episode, state.resume_data.shape) for state in states] == [(1, (0, 1))] * 2
    with running(unity_config(player, "--length=3"), 2, first_worker_id) as environments:
        assert (environments.restore(states)["vector"] == again).all()
    assert begun.shape == again.shape


# Obstacle Tower


def test_the_tower_has_fewer_actions_and_keys_and_time_as_vector(player, first_worker_id):
    config = unity_config(
        player, "--scene=tower", type_="ObstacleTower", reset_params={"starting-floor": 3}
    )
    with running(config, 1, first_worker_id) as environments:
        assert environments.spaces.branches == (2, 3, 2)
        assert environments.spaces.observations == {
            "visual": ((42, 42, 3), "uint8"),
            "vector": ((7,), "float32"),
        }
        vector = environments.reset()["vector"][0]
        assert vector.tolist() == [0, 0, 1, 0, 0, 0, 3]
        step = environments.step(np.zeros((1, 3), np.int64))
        assert step.observations["vector"][0, 6] == np.float32(2.999)


def follow(observations):
    """Return the actions that the colours of the tower's picture ask for."""
    red, green, blue = observations["visual"][0, 0, 0].tolist()
    return np.array([[red // 200, green // 100, blue // 200]])


def test_the_floor_reached_is_reported(player, first_worker_id):
    config = unity_config(
        player, "--scene=tower", type_="ObstacleTower", reset_params={"starting-floor": 3}
    )
    with running(config, 1, first_worker_id) as environments:
        observations = environments.reset()
        for _ in range(8):
            step = environments.step(follow(observations))
            observations = step.observations
    (_, episode) = step.episodes[0]
    assert episode == {"floor": 3 + 4, "return": 8, "length": 8}


def test_the_tower_gets_its_parameters(player, records, first_worker_id):
    config = unity_config(
        player,
        "--scene=tower",
        f"--record={records}",
        type_="ObstacleTower",
        reset_params={"tower-seed": 12, "visual-theme": 0},
    )
    with running(config, 1, first_worker_id):
        pass
    ((start, told),) = events(records, "start", "told")
    assert "-nographics" not in start["arguments"]
    parameters = told["parameters"]
    assert parameters["tower-seed"] == 12 and parameters["visual-theme"] == 0
    assert parameters["total-floors"] == 100 and len(parameters) == 11


def test_all_actions_of_the_tower(player):
    config = unity_config(player, "--scene=tower", type_="ObstacleTower", full_actions=True)
    assert probe(config).spaces.branches == (3, 3, 2, 3)


def test_another_scene_is_no_tower(player):
    with pytest.raises(UserError, match="no Obstacle Tower"):
        probe(unity_config(player, type_="ObstacleTower"))


# Ports


def test_players_count_up_from_the_worker_id(player, records, first_worker_id):
    with running(unity_config(player, f"--record={records}"), 3, first_worker_id):
        pass
    first = 5005 + first_worker_id
    assert list(read_records(records)) == [first, first + 1, first + 2]


def test_a_port_in_use_is_one_line_with_the_port_and_the_worker_id(player, first_worker_id):
    config = unity_config(player)
    with running(config, 2, first_worker_id):
        with pytest.raises(UserError) as caught, running(config, 2, first_worker_id - 1):
            pass
        (line,) = caught.value.lines
        assert f"port {5005 + first_worker_id} of worker id {first_worker_id} is in use" in line
        assert len(players_with(player.parent)) == 2
    assert_players_end(player.parent)


def test_ports_in_use_are_skipped_if_the_user_chose_none(player, records, first_worker_id):
    config = unity_config(player, f"--record={records}")
    worker_id = DefaultWorkerId(first_worker_id)
    with running(config, 2, worker_id) as one, running(config, 2, worker_id) as other:
        one.reset(), other.reset()
        assert len(players_with(player.parent)) == 4
    assert len(set(read_records(records))) == 4


def test_a_port_is_free_again_at_once(player, first_worker_id):
    for _ in range(3):
        with running(unity_config(player), 1, first_worker_id) as environments:
            environments.reset()


def test_worker_ids_end_with_the_ports(player):
    with pytest.raises(UserError, match="the greatest worker id is 60530"):
        make_environment(unity_config(player), 60_531)


# Players that fail


def test_messages_of_other_players_are_refused(player, first_worker_id):
    with running(unity_config(player), 1, first_worker_id) as environments:
        environments.reset()
        with grpc.insecure_channel(f"127.0.0.1:{5005 + first_worker_id}") as channel:
            foreign = UnityToExternalProtoStub(channel)
            for message in (UnityMessageProto(), introduction()):
                with pytest.raises(grpc.RpcError, match="another player is served here"):
                    foreign.Exchange(message, timeout=5)
        steps = [environments.step(np.zeros((1, 1), np.int64)) for _ in range(3)]
    assert not any(step.crashes for step in steps)


def introduction():
    message = UnityMessageProto()
    message.unity_output.rl_initialization_output.communication_version = "1.5.0"
    return message


def test_a_player_that_dies_is_replaced_and_its_episode_discarded(
    player, tmp_path, records, first_worker_id, caplog
):
    config = unity_config(
        player, "--length=5", f"--fail=die:8:{tmp_path}/died", f"--record={records}"
    )
    with running(config, 1, first_worker_id) as environments:
        environments.reset()
        steps = [environments.step(np.zeros((1, 1), np.int64)) for _ in range(13)]
    assert [number for number, step in enumerate(steps) if step.crashes] == [7]
    crashed = steps[7]
    assert crashed.crashes == [
        (0, f"the player on port {5005 + first_worker_id} died (exit code 3)")
    ]
    assert crashed.truncated[0] and crashed.rewards[0] == 0 and not crashed.episodes
    assert (crashed.final_observations[0][1]["vector"]).shape == (3,)
    ends = [number for number, step in enumerate(steps) if step.episodes]
    assert ends == [4, 12]
    assert "starting another player" in caplog.text
    (told,) = events(records, "told")
    seeds = [event["parameters"]["seed"] for event in told]
    # The probe and the first episode, the second one; the new player gets the same level again.
    assert seeds[2:5] == [seeds[2]] * 3


@pytest.mark.parametrize(
    ("way", "reason"), [("hang", "gave no answer for 2 s"), ("quit", "Communicator has exited")]
)
def test_players_that_hang_or_quit_are_replaced(player, tmp_path, first_worker_id, way, reason):
    config = unity_config(player, f"--fail={way}:3:{tmp_path}/failed", unity={"step_timeout": 2.0})
    with running(config, 2, first_worker_id) as environments:
        environments.reset()
        steps = [environments.step(np.zeros((2, 1), np.int64)) for _ in range(4)]
    ((_, told),) = [crash for step in steps for crash in step.crashes]
    assert reason in told or "died (exit code 0)" in told
    assert_players_end(player.parent)


def test_players_that_fail_repeatedly_end_the_training(player, first_worker_id):
    config = unity_config(player, "--fail=die:2")
    with running(config, 1, first_worker_id) as environments:
        environments.reset()
        with pytest.raises(EnvironmentFailure, match="4 failed in a row before an episode ended"):
            for _ in range(20):
                environments.step(np.zeros((1, 1), np.int64))
    assert_players_end(player.parent)


def test_a_slow_player_is_awaited(player, first_worker_id):
    config = unity_config(player, "--fail=slow:0.3", unity={"step_timeout": 10.0})
    with running(config, 1, first_worker_id) as environments:
        environments.reset()
        assert not environments.step(np.zeros((1, 1), np.int64)).crashes


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--fail=deaf"], "gave no answer for 0.6 s"),
        (["--fail=mute"], "gave no answer for 0.6 s"),
        (["--unknown"], "died (exit code 2)"),
        (["--version=2.0.0"], "speaks version 2.0.0 of the protocol"),
        (["--version=0.15.0"], "speaks version 0.15.0 of the protocol"),
        (["--version=1"], "speaks version 1 of the protocol"),
    ],
)
def test_a_player_that_cannot_be_reached_is_one_line(player, arguments, told):
    patience = 0.6 if "no answer" in told else 20.0
    config = unity_config(player, *arguments, unity={"launch_timeout": patience})
    with pytest.raises((UserError, EnvironmentFailure)) as caught:
        probe(config)
    assert told in str(caught.value) and "\n" not in str(caught.value)
    assert_players_end(player.parent)


def test_a_path_that_is_no_player_is_one_line(tmp_path):
    with pytest.raises(UserError, match="no player at nowhere"):
        probe(unity_config("nowhere"))
    path = tmp_path / "text.x86_64"
    path.write_text("no program")
    with pytest.raises(UserError, match="can't be started"):
        probe(unity_config(path))
    path.chmod(0o755)
    with pytest.raises(UserError, match="can't be started"):
        probe(unity_config(path))


def test_a_scene_that_gains_agents_is_refused(player, first_worker_id):
    with (
        running(
            unity_config(player, "--scene=growing", "--agents=2"), 2, first_worker_id
        ) as growing,
        pytest.raises(EnvironmentFailure, match="than the 2 at its start"),
    ):
        growing.reset()
        growing.step(np.zeros((2, 1), np.int64))


def test_spare_seats_stand_still(player, first_worker_id):
    with running(unity_config(player, "--agents=2"), 3, first_worker_id) as environments:
        environments.reset()
        assert len(players_with(player.parent)) == 2
        assert environments.step(np.zeros((3, 1), np.int64)).rewards.shape == (3,)


def test_workers_must_be_whole_players(player):
    from schema.config import Config

    environment = unity_config(player, "--agents=3").model_dump(by_alias=True)
    config = Config.model_validate({"environment": environment})
    assert runnable_problems(config) == [
        (("trainer", "num_workers"), "16 isn't a multiple of the 3 agents in a player")
    ]


@pytest.mark.parametrize("arguments", [[], ["--fail=hang:2"]])
def test_no_player_outlives_a_trainer_that_is_killed(player, first_worker_id, arguments):
    script = f"""
import numpy as np
from tests.unity_player.use import running, unity_config
with running(unity_config({str(player)!r}, *{arguments}), 2, {first_worker_id}) as environments:
    environments.reset()
    print("begun", flush=True)
    while True:
        environments.step(np.zeros((2, 1), np.int64))
"""
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as trainer:
        try:
            assert trainer.stdout.readline() == b"begun\n"
            time.sleep(0.3)
            assert len(players_with(player.parent)) == 2
        finally:
            trainer.kill()
    assert_players_end(player.parent)


FORKS = """
import os, subprocess
from concurrent.futures import ThreadPoolExecutor
import environments.unity.connection
import grpc
server = grpc.server(ThreadPoolExecutor(2))
server.add_insecure_port("127.0.0.1:0")
server.start()
quiet = {"stdin": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "preexec_fn": os.setpgrp}
print({subprocess.call(["true"], **quiet) for _ in range(300)})
"""


@pytest.mark.slow
def test_programs_started_beside_players_run():
    # imageio starts ffmpeg like this. With gRPC's fork handlers, one in some hundred aborts.
    done = subprocess.run(
        [sys.executable, "-c", FORKS], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout == "{0}\n", done.stderr
