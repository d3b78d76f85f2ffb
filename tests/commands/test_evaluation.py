"""The table of eval.py fits the terminal and tells agents apart."""

import pytest

from commands.evaluation import results_table, summarise
from commands.terminal.progress import make_console

EPISODES = [{"return": value, "length": 1000.0} for value in (-1234.5, -1500.0, -1077.25)]


@pytest.mark.parametrize("width", [60, 80])
def test_the_table_fits_the_terminal_and_cuts_nothing(width):
    names = [f"grid/[b]/{run}/update_000025.pt" for run in ("0_0", "10_0")]
    reports = [{"agent": name, **summarise(EPISODES)} for name in names]
    console = make_console()
    console.width = width
    with console.capture() as captured:
        console.print(results_table(reports))
    printed = captured.get()
    assert max(map(len, printed.splitlines())) <= width and "…" not in printed
    assert "Evaluation of grid/[b]" in printed
    assert printed.split().count("max") == 2 and printed.split().count("-1077") == 2
    if width == 80:
        rows = [line.split()[0] for line in printed.splitlines() if "-1077" in line]
        assert rows == ["0_0/update_000025.pt", "10_0/update_000025.pt"]
