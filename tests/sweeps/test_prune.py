"""Pruning: hopeless permutations end at a rung, and the others train as if nothing had happened."""

import csv
import random
from fractions import Fraction

import pytest
from rich.console import Console

from commands.pruning import train_and_prune
from commands.reporting import read_answer
from commands.terminal.tables import answer_table
from reports.history import history
from reports.outcome import read_outcome
from reports.output.table import ranked
from reports.words import sentences
from sweeps.journal.journal import Journal, journal_path, read_journal
from sweeps.journal.runs import RunState
from sweeps.planning.prune import PrunePlan, hopeless, steps_at_least
from sweeps.sweep import Sweep
from tests.sweeps.scene import BASE, Display, comparable, make_grid, options_for, run, run_here
from tests.sweeps.simulated import KilledError, decided, return_of, scoring

SPACE = """\
learning_rate_schedule:
  initial: [0.2, 0.1, 0.06, 0.04, 0.02, 1.0e-2, 5.0e-3, 3.0e-3]
  final: [1.0e-9]
"""
LEARNING = BASE.replace("epochs: 1", "epochs: 8").replace(
    "num_mini_batches: 1", "num_mini_batches: 2"
)
MEDIAN, HALVING = PrunePlan("median", (2, 4)), PrunePlan("halving", (2, 4))
SCORES = {"a": 5.0, "b": 1.0, "c": 3.0, "d": 4.0, "e": 2.0}


def test_the_median_rule_ends_those_below_the_median():
    assert hopeless(MEDIAN, SCORES) == {"b", "e"}
    assert hopeless(MEDIAN, {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0}) == {"a", "b"}
    assert hopeless(MEDIAN, {"a": 1.0, "b": 1.0, "c": 1.0}) == set()
    assert hopeless(MEDIAN, {"a": 1.0}) == hopeless(MEDIAN, {}) == set()


@pytest.mark.parametrize(
    ("keep", "stay"), [("1/2", "ad"), ("1/5", "a"), ("1/9", "a"), ("3/5", "acd"), ("4/5", "acde")]
)
def test_halving_keeps_a_share_rounded_down_and_at_least_one(keep, stay):
    plan = PrunePlan("halving", (2,), Fraction(keep))
    assert set(SCORES) - hopeless(plan, SCORES) == set(stay)
    assert plan.least_kept(5) == len(stay)


def test_halving_keeps_those_equal_to_the_last_kept_one():
    assert hopeless(HALVING, {"a": 3.0, "b": 2.0, "c": 2.0, "d": 1.0}) == {"d"}


def test_the_least_steps_end_the_longest_runs():
    assert steps_at_least(HALVING, [[60, 60, 60, 60]], 6) == 4 * 20 + 2 * 20 + 20
    assert steps_at_least(HALVING, [[60, 600]], 6) == 220 + 40
    assert steps_at_least(MEDIAN, [[60, 60, 60]], 6) == 3 * 20 + 2 * 20 + 20


def prune(grid, out, plan, backend=run_here, display=None, lines=None, **options):
    """Run a sweep as `tune.py` does, and return the records of all its runs."""
    options = options_for(out, **{"together": 4, "prune": plan, **options})
    display = display or Display()
    with Sweep(grid, options, overwrite=False) as sweep:
        with sweep.session():
            train = lambda: sweep.train(display, backend=backend)  # noqa: E731
            say = [].append if lines is None else lines.append
            if plan is None:
                train()
            else:
                train_and_prune(sweep, options, train, say)
        return list(sweep.records())


@pytest.mark.parametrize("plan", [MEDIAN, HALVING], ids=lambda plan: plan.rule)
def test_those_that_stay_get_the_weights_of_an_unpruned_sweep_in_full_populations(tmp_path, plan):
    grid = make_grid(tmp_path, SPACE, LEARNING)
    whole = comparable(run(grid, tmp_path / "whole", together=4, repetitions=2), tmp_path / "whole")
    display, lines = Display(), []
    records = prune(grid, tmp_path / "out", plan, display=display, lines=lines, repetitions=2)
    found = comparable(records, tmp_path / "out")
    kept = [place for place, record in enumerate(records) if record.state == RunState.FINISHED]
    assert (len(kept), len(records)) == (4, 16)
    assert [found[place] for place in kept] == [whole[place] for place in kept]
    assert lines[:3] == [
        "rung 1 of 2: 16 runs up to update 2",
        "after update 2: 4 of 8 permutations pruned",
        "rung 2 of 2: 8 runs up to update 4",
    ]
    # 16 runs, then 8, then 4: always four together.
    assert [len(names) for names in display.begun] == [4] * (4 + 2 + 1)
    # Both repetitions of a permutation end together.
    ended = [
        {record.state for record in records if record.run.permutation == name}
        for name in "01234567"
    ]
    assert {len(states) for states in ended} == {1}


def test_the_pruned_had_the_lowest_returns_at_the_rung(tmp_path):
    grid = make_grid(tmp_path, SPACE, LEARNING)
    records = prune(grid, tmp_path / "out", PrunePlan("halving", (3,)))
    at_rung = {
        record.name: next(value for steps, value in record.curve if steps == 3 * 64)
        for record in records
    }
    pruned = {record.name for record in records if record.state == RunState.PRUNED}
    worst = max(at_rung[name] for name in pruned)
    assert worst <= min(value for name, value in at_rung.items() if name not in pruned)
    for record in records:
        if record.name in pruned:
            assert (record.steps, record.final_return) == (3 * 64, at_rung[record.name])
            assert record.checkpoint.endswith("update_000003.pt")


def test_the_journal_tells_who_was_pruned_at_which_rung_and_when_runs_ended(tmp_path):
    grid, out = make_grid(tmp_path, SPACE, LEARNING), tmp_path / "out"
    records = prune(grid, out, HALVING, repetitions=2)
    found = read_outcome(out, "a")
    steps = {record.run.permutation: record.steps for record in records}
    pruned = {record.run.permutation for record in records if record.state == RunState.PRUNED}
    assert {name for names in found.pruned.values() for name in names} == pruned
    assert {
        (updates * 64, steps[name]) for updates, names in found.pruned.items() for name in names
    } == {(128, 128), (256, 256)}
    assert sorted(found.ended) == sorted(
        (each.run.permutation, each.run.repetition) for each in records
    )
    # Those pruned at the first rung ended first, and those that stayed last.
    ended = [steps[name] for name, _ in found.ended]
    assert ended == sorted(ended)
    assert [cut.kind for cut in history(found).cuts] == ["rung", "rung"]


def test_pruned_permutations_are_shown_last_with_their_return_and_not_ranked(tmp_path):
    grid, out = make_grid(tmp_path, SPACE, LEARNING), tmp_path / "out"
    records = prune(grid, out, HALVING, repetitions=2)
    with (out / "results.csv").open() as file:
        states = [row["status"] for row in csv.DictReader(file)]
    assert states == [str(record.state) for record in records] and "pruned" in states
    found = read_answer(out, "a")
    scores = [score.mean is not None for score in found.scores]
    assert scores == sorted(scores, reverse=True)
    assert [score.pruned is None for score in found.scores] == scores
    # Those that came further stand before the others.
    steps = [score.pruned[1] for score in found.scores if score.pruned]
    assert steps == sorted(steps, reverse=True) and set(steps) == {128, 256}
    table, _ = answer_table(Console(width=250), found, ranked(found, None, 9)).renderables
    assert table.columns[-1].header == "pruned"
    assert next(iter(reversed([*table.columns[-1].cells]))).endswith(" at 128")
    line = next(line for line in sentences(found) if "pruned" in line)
    assert line.startswith(f"{len(steps)} of 8 permutations were pruned; the ranking")
    best = found.leader.permutation.name
    assert any(line.startswith(f"Permutation {best} ") for line in sentences(found))


def test_without_pruning_the_same_sweep_is_trained_to_the_end(tmp_path):
    grid = make_grid(tmp_path, SPACE, LEARNING)
    whole = comparable(run(grid, tmp_path / "whole", together=4), tmp_path / "whole")
    prune(grid, tmp_path / "out", HALVING)
    display = Display()
    records = prune(grid, tmp_path / "out", None, display=display)
    assert comparable(records, tmp_path / "out") == whole
    assert min(display.updates) == 3
    assert read_answer(tmp_path / "out", "a").scores[-1].pruned is None
    # What has finished isn't pruned any more.
    assert comparable(prune(grid, tmp_path / "out", HALVING), tmp_path / "out") == whole


def test_more_repetitions_are_trained_for_those_that_were_not_pruned(tmp_path):
    grid, out = make_grid(tmp_path, SPACE, LEARNING), tmp_path / "out"
    before = prune(grid, out, HALVING)
    kept = {record.run.permutation for record in before if record.state == RunState.FINISHED}
    records = prune(grid, out, HALVING, repetitions=2)
    states = {record.name: record.state for record in records}
    assert all(
        states[f"{record.run.permutation}_1"]
        == (RunState.FINISHED if record.run.permutation in kept else RunState.PRUNED)
        for record in before
    )


def test_a_lost_journal_loses_no_training(tmp_path):
    grid, out = make_grid(tmp_path, SPACE, LEARNING), tmp_path / "out"
    before = comparable(prune(grid, out, HALVING), out)
    for path in out.glob("a.sqlite*"):
        path.unlink()
    (out / "results.csv").unlink()
    display = Display()
    assert comparable(prune(grid, out, HALVING, display=display), out) == before
    assert display.updates == []


@pytest.mark.parametrize("seed", range(6))
def test_a_sweep_that_is_killed_anywhere_has_the_same_decisions(tmp_path, seed):
    grid, plan = make_grid(tmp_path, SPACE, LEARNING), (MEDIAN, HALVING)[seed % 2]
    # One fails at once, and one only after it was judged.
    fails = lambda planned: planned.name == "1_0" or (planned.name == "6_1" and not planned.until)  # noqa: E731
    options = {"repetitions": 2, "retries": 3, "together": 1}
    prune(grid, tmp_path / "whole", plan, scoring(fails), **options)
    generator, kills = random.Random(seed), 0
    while True:
        try:
            killed = scoring(fails, lambda: generator.random() < 0.2)
            prune(grid, tmp_path / "killed", plan, killed, **options)
            break
        except KilledError:
            kills += 1
    assert kills
    assert decided(tmp_path / "killed") == decided(tmp_path / "whole")


def test_a_failure_counts_as_the_worst_return(tmp_path):
    grid = make_grid(tmp_path, SPACE, LEARNING)
    fails = lambda planned: planned.name == "3_1"  # noqa: E731
    plan = PrunePlan("halving", (2,), Fraction(7, 8))
    prune(grid, tmp_path, plan, scoring(fails), repetitions=2, retries=0)
    with read_journal(tmp_path, "a") as journal:
        scores = journal.rungs.judged(2)
    values = {name: [return_of(f"{name}_{each}", 2) for each in (0, 1)] for name in "01234567"}
    present = [
        v
        for name, both in values.items()
        for each, v in enumerate(both)
        if (name, each) != ("3", 1)
    ]
    assert scores["3"] == pytest.approx((values["3"][0] + min(present)) / 2)
    assert scores["0"] == pytest.approx(sum(values["0"]) / 2)


def test_a_journal_of_an_older_version_can_be_pruned(tmp_path):
    grid, out = make_grid(tmp_path, SPACE, LEARNING), tmp_path / "out"
    run(grid, out, only=frozenset([0]))
    journal = Journal(journal_path(out, "a"))
    journal._database.write("DROP TABLE judged")
    journal.close()
    assert read_outcome(out, "a").pruned == {}
    records = prune(grid, out, HALVING)
    assert {record.state for record in records} == {RunState.FINISHED, RunState.PRUNED}
    assert records[0].state == RunState.FINISHED
