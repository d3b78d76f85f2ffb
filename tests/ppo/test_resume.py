import random
import shutil
import warnings
from contextlib import suppress
from math import log

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from commands.playing import Agent
from environments.envpool.tasks import EnvPoolTask
from environments.interface import Spaces
from ppo.run.checkpoint import (
    Checkpoint,
    checkpoint_path,
    last_intact_checkpoint,
    latest_checkpoint,
    list_checkpoints,
    load_checkpoint,
    prune_checkpoints,
    update_of,
)
from ppo.run.member import Run
from schema.errors import UserError
from sweeps.planning.resume import find_start
from tests.examples import ON_CPU, same, tiny_config, train
from trainer import PPOTrainer


def six_updates(**sections):
    model = {"checkpoint_interval": 3} | sections.pop("model", {})
    trainer = {"updates": 6} | sections.pop("trainer", {})
    return tiny_config(model=model, trainer=trainer, **sections)


def resumed(path, **sections):
    model = {"load_model": True, "model_path": str(path)} | sections.pop("model", {})
    return six_updates(model=model, **sections)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The checkpoints of a training of six updates, after the third and the sixth."""
    folder = tmp_path_factory.mktemp("whole")
    train(six_updates(), 5, folder)
    return folder / "0" / "checkpoints"


def test_checkpoints_are_written_at_each_interval_and_at_the_end(whole, tmp_path):
    names = [path.name for path in list_checkpoints(whole)]
    assert names == ["update_000003.pt", "update_000006.pt"]
    train(tiny_config(model={"checkpoint_interval": 2}), 5, tmp_path)
    names = [path.name for path in list_checkpoints(tmp_path / "0" / "checkpoints")]
    assert names == ["update_000002.pt", "update_000003.pt"]


def test_a_checkpoint_records_the_choice_for_a_null_key(tmp_path):
    for given, found in ((None, False), (True, True), (False, False)):
        config = tiny_config(model={"share_parameters": given}, trainer={"updates": 1})
        checkpoint = train(config, 1, tmp_path / str(given))
        assert checkpoint.read_config(tmp_path).model.share_parameters is found


def test_a_checkpoint_loads_without_running_code(whole):
    data = torch.load(checkpoint_path(whole, 3), weights_only=True)
    assert data["update"] == 3
    assert data["seed"] == 5
    assert data["config"] == six_updates().resolved(False).as_dict()
    assert load_checkpoint(checkpoint_path(whole, 3)).read_config(whole) == six_updates().resolved(
        False
    )


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"last_action_to_obs": True, "obs_stacks": 2},
        {"processes": None, "backend": "envpool"},
        {
            "processes": None,
            "backend": "envpool",
            "type": "Minigrid",
            "name": "MiniGrid-Empty-5x5-v0",
        },
    ],
    ids=["plain", "wrapped", "envpool", "envpool-minigrid"],
)
def test_a_resumed_training_ends_like_an_uninterrupted_one(tmp_path, environment):
    if "backend" in environment:
        pytest.importorskip("envpool")
    expected = train(six_updates(environment=environment), 5, tmp_path / "whole")
    middle = checkpoint_path(tmp_path / "whole" / "0" / "checkpoints", 3)
    # Timeouts may differ from the checkpoint's.
    environment = environment | {"step_timeout": 7.0}
    found = train(resumed(middle, environment=environment), 5, tmp_path / "resumed")
    assert expected.update == found.update == 6
    assert expected.return_history["episodes"]
    for part in ("weights", "optimiser", "generators", "environments", "return_history"):
        assert same(getattr(expected, part), getattr(found, part)), part
    start = load_checkpoint(middle)
    assert not same(start.weights, found.weights)
    resumed_folder = tmp_path / "resumed" / "0" / "checkpoints"
    assert [path.name for path in list_checkpoints(resumed_folder)] == ["update_000006.pt"]


def test_another_seed_resumes_the_weights_with_other_randomness(whole, tmp_path):
    path = checkpoint_path(whole, 3)
    start = load_checkpoint(path)
    with PPOTrainer([Run(resumed(path), 6)], ON_CPU) as trainer:
        assert same(trainer.parts.population.member_weights(0), start.weights)
        assert trainer.steps == 3 * 128
        assert trainer.return_histories[0].final is None
    found = train(resumed(path), 6, tmp_path)
    assert not same(found.weights, load_checkpoint(checkpoint_path(whole, 6)).weights)


def written_steps(folder):
    """Return the steps of each tag in a run's event files, and of the config, in ascending order."""
    # Keep TensorBoard from dropping points itself.
    events = EventAccumulator(str(folder), purge_orphaned_data=False).Reload()
    # Files of the same second are read in the order of their names, the tenth before the ninth.
    steps = {
        tag: sorted(point.step for point in events.Scalars(tag)) for tag in events.Tags()["scalars"]
    }
    return steps, sorted(point.step for point in events.Tensors("config"))


class KilledError(Exception):
    """Raised to kill a training between two updates."""


def train_until(config, folder, update):
    def stop(progress):
        if progress.update == update:
            raise KilledError

    run = Run(config, 5, folder / "summaries", folder / "checkpoints")
    with pytest.raises(KilledError), PPOTrainer([run], ON_CPU) as trainer:
        trainer.run(stop)


def test_each_step_is_logged_once_however_often_a_training_resumes(tmp_path):
    expected = [128 * update for update in range(1, 7)]
    folder = tmp_path / "0"
    middle = checkpoint_path(folder / "checkpoints", 3)
    train_until(six_updates(), folder, 5)
    # A kill may leave an incomplete last record.
    (events,) = (folder / "summaries").iterdir()
    events.write_bytes(events.read_bytes()[:-7])
    train_until(resumed(middle), folder, 4)
    train(resumed(middle), 5, tmp_path)
    steps, configs = written_steps(folder / "summaries")
    assert steps["loss/policy"] == steps["schedule/beta"] == expected
    assert configs == [0, 385]
    # The same holds after a finished training, and with another batch size.
    train(resumed(middle, trainer={"worker_steps": 16}), 5, tmp_path)
    steps, configs = written_steps(folder / "summaries")
    assert steps["loss/policy"] == [128, 256, 320, 384]
    train(
        resumed(checkpoint_path(folder / "checkpoints", 3), trainer={"resume_at": 5}), 5, tmp_path
    )
    steps, _ = written_steps(folder / "summaries")
    assert steps["loss/policy"] == [128, 256, 320, 384, 768]


def test_a_checkpoint_that_does_not_fit_leaves_no_summaries(whole, tmp_path):
    config = resumed(checkpoint_path(whole, 3), model={"hidden_layer_size": 8})
    with pytest.raises(UserError):
        PPOTrainer([Run(config, 5, tmp_path / "summaries")], ON_CPU)
    assert not list(tmp_path.iterdir())


def test_resume_at_sets_the_update_at_which_training_resumes(whole):
    config = resumed(checkpoint_path(whole, 3), trainer={"resume_at": 1})
    seen = []
    with PPOTrainer([Run(config, 5)], ON_CPU) as trainer:
        trainer.run(seen.append)
    assert [item.update for item in seen] == [2, 3, 4, 5, 6]


def test_a_resumed_training_reads_optimiser_settings_from_its_config(whole):
    config = resumed(
        checkpoint_path(whole, 3), trainer={"weight_decay": 0.25, "adam_epsilon": 0.125}
    )
    with PPOTrainer([Run(config, 5)], ON_CPU) as trainer:
        config = trainer.parts.members[0].config
        assert (config.weight_decay, config.adam_epsilon) == (0.25, 0.125)


@pytest.mark.parametrize(
    ("update", "sections", "words"),
    [
        (6, {}, "nothing is left to train: it resumes at update 6, and trainer.updates is 6"),
        (
            3,
            {"model": {"hidden_layer_size": 8}},
            "holds a network of another shape than model and environment define",
        ),
        (3, {"environment": {"mask_velocities": True}}, "network of another shape"),
    ],
)
def test_a_checkpoint_that_does_not_fit_raises_one_line(whole, update, sections, words):
    path = checkpoint_path(whole, update)
    with pytest.raises(UserError) as failure:
        PPOTrainer([Run(resumed(path, **sections), 5)], ON_CPU)
    assert len(failure.value.lines) == 1
    assert failure.value.lines[0].startswith(f"{path}: ")
    assert words in failure.value.lines[0]


def damaged(content):
    middle = len(content) // 2
    yield b""
    yield content[:middle]
    yield content[:-20]
    yield content[:middle] + bytes(byte ^ 255 for byte in content[middle:])
    yield b"no checkpoint at all"
    yield b"trainer:\n  gamma: 0.9\n"
    yield from (bytes([first]) for first in range(256))
    yield from (bytes([0x80, 2, first, 0x2E]) for first in range(256))


def test_a_damaged_checkpoint_raises_one_line(whole, tmp_path, recwarn):
    warnings.simplefilter("always")
    path = tmp_path / "update_000001.pt"
    escaped = {}
    for content in damaged(checkpoint_path(whole, 3).read_bytes()):
        path.write_bytes(content)
        try:
            load_checkpoint(path)
        except UserError as error:
            assert len(error.lines) == 1
            assert error.lines[0].startswith(f"{path}: ")
        except Exception as error:
            escaped.setdefault(type(error).__name__, content[:30])
        else:
            escaped["nothing was raised"] = content[:30]
    assert not escaped
    assert not [str(warning.message) for warning in recwarn]


@pytest.mark.parametrize("content", [{"update": 3}, [1, 2], torch.zeros(2), {"other": 1}, None])
def test_a_torch_file_that_is_no_checkpoint_raises_one_line(tmp_path, content):
    path = tmp_path / "update_000001.pt"
    torch.save(content, path)
    with pytest.raises(UserError) as failure:
        load_checkpoint(path)
    assert failure.value.lines == [f"{path}: is no checkpoint of this program, or a damaged one"]


class Harmful:
    """An object that writes a file when it is unpickled, as an untrusted checkpoint could."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_a_checkpoint_never_runs_code(tmp_path):
    path = tmp_path / "update_000001.pt"
    torch.save({"config": Harmful(tmp_path / "harm")}, path)
    with pytest.raises(UserError):
        load_checkpoint(path)
    assert not (tmp_path / "harm").exists()


def test_checkpoints_below_a_folder_are_sorted_by_run_and_update(tmp_path):
    names = ["2_0/update_000010.pt", "2_10/update_000005.pt", "10_0/update_000005.pt"]
    names = ["2_0/update_000005.pt", *names, "10_0/update_1000000.pt"]
    for name in reversed(names):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "2_0" / ".update_000020.pt.half").touch()
    assert [str(path.relative_to(tmp_path)) for path in list_checkpoints(tmp_path)] == names


def test_the_latest_checkpoint_is_found_for_one_run_only(tmp_path):
    for name in ["a/update_000009.pt", "a/update_000010.pt"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    for folder in (tmp_path, tmp_path / "a"):
        assert latest_checkpoint(folder) == tmp_path / "a" / "update_000010.pt"
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "update_000001.pt").touch()
    with pytest.raises(UserError) as failure:
        latest_checkpoint(tmp_path)
    assert failure.value.lines == [
        f"{tmp_path}: holds checkpoints of 2 runs; name one of them, such as {tmp_path / 'a'}"
    ]


def test_a_missing_checkpoint_raises_one_line(tmp_path):
    with pytest.raises(UserError, match="can't be read"):
        load_checkpoint(tmp_path / "update_000001.pt")
    with pytest.raises(UserError, match="no checkpoint here"):
        list_checkpoints(tmp_path)


def test_an_interrupted_write_leaves_the_earlier_checkpoint(whole, tmp_path, monkeypatch):
    checkpoint = load_checkpoint(checkpoint_path(whole, 3))
    path = checkpoint.save(tmp_path)
    before = path.read_bytes()

    def breaks_off(_data, file):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", breaks_off)
    with pytest.raises(KeyboardInterrupt):
        Checkpoint(**vars(checkpoint)).save(tmp_path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_checkpoint_of_another_backend_resumes_with_new_episodes(whole):
    pytest.importorskip("envpool")
    environment = {"processes": None, "backend": "envpool"}
    path = checkpoint_path(whole, 3)
    with PPOTrainer([Run(resumed(path, environment=environment), 5)], ON_CPU) as trainer:
        assert not trainer.parts.members[0].same_environments
        weights = trainer.parts.population.member_weights(0)
    assert same(weights, load_checkpoint(path).weights)


def test_a_flipped_bit_is_noticed_anywhere(whole, tmp_path):
    content = checkpoint_path(whole, 3).read_bytes()
    expected = load_checkpoint(checkpoint_path(whole, 3))
    path = tmp_path / "update_000001.pt"
    generator = random.Random(0)
    loaded = []
    directory = content.index(b"PK\1\2")
    for place in [*range(0, directory, 97), *range(directory, len(content), 3)]:
        damaged_content = bytearray(content)
        damaged_content[place] ^= 1 << generator.randrange(8)
        path.write_bytes(damaged_content)
        with suppress(UserError):
            assert same(vars(load_checkpoint(path)), vars(expected))
            loaded.append(place)
    assert loaded == []


def without_checksum(content):
    """Return a checkpoint as versions without a checksum wrote it."""
    end = content.rindex(b"sha256:")
    return content[: end - 2] + bytes(2)


def test_a_checkpoint_without_a_checksum_loads_unless_it_is_damaged(whole, tmp_path):
    expected = load_checkpoint(checkpoint_path(whole, 3))
    content = without_checksum(checkpoint_path(whole, 3).read_bytes())
    path = tmp_path / "update_000001.pt"
    path.write_bytes(content)
    assert same(vars(load_checkpoint(path)), vars(expected))
    weights = next(iter(expected.weights.values())).numpy().tobytes()
    path.write_bytes(content.replace(weights[:16], bytes(16)))
    with pytest.raises(UserError, match="a damaged one"):
        load_checkpoint(path)


def kept_after(updates, tmp_path, **model):
    train(
        tiny_config(model={"checkpoint_interval": 1} | model, trainer={"updates": updates}),
        5,
        tmp_path,
    )
    return [update_of(path) for path in list_checkpoints(tmp_path / "0" / "checkpoints")]


def test_the_last_checkpoints_and_the_best_are_kept(tmp_path):
    reached = []
    with PPOTrainer([Run(tiny_config(trainer={"updates": 12}), 5)], ON_CPU) as trainer:
        trainer.run(lambda progress: reached.append(progress.returns[0]))
    best = 1 + max(range(12), key=lambda update: (reached[update] or 0.0, -update))
    assert best < 10, "the best update must not be among the last ones"
    assert kept_after(12, tmp_path / "two") == [best, 11, 12]
    assert kept_after(12, tmp_path / "one", keep_checkpoints=1) == [best, 12]
    assert kept_after(12, tmp_path / "all", keep_checkpoints=None) == list(range(1, 13))


def test_the_last_intact_checkpoint_is_found(whole, tmp_path):
    assert last_intact_checkpoint(tmp_path) is None
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    assert update_of(last_intact_checkpoint(tmp_path)) == 6
    last = checkpoint_path(tmp_path, 6)
    last.write_bytes(last.read_bytes()[:-100])
    assert update_of(last_intact_checkpoint(tmp_path)) == 3


def test_a_checkpoint_that_torch_refuses_gives_way_to_the_one_before(whole, tmp_path):
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    # Intact as an archive, but no checkpoint.
    torch.save({"update": 6}, checkpoint_path(tmp_path, 6))
    start = find_start(tmp_path, six_updates(), 5)
    assert (start.checkpoint, start.update) == (checkpoint_path(tmp_path, 3), 3)
    checkpoint_path(tmp_path, 3).write_bytes(b"damaged")
    assert find_start(tmp_path, six_updates(), 5).notice == "their checkpoints are damaged"


def test_the_last_checkpoint_has_the_greatest_number(whole, tmp_path):
    shutil.copy(checkpoint_path(whole, 3), tmp_path / "update_999999.pt")
    shutil.copy(checkpoint_path(whole, 6), tmp_path / "update_1000000.pt")
    assert last_intact_checkpoint(tmp_path).name == "update_1000000.pt"
    prune_checkpoints(tmp_path, 1, None)
    assert [path.name for path in tmp_path.iterdir()] == ["update_1000000.pt"]


@pytest.mark.parametrize("kind", ["plain", "envpool", "recurrent"])
def test_a_stopped_run_resumes_as_if_it_had_never_stopped(tmp_path, monkeypatch, kind):
    environment, model, trainer = {}, {}, {}
    if kind == "envpool":
        pytest.importorskip("envpool")
        # With so few steps, the training starts new pools.
        monkeypatch.setattr(EnvPoolTask, "steps_of_a_pool", 60)
        environment = {"processes": None, "backend": "envpool"}
        trainer = {"normalize_rewards": True}
    if kind == "recurrent":
        model = {"recurrence": {"hidden_state_size": 8, "hidden_state_init": "sample"}}
    config = six_updates(environment=environment, model=model, trainer=trainer | {"updates": 9})
    expected = train(config, 5, tmp_path / "whole")
    folder = tmp_path / "stopped"
    for stop in (2, 4, 7, 99):
        checkpoints = folder / "checkpoints"
        run = Run(config, 5, folder / "summaries", checkpoints, last_intact_checkpoint(checkpoints))
        with PPOTrainer([run], ON_CPU) as trainer_:
            trainer_.run(lambda p, s=stop, t=trainer_: t.stop() if p.update == s else None)
            assert trainer_.is_finished == (stop == 99)
            assert trainer_.update == min(stop, 9)
    found = load_checkpoint(checkpoint_path(folder / "checkpoints", 9))
    assert same(vars(found), vars(expected))
    if kind == "envpool":
        assert found.environments[0]["episode"] > 0
    steps, _ = written_steps(folder / "summaries")
    assert steps["loss/policy"] == [128 * update for update in range(1, 10)]


def test_a_finished_run_is_restored_with_its_returns(whole):
    path = checkpoint_path(whole, 6)
    with PPOTrainer([Run(six_updates(), 5, interrupted_at=path)], ON_CPU) as trainer:
        trainer.run()
        assert trainer.is_finished
        assert trainer.return_histories[0].state() == load_checkpoint(path).return_history
        assert trainer.diagnostics[0] == load_checkpoint(path).diagnostics
        assert 0 < trainer.diagnostics[0]["policy/entropy"] < log(2)
    steps = [steps for steps, _ in trainer.return_histories[0].curve]
    assert steps == [128 * update for update in range(1, 7)][-len(steps) :]


@pytest.mark.parametrize(
    ("key", "trained", "now"),
    [
        ("activation", "tanh", "relu"),
        ("recurrence", {"residual": True}, {"residual": False}),
        ("recurrence", {"reset_hidden_state": True}, {"reset_hidden_state": False}),
    ],
)
def test_a_network_that_computes_something_else_is_refused(key, trained, now, tmp_path):
    small = {"hidden_state_size": 4} if key == "recurrence" else None
    trained, now = (each if small is None else small | each for each in (trained, now))
    config = tiny_config(model={key: trained}, trainer={"updates": 1})
    train(config, 1, tmp_path)
    path = checkpoint_path(tmp_path / "0" / "checkpoints", 1)
    other = resumed(path, model={key: now})
    with pytest.raises(UserError) as failure:
        PPOTrainer([Run(other, 1)], ON_CPU)
    (line,) = failure.value.lines
    assert line.startswith(f"{path}: was trained with model.{key}")
    with pytest.raises(UserError) as failure:
        Agent("x", other, path).policy(SPACES, torch.device("cpu"), 0, stochastic=False)
    assert failure.value.lines == [line]


SPACES = Spaces({"vector": ((4,), "float32")}, (2,))
