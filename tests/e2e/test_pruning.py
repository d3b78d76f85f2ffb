"""Early stopping on CartPole: hopeless permutations end at a rung, however often the sweep is killed."""

import json
import sys

import pytest

from tests.e2e.chaos import kill_at, table
from tests.e2e.commands import fail, run, succeed, write_hopeless, write_tiny

PRUNE = ["--prune=halving", "--num-repetitions=2", "--together=2", "--jobs=2", "--seed=1"]
STEPS = 40 * 2 * 64


def options(folder, out, *given):
    """Write a grid, and return its options, in which those given replace others."""
    names = {each.partition("=")[0] for each in given}
    kept = [each for each in PRUNE if each.partition("=")[0] not in names]
    found = [*write_hopeless(folder), f"--out={out}", *kept, *given]
    base = (folder / "base.yaml").read_text()
    (folder / "base.yaml").write_text(
        base.replace("checkpoint_interval: 2", "checkpoint_interval: 7")
    )
    return found


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")
def test_a_pruned_sweep_whose_driver_is_killed_ends_as_an_undisturbed_one(tmp_path):
    printed = succeed("tune", *options(tmp_path, "whole"), cwd=tmp_path)
    assert "after update 10: 2 of 4 permutations pruned" in printed
    whole = table(tmp_path / "whole")
    states = {row["permutation"]: row["status"] for row in whole}
    assert sorted(states.values()) == ["finished", "pruned", "pruned", "pruned"]
    assert (states["1"], states["3"]) == ("pruned", "pruned")

    arguments = options(tmp_path, "killed")
    kill_at("[4/8]", tmp_path, arguments)
    kill_at("after update 10", tmp_path, arguments)
    status = succeed("tune", "--status", "--out=killed", cwd=tmp_path)
    assert "4 pruned" in status
    printed = succeed("tune", *arguments, cwd=tmp_path)
    assert "4 pruned runs stay stopped; --prune=none trains them to the end" in printed
    assert table(tmp_path / "killed") == whole
    assert "3 of 4 permutations were pruned" in printed

    succeed("report", "--out=killed", "--answer=answer.json", "--page", cwd=tmp_path)
    scores = json.loads((tmp_path / "answer.json").read_text())["scores"]
    assert [score["mean"] is None for score in scores] == [False, True, True, True]
    assert [score["pruned"] and score["pruned"][1] for score in scores] == [None, 2560, 1280, 1280]
    assert '"pruned":[' in (tmp_path / "killed/default.html").read_text()

    # Without pruning, the same sweep ends as one that never pruned.
    for out in ("never", "killed"):
        without = [each for each in options(tmp_path, out) if each != PRUNE[0]]
        succeed("tune", *without, "--prune=none", cwd=tmp_path)
    assert table(tmp_path / "killed") == table(tmp_path / "never")


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")
@pytest.mark.parametrize(
    ("given", "moments"),
    [
        (["--prune=asha", "--search=tpe", "--trials=4"], ["next 4 perm", "next 2 perm"]),
        (
            ["--race", "--num-repetitions=3", "--max-repetitions=5", "--rungs=1/4"],
            ["after update 10", "round 2"],
        ),
    ],
    ids=["search", "race"],
)
def test_a_pruned_search_or_race_is_the_same_for_any_jobs_and_after_being_killed(
    tmp_path, given, moments
):
    whole = options(tmp_path, "whole", "--jobs=1", *given)
    printed = succeed("tune", *whole, cwd=tmp_path)
    assert all(f"\n{moment}" in printed for moment in moments)
    found = table(tmp_path / "whole")
    # A pruned run says where it ended.
    assert {row["steps"] for row in found if row["status"] == "pruned"} <= {"1280", "2560"}
    assert {row["status"] for row in found} == {"pruned", "finished"}
    killed = options(tmp_path, "killed", *given)
    for moment in moments:
        kill_at(moment, tmp_path, killed)
    succeed("tune", *killed, cwd=tmp_path)
    assert table(tmp_path / "killed") == found


def test_a_dry_run_prints_the_least_and_the_most_steps(tmp_path):
    printed = succeed("tune", *options(tmp_path, "out"), "--dry-run", cwd=tmp_path)
    least = 2 * (4 * STEPS // 4 + 2 * STEPS // 4 + STEPS // 2)
    assert (
        f"--prune=halving: judged after update 10, 20 of 40; at least {least:,} and at most "
        f"{8 * STEPS:,} environment steps in all"
    ) in printed
    raced = ["--race", "--num-repetitions=3", "--max-repetitions=5", "--dry-run"]
    printed = succeed("tune", *options(tmp_path, "out", *raced), cwd=tmp_path)
    assert (
        "race: 3 to 5 repetitions of a permutation; --prune=halving: judged after update 10, 20 of 40; "
        f"at least {least * 3 // 2:,} and at most {20 * STEPS:,} environment steps in all"
    ) in printed
    searched = ["--search=random", "--trials=4", "--prune=asha", "--dry-run"]
    printed = succeed("tune", *options(tmp_path, "out", *searched), cwd=tmp_path)
    assert (
        f"--prune=asha: judged after update 10, 20 of 40; at least {least:,} and at most {8 * STEPS:,} "
        "environment steps in all"
    ) in printed
    assert f"all runs together take at most {8 * STEPS:,} environment steps" in printed
    some = succeed("tune", *options(tmp_path, "out"), "--dry-run", "--only=0,1", cwd=tmp_path)
    assert f"and at most {4 * STEPS:,} environment steps in all" in some
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (["--prune=best"], "--prune=best: must be one of none, median, halving, asha"),
        (["--rungs=2"], "--rungs: belongs to --prune=median, halving or asha; add one"),
        (["--keep=1/2"], "--keep: belongs to --prune=median, halving or asha; add one"),
        (
            ["--prune=median", "--keep=1/2"],
            "--keep: belongs to --prune=halving or asha; --prune=median keeps the better half",
        ),
        (
            ["--prune=median", "--rungs=2,4"],
            "--rungs=2,4: a rung after 4 updates must be at least 1 and less than trainer.updates, 4",
        ),
        (
            ["--prune=median", "--rungs=0"],
            "--rungs=0: a rung after 0 updates must be at least 1 and less than trainer.updates, 4",
        ),
        (
            ["--prune=median", "--rungs=1.5"],
            "--rungs=1.5: must be numbers of updates, or shares between 0 and 1, such as 1/4 or 0.25",
        ),
        (
            ["--prune=asha", "--rungs=1,9"],
            "--rungs=1,9: a rung after 9 updates must be at least 1 and less than trainer.updates, 4",
        ),
        *(
            (
                [f"--prune={rule}", f"--keep={keep}"],
                f"--keep={keep}: must be a share between 0 and 1, such as 1/4 or 0.25",
            )
            for rule, keep in [
                *(("halving", "1/0"), ("halving", "0"), ("halving", "1")),
                *(("asha", "1.0"), ("asha", "3/2"), ("asha", "-1/2"), ("asha", "best")),
            ]
        ),
        (
            ["--prune=median", "--generate-only"],
            "--generate-only: trains nothing, so --prune has nothing to stop",
        ),
        (
            ["--prune=median", "--race", "--num-repetitions=1"],
            "--num-repetitions=1: --race needs at least 2 to tell permutations apart",
        ),
        (
            ["--prune=median", "--race", "--steps=100"],
            "--steps=100: the first round alone has up to 6,144 environment steps",
        ),
        (
            ["--prune=median", "--shard=1/2"],
            "--prune: needs the whole sweep; leave it out, or --shard=1/2",
        ),
        (
            ["--prune=median", "--search=random", "--trials=2", "--race"],
            "--race: only works with --search=grid; leave it out",
        ),
    ],
)
def test_options_that_do_not_fit_give_one_line(tmp_path, given, line):
    assert fail("tune", *write_tiny(tmp_path), *given, cwd=tmp_path) == [line]
    assert not (tmp_path / "grid_search").exists()


@pytest.mark.parametrize(
    ("space", "line"),
    [
        (
            "environment.name: [CartPole-v0, CartPole-v1]",
            "--prune: environment.name has several choices, and returns of different tasks can't be "
            "compared",
        ),
        (
            "updates: [4, 8]",
            "--prune: trainer.updates has several choices, so runs have no rungs in common",
        ),
    ],
)
def test_permutations_that_cannot_be_compared_are_not_pruned(tmp_path, space, line):
    arguments = write_tiny(tmp_path)
    (tmp_path / "space.yaml").write_text(f"hyperparameters: {{{space}}}\n")
    for more in ([], ["--search=random", "--trials=2"]):
        assert fail("tune", *arguments, "--prune=median", *more, cwd=tmp_path) == [line]


def test_a_rung_must_not_come_before_the_first_evaluation(tmp_path):
    arguments = write_tiny(tmp_path)
    base = (tmp_path / "base.yaml").read_text()
    base = base.replace("evaluation: {", "evaluation: {evaluate: true, interval: 2, ")
    (tmp_path / "base.yaml").write_text(base)
    assert fail("tune", *arguments, "--prune=median", cwd=tmp_path) == [
        "--rungs: the first, after 1 update, comes before the first evaluation; evaluation.interval "
        "is 2"
    ]
    succeed("tune", *arguments, "--prune=median", "--rungs=2", "--dry-run", cwd=tmp_path)


def test_a_warning_says_if_episodes_may_be_longer_than_a_rung(tmp_path):
    done = run("tune", *write_tiny(tmp_path), "--prune=median", "--dry-run", cwd=tmp_path)
    assert done.returncode == 0
    assert (
        done.stderr.count("warning: --rungs: by the first, after 1 update, a worker has done") == 1
    )
    assert "an episode of CartPole-v1 may take 500" in done.stderr
