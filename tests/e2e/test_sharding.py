"""Shards of a sweep, trained apart and merged, are the whole sweep."""

import os
import signal
import sys

import pytest

from tests.e2e.chaos import Sweep
from tests.e2e.commands import fail, succeed, write_tiny


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")
def test_shards_merge_into_the_whole_also_if_one_was_killed(tmp_path):
    whole = Sweep(tmp_path, "whole")
    whole.finish()
    shards = [Sweep(tmp_path, f"part{i}", f"--shard={i}/3") for i in (1, 2, 3)]
    child = shards[0].start()
    shards[0].wait_for_a_checkpoint(child)
    os.killpg(child.pid, signal.SIGKILL)
    child.communicate()
    for shard in shards:
        shard.finish()
    folders = [f"--merge=part{i}" for i in (1, 2, 3)]
    status = succeed("tune", "--status", *folders, cwd=tmp_path)
    assert status.startswith("default: 4 finished of 4 runs\nshard 1/3 in part1: 1 finished of 1")
    assert not (tmp_path / "grid_search").exists()
    merge = ["tune", *folders, "--out=merged"]
    assert "Permutations by mean return" in succeed(*merge, cwd=tmp_path)
    merged = Sweep(tmp_path, "merged")
    assert merged.table() == whole.table()
    results = (merged.out / "results.csv").read_bytes()
    succeed(*merge, cwd=tmp_path)
    assert (merged.out / "results.csv").read_bytes() == results
    # The usual command finds nothing to train.
    assert "4 finished runs in merged are kept" in merged.finish()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--shard=0/3"], "--shard=0/3"),
        (["--shard=4/3"], "--shard=4/3"),
        (["--shard=x"], "--shard=x"),
        (["--shard=1/2", "--merge=o"], "--merge"),
        (["--shard=1/2", "--only=0"], "--only"),
        (["--shard=1/2", "--race"], "--race"),
        (["--shard=1/2", "--search=random", "--trials=2"], "--shard"),
        (["--merge=nothing"], "--merge=nothing: has no journal of a shard"),
        (["--status", "--merge=nothing"], "--merge=nothing: has no journal of a shard"),
    ],
)
def test_options_that_do_not_fit_are_refused_in_one_line(tmp_path, options, words):
    (line,) = fail("tune", *write_tiny(tmp_path), "--out=o", *options, cwd=tmp_path)
    assert line.startswith(words)
