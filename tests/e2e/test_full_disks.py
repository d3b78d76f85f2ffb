"""Commands whose output can't be written end with one line, and leave nothing half-written."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.commands import ROOT, fail, run, succeed, write_tiny

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="mounts small disks")


@pytest.fixture
def mount(tmp_path):
    """A function that mounts a small file system with options, if the user may mount one."""
    mounted = []

    def make(options):
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        if (
            not shutil.which("mount")
            or subprocess.run(command, capture_output=True, check=False).returncode
        ):
            pytest.skip("only the superuser may mount a small disk")
        mounted.append(folder)
        return folder

    yield make
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(disk):
    """Fill a disk to the last byte."""
    with (disk / "full").open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            return


def left(disk):
    """Return the names of all files on a disk that are empty or temporary, except SQLite's own."""
    files = [path for path in disk.rglob("*") if path.is_file() and ".sqlite" not in path.name]
    return [path.name for path in files if not path.stat().st_size or path.name[0] == "."]


@pytest.mark.parametrize("part", ["summaries", "checkpoints"])
def test_a_training_on_a_full_disk(tmp_path, mount, part):
    write_tiny(tmp_path)
    disk = mount("size=12k")
    if part == "summaries":
        fill(disk)
    (line,) = fail("train", "--config=base.yaml", f"--out={disk}", cwd=tmp_path)
    assert line.startswith(f"{disk.name}/{part}/default") and line.endswith(
        "No space left on device"
    )
    assert not list(disk.rglob("*.pt")) and not list(disk.rglob(".*"))


def test_generated_configs_on_a_full_disk(tmp_path, mount):
    disk = mount("size=8k")
    options = [*write_tiny(tmp_path), "--generate-only", f"--out={disk}/o"]
    (line,) = fail("tune", *options, cwd=tmp_path)
    assert line.startswith(f"{disk.name}/o/") and line.endswith("yaml: No space left on device")
    assert not left(disk)


def test_generated_configs_on_a_read_only_disk(tmp_path, mount):
    disk = mount("ro")
    options = [*write_tiny(tmp_path), "--generate-only", f"--out={disk}/o"]
    (line,) = fail("tune", *options, cwd=tmp_path)
    assert line.startswith(f"{disk.name}/o: ")


@pytest.mark.long
def test_reports_and_evaluations_on_a_full_disk(tmp_path, mount):
    options = write_tiny(tmp_path)
    disk = mount("size=24m")
    out, told = disk / "o", f"{disk.name}/o"
    succeed("tune", *options, f"--out={out}", "--quiet", cwd=tmp_path)
    (out / "default.html").unlink()
    fill(disk)
    (line,) = fail("report", f"--out={out}", "--page", cwd=tmp_path)
    assert line == f"{told}/default.html: No space left on device"
    (line,) = fail("report", f"--out={out}", f"--to={out}/table.txt", cwd=tmp_path)
    assert line == f"{told}/table.txt: No space left on device"
    agent = f"--checkpoint={out}/best/model.pt"
    (line,) = fail("eval", agent, f"--out={out}/e", cwd=tmp_path)
    assert line.endswith(
        ("/e: No space left on device", "/evaluation.csv: No space left on device")
    )
    for video in ("v.gif", "v.mp4"):
        (line,) = fail("enjoy", agent, f"--video={out}/{video}", cwd=tmp_path)
        assert line == f"{told}/{video}: No space left on device"
    assert not left(disk)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("train", ["--config=base.yaml", "--out=o"]),
        ("tune", ["--config=base.yaml", "--tune=space.yaml", "--dry-run"]),
        ("report", ["--help"]),
    ],
)
def test_a_full_standard_output(tmp_path, command, options):
    write_tiny(tmp_path)
    with open("/dev/full", "wb") as output:
        done = into(output, command, *options, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "error: standard output: No space left on device\n"


@pytest.mark.parametrize("options", [["--dry-run"], ["--help"]])
def test_a_closed_pipe_is_no_error(tmp_path, options):
    write_tiny(tmp_path)
    reader, writer = os.pipe()
    os.close(reader)
    options = ["--config=base.yaml", "--tune=space.yaml", *options]
    done = into(writer, "tune", *options, cwd=tmp_path)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


def into(output, command, *options, cwd):
    return subprocess.run(
        [sys.executable, str(ROOT / f"{command}.py"), *options],
        cwd=cwd,
        stdout=output,
        stderr=subprocess.PIPE,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.mark.parametrize("size", ["4k", "8k", "16k", "100k"])
def test_a_sweep_that_begins_on_a_full_disk(tmp_path, mount, size):
    disk = mount(f"size={size}")
    if size == "4k":
        (disk / "full").write_bytes(bytes(4096))
    (line,) = fail("tune", *write_tiny(tmp_path), f"--out={disk}/o", cwd=tmp_path)
    name, told = line.removeprefix(f"{disk.name}/o/").split(": ")
    if size == "4k":
        assert (name, told) == ("default.sqlite.lock", "No space left on device")
    else:
        assert name == "default.sqlite" and told.startswith("the disk is full; free some, then")
    assert not list(disk.rglob("*.lock"))


@pytest.mark.long
def test_a_sweep_whose_disk_another_program_fills(tmp_path, mount):
    options = write_tiny(tmp_path)
    disk = mount("size=24m")
    out = disk / "o"
    succeed("tune", *options, f"--out={out}", "--quiet", cwd=tmp_path)
    fill(disk)
    done = run("tune", *options, f"--out={out}", "--num-repetitions=2", cwd=tmp_path)
    assert done.returncode in (1, 2) and "Traceback" not in done.stderr + done.stdout
    (disk / "full").unlink()
    succeed("tune", *options, f"--out={out}", "--num-repetitions=2", cwd=tmp_path)
