"""No sentence of an answer contradicts the table."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from commands.terminal.tables import answer_table
from reports.answer import answer
from reports.outcome import METRICS
from reports.output.answer_file import write_answer
from reports.output.page.data import page_data
from reports.output.page.parts import heading_part
from reports.output.table import ranked, show_number
from reports.suggestion import suggest
from reports.words import sentences
from tests.reports.sweeps import sweep

CHOICES = {"gamma": ("0.9", "0.99"), "lamda": ("0.8", "0.95"), "epochs": ("2", "4", "8")}


def noise(kind, rng):
    if kind == "solves or fails":
        return 500.0 * (rng.random() < 0.8)
    if kind == "capped":
        return min(500.0, rng.normal(480, 40))
    return rng.normal(0, 10) if kind == "noisy" else 0.0


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(["noisy", "solves or fails", "capped", "silent"]),
    repetitions=st.integers(1, 6),
    effect=st.sampled_from([0.0, 5.0, 100.0]),
    failures=st.sets(st.tuples(st.integers(0, 11), st.integers(0, 5)), max_size=8),
    seed=st.integers(0, 10_000),
)
def test_no_sentence_contradicts_the_table(kind, repetitions, effect, failures, seed):
    rng = np.random.default_rng(seed)
    found = answer(
        sweep(
            CHOICES,
            lambda values, _: noise(kind, rng) + effect * (values[0] == "0.99"),
            repetitions,
            failed={(place, each) for place, each in failures if each < repetitions},
        )
    )
    told = " ".join(sentences(found))
    contenders = found.contenders
    assert ("is the best of" in told) == ("significantly better" in told) == (len(contenders) == 1)
    if len(contenders) > 1:
        assert f"{len(contenders)} permutations could be the best" in told
        check_the_likeliest(told, contenders)
    if match := re.search(r"at most (\S+) worse", told):
        assert match[1] == show_number(max(score.behind_best for score in contenders))
    if found.leader.low is not None:
        assert f"{show_number(found.leader.low)} to {show_number(found.leader.high)}" in told
        assert found.leader.low <= found.leader.mean <= found.leader.high
    check_failures(told, found)


def test_later_looks_exclude_less_and_say_so():
    def judged(looks):
        rng = np.random.default_rng(3)
        returns = {"0.9": 0.0, "0.99": 3.0}
        scores = {"gamma": ("0.9", "0.99"), "epochs": ("2", "4")}
        return answer(
            sweep(scores, lambda values, _: returns[values[0]] + rng.normal(), 5, looks=looks)
        )

    contenders = [len(judged(looks).contenders) for looks in (1, 2, 10)]
    assert contenders == sorted(contenders) and contenders[0] < contenders[-1]
    apart = answer(
        sweep({"gamma": ("0.9", "0.99")}, lambda v, r: 1e3 * (v[0] == "0.9") + r % 3, 9, looks=3)
    )
    assert any(
        "(95 % for all 3 looks at the growing sweep together)" in s for s in sentences(apart)
    )


def test_few_runs_without_a_failure_say_how_many_could_fail():
    rng = np.random.default_rng(4)
    few = answer(sweep({"gamma": ("0.9", "0.99")}, lambda *_: rng.normal(), 5))
    # 0.05 ** (1 / 10) = 0.741.
    assert any(
        "10 runs can't show whether up to 26% of runs fail" in each for each in sentences(few)
    )
    many = answer(sweep({"gamma": ("0.9", "0.99")}, lambda *_: rng.normal(), 16))
    assert not any("can't show" in each for each in sentences(many))


def test_runs_that_ended_below_what_they_reached_are_counted():
    outcome = sweep({"gamma": ("0.9", "0.99")}, lambda values, n: float(values[0]) + 0.01 * n, 4)
    lost, kept = outcome.permutations
    runs = tuple(
        replace(run, final_return=0.02 * n, best_return=0.9) if n < 3 else run
        for n, run in enumerate(lost.runs)
    )
    forgot = replace(outcome, permutations=(replace(lost, runs=runs), kept))
    told = sentences(answer(forgot))
    # Finals of 0, 0.02 and 0.04, of a range from 0 to 1.02.
    assert told[-1] == (
        "3 of 8 runs ended far below what they had reached; permutation 0 in 3 of 4: best 0.9, "
        "final 0.02."
    )
    assert not any("far below" in each for each in sentences(answer(outcome)))


def check_the_likeliest(told, contenders):
    shown = {score.permutation.name: f"{score.probability:.2f}" for score in contenders}
    greatest = max(shown.values(), key=float)
    if match := re.search(r"permutation (\d+) is the likeliest \(probability (\S+)\)", told):
        assert shown[match[1]] == match[2] == greatest
        assert list(shown.values()).count(greatest) == 1
    else:
        assert f"the likeliest have a probability of {greatest} each" in told


def check_failures(told, found):
    counted = sum(score.failed for score in found.scores if score.mean is not None)
    hopeless = sum(score.failed for score in found.scores if score.mean is None)
    assert ("each counts as the worst score" in told) == (counted > 0)
    assert ("without a score" in told) == (hopeless > 0)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("shape", [((1,), 1), ((2,), 1), ((1,), 2), ((2, 2), 3)])
def test_nouns_agree_with_numbers_and_no_mean_is_of_a_mean(metric, shape):
    sizes, repetitions = shape
    choices = {
        key: tuple(CHOICES[key][:size])
        for key, size in zip(("gamma", "lamda"), sizes, strict=False)
    }
    outcome = sweep(
        choices, lambda values, n: 10 * float(values[0]) + n, repetitions, failed={(0, 0)}
    )
    fresh = sweep(choices, lambda values, n: 10 * float(values[0]), 1, run_id="default-confirmed")
    found = answer(outcome, metric, 5.0, fresh)
    console = Console(width=200)
    with console.capture() as table:
        console.print(answer_table(console, found, ranked(found, None, 9)))
    page = page_data(found)
    told = " ".join(
        [*sentences(found), table.get(), heading_part(found), page["metric"], page["meanMetric"]]
    )
    assert page["meanMetric"].count("mean") == 1 and "mean mean" not in told
    assert not re.search(r"\b1 (\w+ )?(repetitions|runs|permutations)\b", told)
    # "2 of 8 runs" is right, and so is "1 of 8 runs".
    assert not re.search(r"(?<!\d)[02-9] (repetition|run|permutation)\b", told)


@settings(max_examples=40, deadline=None)
@given(
    spread=st.sampled_from([0.0, 0.1, 3.0, 30.0]),
    effect=st.sampled_from([0.0, 5.0, 100.0]),
    repetitions=st.integers(2, 5),
    seed=st.integers(0, 10_000),
)
def test_an_effect_that_is_not_shown_is_limited_and_never_denied(spread, effect, repetitions, seed):
    rng = np.random.default_rng(seed)
    found = answer(
        sweep(
            CHOICES,
            lambda values, _: effect * float(values[0]) + rng.normal(0, spread),
            repetitions,
        )
    )
    told = " ".join(sentences(found))
    assert "no effect" not in told.lower()
    listed = re.search(r"Effects not shown beyond the noise of the seeds: (.*?)\.(?: |$)", told)
    limits = dict(
        re.findall(
            r"(\w+)(?: \(at most (\d+) % of the variance\))?(?:, |$)", listed[1] if listed else ""
        )
    )
    idle = {label for label in CHOICES if found.matters(label) is False}
    assert set(limits) == idle
    suggested = yaml.safe_load(suggest(found))["hyperparameters"]
    for label in idle:
        limit = found.limit(label)
        assert (limit is None) == (limits[label] == "")
        if limit is not None:
            assert limit <= int(limits[label]) / 100 < max(limit, 0.01) + 0.01
        assert (len(suggested[label]) == 1) == (limit is not None and limit <= 0.05)
        if len(suggested[label]) > 1:
            assert suggested[label] == [float(choice) for choice in CHOICES[label]]


@settings(max_examples=30, deadline=None)
@given(
    kind=st.sampled_from(["noisy", "solves or fails", "silent"]),
    repetitions=st.integers(1, 5),
    indifference=st.sampled_from([0.5, 20.0, 100.0, 1000.0]),
    seed=st.integers(0, 10_000),
)
def test_no_more_repetitions_are_advised_once_contenders_are_within_the_indifference(
    kind, repetitions, indifference, seed
):
    rng = np.random.default_rng(seed)
    outcome = sweep(CHOICES, lambda values, _: noise(kind, rng), repetitions)
    found = answer(outcome, indifference=indifference)
    told, read = " ".join(sentences(found)), json.loads(write_answer(found))
    behind = [score.behind_best for score in found.contenders]
    known = bool(behind) and None not in behind
    within = known and max(behind) <= indifference
    assert read["indifference"] == {
        "limit": indifference,
        "behind": max(behind) if known else None,
        "within": within if known else None,
    }
    if len(behind) < 2:
        return
    assert ("no more repetitions are needed" in told) == within
    if within:
        assert f"Any of these is within {show_number(indifference)} of the best" in told
        assert read["advice"]["more_repetitions"] == 0
    advised = re.search(r"more repetitions? of these|further repetitions|separate them", told)
    assert bool(advised) == (not within)
    if known and not within:
        shown = (
            f"at most {show_number(max(behind))} worse than the best (95 %), which is still more"
        )
        assert shown in told
