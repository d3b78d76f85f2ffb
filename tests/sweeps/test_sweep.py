import csv
import multiprocessing
from pathlib import Path

import pytest
import torch

import utils
from commands.terminal.console import make_console
from commands.terminal.progress import PlainDisplay
from environments import cores
from environments.cores import share_cores
from ppo.placement import Placement
from schema.errors import UserError
from sweeps import sweep
from sweeps.execution import worker
from sweeps.journal.runs import RunRecord, RunState
from sweeps.options import SweepOptions
from sweeps.sweep import Sweep, place_jobs
from tests.sweeps.scene import BASE, Display, fail, make_grid, options_for, run
from trainer import Progress

# One update, in the environment backend that the config leaves open.
TINY = BASE.replace("updates: 6", "updates: 1").replace(" backend: gymnasium,", "")


@pytest.fixture
def grid(tmp_path):
    return make_grid(tmp_path, base=TINY)


def run_in_jobs(grid, out, **options):
    with Sweep(grid, options_for(out, **options), overwrite=False) as made:
        made.run(PlainDisplay(make_console(), 1, 1))
        return list(made.records())


def test_a_run_that_fails_does_not_stop_the_others(grid, tmp_path, monkeypatch):
    fail(monkeypatch, 0.95, "out of luck\nsecond line")
    results = run(grid, tmp_path / "out")
    statuses = [result.status for result in results]
    assert statuses == ["finished", "failed: out of luck", "finished"]
    failure = tmp_path / "out" / "summaries" / "a" / "1_0" / "failure.txt"
    assert "RuntimeError: out of luck" in failure.read_text()
    monkeypatch.undo()
    # The same sweep again trains only the failed run.
    before = Path(tmp_path / "out" / results[0].checkpoint).stat().st_mtime_ns
    assert [result.status for result in run(grid, tmp_path / "out")] == ["finished"] * 3
    assert Path(tmp_path / "out" / results[0].checkpoint).stat().st_mtime_ns == before
    assert not failure.exists()


def test_worker_id_and_seed_reach_every_run(grid, tmp_path, monkeypatch):
    seen = []

    class Watching(worker.PPOTrainer):
        def __init__(self, runs, placement):
            seen.append((runs[0].seed, placement.worker_id))
            super().__init__(runs, placement)

    monkeypatch.setattr(worker, "PPOTrainer", Watching)
    run(grid, tmp_path / "out", worker_id=100, seed=7, repetitions=2)
    assert seen == [(7, 100)] * 3 + [(8, 100)] * 3


def test_run_ids_share_a_folder(grid, tmp_path):
    run(grid, tmp_path / "out", run_id="a")
    run(grid, tmp_path / "out", run_id="b/c")
    with (tmp_path / "out" / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["run_id"] for row in rows] == ["a"] * 3 + ["b/c"] * 3
    assert [row["final_return"] for row in rows[:3]] == [row["final_return"] for row in rows[3:]]


def test_another_seed_is_refused_and_loses_nothing(grid, tmp_path):
    out = tmp_path / "out"
    run(grid, out, run_id="a", seed=3, repetitions=2)
    run(grid, out, run_id="b", seed=0)
    files = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises(UserError) as failure:
        run(grid, out, run_id="a", seed=4)
    assert failure.value.lines == [
        f"--seed=4: the results of --run-id=a in {out}/a.sqlite are of --seed=3; "
        "choose another --run-id or --out, or replace them with --overwrite"
    ]
    assert files == {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    # More repetitions with the same seed belong to the same sweep.
    assert len(run(grid, out, run_id="b", seed=0, repetitions=2)) == 6


def test_overwriting_one_session_keeps_the_others(grid, tmp_path):
    out = tmp_path / "out"
    for run_id in ("a", "b"):
        run(grid, out, run_id=run_id, seed=3)
    run(grid, out, overwrite=True, run_id="a", seed=4)
    with (out / "results.csv").open() as file:
        rows = [(row["run_id"], row["seed"]) for row in csv.DictReader(file)]
    assert rows == [("a", "4")] * 3 + [("b", "3")] * 3


def final_returns(results):
    return [(result.name, result.final_return) for result in results]


@pytest.mark.slow
def test_populations_and_jobs_change_no_result(grid, tmp_path):
    alone = run(grid, tmp_path / "alone", repetitions=2)
    together = run(grid, tmp_path / "together", repetitions=2, together=4)
    parallel = run_in_jobs(grid, tmp_path / "parallel", repetitions=2, together=2, jobs=2)
    assert final_returns(alone) == final_returns(together) == final_returns(parallel)
    files = [tmp_path / name / "results.csv" for name in ("alone", "together", "parallel")]
    rows = [
        [
            {key: value for key, value in row.items() if key != "wall_time_seconds"}
            for row in csv.DictReader(file.read_text().splitlines())
        ]
        for file in files
    ]
    assert rows[0] == rows[1] == rows[2]
    for folder in ("together", "parallel"):
        for result in together:
            assert (tmp_path / folder / result.checkpoint).is_file()


def test_a_failure_in_a_population_stops_only_the_run_that_caused_it(grid, tmp_path, monkeypatch):
    fail(monkeypatch, 0.95, "out of luck")
    results = run(grid, tmp_path / "out", together=3)
    statuses = [result.status for result in results]
    assert statuses == ["finished", "failed: out of luck", "finished"]


@pytest.mark.slow
def test_a_process_that_dies_takes_only_its_own_population(grid, tmp_path):
    killed, started = [], []

    class Killing(PlainDisplay):
        def show_start(self, job, names, updates):
            super().show_start(job, names, updates)
            started.extend(names)

        def show_progress(self, job, progress):
            super().show_progress(job, progress)
            if not killed:
                killed.append(multiprocessing.active_children()[0])
                killed[0].kill()
                killed[0].join()

    options = SweepOptions(
        tmp_path, "a", 2, 0, Placement(torch.device("cpu"), 2), together=1, jobs=2
    )
    with Sweep(longer(tmp_path), options, overwrite=False) as made:
        made.run(Killing(make_console(), 6, 1))
        results = list(made.records())
    assert started == ["0_0", "1_0", "2_0", "0_1", "1_1", "2_1"]
    statuses = [result.status for result in results]
    assert statuses.count("finished") == 5
    (died,) = {result.status for result in results} - {"finished"}
    assert died == "failed: the process that trained it died (signal 9)"
    assert not multiprocessing.active_children()


def longer(folder):
    """Return the same grid with more updates, so that no run is over at its first update."""
    return make_grid(folder, base=TINY.replace("updates: 1", "updates: 20"))


def test_jobs_have_ports_devices_and_cores_of_their_own(grid, tmp_path):
    options = SweepOptions(tmp_path, "a", 1, 0, Placement(torch.device("cpu"), 10, True), jobs=3)
    with Sweep(grid, options, overwrite=False) as made:
        placements = place_jobs(options, made.agenda)
        made.agenda.populations = made.agenda.populations[:1]
        alone = place_jobs(options, made.agenda)
    # Two environments for training and four for evaluation.
    assert [place.placement.worker_id for place in placements] == [10, 16, 22]
    assert all(place.placement.low_memory for place in placements)
    assert [list(place.placement.cores) for place in placements] == share_cores(3)
    assert len(alone) == 1


def test_jobs_are_spread_over_gpus_unless_one_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    found = [sweep._device_of(job, torch.device("cuda")) for job in range(3)]
    assert found == [torch.device("cuda:0"), torch.device("cuda:1"), torch.device("cuda:0")]
    assert sweep._device_of(1, torch.device("cuda:0")) == torch.device("cuda:0")
    assert sweep._device_of(1, torch.device("cpu")) == torch.device("cpu")


def test_compiling_needs_a_compiler_on_a_cpu(monkeypatch):
    monkeypatch.setattr(utils.shutil, "which", lambda name: None)
    with pytest.raises(UserError, match="--compile: needs a C"):
        utils.check_compiler(torch.device("cpu"))
    utils.check_compiler(torch.device("cuda"))
    monkeypatch.setattr(utils.shutil, "which", lambda name: "/usr/bin/g++")
    utils.check_compiler(torch.device("cpu"))


@pytest.mark.parametrize(
    ("available", "jobs", "shares"),
    [
        ([0, 1], 2, [[0], [1]]),
        ([0, 1], 1, [[0, 1]]),
        ([3, 5, 6], 2, [[3], [5, 6]]),
        ([4, 7], 3, [[4], [7], [4]]),
    ],
)
def test_jobs_share_all_cores_evenly(monkeypatch, available, jobs, shares):
    monkeypatch.setattr(cores, "core_numbers", lambda: available)
    assert cores.share_cores(jobs) == shares


def test_tensorboard_can_compare_runs_by_their_tuned_values(grid, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import metadata

    found = run(grid, tmp_path / "out")
    folder = tmp_path / "out" / "summaries" / "a" / "1_0"
    events = EventAccumulator(str(folder)).Reload()
    content = events.PluginTagToContent("hparams")
    started = metadata.parse_session_start_info_plugin_data(content["_hparams_/session_start_info"])
    assert started.hparams["gamma"].number_value == 0.95
    experiment = metadata.parse_experiment_plugin_data(content["_hparams_/experiment"])
    assert [parameter.name for parameter in experiment.hparam_infos] == ["gamma"]
    tags = {metric.name.tag for metric in experiment.metric_infos}
    assert "episode/return_mean" in tags and tags >= {"policy/entropy"}
    assert tags <= set(events.Tags()["scalars"])
    assert started.group_name == "a/1"
    record = next(record for record in found if record.name == "1_0")
    assert events.Scalars("run/final_return")[-1].value == pytest.approx(record.final_return)


def test_a_job_that_lost_its_run_to_another_changes_no_result(tmp_path, monkeypatch):
    monkeypatch.setattr("sweeps.execution.recorder._SECONDS_BETWEEN_LOOKS", -1.0)

    def backend(populations, _, observer, stop):
        first, second = ([planned] for [planned] in list(populations)[:2])
        observer.started(1, first)
        observer.progressed(1, Progress(1, 6, 64, 1.0, [3.0]))
        observer.started(0, first)
        observer.ended(0, first, [RunRecord(first[0].run, RunState.FINISHED, steps=384)])
        observer.started(0, second)
        observer.progressed(0, Progress(1, 6, 64, 1.0, [3.0]))

    with Sweep(make_grid(tmp_path), options_for(tmp_path / "out"), False) as sweep:
        sweep.run(Display(), backend=backend)
        first = next(iter(sweep.records()))
    assert (first.state, first.steps, first.curve) == (RunState.FINISHED, 384, ())
