"""A sweep resumes after a power loss, with what had reached the disk by then.

The disk is an image of an ext4 file system. A copy of the image while the sweep runs holds what a disk
would hold after a power loss: what the system hadn't written yet is missing.
"""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tests.e2e.chaos import Sweep

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="mounts images of disks")


@pytest.fixture
def mount(tmp_path):
    """A function that mounts an image at a folder, if the user may mount one."""
    mounted = []

    def make(image, folder):
        folder.mkdir(exist_ok=True)
        command = ["mount", "-o", "loop", str(image), str(folder)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("only the superuser may mount an image, where there are loop devices")
        mounted.append(folder)

    yield make
    for folder in reversed(mounted):
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    sweep = Sweep(tmp_path_factory.mktemp("undisturbed"), "out", "--together=2")
    sweep.finish()
    return sweep.table()


@pytest.mark.long
@pytest.mark.skipif(not shutil.which("mkfs.ext4"), reason="there is no mkfs.ext4")
@pytest.mark.parametrize("moment", ["a journal", "a checkpoint"])
def test_a_sweep_survives_a_power_loss(tmp_path, mount, undisturbed, moment):
    image, later = tmp_path / "disk.img", tmp_path / "later.img"
    with image.open("wb") as file:
        file.truncate(64 << 20)
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
    mount(image, tmp_path / "out")
    sweep = Sweep(tmp_path, "out", "--together=2")
    child = sweep.start()
    if moment == "a checkpoint":
        sweep.wait_for_a_checkpoint(child)
    else:
        while not (tmp_path / "out" / "default.sqlite").exists():
            time.sleep(0.01)
    shutil.copy(image, later)
    os.killpg(child.pid, signal.SIGKILL)
    child.communicate()
    mount(later, tmp_path / "after")
    again = Sweep(tmp_path, "after", "--together=2")
    printed = again.finish()
    assert "Traceback" not in printed, printed
    assert again.table() == undisturbed
