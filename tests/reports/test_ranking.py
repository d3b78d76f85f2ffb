"""One rule ranks permutations: for the answer, `--status`, the live screen and large sweeps."""

import io
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from commands import tuning
from commands.status import show_status
from commands.terminal.progress import LiveDisplay
from reports.answer import answer
from reports.outcome import Outcome, PermutationRuns, read_outcome
from reports.output.table import show
from reports.ranking import LiveRanking, rank, with_failures
from reports.statistics.averages import best_first
from schema.config import Config
from sweeps.journal.journal import Journal, journal_path
from sweeps.journal.runs import RunIdentity, RunRecord, RunState

NAN = float("nan")
# Permutation 0 would win with a mean of 10 if its failed run didn't count. The worst score of all
# finished runs is 2, so its mean is (10 + 10 + 2) / 3 = 22 / 3. Permutation 2 has (9 + 8 + 7) / 3 = 8.
RUNS = [
    [10.0, 10.0, "failed"],
    [2.0, 3.0, 4.0],
    [9.0, 8.0, 7.0],
    ["failed", "diverged", "failed"],
]
NAMES = ["2", "0", "1"]
MEANS = [8.0, 22 / 3, 3.0]


def result(permutation, repetition, reached):
    """Return a run that reached a return, or ended in a state."""
    failed = isinstance(reached, str)
    return RunRecord(
        RunIdentity(
            "default", str(permutation), repetition, repetition, {"gamma": f"0.{permutation}"}
        ),
        RunState(reached) if failed else RunState.FINISHED,
        steps=100,
        final_return=None if failed else reached,
        return_deviation=None if failed else 0.5,
        best_return=None if failed else reached,
        wall_time_seconds=0.0 if failed else reached,
        error="it broke" if reached in ("failed", "diverged") else "",
        curve=() if failed else ((50, 0.0), (100, reached)),
    )


def results(runs):
    return [
        [result(number, repetition, reached) for repetition, reached in enumerate(own)]
        for number, own in enumerate(runs)
    ]


def outcome(runs):
    permutations = tuple(
        PermutationRuns(own[0].run.permutation, tuple(own[0].run.choices.values()), tuple(own))
        for own in results(runs)
    )
    return Outcome("default", Path("o"), ("gamma",), permutations, Config().as_dict(), ())


def write_journal(out, runs):
    journal = Journal(journal_path(out, "default"))
    rows = results(runs)
    with journal.transaction():
        names = ((f"p{n}", str(n), list(own[0].run.choices.values())) for n, own in enumerate(rows))
        journal.place(["gamma"], names)
        journal.add_runs(max(map(len, rows)), 0)
        journal["base"] = Config().as_dict()
        for each in (each for own in rows for each in own):
            journal.record(each, 1)
    journal.begin_session({"command": ["tune.py", f"--out={out}"], "host": "here", "process": 1})
    journal.end_session()
    journal.close()


def names_and_means(scores):
    return [(score.permutation.name, score.mean) for score in scores if score.mean is not None]


def test_a_failed_repetition_counts_as_the_worst_score():
    found = rank(outcome(RUNS)).best(9)
    assert [score.permutation.name for score in found] == [*NAMES, "3"]
    assert [score.mean for score in found] == [*map(pytest.approx, MEANS), None]
    # The sample's standard deviation of 9, 8 and 7 is 1.
    assert found[0].deviation == pytest.approx(1)
    # That of 10, 10 and 2 is the root of (2 * (8 / 3) ** 2 + (16 / 3) ** 2) / 2 = 64 / 3.
    assert found[1].deviation == pytest.approx((64 / 3) ** 0.5)
    assert found[1].values == (10.0, 10.0, None)
    assert [(score.finished, score.failed) for score in found] == [(3, 0), (2, 1), (3, 0), (0, 3)]
    assert found[0].best_run("final").run.repetition == 0 and found[3].best_run("final") is None


def test_a_single_repetition_has_the_deviation_of_its_episodes():
    (found,) = rank(outcome([[4.0]])).best(9)
    assert found.deviation == 0.5


def test_where_less_is_better_a_failure_counts_as_the_most():
    found = rank(outcome([[8.0, "failed"], [5.0, 6.0]]), "time")
    assert found.judged.tolist() == [[-8.0, -8.0], [-5.0, -6.0]]
    assert names_and_means(found.best(9)) == [("1", 5.5), ("0", 8.0)]
    assert found.score(1).best_run("time").run.repetition == 0


def test_waiting_runs_do_not_count():
    # Seed 1 adds 6 to everything. Permutation 1 waits for it, and isn't the worse for it.
    found = rank(outcome([[1.0, 7.0], [2.0, "waiting"], [0.0, 6.0]])).best(9)
    assert names_and_means(found) == [("1", 2.0), ("0", 4.0), ("2", 3.0)]


def test_equal_means_are_in_the_order_of_the_grid():
    # The last bit of 0.1 + 0.2 doesn't decide.
    assert best_first(np.array([0.3, NAN, 0.1 + 0.2, 1.0, NAN])).tolist() == [3, 0, 2, 1, 4]
    assert best_first(np.array([])).tolist() == []
    assert best_first(np.array([NAN, NAN])).tolist() == [0, 1]


def test_failures_have_no_score_if_no_run_has_one():
    scores = np.full((2, 2), NAN)
    assert np.isnan(with_failures(scores, np.ones((2, 2), dtype=bool))).all()
    found = rank(outcome([["failed", "failed"], ["waiting", "diverged"]])).best(9)
    assert [(score.permutation.name, score.mean) for score in found] == [("0", None), ("1", None)]


@pytest.mark.parametrize(
    ("worst", "counts_as"), [(-1e6, 90.0), (-1e5, 90.0), (-9000.0, -9000.0), (0.0, 0.0)]
)
def test_a_failure_does_not_count_as_a_wild_score(worst, counts_as):
    scores = np.array(
        [[100.0, NAN], *[[90.0 + number, 95.0] for number in range(6)], [92.0, worst]]
    )
    failed = np.zeros(scores.shape, dtype=bool)
    failed[0, 1] = True
    judged = with_failures(scores, failed)
    assert judged[0].tolist() == [100.0, counts_as]
    assert (judged[1:] == scores[1:]).all()


def test_a_wild_score_counts_where_more_than_one_in_eight_have_one():
    scores = np.array([[100.0, NAN], *[[90.0, 95.0]] * 5, [92.0, -1e6]])
    failed = np.isnan(scores)
    assert with_failures(scores, failed)[0, 1] == -1e6
    # Two of 16 may be wild, also if one is far wilder.
    scores = np.array([[100.0, NAN], *[[90.0, 95.0]] * 13, [92.0, -1e6], [92.0, -1e12]])
    assert with_failures(scores, np.isnan(scores))[0, 1] == 90.0


def test_collapsing_among_others_that_agree_is_not_wild():
    scores = np.array([[500.0, NAN], *[[500.0, 500.0]] * 20, [500.0, 0.0]])
    assert with_failures(scores, np.isnan(scores))[0, 1] == 0.0
    scores = np.array([[0.0, NAN], *[[0.0, 0.0]] * 20, [0.0, -1.0]])
    assert with_failures(scores, np.isnan(scores))[0, 1] == -1.0


def test_answer_status_and_live_leaders_agree(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    write_journal(tmp_path, RUNS)
    found = answer(read_outcome(tmp_path, "default"))
    assert names_and_means(found.scores) == [
        (name, pytest.approx(mean)) for name, mean in zip(NAMES, MEANS, strict=True)
    ]
    show_status(tmp_path, "default")
    rows = [line.strip("│ ").split() for line in capsys.readouterr().out.splitlines()]
    assert [row[2:5:2] for row in rows if row[:1] and row[0] in "1234" and "│" in row] == [
        *([name, show(mean)] for name, mean in zip(NAMES, MEANS, strict=True)),
        ["3", "–"],
    ]
    ended = [each for own in results(RUNS) for each in own]
    assert live(ended) == "best permutations so far (mean return): 2 (8), 0 (7.33), 1 (3)"
    # Also when runs end in another order, or ended in an earlier session.
    assert live(ended[::-1]) == live(ended[6:], ended[:6]) == live(ended)


def live(ended, before=()):
    console = Console(width=120, force_terminal=True, record=True, file=io.StringIO())
    display = LiveDisplay(console, 12, 1200, before)
    for each in ended:
        display.show_end(0, [each.name], [each], 100)
    console.print(display._bars)
    lines = console.export_text().splitlines()
    (line,) = (line.rstrip() for line in lines if line.startswith("best permutations"))
    return line


def test_live_leaders_count_a_failure_as_the_worst_score_so_far():
    ranking = LiveRanking(2)
    assert ranking.leaders == []
    first = results([[10.0, "failed"], [9.0, 8.0], [0.0]])
    ranking.add(first[0][0])
    ranking.add(first[0][1])
    # The only score so far is also the worst.
    assert ranking.leaders == [("0", 10.0)]
    ranking.add(first[1][0])
    ranking.add(first[1][1])
    assert ranking.leaders == [("0", 9.0), ("1", 8.5)]
    ranking.add(first[2][0])
    assert ranking.leaders == [("1", 8.5), ("0", 5.0)]
    ranking.add(result(2, 1, "interrupted"))
    # A run that is tried again replaces its failure.
    ranking.add(result(0, 1, 12.0))
    assert ranking.leaders == [("0", 11.0), ("1", 8.5)]


@pytest.mark.long
def test_a_large_sweep_gets_the_same_answer(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    # 10,200 runs: each further permutation is worse than the three at the top.
    runs = [*RUNS, *([2.5 - number / 10_000] * 3 for number in range(3_396))]
    write_journal(tmp_path, runs)
    options = SimpleNamespace(
        shard=None, out=tmp_path, run_id="default", results=tmp_path / "results.csv", sinks=()
    )
    sweep = SimpleNamespace(stop=SimpleNamespace(is_requested=False))
    console = Console(width=160)
    tuning._print_results(console, options, sweep, None, 0.0)
    printed = capsys.readouterr().out
    assert "Permutation 2 (gamma 0.2) leads the 3,400 permutations: return 8" in printed
    assert "... and 3,350 more" in printed and "1 of 10,200 runs failed" in printed
    assert (tmp_path / "default.html").is_file()
