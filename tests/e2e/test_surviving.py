"""Sweeps resume after any interruption, and reach the same result as without it."""

import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

from tests.e2e.chaos import VICTIMS, Sweep, assert_group_ends, children, jobs, kill_once
from tests.e2e.commands import ROOT, fail, run, succeed, write_tiny

# `make test-chaos` sets this.
KILLS = int(os.environ.get("CHAOS_KILLS", "3"))

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    sweep = Sweep(tmp_path_factory.mktemp("undisturbed"), "out", "--together=2", "--jobs=2")
    sweep.finish()
    return sweep.table()


def assert_no_temporary_files(sweep):
    names = [path.name for path in sweep.out.rglob("*")]
    assert not [
        name for name in names if name.endswith((".lock", "-wal", "-shm")) or name[0] == "."
    ]


@pytest.mark.slow
def test_whatever_is_killed_the_result_is_the_same(tmp_path, undisturbed):
    generator = random.Random(KILLS)
    left, number = KILLS, 0
    while left:
        sweep = Sweep(tmp_path, f"out{number}", "--together=2", "--jobs=2", "--retries=1000")
        for _ in range(min(left, 3)):
            victim = VICTIMS[left % len(VICTIMS)]
            printed = kill_once(sweep, victim, generator)
            assert "Traceback" not in printed, printed
            left -= 1
        sweep.finish()
        assert sweep.table() == undisturbed
        assert_no_temporary_files(sweep)
        number += 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, pytest.param(signal.SIGHUP, marks=pytest.mark.long)]
)
def test_signals_save_checkpoints_and_stop_soon(tmp_path, undisturbed, number):
    sweep = Sweep(tmp_path, "out", "--together=2", "--jobs=2")
    child = sweep.start()
    sweep.wait_for_a_checkpoint(child)
    start = time.monotonic()
    # Terminals send signals to all processes at once, clusters to the driver alone.
    (os.killpg if number != signal.SIGTERM else os.kill)(child.pid, number)
    printed, _ = child.communicate(timeout=30)
    # Ten seconds are enough on an idle machine.
    assert time.monotonic() - start < 20
    assert child.returncode == 128 + number
    assert "Traceback" not in printed
    if number != signal.SIGHUP:
        assert "stopped: interrupted" in printed and "the same command resumes the sweep" in printed
    assert_group_ends(child.pid)
    assert_no_temporary_files(sweep)
    assert "resume from their last checkpoints" in sweep.finish()
    assert sweep.table() == undisturbed


def start_and_freeze_jobs(sweep):
    """Start a sweep and freeze its jobs, so that an interrupt has to wait for them."""
    child = sweep.start()
    sweep.wait_for_a_checkpoint(child)
    for job in jobs(child.pid):
        os.kill(job, signal.SIGSTOP)
    return child


@pytest.mark.slow
def test_the_second_interrupt_stops_at_once(tmp_path):
    sweep = Sweep(tmp_path, "out")
    child = start_and_freeze_jobs(sweep)
    os.kill(child.pid, signal.SIGINT)
    time.sleep(0.5)
    assert child.poll() is None
    os.kill(child.pid, signal.SIGINT)
    printed, _ = child.communicate(timeout=10)
    assert child.returncode == 130
    assert "Traceback" not in printed
    assert_group_ends(child.pid)


@pytest.mark.long
def test_jobs_that_do_not_stop_in_time_are_killed(tmp_path):
    sweep = Sweep(tmp_path, "out")
    child = start_and_freeze_jobs(sweep)
    os.kill(child.pid, signal.SIGTERM)
    printed, _ = child.communicate(timeout=20)
    assert child.returncode == 143, printed
    assert_group_ends(child.pid)
    shown = succeed("tune", *sweep.options, "--status", cwd=tmp_path)
    assert "was trained until" in shown and "failed" not in shown


@pytest.mark.slow
def test_status_and_refusal_while_a_sweep_runs(tmp_path):
    sweep = Sweep(tmp_path, "out", "--together=2")
    child = start_and_freeze_jobs(sweep)
    shown = succeed("tune", "--status", "--out=out", cwd=tmp_path)
    assert "default: 2 running, 2 waiting of 4 runs" in shown
    assert f"by process {child.pid} on" in shown
    (line,) = fail("tune", *sweep.options, cwd=tmp_path)
    assert f"this sweep is being trained by process {child.pid} on" in line
    os.killpg(child.pid, signal.SIGKILL)
    child.communicate()
    assert "which was killed" in succeed("tune", "--status", "--out=out", cwd=tmp_path)
    sweep.finish()
    shown = succeed("tune", "--status", "--out=out", cwd=tmp_path)
    assert "default: 4 finished of 4 runs" in shown and "Permutations by mean return" in shown
    assert fail("tune", "--status", "--out=out", "--run-id=x", cwd=tmp_path) == [
        "out/x.sqlite: no such sweep here"
    ]


@pytest.mark.long
def test_files_that_cannot_grow_stop_the_sweep_with_one_line(tmp_path):
    options = write_tiny(tmp_path)
    (tmp_path / "base.yaml").write_text(
        (tmp_path / "base.yaml")
        .read_text()
        .replace("hidden_layer_size: 16", "hidden_layer_size: 256")
    )
    limited = subprocess.run(
        [sys.executable, "-c", _LIMITED, *options, "--out=out"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert limited.returncode == 1, limited.stderr
    assert "Traceback" not in limited.stderr + limited.stdout
    assert re.search(r"^stopped: out/checkpoints/.*\.pt: File too large$", limited.stdout, re.M)
    assert "failed" not in limited.stdout
    assert not list((tmp_path / "out").rglob(".*"))
    succeed("tune", *options, "--out=out", cwd=tmp_path)


_LIMITED = f"""
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
sys.path.insert(0, {str(ROOT)!r})
runpy.run_path({str(ROOT / "tune.py")!r}, run_name="__main__")
"""


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 24 MiB, if the user may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)]
    if (
        not shutil.which("mount")
        or subprocess.run(mount, capture_output=True, check=False).returncode
    ):
        pytest.skip("only the superuser may mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.slow
def test_a_nearly_full_disk_stops_the_sweep_while_the_last_checkpoints_still_fit(
    tmp_path, small_disk
):
    options = [*write_tiny(tmp_path), f"--out={small_disk}"]
    text = (tmp_path / "base.yaml").read_text()
    text = text.replace("size: 16", "size: 512").replace("updates: 4", "updates: 400")
    (tmp_path / "base.yaml").write_text(text)
    done = run("tune", *options, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "the sweep needs more" in done.stdout and "Traceback" not in done.stderr
    shown = succeed("tune", *options, "--status", cwd=tmp_path)
    assert "failed" not in shown


@pytest.mark.long
def test_a_clock_that_is_set_back_changes_nothing(tmp_path, undisturbed):
    sweep = Sweep(tmp_path, "out", "--together=2")
    child = sweep.start()
    sweep.wait_for_a_checkpoint(child)
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    with sqlite3.connect(sweep.out / "default.sqlite") as journal:
        # The journal's times are in the future, as after the clock was set back.
        journal.execute("UPDATE session SET began = began + 1e6")
        journal.execute("UPDATE run SET began = began + 1e6, ended = ended + 1e6")
    journal.close()
    for path in sweep.out.rglob("*"):
        os.utime(path, (4e9, 4e9))
    sweep.finish()
    assert sweep.table() == undisturbed
    assert "4 finished" in succeed("tune", "--status", "--out=out", cwd=tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("gcc"), reason="compiles a library without working locks")
@pytest.mark.parametrize("call", ["flock", pytest.param("fcntl64", marks=pytest.mark.long)])
def test_a_folder_without_locks_gives_one_line(tmp_path, call):
    source = tmp_path / "locks.c"
    source.write_text(_WITHOUT_LOCKS[call])
    library = tmp_path / "locks.so"
    command = ["gcc", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"]
    subprocess.run(command, check=True)
    options = [*write_tiny(tmp_path), "--out=out"]
    done = run("tune", *options, cwd=tmp_path, more_environment={"LD_PRELOAD": str(library)})
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert "(a network folder?)" in line and "choose an --out on a local disk" in line


_WITHOUT_LOCKS = {
    "flock": """
#include <errno.h>
int flock(int file, int operation) { errno = ENOLCK; return -1; }
""",
    "fcntl64": """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
int fcntl64(int file, int command, ...) {
    static int (*real)(int, int, ...);
    va_list arguments;
    va_start(arguments, command);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    if (command == F_SETLK || command == F_GETLK) { errno = ENOLCK; return -1; }
    if (!real) real = dlsym(RTLD_NEXT, "fcntl64");
    return real(file, command, argument);
}
int fcntl(int file, int command, ...) {
    va_list arguments;
    va_start(arguments, command);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    return fcntl64(file, command, argument);
}
""",
}


def test_processes_are_found():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert child.pid in children(os.getpid())
    child.communicate()
