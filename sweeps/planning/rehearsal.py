"""Plans a sweep without changing its folder, for `--dry-run`."""

from __future__ import annotations

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
            elsewhere.journal.parent.mkdir(parents=True, exist_ok=True)
            with closing(Journal(options.journal, writable=False)) as journal:
                journal.copy_to(elsewhere.journal)
        with closing(open_journal(grid, Identities(grid), elsewhere, overwrite=False)) as journal:
            yield journal, Agenda(grid, options, journal)
