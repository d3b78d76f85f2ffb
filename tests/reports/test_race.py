"""The judgement of a race: which permutations need more repetitions, and when it is over."""

from dataclasses import replace

import numpy as np

from reports.answer import answer
from reports.race import contenders_of
from reports.words import sentences
from tests.reports.sweeps import sweep

GAMMAS = {"gamma": ("0.9", "0.95", "0.99")}
SESSION = (0.0, 9.0, {"command": ["tune.py", "--race", "--out=o", "--steps=9"], "host": "here"})


def race(returns, repetitions=5, choices=GAMMAS, **options):
    outcome = sweep(choices, returns, repetitions, **options)
    return replace(outcome, is_race=True, sessions=(SESSION,))


def noisy(means):
    rng = np.random.default_rng(0)
    return lambda values, _: means[values[0]] + rng.normal()


def cut(outcome, place, repetitions):
    """Return a sweep in which a permutation has fewer runs."""
    permutations = list(outcome.permutations)
    runs = permutations[place].runs[:repetitions]
    permutations[place] = replace(permutations[place], runs=runs)
    return replace(outcome, permutations=tuple(permutations))


def test_those_that_could_be_the_best_go_on_as_the_answer_names_them():
    outcome = cut(race(noisy({"0.9": 0, "0.95": 0.1, "0.99": -40})), 2, 3)
    assert contenders_of(outcome) == ["0", "1"]
    assert {score.permutation.name for score in answer(outcome).contenders} == {"0", "1"}


def test_a_failure_counts_as_the_worst_score():
    outcome = race(lambda values, repetition: 100 + repetition % 2, failed=[(0, 1), (0, 2), (0, 3)])
    worst = race(
        lambda values, repetition: (
            100.0 if values[0] == "0.9" and 0 < repetition < 4 else 100 + repetition % 2
        )
    )
    assert contenders_of(outcome) == contenders_of(worst)


def test_a_permutation_without_any_score_goes_on_no_more():
    outcome = race(
        noisy({"0.9": 0, "0.95": 0.1, "0.99": 0.2}), 3, failed=[(1, n) for n in range(3)]
    )
    assert contenders_of(outcome) == ["0", "2"]


def test_a_race_is_over_without_any_score():
    failed = [(place, repetition) for place in range(3) for repetition in range(3)]
    assert contenders_of(race(noisy(dict.fromkeys(GAMMAS["gamma"], 0)), 3, failed=failed)) == (
        "no run has a score"
    )


def test_repeated_choices_are_one_permutation():
    outcome = race(
        lambda values, repetition: repetition % 3 - 100 * (values[0] == "0.99"),
        choices={"gamma": ("0.9", "0.9", "0.99")},
    )
    assert contenders_of(outcome) == "one permutation is left"


def test_an_indifference_ends_a_race_as_soon_as_the_answer_advises_no_more():
    outcome = race(noisy({"0.9": 0, "0.95": 0.1, "0.99": 0.2}))
    behind = answer(outcome).behind
    assert contenders_of(outcome, behind * 0.999) == ["0", "1", "2"]
    assert contenders_of(outcome, behind * 1.001) == (
        f"all that could be the best are within {behind * 1.001:g} of the best"
    )


def test_a_race_asks_for_more_confidence_than_a_sweep():
    returns = {"0.9": 0.0, "0.95": 0.8, "0.99": 1.6}
    contenders = [0, 0]
    for seed in range(60):
        rng = np.random.default_rng(seed)
        outcome = sweep(GAMMAS, lambda values, _: returns[values[0]] + rng.normal(), 6, looks=2)  # noqa: B023
        for kind, is_race in enumerate((False, True)):
            contenders[kind] += len(answer(replace(outcome, is_race=is_race)).contenders)
    assert contenders[0] < contenders[1]


def test_the_answer_says_rounds_and_unequal_repetitions():
    outcome = cut(race(noisy({"0.9": 0, "0.95": 0.1, "0.99": -40}), looks=2), 2, 3)
    told = " ".join(sentences(answer(outcome)))
    assert "leads the 3 permutations after 2 rounds: " in told
    assert (
        "Permutations have 3 to 5 repetitions, as the race trained only those again that could still "
        "be the best." in told
    )
    apart = cut(race(noisy({"0.9": 0, "0.95": 90, "0.99": 0}), looks=2), 2, 3)
    told = " ".join(sentences(answer(apart)))
    assert "is the best of 3 after 2 rounds: " in told
    assert "(95 % for all 2 rounds of the race together)" in told


def test_the_advised_command_raises_the_limits_of_the_race():
    outcome = race(noisy({"0.9": 0, "0.95": 1.2, "0.99": -40}))
    (advice,) = [line for line in sentences(answer(outcome)) if "more repetition" in line]
    command = advice.rpartition(": ")[2]
    assert "tune.py --race --out=o --max-repetitions=" in command
    assert "--steps" not in command and "--only" not in command
    assert int(command.rpartition("=")[2]) > outcome.repetitions
