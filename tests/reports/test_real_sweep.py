"""The answer from 3, 5 and 10 seeds of a real sweep, compared with its answer from all 64 seeds.

`cartpole_64_seeds.csv` has the final returns of 12 permutations of CartPole-v1, trained for 25,600 steps
with 64 seeds each (`configs/cartpole.yaml` with 25 updates). One permutation, gamma 0.9 with 10 epochs
and the learning rate 0.003, either reaches 220 or collapses to 150.
"""

import csv
from pathlib import Path

import numpy as np
import pytest

from reports.answer import answer
from tests.reports.sweeps import sweep

with (Path(__file__).parent / "cartpole_64_seeds.csv").open(encoding="utf-8") as file:
    KEYS, *ROWS = csv.reader(file)
CHOICES = {
    key: tuple(dict.fromkeys(row[place] for row in ROWS)) for place, key in enumerate(KEYS[:3])
}
RETURNS = {tuple(row[:3]): np.array(row[3:], dtype=float) for row in ROWS}
TRUTH = {choices: values.mean() for choices, values in RETURNS.items()}
BEST = max(TRUTH, key=TRUTH.__getitem__)
DRAWS = 40


def judged(seeds):
    """Return the answer from some of the seeds."""
    return answer(sweep(CHOICES, lambda values, n: RETURNS[values][seeds[n]], len(seeds)))


@pytest.fixture(scope="module", params=[3, 5, 10])
def answers(request):
    rng = np.random.default_rng(request.param)
    return [judged(rng.permutation(64)[: request.param]) for _ in range(DRAWS)]


def test_intervals_hold_the_mean_of_all_seeds(answers):
    held = [
        score.low <= TRUTH[score.permutation.choices] <= score.high
        for found in answers
        for score in found.scores
    ]
    assert np.mean(held) >= 0.93


def test_the_best_of_all_seeds_could_be_the_best(answers):
    kept = [
        any(score.permutation.choices == BEST for score in found.contenders) for found in answers
    ]
    assert np.mean(kept) >= 0.95


def test_the_stated_luck_is_that_of_the_leader(answers):
    stated = np.mean([found.bias for found in answers])
    true = np.mean(
        [found.leader.mean - TRUTH[found.leader.permutation.choices] for found in answers]
    )
    # A tenth of the range of the contenders' runs, 150 to 230.
    assert stated == pytest.approx(true, abs=2.5)


def test_the_stated_probability_is_how_often_the_leader_is_the_best(answers):
    stated = np.mean([found.leader.probability for found in answers])
    true = np.mean([found.leader.permutation.choices == BEST for found in answers])
    # 40 draws tell a frequency to about 0.15.
    assert stated == pytest.approx(true, abs=0.2)


def test_keys_with_large_shares_are_found(answers):
    everything = judged(np.arange(64))
    for effect in everything.importance.main:
        (label,) = effect.keys
        found = np.mean([answer.matters(label) for answer in answers])
        assert found >= 0.95 if effect.share > 0.1 else everything.matters(label), label


def test_intervals_of_shares_hold_those_of_all_seeds(answers):
    everything = judged(np.arange(64))
    held = [
        own.low <= effect.share <= own.high
        for found in answers
        for own, effect in zip(found.importance.main, everything.importance.main, strict=True)
    ]
    assert np.mean(held) >= 0.9
