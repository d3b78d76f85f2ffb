"""`report.py --answer` has the names that scripts rely on, and the values of the answer."""

import json

import numpy as np

from reports.answer import answer
from reports.output.answer_file import write_answer
from reports.words import sentences
from tests.reports.sweeps import sweep

CHOICES = {"gamma": ["0.9", "0.99"], "lamda": ["0.8", "0.95", "1.0"]}


def returns(values, repetition):
    seed = [repetition, *(int(1000 * float(value)) for value in values)]
    return 100 * float(values[0]) + np.random.default_rng(seed).normal()


def test_the_answer_has_its_documented_names():
    found = answer(sweep(CHOICES, returns))
    read = json.loads(write_answer(found))
    assert list(read) == [
        *("run_id", "metric", "decided", "leader", "scores", "importance", "luck", "advice"),
        *("indifference", "sentences"),
    ]
    assert read["leader"] == found.leader.permutation.name == read["scores"][0]["permutation"]
    assert list(read["scores"][0]) == [
        *("permutation", "choices", "mean", "low", "high", "repetitions", "failed"),
        *("pruned", "could_be_best", "probability", "behind_best", "confirmed"),
    ]
    for own, score in zip(read["scores"], found.scores, strict=True):
        assert (own["mean"], own["low"], own["high"]) == (score.mean, score.low, score.high)
        assert own["behind_best"] == score.behind_best
    assert set(read["importance"]) == set(CHOICES)
    assert set(read["importance"]["gamma"]) == {"share", "low", "high", "shown", "limit"}
    assert read["luck"] == found.bias and read["sentences"] == sentences(found)
    assert set(read["advice"]) == {"more_repetitions", "permutations", "known"}


def test_what_is_not_known_is_null():
    read = json.loads(
        write_answer(answer(sweep(CHOICES, lambda values, _: float(values[0]), repetitions=1)))
    )
    assert not read["decided"] and read["luck"] is None
    assert read["scores"][0]["could_be_best"] is None and read["scores"][0]["low"] is None
