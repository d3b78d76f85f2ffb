"""Tests that sinks log each step once, and that a failing service never stops a run."""

import shutil
from dataclasses import replace
from importlib.util import find_spec

import pytest

from ppo.run.checkpoint import checkpoint_path, load_checkpoint
from ppo.run.member import Run
from ppo.run.summaries import SummaryWriter
from ppo.sinks import parse_sinks, sparing
from ppo.sinks.interface import Log
from ppo.sinks.opening import open_sinks
from schema.errors import UserError
from tests.examples import ON_CPU, same, tiny_config, train
from trainer import PPOTrainer

UPDATES = 4
STEPS = [128 * update for update in range(1, UPDATES + 1)]


@pytest.fixture(autouse=True)
def nothing_failed_before(monkeypatch):
    monkeypatch.setattr(sparing, "failed_services", set())


def config():
    return tiny_config(trainer={"updates": UPDATES}, model={"checkpoint_interval": 2})


def logged_run(folder, *sinks, name="3_0"):
    own = folder / name
    log = Log(sinks, folder, "group", name)
    return Run(config(), 5, own / "summaries", own / "checkpoints", tuned={"gamma": 0.9}, log=log)


def train_logged(*runs, until=UPDATES):
    """Train runs together, and interrupt them after an update."""

    def stop(progress):
        if progress.update == until < UPDATES:
            raise KeyboardInterrupt

    with PPOTrainer(runs, ON_CPU) as trainer:
        try:
            trainer.run(stop)
        except KeyboardInterrupt:
            return


def interrupted(run):
    return replace(run, interrupted_at=checkpoint_path(run.checkpoints, 2))


def test_sinks_are_parsed_from_names_with_commas():
    assert parse_sinks("tensorboard") == parse_sinks("tensorboard,tensorboard ") == ("tensorboard",)


@pytest.mark.parametrize(
    ("text", "hint"),
    [("", ""), ("tensorboard,", ""), ("wand", "; did you mean wandb?"), ("csv", "")],
)
def test_an_unknown_sink_raises_one_line(text, hint):
    with pytest.raises(UserError) as failure:
        parse_sinks(text)
    assert failure.value.lines == [
        f"--log={text}: must be one or several of tensorboard, wandb, mlflow, "
        f"separated by commas{hint}"
    ]


@pytest.mark.parametrize("folder", [False, True])
@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_sink_that_is_not_installed_raises_one_line(name, folder, tmp_path, monkeypatch):
    def find(asked):
        spec = find_spec("tests" if folder else "nothing_of_this_name")
        assert asked == name and getattr(spec, "origin", None) is None
        return spec

    monkeypatch.setattr("ppo.sinks.find_spec", find)
    with pytest.raises(UserError) as failure:
        parse_sinks(name)
    assert failure.value.lines == [
        f"--log={name}: {name} isn't installed (pip install -r requirements-log.txt)"
    ]


def test_tensorboard_is_the_default_and_no_service_is_loaded(tmp_path):
    (sink,) = open_sinks(Log(), tmp_path, None)
    assert isinstance(sink, SummaryWriter)
    sink.close()


@pytest.mark.skipif(find_spec("mlflow") is None, reason="needs mlflow")
@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("episode/a/b_mean", "episode/a/b_mean"),
        ("episode/(0, 1)_mean", "episode/_0_ 1__mean"),
        ("episode/../c_mean", "episode_.._c_mean"),
        ("episode//c_mean", "episode__c_mean"),
        ("x" * 300, "x" * 250),
    ],
)
def test_any_tag_is_a_key_of_mlflow(name, key):
    from mlflow.utils.validation import _validate_metric_name

    from ppo.sinks.mlflow_run import _key

    assert _key(name) == key
    _validate_metric_name(key)


class Broken:
    """A sink that fails in one of its methods, and counts all calls."""

    def __init__(self, method):
        self.method, self.asked = method, 0

    def __getattr__(self, name):
        def answer(*_arguments):
            self.asked += 1
            if name == self.method:
                raise ConnectionError("nobody\nanswers")

        return answer


@pytest.mark.parametrize("method", ["open", "add_config", "add_scalars", "flush", "close"])
def test_a_failing_sink_prints_one_warning_and_training_continues(
    method, tmp_path, monkeypatch, capsys
):
    def open_broken(*_arguments):
        if method == "open":
            raise ConnectionError("nobody\nanswers")
        return Broken(method)

    monkeypatch.setattr("ppo.sinks.opening.open_service", open_broken)
    first, second = (logged_run(tmp_path, "wandb", name=name) for name in ("0_0", "0_1"))
    train_logged(first, replace(second, seed=6))
    expected = train(config(), 5, tmp_path / "alone")
    assert same(load_checkpoint(checkpoint_path(first.checkpoints, 4)).weights, expected.weights)
    assert capsys.readouterr().err == (
        "warning: --log=wandb: nobody; training continues without it\n"
    )


@pytest.fixture(scope="module")
def mlflow_database(tmp_path_factory):
    """An empty database, made once, as that takes MLflow seconds."""
    pytest.importorskip("mlflow", reason="MLflow isn't installed (requirements-log.txt)")
    from ppo.sinks.mlflow_run import MlflowRun

    folder = tmp_path_factory.mktemp("mlflow")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        MlflowRun(Log(("mlflow",), folder, "another group", "0_0"), folder).close()
    return folder / "mlflow.db"


@pytest.fixture
def mlflow_client(tmp_path, monkeypatch, mlflow_database):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copy(mlflow_database, tmp_path)
    from mlflow.tracking import MlflowClient

    return lambda: MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")


def mlflow_runs(client):
    experiment = client.get_experiment_by_name("group")
    return {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}


def mlflow_steps(client, run):
    return [metric.step for metric in client.get_metric_history(run.info.run_id, "loss/policy")]


def test_mlflow_gets_each_run_with_its_config_and_scalars(tmp_path, mlflow_client, capsys):
    runs = [logged_run(tmp_path, "mlflow", name=name) for name in ("0_0", "1_0")]
    train_logged(*runs)
    client = mlflow_client()
    found = mlflow_runs(client)
    assert set(found) == {"0_0", "1_0"}
    for run in found.values():
        assert run.info.status == "FINISHED"
        assert run.data.params["tuned.gamma"] == "0.9"
        assert run.data.params["trainer.updates"] == "4"
        assert run.data.params["trainer.learning_rate_schedule.initial"] == "0.003"
        assert mlflow_steps(client, run) == STEPS
    assert "warning" not in capsys.readouterr().err
    assert not list(tmp_path.rglob("events.out.tfevents.*"))


@pytest.mark.parametrize("until", [2, 3])
def test_a_resumed_mlflow_run_has_each_step_once(until, tmp_path, mlflow_client, capsys):
    run = logged_run(tmp_path, "mlflow")
    train_logged(run, until=3)
    train_logged(interrupted(run), until=until)
    train_logged(interrupted(run))
    client = mlflow_client()
    (found,) = mlflow_runs(client).values()
    assert mlflow_steps(client, found) == STEPS
    assert "warning" not in capsys.readouterr().err


def test_mlflow_accepts_any_name_of_an_environment_s_statistics(tmp_path, mlflow_client):
    from ppo.sinks.mlflow_run import MlflowRun

    sink = MlflowRun(Log(("mlflow",), tmp_path, "group", "0_0"), tmp_path)
    sink.add_scalars({"episode/größe (m)_mean": float("nan"), "loss/policy": 1.0}, 5)
    sink.close(failed=True)
    (run,) = mlflow_runs(mlflow_client()).values()
    assert run.info.status == "FAILED"
    assert set(run.data.metrics) == {"episode/größe _m__mean", "loss/policy"}


@pytest.fixture
def wandb_records(tmp_path, monkeypatch):
    """A function that reads the records of each run that W&B has written."""
    wandb = pytest.importorskip("wandb", reason="W&B isn't installed (requirements-log.txt)")
    monkeypatch.setenv("WANDB_MODE", "offline")
    from wandb.proto.wandb_internal_pb2 import Record
    from wandb.sdk.internal.datastore import DataStore

    def read():
        # W&B's process writes until it stops.
        wandb.teardown()
        found = []
        for path in sorted(tmp_path.glob("wandb/offline-run-*/*.wandb")):
            store, records = DataStore(), []
            store.open_for_scan(str(path))
            while (data := store.scan_data()) is not None:
                record = Record()
                record.ParseFromString(data)
                records.append(record)
            store.close()
            found.append(records)
        return found

    return read


def steps_of(records):
    return [record.history.step.num for record in records if record.HasField("history")]


def described(records):
    (run,) = (record.run for record in records if record.HasField("run"))
    return run.run_group, run.display_name, run.run_id


def test_wandb_gets_each_run_with_its_config_and_scalars(tmp_path, wandb_records, capsys):
    runs = [logged_run(tmp_path, "tensorboard", "wandb", name=name) for name in ("0_0", "1_0")]
    train_logged(*runs)
    found = wandb_records()
    assert {described(records)[:2] for records in found} == {("group", "0_0"), ("group", "1_0")}
    for records in found:
        assert steps_of(records) == STEPS
        items = next(record.history.item for record in records if record.HasField("history"))
        tags = {"/".join(item.nested_key) or item.key for item in items}
        assert {"loss/policy", "time/steps_per_second"} <= tags
        text = "".join(str(record) for record in records)
        assert "tuned" in text and "learning_rate_schedule" in text
    assert "warning" not in capsys.readouterr().err
    assert len(list(tmp_path.rglob("events.out.tfevents.*"))) == 2


def test_a_resumed_wandb_run_keeps_its_id(tmp_path, wandb_records, capsys):
    run = logged_run(tmp_path, "wandb")
    train_logged(run, until=3)
    train_logged(interrupted(run))
    first, second = wandb_records()
    assert described(first) == described(second)
    assert steps_of(second) == STEPS[2:]
    assert "warning" not in capsys.readouterr().err
