"""A node of a Ray cluster, without Ray: it trains in a real job."""

import json
import os
import sys
import threading

import pytest
import torch

from ppo.placement import Placement
from sweeps.execution.backends.by_ray.files import RunFiles
from sweeps.execution.backends.by_ray.node import Node
from sweeps.execution.worker import WorkerOptions
from sweeps.journal.runs import RunIdentity
from sweeps.planning.populations import PlannedRun
from tests.e2e.chaos import jobs
from tests.sweeps.scene import make_grid


@pytest.fixture
def population(tmp_path):
    grid = make_grid(tmp_path)

    def of(index):
        choices = {"gamma": str(grid.values(index)[0])}
        return [PlannedRun(grid.permutation(index), RunIdentity("a", str(index), 0, 0, choices))]

    return of


@pytest.fixture
def node(tmp_path, population):
    options = WorkerOptions(tmp_path / "out", Placement(torch.device("cpu"), 2))
    node = Node(tmp_path / "not here", 1)
    threads = []

    def train(index, files=None):
        """Train a population as the driver does, and return the messages."""
        node.begin(population(index), options, files)
        threads.append(threading.Thread(target=node.train))
        threads[-1].start()
        messages = []
        while not messages or messages[-1][0] != "over":
            messages += json.loads(node.fetch(0.0))
        return messages

    node.trained = train
    yield node
    node.stop("enough", 0.0)
    node.begin(population(0), options, None)
    for thread in threads:
        thread.join()
    if node._folder:
        node._folder.cleanup()


def states(messages):
    return [run["state"] for kind, runs in messages if kind == "ended" for run in runs]


@pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")
def test_a_node_keeps_its_job_for_the_next_population(node, tmp_path):
    assert states(node.trained(0)) == ["finished"]
    first = jobs(os.getpid())
    assert states(node.trained(1)) == ["finished"]
    assert jobs(os.getpid()) == first != []
    assert sorted(path.name for path in (tmp_path / "out/checkpoints/a").iterdir()) == [
        "0_0",
        "1_0",
    ]


def test_a_node_apart_sends_the_files_of_each_population_and_keeps_none(node, tmp_path, population):
    for index in (0, 1):
        files = RunFiles(tmp_path / "driver", population(index))
        assert states(node.trained(index, files.changes())) == ["finished"]
        files.apply(node.files())
        node.leave()
    assert not (tmp_path / "out").exists()
    folders = (tmp_path / "driver/checkpoints/a").iterdir()
    assert sorted(path.name for path in folders) == ["0_0", "1_0"]
    assert not list((node._options.out).rglob("*.pt"))
