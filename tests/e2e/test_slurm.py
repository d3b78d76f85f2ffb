"""Sweeps on a real Slurm of one node: time limits, cancelled jobs, and drivers that come and go."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ppo.run.checkpoint import update_of
from tests.e2e.chaos import BASE, Sweep, children, table
from tests.e2e.commands import ROOT, fail, run, succeed, write_hopeless, write_tiny
from tests.e2e.slurm_cluster import missing, running_slurm
from tests.e2e.test_failures import train_faults

pytestmark = [
    pytest.mark.long,
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing()), reason=missing()),
]
SLURM = "--backend=slurm"
# While a sweep crawls, there is time to disturb it; the results are the same.
SLOW = BASE.replace("  backend:", "  kwargs: {pause: 0.02}\n  backend:")
TWICE = "--num-repetitions=2"


@pytest.fixture(scope="module")
def slurm():
    with running_slurm() as started, pytest.MonkeyPatch.context() as patched:
        for name, value in started.environment.items():
            patched.setenv(name, value)
        yield started


@pytest.fixture
def idle(slurm):
    """A Slurm without jobs; no driver outlives the test to submit any."""
    yield slurm
    for child in children(os.getpid()):
        if b"tune.py" in Path(f"/proc/{child}/cmdline").read_bytes():
            os.kill(child, signal.SIGKILL)
    slurm.say("scancel", "--user=root")
    slurm.wait_until_idle()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    sweep = Sweep(tmp_path_factory.mktemp("undisturbed"), "out", "--together=2", "--jobs=2")
    sweep.finish()
    return sweep.table()


def slow_sweep(folder, *options):
    sweep = Sweep(folder, "out", SLURM, *options)
    (folder / "base.yaml").write_text(SLOW)
    return sweep


def wait_for(is_so, child, seconds=300):
    deadline = time.monotonic() + seconds
    while not is_so():
        assert child is None or child.poll() is None, child.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.1)


def wait_for_runs(sweep, child, runs):
    """Wait until as many runs have a checkpoint each."""
    folder = sweep.out / "checkpoints" / "default"
    wait_for(lambda: len({path.parent for path in folder.rglob("*.pt")}) >= runs, child)


def finish(sweep, child):
    sweep.speed_up()
    printed, _ = child.communicate(timeout=300)
    assert child.returncode == 0, printed
    assert "Traceback" not in printed
    assert not (sweep.out / ".slurm").exists()
    return printed


def arrays(slurm):
    """Return the ids of all arrays that Slurm remembers."""
    return set(re.findall(r"ArrayJobId=(\d+)", slurm.say("scontrol", "--oneliner", "show", "job")))


def test_an_array_s_results_are_those_of_this_machine(idle, tmp_path, undisturbed):
    before = arrays(idle)
    sweep = Sweep(tmp_path, "out", SLURM, "--together=1", "--max-jobs=8", TWICE)
    finish(sweep, sweep.start(crawling=False))
    [array] = arrays(idle) - before
    shown = idle.say("scontrol", "--oneliner", "show", "job", array)
    assert sorted(re.findall(r"ArrayTaskId=(\d+)", shown)) == list("01234567")
    assert set(re.findall(r"ArrayTaskThrottle=(\d+)", shown)) == {"8"}
    assert set(re.findall(r"ExitCode=(\S+)", shown)) == {"0:0"}
    local = Sweep(tmp_path, "local", "--together=2", "--jobs=2", TWICE)
    local.finish()
    assert sweep.table() == local.table()
    assert [row for row in sweep.table() if row["repetition"] == "0"] == undisturbed


def test_a_time_limit_that_strikes_twice_costs_nothing(idle, tmp_path, undisturbed):
    limits = "--slurm=time=1,signal=B:USR1@5"
    sweep = slow_sweep(tmp_path, limits, "--together=4", "--max-jobs=1")
    before = arrays(idle)
    child = sweep.start()
    wait_for(idle.queue, child)

    def restarts():
        """Return how often jobs have begun again, by themselves or as another array."""
        new = arrays(idle) - before
        shown = "".join(idle.say("scontrol", "--oneliner", "show", "job", each) for each in new)
        return len(new) - 1 + sum(map(int, re.findall(r"Restarts=(\d+)", shown)))

    wait_for(lambda: restarts() >= 2, child, seconds=400)
    assert "finished" not in (sweep.out / "results.csv").read_text()
    finish(sweep, child)
    assert sweep.table() == undisturbed


def test_runs_of_a_cancelled_job_continue(idle, tmp_path, undisturbed):
    sweep = slow_sweep(tmp_path, "--together=1")
    before = arrays(idle)
    child = sweep.start()
    wait_for_runs(sweep, child, 4)
    idle.say("scancel", next(each for each in idle.queue() if each.endswith("_2")))
    wait_for(lambda: len(arrays(idle) - before) == 2, child)
    finish(sweep, child)
    assert sweep.table() == undisturbed


def test_a_killed_driver_that_comes_back_submits_nothing_twice(idle, tmp_path, undisturbed):
    sweep = slow_sweep(tmp_path, "--together=1")
    before = arrays(idle)
    child = sweep.start()
    wait_for_runs(sweep, child, 2)
    os.kill(child.pid, signal.SIGKILL)
    child.communicate(timeout=60)
    assert len(idle.queue()) == 4
    # As if it had been killed before it knew the job's id.
    next(sweep.out.glob(".slurm/*/*/job")).unlink()
    local = run("tune", *[each for each in sweep.options if each != SLURM], cwd=tmp_path)
    assert local.returncode == 2 and "4 jobs of Slurm train this sweep" in local.stderr
    finish(sweep, sweep.start())
    assert sweep.table() == undisturbed
    assert len(arrays(idle) - before) == 1


def test_a_driver_finds_what_jobs_finished_without_it(idle, tmp_path, undisturbed):
    sweep = slow_sweep(tmp_path, "--together=2")
    before = arrays(idle)
    child = sweep.start()
    wait_for_runs(sweep, child, 2)
    os.killpg(child.pid, signal.SIGINT)
    printed, _ = child.communicate(timeout=60)
    assert child.returncode == 130 and "Traceback" not in printed
    assert "in Slurm's queue go on; the same command follows them again" in printed
    sweep.speed_up()
    idle.wait_until_idle()
    assert "finished" not in (sweep.out / "results.csv").read_text()
    finish(sweep, sweep.start())
    assert sweep.table() == undisturbed
    assert len(arrays(idle) - before) == 1


def test_ctrl_c_in_a_terminal_asks_whether_jobs_go_on(idle, tmp_path, undisturbed):
    sweep = slow_sweep(tmp_path, "--together=1")
    (tmp_path / "crawl").touch()
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, str(ROOT / "tune.py"), *sweep.options],
        cwd=tmp_path,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    wait_for_runs(sweep, None, 4)
    before = updates(sweep)
    os.kill(child.pid, signal.SIGINT)
    printed = read_until(ours, b"[Y/n]")
    assert b"Shall 4 jobs in Slurm's queue go on?" in printed
    os.write(ours, b"n\n")
    assert b"the same command resumes" in read_until(ours, b"resumes")
    assert child.wait(60) == 130
    idle.wait_until_idle()
    after = updates(sweep)
    # Undisturbed, they save after each third update.
    assert any(update % 3 for update in after.values())
    assert all(after[name] >= update for name, update in before.items())
    finish(sweep, sweep.start())
    assert sweep.table() == undisturbed


def updates(sweep):
    """Return the update of each run's last checkpoint."""
    found = {}
    for path in sorted(sweep.out.glob("checkpoints/*/*/*.pt")):
        found[path.parent.name] = update_of(path)
    return found


def read_until(terminal, ending, seconds=60):
    os.set_blocking(terminal, False)
    text, deadline = b"", time.monotonic() + seconds
    while ending not in text:
        assert time.monotonic() < deadline, text
        try:
            text += os.read(terminal, 4096)
        except BlockingIOError:
            time.sleep(0.05)
    return text


def test_overwriting_cancels_the_jobs_first(idle, tmp_path, undisturbed):
    sweep = slow_sweep(tmp_path, "--together=1")
    child = sweep.start()
    wait_for_runs(sweep, child, 1)
    os.kill(child.pid, signal.SIGKILL)
    child.communicate(timeout=60)
    sweep.options.append("--overwrite")
    finish(sweep, sweep.start())
    assert sweep.table() == undisturbed


def test_a_refused_option_is_shown_in_sbatch_s_words(idle, tmp_path):
    options = [*write_tiny(tmp_path), SLURM, "--out=out"]
    for refused, words in (
        (
            "partition=nowhere",
            "invalid partition specified: nowhere; Invalid partition name specified",
        ),
        ("time=long", "Invalid --time specification"),
        ("speed=high", "unrecognized option '--speed=high'"),
    ):
        [line] = fail("tune", *options, f"--slurm={refused}", cwd=tmp_path)
        assert line == f"--slurm: sbatch refuses it: {words}"
    assert not (tmp_path / "out").exists()


def test_a_node_with_other_versions_stops_the_sweep(idle, tmp_path):
    sweep = Sweep(tmp_path, "out", SLURM, "--slurm=hold")
    child = sweep.start(crawling=False)
    wait_for(idle.queue, child)
    [path] = sweep.out.glob(".slurm/*/*/array.json")
    described = json.loads(path.read_text())
    described["versions"]["torch"] = "0.1"
    path.write_text(json.dumps(described))
    idle.say("scontrol", "release", *idle.queue())
    printed, _ = child.communicate(timeout=120)
    assert child.returncode == 1
    assert re.search(
        r"stopped: node \S+: torch is \S+ there and 0.1 here; make them equal", printed
    )


def test_a_node_that_does_not_see_the_folder_stops_the_sweep(idle, tmp_path):
    out = idle.unshared / "out"
    done = run("tune", *write_tiny(tmp_path), SLURM, f"--out={out}", cwd=tmp_path)
    assert done.returncode == 1 and "Traceback" not in done.stdout + done.stderr
    assert f"stopped: a node doesn't see {out}; --out must be a folder that all" in done.stdout


def test_hangs_and_dead_jobs_fail_as_on_this_machine(idle, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    train_faults(tmp_path, SLURM)


def test_pruning_is_as_on_this_machine(idle, tmp_path):
    options = [*write_hopeless(tmp_path), "--prune=halving", TWICE, "--seed=1", "--together=4"]
    printed = succeed("tune", *options, SLURM, "--max-jobs=2", "--out=out", cwd=tmp_path)
    assert "after update 10: 2 of 4 permutations pruned" in printed
    succeed("tune", *options, "--jobs=2", "--out=local", cwd=tmp_path)
    assert table(tmp_path / "out") == table(tmp_path / "local")


def test_a_generated_array_runs_as_it_stands(idle, tmp_path):
    options = [*write_tiny(tmp_path), TWICE, "--out=grid"]
    succeed("tune", *options, "--generate-only", cwd=tmp_path)
    idle.say("sbatch", str(tmp_path / "grid" / "array.sbatch"))
    idle.wait_until_idle()
    found = {path.parent.name for path in (tmp_path / "grid").glob("checkpoints/**/*_000004.pt")}
    assert found == {f"{number}_{repetition}" for number in range(4) for repetition in range(2)}
