"""The live display says what is done and left, how good it is, and when it ends."""

import io
import re
import time
from dataclasses import replace

import pytest
from rich.console import Console

from commands.terminal import progress
from commands.terminal.progress import LiveDisplay, PlainDisplay, sparkline
from sweeps.journal.runs import RunIdentity, RunRecord, RunState
from trainer import Progress


def test_each_member_is_a_column_as_high_as_its_return():
    assert sparkline([0.0, 7.0, 3.0, None]) == "▁█▄·"
    assert sparkline([5.0, 5.0]) == "▁▁"
    assert sparkline([1.0]) == sparkline([None, None]) == ""
    assert len(sparkline([float(number) for number in range(99)])) == 24


def ended(name, value, state=RunState.FINISHED):
    run = RunIdentity("x", name, 0, 0, {})
    return RunRecord(run, state, 1000, value, 0.0, value, 1.0)


def under_way(width, **options):
    """Return a console and its display: of 8 runs 3 have ended, one of them failed, and 2 train."""
    console = Console(
        width=width, force_terminal=True, record=True, file=io.StringIO(), _environ={}, **options
    )
    display = LiveDisplay(console, 8, 8000)
    display.show_start(0, ["3_0", "4_0"], 50)
    for result in (ended("0", 1.5), ended("1", 30.0), ended("2", None, RunState.FAILED)):
        display.show_end(1, [result.name], [result], 1000)
    display.show_progress(0, Progress(1, 50, 20, 12345.0, [None, 3.0]))
    progress.time.passed = 380.0
    display.show_progress(0, Progress(20, 50, 400, 12345.0, [3.0, 9.0]))
    return console, display


class Clock:
    """Stands for the time module: the seconds that have passed since 14:00 UTC on a Monday."""

    passed = 0.0
    strftime = staticmethod(time.strftime)
    localtime = staticmethod(time.gmtime)

    def monotonic(self):
        return self.passed

    def time(self):
        return 1_795_442_400.0 + self.passed


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def shown(width, **options):
    console, display = under_way(width, **options)
    console.print(display._bars)
    return [line.rstrip() for line in console.export_text().splitlines() if line.strip()]


def test_an_error_of_several_runs_is_printed_once_and_breaks_between_words():
    console = Console(width=44, force_terminal=True, record=True, file=io.StringIO(), _environ={})
    display = LiveDisplay(console, 8, 8000)
    error = "step raised RuntimeError: The joint between cart and pole broke."
    failed = [replace(ended(name, None, RunState.FAILED), error=error) for name in "012"]
    other = replace(ended("3", None, RunState.DIVERGED), error="loss is nan")
    for result in (*failed, other, ended("4", None, RunState.INTERRUPTED)):
        display.show_end(0, [result.name], [result], 1000)
    assert [line.rstrip() for line in console.export_text().splitlines()] == [
        "0_0: failed: step raised RuntimeError: The",
        "joint between cart and pole broke.",
        "1_0: failed, with the same error as 0_0",
        "2_0: failed, with the same error as 0_0",
        "3_0: diverged: loss is nan",
        "4_0: interrupted",
    ]


def test_a_wide_terminal_says_what_is_done_and_left_and_how_good_it_is():
    failure, sweep, job, leaders, *legend = shown(120)
    assert failure.startswith("2_0: failed")
    # 3,800 of 8,000 steps took 380 s.
    assert sweep.startswith("sweep") and " 3 of 8 runs " in sweep
    assert "7 min 0 s left, ends at 14:13; 2 training, 3 waiting, 1 failed" in sweep
    assert job.startswith("3_0 to 4_0 (2 runs) ")
    assert job.endswith(" 20 of 50 updates ▁█ best return 9, 12,345 steps/s")
    assert leaders == "best permutations so far (mean return): 1 (30), 0 (1.5)"
    assert [line.split(":")[0] for line in legend] == ["return", "1_0", "▁ to █"]


@pytest.mark.parametrize("width", [50, 60, 80])
def test_a_narrow_terminal_shows_less_but_cuts_no_number(width):
    lines = shown(width)[1:]
    assert max(map(len, lines)) <= width
    assert any(line.startswith("sweep") and "3 of 8 runs" in line for line in lines)
    assert any("7 min 0 s left" in line for line in lines)
    assert any(line.endswith("20 of 50 updates best return 9") for line in lines)
    assert any(re.search(r"mean return\): 1 \(30\)(, 0 \(1\.5\))?$", line) for line in lines)
    # No sign without an explanation, and no explanation without its sign.
    assert "▁" not in "".join(lines)


def test_a_lone_training_explains_its_return_alone():
    console = Console(width=120, force_terminal=True, record=True, file=io.StringIO())
    display = LiveDisplay(console, 0, 1000)
    display.show_start(0, ["CartPole-v1"], 50)
    display.show_progress(0, Progress(20, 50, 400, 12345.0, [9.0]))
    console.print(display._bars)
    job, legend = (line.rstrip() for line in console.export_text().splitlines() if line.strip())
    assert job.endswith("20 of 50 updates return 9, 12,345 steps/s")
    assert legend.startswith("return: sum of an episode's rewards")


def colours(text):
    return {code for codes in re.findall(r"\x1b\[([\d;]+)m", text) for code in codes.split(";")}


def test_colours_are_those_of_the_terminal_and_none_with_no_color():
    console, display = under_way(120, color_system="truecolor")
    console.print(display._bars.get_renderable())
    # Bold, red for the failure and the terminal's own grey: no fixed colour (38;2 or 38;5).
    assert colours(console.file.getvalue()) - {"36"} == {"0", "1", "31", "90"}
    console, display = under_way(120, color_system="truecolor", no_color=True)
    console.print(display._bars.get_renderable())
    assert colours(console.file.getvalue()) <= {"0", "1"}


def after_380_s(clock, steps, progress):
    """Return what a plain display prints of a run's progress, of so many steps in all."""
    console = Console(width=120, file=io.StringIO(), _environ={})
    display = PlainDisplay(console, 1, steps)
    display.show_start(0, ["0_0"], progress.updates)
    clock.passed = 380.0
    display.show_progress(0, progress)
    return console.file.getvalue()


def test_steps_of_earlier_sessions_do_not_shorten_the_time_left(clock):
    # Resumed after update 29 of 50: updates of 40 steps; one of 21 is done.
    printed = after_380_s(clock, 1000, Progress(30, 50, 1200, 1.0, [9.0]))
    assert "update 30 of 50" in printed
    assert "2 h 32 min left, ends at 16:38" in printed


def test_an_end_on_another_day_has_a_date(clock):
    printed = after_380_s(clock, 1_000_000, Progress(20, 50_000, 400, 1.0, [9.0]))
    assert re.search(r"\d+ h \d+ min left, ends at [A-Z]\w+ \d\d \w+, \d\d:\d\d$", printed.strip())


def test_a_thousand_jobs_have_as_many_bars_as_fit_on_the_screen():
    console = Console(
        width=120, height=30, force_terminal=True, record=True, file=io.StringIO(), _environ={}
    )
    display = LiveDisplay(console, 5000, 10**6)
    for job in range(1000):
        display.show_start(job, [f"{job}_0"], 50)
        display.show_progress(job, Progress(1, 50, 20, 1.0, [1.0]))
    with console.capture() as captured:
        console.print(display._bars.get_renderable())
    lines = captured.get().splitlines()
    assert 20 < len(lines) <= 30
    assert "1,000 training, 4,000 waiting" in captured.get()


@pytest.mark.parametrize(("width", "shown"), [(120, "round 2, rung 1 of 2 "), (60, "sweep ")])
def test_the_first_bar_says_which_part_of_the_sweep_trains(width, shown):
    console = Console(
        width=width, force_terminal=True, record=True, file=io.StringIO(), _environ={}
    )
    display = LiveDisplay(console, 8, 8000, title="round 2, rung 1 of 2")
    console.print(display._bars)
    assert console.export_text().startswith(shown)
