"""Sweeps on a real Ray cluster: three nodes on this machine, which may die, as may the driver."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from schema.errors import UserError
from sweeps.journal.journal import read_journal
from sweeps.journal.runs import RunState
from tests.e2e import chaos
from tests.e2e.chaos import assert_group_ends
from tests.e2e.commands import ROOT
from tests.e2e.test_failures import train_faults

ray = pytest.importorskip("ray", reason="Ray isn't installed; `make ray` installs it")

pytestmark = [
    pytest.mark.long,
    pytest.mark.slow,
    # Ray leaves files of its processes open.
    pytest.mark.filterwarnings("ignore"),
]


class Sweep(chaos.Sweep):
    """A sweep of 16 short runs."""

    def __init__(self, folder, *options):
        super().__init__(folder, "out", "--num-repetitions=4", *options)
        base = chaos.BASE.replace("processes: 2", "processes: 0").replace(
            "updates: 60", "updates: 42"
        )
        (folder / "base.yaml").write_text(base)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    sweep = Sweep(tmp_path_factory.mktemp("undisturbed"), "--together=2", "--jobs=2")
    sweep.finish()
    table = sweep.table()
    assert len(table) == 16
    return table


@pytest.fixture
def cluster():
    from ray.cluster_utils import Cluster

    # The head, where the driver is, and two nodes that may go.
    started = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    for _ in range(2):
        started.add_node(num_cpus=1)
    started.wait_for_nodes()
    yield started
    started.shutdown()


def sweep_on(cluster, folder, *options):
    return Sweep(folder, "--backend=ray", f"--address={cluster.address}", *options)


def wait_for_runs(sweep, child, runs):
    """Wait until as many runs train at the same time, and as many have a checkpoint each."""
    folder = sweep.out / "checkpoints" / "default"
    while child.poll() is None and (
        count_running(sweep) < runs or len({path.parent for path in folder.rglob("*.pt")}) < runs
    ):
        time.sleep(0.05)
    assert child.poll() is None


def count_running(sweep):
    try:
        with read_journal(sweep.out, "default") as journal:
            return journal.counts().get(RunState.RUNNING, 0)
    except UserError:  # it is just starting
        return 0


def finish(sweep, child):
    sweep.speed_up()
    printed, _ = child.communicate(timeout=300)
    assert child.returncode == 0, printed
    assert "Traceback" not in printed
    assert not list(sweep.out.glob(".ray*"))
    return printed


@pytest.mark.parametrize("together", [1, 2])
def test_a_cluster_s_results_are_those_of_this_machine(cluster, tmp_path, undisturbed, together):
    sweep = sweep_on(cluster, tmp_path, f"--together={together}")
    finish(sweep, sweep.start(crawling=False))
    assert sweep.table() == undisturbed


def test_ray_starts_on_this_machine_without_an_address(tmp_path, undisturbed):
    sweep = Sweep(tmp_path, "--backend=ray")
    finish(sweep, sweep.start(crawling=False))
    assert sweep.table() == undisturbed


def test_other_nodes_continue_the_runs_of_a_node_that_dies(cluster, tmp_path, undisturbed):
    sweep = sweep_on(cluster, tmp_path, "--together=1")
    child = sweep.start()
    wait_for_runs(sweep, child, 3)  # so that each node trains one
    cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
    finish(sweep, child)
    assert sweep.table() == undisturbed


def test_a_node_that_joins_gets_runs(cluster, tmp_path, undisturbed):
    for node in list(cluster.worker_nodes):
        cluster.remove_node(node)
    sweep = sweep_on(cluster, tmp_path, "--together=1")
    child = sweep.start()
    wait_for_runs(sweep, child, 1)
    cluster.add_node(num_cpus=1)
    wait_for_runs(sweep, child, 2)  # one of them on the new node
    finish(sweep, child)
    assert sweep.table() == undisturbed


def test_the_same_command_continues_after_the_driver_was_killed(cluster, tmp_path, undisturbed):
    sweep = sweep_on(cluster, tmp_path, "--together=1")
    child = sweep.start()
    wait_for_runs(sweep, child, 3)
    os.kill(child.pid, signal.SIGKILL)
    child.communicate(timeout=60)
    sweep.finish()
    assert sweep.table() == undisturbed


def test_ctrl_c_saves_checkpoints_on_all_nodes(cluster, tmp_path, undisturbed):
    sweep = sweep_on(cluster, tmp_path, "--together=1")
    child = sweep.start()
    wait_for_runs(sweep, child, 3)
    before = len(list(sweep.out.rglob("*.pt")))
    os.killpg(child.pid, signal.SIGINT)
    printed, _ = child.communicate(timeout=30)
    assert child.returncode == 130
    assert "Traceback" not in printed and "stopped: interrupted" in printed
    assert len(list(sweep.out.rglob("*.pt"))) > before
    assert_group_ends(child.pid)
    sweep.finish()
    assert sweep.table() == undisturbed


def test_hangs_and_dead_jobs_fail_as_on_this_machine(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    # One at a time, because a job that waits for a core gives no sign of life either.
    train_faults(tmp_path, "--backend=ray", "--jobs=1")


# Its own mounts and processes, as on another machine.
APART = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]


def can_be_apart():
    return bool(shutil.which("unshare")) and not subprocess.call(
        [*APART, "mount", "-t", "tmpfs", "none", "/mnt"], stderr=subprocess.DEVNULL
    )


@contextlib.contextmanager
def node_apart(cluster, hidden):
    """Start a node that sees another, empty folder in place of `hidden`; the driver's has no CPUs."""
    hidden.mkdir(exist_ok=True)
    start = f"{sys.executable} -m ray.scripts.scripts start --address={cluster.address}"
    script = f"mount -t tmpfs none '{hidden}' && exec {start} --num-cpus=1 --block"
    before = nodes_alive(cluster)
    node = subprocess.Popen(
        [*APART, "sh", "-c", script], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        # Nodes that start at the same moment would choose the same sockets.
        deadline = time.monotonic() + 60
        while nodes_alive(cluster) == before:
            assert time.monotonic() < deadline and node.poll() is None
            time.sleep(0.1)
        yield node
    finally:
        node.kill()
        node.wait()


def nodes_alive(cluster):
    return sum(node["Alive"] for node in cluster.global_state.node_table())


@pytest.fixture
def bare_cluster():
    from ray.cluster_utils import Cluster

    started = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    yield started
    started.shutdown()


apart = pytest.mark.skipif(not can_be_apart(), reason="may not hide folders from processes")


@apart
def test_nodes_without_the_folder_send_their_files(bare_cluster, tmp_path, undisturbed):
    sweep = sweep_on(bare_cluster, tmp_path, "--together=2", "--sync=0.1")
    with node_apart(bare_cluster, sweep.out), node_apart(bare_cluster, sweep.out):
        child = sweep.start()
        wait_for_runs(sweep, child, 2)  # whose files came before the end
        finish(sweep, child)
    assert sweep.table() == undisturbed
    assert len(list(sweep.out.glob("summaries/default/*/events*"))) == 16


@apart
def test_runs_of_a_dead_node_continue_from_the_files_it_sent(bare_cluster, tmp_path, undisturbed):
    sweep = sweep_on(bare_cluster, tmp_path, "--together=1", "--sync=0.1")
    with node_apart(bare_cluster, sweep.out), node_apart(bare_cluster, sweep.out) as victim:
        child = sweep.start()
        wait_for_runs(sweep, child, 2)
        victim.kill()
        finish(sweep, child)
    assert sweep.table() == undisturbed
