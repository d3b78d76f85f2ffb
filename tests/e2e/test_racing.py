"""Races on CartPole: more repetitions only for the permutations that could be the best."""

import json
import re
import sys
from collections import Counter

import pytest

from tests.e2e.chaos import kill_at, table
from tests.e2e.commands import fail, succeed, write_hopeless, write_tiny

RACE = ["--race", "--max-repetitions=5", "--together=2", "--jobs=2", "--seed=1"]
STEPS = 40 * 2 * 64


def options(folder, out):
    return [*write_hopeless(folder), f"--out={out}", *RACE]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")
@pytest.mark.long
def test_a_race_whose_driver_is_killed_ends_as_an_undisturbed_one(tmp_path):
    printed = succeed("tune", *options(tmp_path, "whole"), cwd=tmp_path)
    assert "round 2: 4 runs" in printed
    assert "the race is over after 2 rounds: " in printed
    assert "Permutations have 3 to 5 repetitions, as the race" in printed
    assert " after 2 rounds: return " in printed
    whole = table(tmp_path / "whole")
    assert Counter(row["permutation"] for row in whole) == {"0": 5, "1": 3, "2": 5, "3": 3}

    arguments = options(tmp_path, "killed")
    kill_at("round 2", tmp_path, arguments)
    status = succeed("tune", "--status", "--out=killed", cwd=tmp_path)
    assert "race: round 2, 3 to 5 repetitions of a permutation" in status
    preview = succeed("tune", *arguments, "--dry-run", cwd=tmp_path)
    assert f"at least {16 * STEPS:,} and at most {20 * STEPS:,} environment steps" in preview
    succeed("tune", *arguments, cwd=tmp_path)
    assert table(tmp_path / "killed") == whole
    again = succeed("tune", *arguments, cwd=tmp_path)
    assert "16 finished runs in killed are kept" in again

    report = ("report", "--out=killed", "--answer=answer.json", "--page", "--plots=plots")
    succeed(*report, cwd=tmp_path)
    answer = json.loads((tmp_path / "answer.json").read_text())
    assert [score["repetitions"] for score in answer["scores"]] == [5, 5, 3, 3]
    assert "4 permutations × up to 5 repetitions" in (tmp_path / "killed/default.html").read_text()


@pytest.mark.long
def test_the_leaders_of_a_race_are_confirmed(tmp_path):
    arguments = [*options(tmp_path, "out"), "--confirm=1x2"]
    printed = succeed("tune", *arguments, cwd=tmp_path)
    assert re.search(r"1 permutation x 2 repetitions = 2 runs", printed)
    # The confirmation doesn't change the race when it is resumed.
    assert "the race is over after 2 rounds: " in succeed("tune", *arguments, cwd=tmp_path)


def test_a_dry_run_prints_the_least_and_the_most_steps(tmp_path):
    arguments = options(tmp_path, "out")
    printed = succeed("tune", *arguments, "--dry-run", cwd=tmp_path)
    assert "race of 4 permutations, up to 5 repetitions: 12 runs so far" in printed
    assert f"at least {12 * STEPS:,} and at most {20 * STEPS:,} environment steps" in printed
    limited = succeed("tune", *arguments, "--dry-run", f"--steps={13 * STEPS}", cwd=tmp_path)
    assert f"at least {12 * STEPS:,} and at most {13 * STEPS:,} environment steps" in limited
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (["--steps=9"], "--steps: limits a race; add --race"),
        (["--max-repetitions=9"], "--max-repetitions: limits a race; add --race"),
        (
            ["--race", "--num-repetitions=1"],
            "--num-repetitions=1: --race needs at least 2 to tell permutations apart",
        ),
        (
            ["--race", "--max-repetitions=2"],
            "--max-repetitions=2: must be at least --num-repetitions=3",
        ),
        (
            ["--race", "--generate-only"],
            "--generate-only: trains nothing, so --race has nothing to compare",
        ),
        (
            ["--race", "--only=1"],
            "--only: --race chooses the permutations itself; leave others out with `exclude` in the "
            "tuning config",
        ),
        (["--race", "--steps=0"], "--steps=0: must be a whole number of at least 1"),
        (
            ["--race", "--steps=100"],
            "--steps=100: the first round alone has 6,144 environment steps",
        ),
    ],
)
def test_options_that_do_not_fit_give_one_line(tmp_path, given, line):
    assert fail("tune", *write_tiny(tmp_path), *given, cwd=tmp_path) == [line]
    assert not (tmp_path / "grid_search").exists()


def test_different_tasks_do_not_race(tmp_path):
    arguments = write_tiny(tmp_path)
    (tmp_path / "space.yaml").write_text(
        "hyperparameters: {environment.name: [CartPole-v0, CartPole-v1]}\n"
    )
    assert fail("tune", *arguments, "--race", cwd=tmp_path) == [
        "--race: environment.name has several choices, and returns of different tasks can't be "
        "compared"
    ]
