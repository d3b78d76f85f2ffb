"""The table of eval.py fits the terminal and tells agents apart."""

import json

import pytest

from commands.evaluation import _write, results_table, summarise
from commands.terminal.console import make_console

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


def _refuse(constant):
    raise AssertionError(f"{constant} is no JSON")


def test_numbers_that_are_not_finite_are_null_in_json(tmp_path):
    infinite = float("inf")
    episodes = [{"level": 3, "ratio": float("nan"), "depth": -infinite, **EPISODES[0]}]
    _write([{"agent": "x", **summarise(episodes), "per_level": episodes}], tmp_path)
    text = (tmp_path / "evaluation.json").read_text()
    (report,) = json.loads(text, parse_constant=_refuse)
    expected = {"level": 3, "ratio": None, "depth": None, "return": -1234.5, "length": 1000.0}
    assert report["per_level"] == [expected]
    assert report["return_mean"] == -1234.5
