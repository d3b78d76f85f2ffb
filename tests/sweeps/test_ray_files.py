"""Files of runs that go between a node's folder and the driver's, without Ray."""

import json

import pytest

from sweeps.execution.backends.by_ray.files import RunFiles
from sweeps.journal.runs import RunIdentity
from sweeps.planning.populations import PlannedRun

NAMES = ("checkpoints/a/0_0/update_000002.pt", "summaries/a/0_0/events", "summaries/a/1_0/b/events")


def write(folder, name, content):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def population():
    return [PlannedRun(None, RunIdentity("a", name, 0, 0, {})) for name in ("0", "1")]


@pytest.fixture
def sides(tmp_path, population):
    return [RunFiles(tmp_path / side, population) for side in ("node", "driver")]


def test_the_driver_has_what_the_node_has(tmp_path, sides):
    node, driver = sides
    for name in NAMES:
        write(tmp_path / "node", name, name.encode())
    write(tmp_path / "node", "checkpoints/a/0_0/.update_000004.pt.tmp", b"half")
    write(tmp_path / "node", "checkpoints/a/2_0/update_000002.pt", b"another population's")
    driver.apply(node.changes())
    assert contents(tmp_path / "driver") == {name: name.encode() for name in NAMES}

    write(tmp_path / "node", NAMES[1], b"longer than before, and binary \x00\xff")
    (tmp_path / "node" / NAMES[0]).unlink()
    changes = node.changes()
    assert NAMES[2].encode() not in changes  # unchanged
    driver.apply(changes)
    assert contents(tmp_path / "driver") == {
        NAMES[1]: b"longer than before, and binary \x00\xff",
        NAMES[2]: NAMES[2].encode(),
    }


def packed(files, gone, body=b""):
    header = json.dumps({"files": files, "gone": gone}).encode()
    return len(header).to_bytes(8, "big") + header + body


@pytest.mark.parametrize(
    "changes",
    [
        packed([["checkpoints/a/2_0/update_000002.pt", 1]], [], b"x"),
        packed([["checkpoints/a/0_0/../../../../x", 1]], [], b"x"),
        packed([["/tmp/x", 1]], [], b"x"),
        packed([], ["default.sqlite"]),
        packed([[NAMES[0], 2]], [], b"x"),
        packed([[NAMES[0], 1]], [], b"xy"),
        packed(None, []),
        b"",
        b"\x80\x04K\x01.",
    ],
)
def test_nothing_is_written_elsewhere_or_by_halves(tmp_path, sides, changes):
    kept = write(tmp_path / "driver", "default.sqlite", b"the journal")
    with pytest.raises(ValueError):
        sides[1].apply(changes)
    assert contents(tmp_path) == {"driver/default.sqlite": b"the journal"} and kept.exists()
