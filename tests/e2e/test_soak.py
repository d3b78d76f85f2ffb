"""Memory and open files don't grow during a sweep of many runs.

The variable `SOAK_RUNS` sets the number of runs (500 with `make test-soak`).
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from schema.errors import UserError
from sweeps.journal.journal import Journal
from tests.e2e.chaos import jobs
from tests.e2e.commands import ROOT, TINY

RUNS = int(os.environ.get("SOAK_RUNS", "40"))
MORE_MEMORY = 24  # most MiB of growth from a third to three quarters of the runs


def usage(pid):
    """Return the memory in MiB and the number of open files of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024, len(os.listdir(f"/proc/{pid}/fd"))


def finished(out):
    try:
        journal = Journal(out / "default.sqlite", writable=False)
    except UserError:  # the sweep is just starting
        return 0
    try:
        return journal.counts().get("finished", 0)
    finally:
        journal.close()


def wait_for(child, out, count):
    while child.poll() is None and finished(out) < count:
        time.sleep(0.1)
    assert child.poll() is None, child.communicate()[0]


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_memory_and_open_files_do_not_grow(tmp_path):
    (tmp_path / "base.yaml").write_text(TINY.replace("updates: 4", "updates: 2"))
    gammas = [0.9 + 0.0001 * number for number in range(RUNS)]
    (tmp_path / "space.yaml").write_text(f"hyperparameters: {{gamma: {gammas}}}\n")
    options = ["--config=base.yaml", "--tune=space.yaml", "--out=out"]
    child = subprocess.Popen(
        [sys.executable, str(ROOT / "tune.py"), *options],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    out = tmp_path / "out"
    seen = []
    for count in (RUNS // 3, RUNS * 3 // 4):
        wait_for(child, out, count)
        seen.append([usage(pid) for pid in (child.pid, *jobs(child.pid))])
    printed, _ = child.communicate(timeout=60)
    assert child.returncode == 0, printed
    early, late = seen
    assert len(early) == len(late) == 2
    for (memory_before, files_before), (memory, files) in zip(early, late, strict=True):
        assert memory - memory_before < MORE_MEMORY, seen
        assert files <= files_before + 2, seen
