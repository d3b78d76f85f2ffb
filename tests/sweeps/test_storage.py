"""Where nothing can be written, a sweep stops with one line, and no run counts as failed."""

import errno
import os
import shutil

import pytest

from ppo.run.member import Run
from sweeps import sweep as sweep_module
from sweeps.journal.runs import RunState
from sweeps.sweep import Sweep
from tests.sweeps.scene import Display, fail, make_grid, options_for, run, run_here


@pytest.fixture
def grid(tmp_path):
    return make_grid(tmp_path)


def stopped(grid, out, on_update=lambda sweep, progress: None):
    """Run a sweep, and return why it stopped and the states of its runs."""
    display = Display(on_update)
    with Sweep(grid, options_for(out), overwrite=False) as made:
        display.sweep = made
        made.run(display, backend=run_here)
        return made.stop.reason, [record.state for record in made.records()]


# pytest replaces the hook that keeps TensorBoard's thread from printing the error as well.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_summaries_that_are_deleted_stop_the_sweep(grid, tmp_path):
    out = tmp_path / "out"

    def delete(_sweep, progress):
        if progress.update == 3:
            shutil.rmtree(out / "summaries")

    reason, states = stopped(grid, out, delete)
    assert reason.startswith(f"{out}/summaries/a/0_0/events.out.tfevents.")
    assert reason.endswith(": No such file or directory")
    assert set(states) == {RunState.WAITING}
    assert {record.state for record in run(grid, out)} == {RunState.FINISHED}


def full(path):
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def test_a_full_disk_at_the_table_stops_the_sweep(grid, tmp_path, monkeypatch):
    written = []

    def write_results(path, *_):
        # Neither the table of the start nor the one of the end.
        written.append(path)
        if len(written) == 2:
            raise full(path)

    monkeypatch.setattr(sweep_module, "write_results", write_results)
    reason, states = stopped(grid, tmp_path / "out")
    assert reason == f"{tmp_path}/out/results.csv: No space left on device"
    assert states == [RunState.FINISHED, RunState.WAITING, RunState.WAITING]
    monkeypatch.undo()
    assert {record.state for record in run(grid, tmp_path / "out")} == {RunState.FINISHED}


def test_a_full_disk_at_a_config_stops_the_sweep(grid, tmp_path, monkeypatch):
    def write_config(folder, name, *_):
        if name == "1":
            raise full(folder / "1.yaml")

    monkeypatch.setattr(sweep_module, "write_config", write_config)
    reason, states = stopped(grid, tmp_path / "out")
    assert reason.endswith("1.yaml: No space left on device")
    assert states == [RunState.FINISHED, RunState.WAITING, RunState.WAITING]


def test_a_failure_whose_details_cannot_be_written_is_recorded(grid, tmp_path, monkeypatch):
    def write_failure(*_):
        raise full("failure.txt")

    monkeypatch.setattr(Run, "write_failure", write_failure)
    fail(monkeypatch, 0.95, "out of luck")
    assert [record.status for record in run(grid, tmp_path / "out")] == [
        "finished",
        "failed: out of luck",
        "finished",
    ]
