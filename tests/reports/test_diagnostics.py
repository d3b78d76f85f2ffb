"""Diagnostics of permutations: means over runs, with names for readers."""

from dataclasses import replace

from reports.diagnostics import diagnostics_of
from tests.reports.sweeps import sweep


def permutations(*found, failed=()):
    """Return a permutation for each list of its runs' diagnostics."""
    repetitions = len(found[0])
    choices = {"gamma": [str(number) for number in range(len(found))]}
    outcome = sweep(choices, lambda *_: 1.0, repetitions, failed)
    return [
        replace(
            each,
            runs=tuple(
                replace(run, diagnostics=own) for run, own in zip(each.runs, runs, strict=True)
            ),
        )
        for each, runs in zip(outcome.permutations, found, strict=True)
    ]


def test_a_value_is_the_mean_over_the_runs_that_have_it():
    found = permutations(
        [{"policy/entropy": 0.5}, {"policy/entropy": 0.7}, {}],
        [{"episode/length_mean": 10.0}, {}, {}],
    )
    assert diagnostics_of(found) == {
        "episode length, steps": [None, 10.0],
        "entropy, nats": [0.6, None],
    }


def test_failed_runs_do_not_count():
    found = permutations([{"loss/value": 1.0}, {"loss/value": 99.0}], failed={(0, 1)})
    assert diagnostics_of(found) == {"loss of the values": [1.0]}


def test_what_environments_report_has_its_own_name_and_comes_last():
    found = permutations([{"episode/success_mean": 1.0, "policy/entropy": 0.5}])
    assert list(diagnostics_of(found)) == ["entropy, nats", "success"]


def test_old_sweeps_have_none():
    assert diagnostics_of(permutations([{}, {}])) == {}
