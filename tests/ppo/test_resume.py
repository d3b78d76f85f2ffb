import warnings

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ppo.checkpoint import Checkpoint, checkpoint_path, list_checkpoints, load_checkpoint
from ppo.member import Run
from schema.errors import UserError
from tests.examples import CPU, same, tiny_config, train
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
    """A training of six updates, with checkpoints after the third and the sixth."""
    folder = tmp_path_factory.mktemp("whole")
    train(six_updates(), 5, folder)
    return folder / "0" / "checkpoints"


def test_checkpoints_are_written_at_each_interval_and_at_the_end(whole, tmp_path):
    names = [path.name for path in list_checkpoints(whole)]
    assert names == ["update_000003.pt", "update_000006.pt"]
    train(tiny_config(model={"checkpoint_interval": 2}), 5, tmp_path)
    names = [path.name for path in list_checkpoints(tmp_path / "0" / "checkpoints")]
    assert names == ["update_000002.pt", "update_000003.pt"]


def test_a_checkpoint_loads_without_running_code(whole):
    data = torch.load(checkpoint_path(whole, 3), weights_only=True)
    assert data["update"] == 3
    assert data["seed"] == 5
    assert data["config"] == six_updates().as_dict()
    assert load_checkpoint(checkpoint_path(whole, 3)).read_config(whole) == six_updates()


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
def test_a_resumed_training_ends_as_one_in_one_piece(tmp_path, environment):
    if "backend" in environment:
        pytest.importorskip("envpool")
    expected = train(six_updates(environment=environment), 5, tmp_path / "whole")
    middle = checkpoint_path(tmp_path / "whole" / "0" / "checkpoints", 3)
    # How long an environment may take has no part in it.
    environment = environment | {"step_timeout": 7.0}
    found = train(resumed(middle, environment=environment), 5, tmp_path / "resumed")
    assert expected.update == found.update == 6
    assert expected.record["episodes"]
    for part in ("weights", "optimiser", "generators", "environments", "record"):
        assert same(getattr(expected, part), getattr(found, part)), part
    start = load_checkpoint(middle)
    assert not same(start.weights, found.weights)
    resumed_folder = tmp_path / "resumed" / "0" / "checkpoints"
    assert [path.name for path in list_checkpoints(resumed_folder)] == ["update_000006.pt"]


def test_another_seed_goes_on_with_the_weights_but_other_randomness(whole, tmp_path):
    path = checkpoint_path(whole, 3)
    start = load_checkpoint(path)
    with PPOTrainer([Run(resumed(path), 6)], 2, False, CPU) as trainer:
        assert same(trainer._population.member_weights(0), start.weights)
        assert trainer.steps == 3 * 128
        assert trainer.records[0].final is None
    found = train(resumed(path), 6, tmp_path)
    assert not same(found.weights, load_checkpoint(checkpoint_path(whole, 6)).weights)


def written_steps(folder):
    """The steps of each tag, as TensorBoard reads them from the files, and those of the config."""
    # Nothing is left to TensorBoard's own way of dropping points.
    events = EventAccumulator(str(folder), purge_orphaned_data=False).Reload()
    steps = {tag: [point.step for point in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    return steps, [point.step for point in events.Tensors("config")]


class KilledError(Exception):
    """Ends a training in its middle."""


def train_until(config, folder, update):
    def stop(progress):
        if progress.update == update:
            raise KilledError

    run = Run(config, 5, folder / "summaries", folder / "checkpoints")
    with pytest.raises(KilledError), PPOTrainer([run], 2, False, CPU) as trainer:
        trainer.run(stop)


def test_each_step_stands_in_the_summaries_once_however_often_a_training_was_resumed(tmp_path):
    expected = [128 * update for update in range(1, 7)]
    folder = tmp_path / "0"
    middle = checkpoint_path(folder / "checkpoints", 3)
    train_until(six_updates(), folder, 5)
    # A kill leaves the last record in part.
    (events,) = (folder / "summaries").iterdir()
    events.write_bytes(events.read_bytes()[:-7])
    train_until(resumed(middle), folder, 4)
    train(resumed(middle), 5, tmp_path)
    steps, configs = written_steps(folder / "summaries")
    assert steps["loss/policy"] == steps["schedule/beta"] == expected
    assert configs == [0, 385]
    # Also where all was done already, and where an update has other steps now.
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
        PPOTrainer([Run(config, 5, tmp_path / "summaries")], 2, False, CPU)
    assert not list(tmp_path.iterdir())


def test_resume_at_sets_the_update_to_go_on_at(whole):
    config = resumed(checkpoint_path(whole, 3), trainer={"resume_at": 1})
    seen = []
    with PPOTrainer([Run(config, 5)], 2, False, CPU) as trainer:
        trainer.run(seen.append)
    assert [item.update for item in seen] == [2, 3, 4, 5, 6]


def test_a_resumed_training_takes_the_optimiser_s_settings_from_its_config(whole):
    config = resumed(
        checkpoint_path(whole, 3), trainer={"weight_decay": 0.25, "adam_epsilon": 0.125}
    )
    with PPOTrainer([Run(config, 5)], 2, False, CPU) as trainer:
        learner = trainer._learners[0]
        assert (learner._weight_decay.item(), learner._epsilon.item()) == (0.25, 0.125)


@pytest.mark.parametrize(
    ("update", "sections", "words"),
    [
        (6, {}, "nothing is left to train: it goes on at update 6, and trainer.updates is 6"),
        (
            3,
            {"model": {"hidden_layer_size": 8}},
            "is of a network of another shape than model and environment make it",
        ),
        (3, {"environment": {"mask_velocities": True}}, "network of another shape"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_one_line(whole, update, sections, words):
    path = checkpoint_path(whole, update)
    with pytest.raises(UserError) as failure:
        PPOTrainer([Run(resumed(path, **sections), 5)], 2, False, CPU)
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


def test_a_damaged_checkpoint_is_one_line(whole, tmp_path, recwarn):
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
def test_a_file_of_torch_that_is_no_checkpoint_is_one_line(tmp_path, content):
    path = tmp_path / "update_000001.pt"
    torch.save(content, path)
    with pytest.raises(UserError) as failure:
        load_checkpoint(path)
    assert failure.value.lines == [f"{path}: is no checkpoint of this program, or a damaged one"]


class Harmful:
    """What a checkpoint from a stranger could hold."""

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


def test_a_missing_checkpoint_is_one_line(tmp_path):
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


def test_a_checkpoint_of_another_backend_goes_on_with_new_episodes(whole):
    pytest.importorskip("envpool")
    environment = {"processes": None, "backend": "envpool"}
    path = checkpoint_path(whole, 3)
    with PPOTrainer([Run(resumed(path, environment=environment), 5)], 2, False, CPU) as trainer:
        assert not trainer._members[0].same_environments
        weights = trainer._population.member_weights(0)
    assert same(weights, load_checkpoint(path).weights)
