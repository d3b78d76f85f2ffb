"""`results.csv`: sweeps share it without losing each other's rows, and a damaged one is one line."""

import csv
import re

import pytest

from schema.errors import UserError
from sweeps.journal.lock import SweepLock, turn_of
from sweeps.journal.results import read_results
from sweeps.sweep import Sweep
from tests.sweeps.scene import BASE, Display, make_grid, options_for, run, run_here

TINY = BASE.replace("updates: 6", "updates: 1")
LABELS = ["gamma"]


def rows(out):
    with (out / "results.csv").open() as file:
        return [(row["run_id"], row["permutation"]) for row in csv.DictReader(file)]


def test_sweeps_that_train_at_the_same_time_keep_each_others_rows(tmp_path):
    grid, out = make_grid(tmp_path, base=TINY), tmp_path / "out"
    with Sweep(grid, options_for(out, run_id="b"), overwrite=False) as first:
        # The second begins and ends while the first trains.
        run(grid, out, run_id="a")
        first.run(Display(), backend=run_here)
    assert rows(out) == [(run_id, name) for run_id in "ab" for name in "012"]
    assert not list(out.glob("*.lock"))


def test_a_sweep_of_other_keys_is_refused_while_the_first_trains(tmp_path):
    grid, out = make_grid(tmp_path, base=TINY), tmp_path / "out"
    other = make_grid(tmp_path, "hyperparameters: {lamda: [0.9, 0.95]}\n", base=TINY)
    with Sweep(grid, options_for(out), overwrite=False) as first:
        with pytest.raises(UserError, match="holds results for other tuned keys"):
            Sweep(other, options_for(out, run_id="b"), overwrite=False)
        first.run(Display(), backend=run_here)
    assert rows(out) == [("a", name) for name in "012"]


def test_a_table_damaged_while_training_ends_no_training(tmp_path):
    grid, out = make_grid(tmp_path, base=TINY), tmp_path / "out"
    display = Display(lambda _sweep, _progress: (out / "results.csv").write_text("gamma\nb,1\n"))
    with pytest.raises(UserError, match=r"results\.csv: holds results for other tuned keys"):
        run(grid, out, display)
    assert len(display.updates) == 3
    assert (out / "results.csv").read_text() == "gamma\nb,1\n"
    (out / "results.csv").unlink()
    assert [record.state for record in run(grid, out)] == ["finished"] * 3
    assert len(rows(out)) == 3


DAMAGES = {
    "short": lambda line: line.rsplit(b",", 3)[0],
    "long": lambda line: line + b",more",
    "not UTF-8": lambda line: line.replace(b"finished", b"\xff\xfe"),
    "endless": lambda line: line + b"x" * 200_000,
    "another state": lambda line: line.replace(b"finished", b"gone"),
    "a negative number": lambda line: line.replace(b"b,1,", b"b,-1,"),
    "too many digits": lambda line: line.replace(b",64,", b"," + b"9" * 30 + b","),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_row_is_one_line_and_stays(tmp_path, damage):
    grid, out = make_grid(tmp_path, base=TINY), tmp_path / "out"
    run(grid, out, run_id="b")
    table = out / "results.csv"
    lines = table.read_bytes().splitlines()
    lines[2] = damage(lines[2])
    table.write_bytes(b"\n".join(lines) + b"\n")
    before = table.read_bytes()
    with pytest.raises(UserError) as refusal:
        run(grid, out)
    (line,) = refusal.value.lines
    assert re.fullmatch(rf"{table}(, line \d: is damaged|: isn't text in UTF-8); repair .*", line)
    assert table.read_bytes() == before and not (out / "a.sqlite").exists()
    # The sweep that wrote the rows writes them again from its journal.
    run(grid, out, run_id="b")
    assert len(list(read_results(table, LABELS))) == 3


def test_bytes_in_the_heading_are_one_line(tmp_path):
    (tmp_path / "results.csv").write_bytes(b"\xff\xfe\n")
    with pytest.raises(UserError, match=r"results\.csv: isn't text in UTF-8; repair or remove it"):
        list(read_results(tmp_path / "results.csv", LABELS))


@pytest.mark.parametrize("take", [lambda out: SweepLock(out / "a.lock"), None])
def test_a_lock_follows_no_symbolic_link(tmp_path, take):
    precious = tmp_path / "precious"
    precious.write_text("mine")
    for name in ("a.lock", "results.csv.lock"):
        (tmp_path / name).symlink_to(precious)
    with pytest.raises(UserError, match=r"\.lock: is a symbolic link, .*; remove it"):
        if take:
            take(tmp_path)
        else:
            with turn_of(tmp_path / "results.csv"):
                pass
    assert precious.read_text() == "mine"
