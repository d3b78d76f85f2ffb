"""Races: the rounds depend on the results alone, however often a race is interrupted."""

import random
from collections import Counter

import numpy as np
import pytest

from commands.racing import run_rounds
from reports.outcome import read_outcome
from sweeps.journal.journal import read_journal
from sweeps.journal.runs import RunRecord, RunState
from sweeps.planning.race import RacePlan, Round, next_round
from sweeps.sweep import Sweep
from tests.sweeps.scene import Display, make_grid, options_for

SPACE = "hyperparameters: {gamma: [0.9, 0.95, 0.99], lamda: [0.8, 0.95]}\n"
STEPS = 6 * 64  # of a run


def plan(contenders, repetitions, most=10, steps=None, cost=100):
    counts = {str(name): count for name, count in enumerate(repetitions)}
    return next_round(RacePlan(most, steps), contenders, counts, lambda _: cost)


@pytest.mark.parametrize(("before", "after"), [(2, 3), (3, 5), (5, 8), (8, 10), (9, 10)], ids=str)
def test_a_round_adds_half_of_the_repetitions_up_to_the_most(before, after):
    assert plan(["0", "2"], [before, before - 1, before]) == Round(("0", "2"), after)


def test_a_permutation_that_is_back_catches_up():
    assert plan(["0", "1"], [5, 3, 3]) == Round(("0", "1"), 8)
    # 3 repetitions for one and 5 for the other; 11 runs are trained already.
    assert plan(["0", "1"], [5, 3, 3], steps=1_900) == Round(("0", "1"), 8)
    assert plan(["0", "1"], [5, 3, 3], steps=1_899) == (
        "the next round has 800 environment steps, and 1,100 of --steps=1899 are spent"
    )


def test_a_race_ends_at_the_most_repetitions():
    assert plan(["0", "1"], [10, 10, 3]) == "--max-repetitions=10 is reached"
    # An earlier session may have trained more.
    assert plan(["0", "1"], [12, 12, 3]) == "--max-repetitions=10 is reached"


class KilledError(Exception):
    """Stands for the death of the process."""


def backend_of(score, fails=lambda name: False, killed=lambda: False):
    """Return a sweep backend that scores runs instead of training them."""

    def backend(populations, placements, recorder, stop):
        for population in populations:
            recorder.started(0, population)
            if killed():
                raise KilledError
            results = [
                RunRecord(planned.run, RunState.FAILED, error=f"error of {planned.name}")
                if fails(planned.name)
                else RunRecord(
                    planned.run, RunState.FINISHED, STEPS, score(planned.run), 1.0, 1.0, 0.1
                )
                for planned in population
            ]
            recorder.ended(0, population, results)
            if killed():
                raise KilledError

    return backend


def race(grid, out, backend, indifference=None, lines=None, **options):
    options = options_for(
        out, repetitions=3, together=2, **{"race": RacePlan(10), "retries": 2, **options}
    )
    with Sweep(grid, options, overwrite=False) as sweep, sweep.session():
        train = lambda: sweep.train(Display(), backend=backend)  # noqa: E731
        train()
        run_rounds(
            sweep, options, indifference, train, [].append if lines is None else lines.append
        )


def state(out):
    """Return everything that must be the same however often a race was interrupted."""
    with read_journal(out, "a") as journal:
        rows = [(row.run.name, row.state, row.attempts) for row in journal.runs("a", 99)]
        returns = [record.final_return for record in journal.records("a")]
        return rows, returns, journal.looks


def score_by(seed, spread):
    """Return scores that are a function of the run, with true means that lie apart."""
    means = np.random.default_rng(seed).normal(0, spread, 6)

    def score(run):
        number = int(run.permutation)
        noise = np.random.default_rng([seed, number, run.repetition]).normal()
        return float(means[number] + noise)

    return score


@pytest.mark.parametrize("seed", range(6))
def test_a_race_that_is_killed_anywhere_has_the_same_rounds(tmp_path, seed):
    grid = make_grid(tmp_path, SPACE)
    score = score_by(seed, 2.0)
    fails = lambda name: hash_of(name, seed) % 9 == 0  # noqa: E731
    race(grid, tmp_path / "whole", backend_of(score, fails))
    generator, kills = random.Random(seed), 0
    while True:
        try:
            killed = lambda: generator.random() < 0.2  # noqa: E731
            race(grid, tmp_path / "killed", backend_of(score, fails, killed))
            break
        except KilledError:
            kills += 1
    assert kills
    assert state(tmp_path / "killed") == state(tmp_path / "whole")
    assert state(tmp_path / "whole")[2] > 1
    # Again, it has nothing to train.
    race(grid, tmp_path / "whole", backend_of(score, killed=lambda: True))


def hash_of(name, seed):
    return int(np.random.default_rng([seed, *name.encode()]).integers(1_000))


def test_only_those_that_could_be_the_best_get_more_repetitions(tmp_path):
    grid, lines = make_grid(tmp_path, SPACE), []
    # Two are equal and good, four are bad.
    noise = score_by(1, 0.0)
    race(
        grid,
        tmp_path / "out",
        backend_of(lambda run: noise(run) + 20 * (int(run.permutation) < 2)),
        lines=lines,
    )
    outcome = read_outcome(tmp_path / "out", "a")
    assert [len(each.runs) for each in outcome.permutations] == [10, 10, 3, 3, 3, 3]
    assert (outcome.looks, outcome.is_race) == (4, True)
    assert [run.run.seed for run in outcome.permutations[0].runs] == list(range(10))
    assert lines == [
        f"round 2: 4 runs, {4 * STEPS:,} environment steps",
        f"round 3: 6 runs, {6 * STEPS:,} environment steps",
        f"round 4: 4 runs, {4 * STEPS:,} environment steps",
        "the race is over after 4 rounds: --max-repetitions=10 is reached",
    ]


def test_a_race_ends_with_the_leader_alone_or_within_the_indifference(tmp_path):
    grid = make_grid(tmp_path, SPACE)
    noise = score_by(1, 0.0)
    apart, close = [], []
    far = backend_of(lambda run: noise(run) + 100 * (run.permutation == "4"))
    race(grid, tmp_path / "apart", far, lines=apart)
    assert apart == ["the race is over after 1 round: one permutation is left"]
    race(grid, tmp_path / "close", backend_of(noise), 50.0, lines=close)
    assert close == [
        "the race is over after 1 round: all that could be the best are within 50 of the best"
    ]


def test_steps_limit_a_race(tmp_path):
    grid, noise, lines = make_grid(tmp_path, SPACE), score_by(1, 0.0), []
    limit = 18 * STEPS + 12 * STEPS
    race(grid, tmp_path / "out", backend_of(noise), race=RacePlan(10, limit), lines=lines)
    with read_journal(tmp_path / "out", "a") as journal:
        spent = Counter(row.steps for row in journal.records("a"))
    assert spent[STEPS] * STEPS <= limit
    assert "of --steps=" in lines[-1]


def test_failed_runs_are_retried_within_their_round(tmp_path):
    grid, tries = make_grid(tmp_path, SPACE), Counter()

    def fails(name):
        tries[name] += 1
        return name == "1_0"

    lines = []
    race(grid, tmp_path / "out", backend_of(score_by(2, 2.0), fails), lines=lines)
    assert tries.pop("1_0") == 3 and set(tries.values()) == {1}
    assert lines[:2] == ["retrying 1 failed run"] * 2


def test_many_failures_alike_do_not_stop_a_race_when_they_are_retried(tmp_path):
    grid, lines = make_grid(tmp_path, SPACE), []
    scored = backend_of(score_by(2, 2.0))

    def backend(populations, placements, recorder, stop):
        def populations_left():
            for population in populations:
                bad = [each for each in population if each.run.permutation in ("3", "4")]
                if bad:
                    recorder.started(0, bad)
                    same = [RunRecord(each.run, RunState.FAILED, error="same") for each in bad]
                    recorder.ended(0, bad, same)
                good = [each for each in population if each not in bad]
                if good:
                    yield good

        scored(populations_left(), placements, recorder, stop)

    race(grid, tmp_path / "out", backend, lines=lines)
    assert lines[:2] == ["retrying 6 failed runs"] * 2
    assert lines[-1].startswith("the race is over")
    outcome = read_outcome(tmp_path / "out", "a")
    assert len(outcome.permutations[3].runs) == 3
