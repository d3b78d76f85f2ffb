"""The command that a sweep's answer suggests works from here, for the folder where the sweep is now."""

import shlex
from dataclasses import replace

import pytest

from reports.answer import answer
from reports.words import command
from schema.folders import START
from tests.reports.sweeps import sweep

AWAY = "/home/else"


def suggested(arguments, out, folder=str(START)):
    """Return the suggested command's words, for a session in a folder."""
    outcome = sweep({"a": ["1", "2"]}, lambda *_: 1.0, repetitions=1)
    session = {"command": arguments, "folder": folder}
    found = answer(replace(outcome, out=START / out, sessions=((0.0, 1.0, session),)))
    text = command(found, repetitions=5)
    return shlex.split(text)


def test_a_sweep_in_its_place_keeps_its_command():
    given = ["tune.py", "--config=b.yaml", "--out=o old", "--quiet"]
    kept = ["python", *given, "--num-repetitions=5"]
    assert suggested(given, "o old") == kept


@pytest.mark.parametrize("out", [["--out=o old"], ["--out", "o old"], []])
def test_a_sweep_that_was_moved_is_named_where_it_is(out):
    given = ["tune.py", "--tune", "space.yaml", *out]
    kept = ["python", "tune.py", "--tune=space.yaml"]
    assert suggested(given, "o'new") == [*kept, "--out=o'new", "--num-repetitions=5"]


def test_paths_of_another_folder_are_found_from_here():
    given = ["../tune.py", "--config=b.yaml", "--num-repetitions", "3", "--tune=/x/s.yaml"]
    expected = [
        *("python", f"{AWAY}/../tune.py", f"--config={AWAY}/b.yaml", "--tune=/x/s.yaml"),
        *("--out=grid_search", "--num-repetitions=5"),
    ]
    assert suggested(given, "grid_search", AWAY) == expected
