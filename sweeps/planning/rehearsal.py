"""Plans a sweep without changing its folder, for `--dry-run`."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from sweeps.journal.journal import Journal
from sweeps.journal.opening import open_journal
from sweeps.options import SweepOptions
from sweeps.planning.agenda import Agenda
from sweeps.search_space.grid import Grid
from sweeps.search_space.identity import Identities


@contextmanager
def rehearse(grid: Grid, options: SweepOptions) -> Iterator[tuple[Journal, Agenda]]:
    """Yield the journal and the agenda that the sweep would have if it ran now.

    Raises:
        UserError: the sweep would be refused.
    """
    with tempfile.TemporaryDirectory() as folder:
        elsewhere = replace(options, out=Path(folder))
        if options.journal.exists():
            _copy(options.journal, elsewhere.journal)
        with closing(open_journal(grid, Identities(grid), elsewhere, overwrite=False)) as journal:
            yield journal, Agenda(grid, options, journal)


def _copy(path: Path, copy: Path) -> None:
    Journal(path, writable=False).close()  # raises the error if it is damaged
    copy.parent.mkdir(parents=True, exist_ok=True)
    address = f"{path.resolve().as_uri()}?mode=ro"
    with (
        closing(sqlite3.connect(address, uri=True)) as source,
        closing(sqlite3.connect(copy)) as target,
    ):
        source.backup(target)
