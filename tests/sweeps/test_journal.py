"""Opening a journal: half made, in a folder that can only be read, or of something else."""

import os
import shutil
import sqlite3
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from commands.status import show_status
from reports.outcome import read_outcome
from schema.errors import UserError
from sweeps.journal.journal import Journal, read_journal
from sweeps.journal.opening import open_journal
from sweeps.planning.rehearsal import rehearse
from sweeps.search_space.identity import Identities
from sweeps.sweep import Sweep
from tests.sweeps.scene import BASE, make_grid, options_for, run

TINY = BASE.replace("updates: 6", "updates: 1")
_NOBODY = 65534


@pytest.fixture
def grid(tmp_path):
    return make_grid(tmp_path, base=TINY)


@pytest.mark.parametrize("tables", ["none", "all"])
def test_a_journal_whose_process_was_killed_while_filling_it_is_a_new_one(grid, tmp_path, tables):
    out = tmp_path / "out"
    out.mkdir()
    if tables == "all":
        Journal(out / "a.sqlite").close()
    else:
        sqlite3.connect(out / "a.sqlite").execute("PRAGMA journal_mode = WAL").connection.close()
    for read in (read_outcome, show_status):
        with pytest.raises(UserError, match=r"a\.sqlite: holds no sweep yet"):
            read(out, "a")
    with rehearse(grid, options_for(out)) as (_, agenda):
        assert agenda.runs == 3
    assert [record.state for record in run(grid, out)] == ["finished"] * 3


def test_a_journal_of_another_version_is_still_refused(grid, tmp_path):
    run(grid, tmp_path)
    with closing(sqlite3.connect(tmp_path / "a.sqlite")) as database, database:
        database.execute("DELETE FROM sweep WHERE key = 'format'")
    with pytest.raises(UserError, match="was written by another version"):
        Sweep(grid, options_for(tmp_path), overwrite=False)


def test_the_journal_keeps_the_latest_diagnostics_that_tensorboard_has(grid, tmp_path):
    run(grid, tmp_path)
    for record in read_outcome(tmp_path, "a").runs:
        events = EventAccumulator(str(tmp_path / "summaries" / "a" / record.name)).Reload()
        assert {"policy/entropy", "loss/value"} < set(record.diagnostics)
        assert "episode/return_mean" not in record.diagnostics
        for tag, value in record.diagnostics.items():
            assert events.Scalars(tag)[-1].value == pytest.approx(value)


def test_a_journal_without_diagnostics_is_read_and_continued(grid, tmp_path):
    run(grid, tmp_path)
    with closing(sqlite3.connect(tmp_path / "a.sqlite")) as database, database:
        database.execute("ALTER TABLE run DROP COLUMN diagnostics")
        database.execute("UPDATE run SET state = 'waiting' WHERE permutation = 0")
    assert [record.diagnostics for record in read_outcome(tmp_path, "a").runs] == [{}] * 3
    run(grid, tmp_path)
    first, *others = read_outcome(tmp_path, "a").runs
    assert first.diagnostics and [record.diagnostics for record in others] == [{}] * 2


def test_a_database_of_something_else_stays_as_it_is(grid, tmp_path):
    path = tmp_path / "a.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE bookmark (url TEXT)")
    before = path.read_bytes()
    with pytest.raises(
        UserError, match=r"isn't a sweep's journal: it has other tables \(bookmark\)"
    ):
        Sweep(grid, options_for(tmp_path), overwrite=False)
    assert path.read_bytes() == before


def test_a_new_journal_is_on_the_disk_before_anything_is_trained(grid, tmp_path):
    out = tmp_path / "out"
    with closing(open_journal(grid, Identities(grid), options_for(out), False)):
        # After a power failure, the log beside it may be lost.
        shutil.copy(out / "a.sqlite", tmp_path / "b.sqlite")
    with read_journal(tmp_path, "b") as journal:
        assert journal.counts() == {"waiting": 3}


def test_the_first_commit_of_a_journal_waits_for_the_disk(tmp_path):
    with closing(Journal(tmp_path / "a.sqlite")) as journal:
        assert journal._database.one("PRAGMA synchronous") == (2,)  # FULL
        journal.settle()
        assert journal._database.one("PRAGMA synchronous") == (1,)  # NORMAL


@contextmanager
def read_only(folder):
    """Make a folder read-only, also for root, which becomes another user within the context."""
    folder.chmod(0o555)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(_NOBODY)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)
        folder.chmod(0o755)


@pytest.fixture
def archive(grid):
    """A finished sweep in a folder that any user can reach."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        run(grid, folder / "out")
        yield folder / "out"


def test_a_finished_sweep_is_read_in_a_folder_that_can_only_be_read(archive, capsys):
    with read_only(archive):
        with pytest.raises(PermissionError):
            (archive / "new").touch()
        assert show_status(archive, "a") == 0
        assert len(read_outcome(archive, "a").runs) == 3
    assert "a: 3 finished of 3 runs" in capsys.readouterr().out
    assert not list(archive.glob("a.sqlite-*"))


def test_a_log_that_cannot_be_read_is_not_left_out(archive):
    writer = Journal(archive / "a.sqlite")
    writer["labels"] = []
    log = (archive / "a.sqlite-wal").read_bytes()
    writer.close()
    (archive / "a.sqlite-wal").write_bytes(log)
    with read_only(archive), pytest.raises(UserError, match="copy it and the files beside it"):
        read_outcome(archive, "a")


def test_overwriting_empties_the_folder_that_a_link_leads_to(grid, tmp_path):
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    run(grid, out)
    (out / "checkpoints" / "a").rename(elsewhere)
    (out / "checkpoints" / "a").symlink_to(elsewhere)
    (elsewhere / "note").touch()
    with Sweep(grid, options_for(out), overwrite=True) as sweep:
        assert (sweep.agenda.continued, sweep.agenda.runs) == (0, 3)
    assert not list(elsewhere.iterdir()) and (out / "checkpoints" / "a").is_symlink()


def test_what_cannot_be_removed_is_said_and_the_journal_stays(grid, tmp_path):
    run(grid, tmp_path)
    shutil.rmtree(tmp_path / "checkpoints" / "a")
    (tmp_path / "checkpoints" / "a").touch()
    with pytest.raises(NotADirectoryError) as failure:
        Sweep(grid, options_for(tmp_path), overwrite=True)
    assert str(failure.value.filename) == str(tmp_path / "checkpoints" / "a")
    assert (tmp_path / "a.sqlite").exists()


def test_repetitions_that_are_added_to_results_are_another_look(grid, tmp_path):
    looks = []
    for repetitions in (2, 2, 3, 2, 5):
        run(grid, tmp_path, repetitions=repetitions)
        looks.append(read_outcome(tmp_path, "a").looks)
    assert looks == [1, 1, 2, 2, 3]


def test_repetitions_that_are_added_before_any_result_are_no_look(grid, tmp_path):
    for repetitions in (2, 3):
        open_journal(
            grid, Identities(grid), options_for(tmp_path, repetitions=repetitions), False
        ).close()
    assert read_outcome(tmp_path, "a").looks == 1
