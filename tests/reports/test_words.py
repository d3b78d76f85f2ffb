"""No sentence of an answer contradicts the table."""

import re

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from reports.answer import answer
from reports.output.table import show_number
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
