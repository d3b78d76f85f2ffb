"""The live display shows members, rates and leaders."""

import io

import pytest
from rich.console import Console

from commands.terminal.progress import LiveDisplay, sparkline
from sweeps.journal.runs import RunIdentity, RunRecord, RunState
from trainer import Progress


def test_each_member_is_a_column_as_high_as_its_return():
    assert sparkline([0.0, 7.0, 3.0, None]) == "▁█▄·"
    assert sparkline([5.0, 5.0]) == "▁▁"
    assert sparkline([1.0]) == sparkline([None, None]) == ""
    assert len(sparkline([float(number) for number in range(99)])) == 24


def shown(width):
    console = Console(width=width, force_terminal=True, record=True, file=io.StringIO())
    display = LiveDisplay(console, 4, 4000)
    display.show_start(0, ["2_0", "3_0"], 50)
    for name, value in (("0", 1.5), ("1", 30.0)):
        run = RunIdentity("x", name, 0, 0, {})
        result = RunRecord(run, RunState.FINISHED, 1000, value, 0.0, value, 1.0)
        display.show_end(1, [f"{name}_0"], [result], 1000)
    display.show_progress(0, Progress(20, 50, 400, 12345.0, [3.0, 9.0]))
    console.print(display._bars)
    return [line.rstrip() for line in console.export_text().splitlines()]


def test_a_wide_terminal_shows_members_rate_and_leaders():
    sweep, job, leaders = (line for line in shown(120) if line)
    assert "2/4" in sweep and sweep.endswith("left")
    assert job.endswith("20/50 ▁█ best return 9, 12,345 steps/s")
    assert leaders == "leaders so far (permutation, return): 1 30, 0 1.5"


@pytest.mark.parametrize("width", [60, 80])
def test_a_narrow_terminal_shows_less(width):
    lines = shown(width)
    assert max(map(len, lines)) <= width
    assert any(line.endswith("20/50 return 9") for line in lines)
