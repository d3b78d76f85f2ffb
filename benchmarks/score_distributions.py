"""Draws grids of scores with known true means, of the kinds that reinforcement learning brings.

Each function draws scores (permutations, repetitions) and returns them with the true means
(permutations,). A seed brings a fifth of a score's variance to all permutations where noise is normal.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.float64]
Grid = tuple[Array, Array]
Draw = Callable[[np.random.Generator, int, int], Grid]

SHARED = 0.2  # share of a score's variance that a seed brings to all permutations


def latent(rng: np.random.Generator, permutations: int, repetitions: int) -> Array:
    """Return standard normal numbers, (permutations, repetitions), that correlate within a seed."""
    own = rng.standard_normal((permutations, repetitions))
    return np.sqrt(1 - SHARED) * own + np.sqrt(SHARED) * rng.standard_normal(repetitions)


def equal(rng: np.random.Generator, permutations: int, repetitions: int) -> Grid:
    """Return normal scores of equal permutations."""
    return latent(rng, permutations, repetitions), np.zeros(permutations)


def normal(rng: np.random.Generator, permutations: int, repetitions: int) -> Grid:
    """Return normal scores; the true means differ as much as runs do."""
    truth = rng.standard_normal(permutations)
    return truth[:, None] + latent(rng, permutations, repetitions), truth


def collapsing(rng: np.random.Generator, permutations: int, repetitions: int) -> Grid:
    """Return scores of runs that reach a level of 300 to 500, or collapse to about 20."""
    level, rate = rng.uniform(300, 500, permutations), rng.uniform(0.05, 0.3, permutations)
    shape = (permutations, repetitions)
    fallen = rng.normal(20, 8, shape)
    reached = level[:, None] + 15 * latent(rng, *shape)
    return np.where(rng.random(shape) < rate[:, None], fallen, reached), rate * 20 + (
        1 - rate
    ) * level


def capped(rng: np.random.Generator, permutations: int, repetitions: int) -> Grid:
    """Return scores that can't exceed 500, where they pile up."""
    level = rng.uniform(380, 560, permutations)
    scores = np.minimum(500, level[:, None] + 60 * latent(rng, permutations, repetitions))
    cap = (500 - level) / 60
    below = stats.norm.cdf(cap)
    return scores, level * below - 60 * stats.norm.pdf(cap) + 500 * (1 - below)


def safe_and_risky(rng: np.random.Generator, permutations: int, repetitions: int) -> Grid:
    """Return scores of safe permutations (410 to 415), and of risky ones (500, or 0 in one of five)."""
    safe = permutations // 2
    scores = np.empty((permutations, repetitions))
    scores[:safe] = rng.uniform(410, 415, (safe, repetitions))
    scores[safe:] = np.where(rng.random((permutations - safe, repetitions)) < 0.8, 500.0, 0.0)
    return scores, np.where(np.arange(permutations) < safe, 412.5, 400.0)


def solved(rng: np.random.Generator, permutations: int, repetitions: int) -> Grid:
    """Return scores of runs that solve a task (500) nine times in ten, else reach up to 100."""
    shape = (permutations, repetitions)
    scores = np.where(rng.random(shape) < 0.9, 500.0, rng.uniform(0, 100, shape))
    return scores, np.full(permutations, 455.0)


def solving_or_failing(rng: np.random.Generator, permutations: int, repetitions: int) -> Grid:
    """Return scores of runs that solve a task (500), or else reach up to 100; rates differ."""
    rate = rng.uniform(0.3, 1.0, permutations)
    shape = (permutations, repetitions)
    failed = rng.uniform(0, 100, shape)
    scores = np.where(rng.random(shape) < rate[:, None], 500.0, failed)
    return scores, 500 * rate + 50 * (1 - rate)


def rare(rng: np.random.Generator, permutations: int, repetitions: int) -> Grid:
    """Return scores of runs that succeed (1) rarely, else stay near 0."""
    rate = rng.uniform(0.02, 0.3, permutations)
    shape = (permutations, repetitions)
    return (rng.random(shape) < rate[:, None]) + 0.005 * rng.standard_normal(shape), rate


def growing(rng: np.random.Generator, permutations: int, repetitions: int) -> Grid:
    """Return scores with noise that grows with the mean."""
    truth = rng.uniform(50, 500, permutations)
    noise = 0.15 * truth[:, None]
    return truth[:, None] + noise * latent(rng, permutations, repetitions), truth


def falling(rng: np.random.Generator, permutations: int, repetitions: int) -> Grid:
    """Return scores with noise that falls as the mean grows."""
    truth = rng.uniform(50, 500, permutations)
    noise = 0.15 * (550 - truth[:, None])
    return truth[:, None] + noise * latent(rng, permutations, repetitions), truth


def skewed_left(rng: np.random.Generator, permutations: int, repetitions: int) -> Grid:
    """Return scores with strongly skewed noise: the negative of lognormal numbers of shape 1."""
    noise = -np.exp(latent(rng, permutations, repetitions)) + np.exp(0.5)
    truth = rng.standard_normal(permutations) * np.sqrt((np.e - 1) * np.e)
    return truth[:, None] + noise, truth


def one_wild(factor: float) -> Draw:
    """Return a function that draws normal scores; one permutation's noise is greater by a factor."""

    def draw(rng: np.random.Generator, permutations: int, repetitions: int) -> Grid:
        scores, truth = normal(rng, permutations, repetitions)
        wild = rng.integers(permutations)
        scores[wild] = truth[wild] + factor * latent(rng, 1, repetitions)[0]
        return scores, truth

    return draw


def one_abyss(rng: np.random.Generator, permutations: int, repetitions: int) -> Grid:
    """Return normal scores; one permutation's lie between 0 and -1e6."""
    scores, truth = normal(rng, permutations, repetitions)
    wild = rng.integers(permutations)
    scores[wild], truth[wild] = -1e6 * rng.random(repetitions), -5e5
    return scores, truth


def leaders_repeated(rng: np.random.Generator, permutations: int, repetitions: int) -> Grid:
    """Return normal scores; the best third has twice the repetitions, as the answer advises."""
    scores, truth = normal(rng, permutations, 2 * repetitions)
    order = np.argsort(-scores[:, :repetitions].mean(axis=1))
    scores[order[permutations // 3 :], repetitions:] = np.nan
    return scores, truth


def missing(rng: np.random.Generator, permutations: int, repetitions: int) -> Grid:
    """Return normal scores without 15 % of them; each permutation keeps its first one."""
    scores, truth = normal(rng, permutations, repetitions)
    lost = rng.random(scores.shape) < 0.15
    lost[:, 0] = False
    return np.where(lost, np.nan, scores), truth


GRIDS: dict[str, Draw] = {
    "equal": equal,
    "normal": normal,
    "collapsing": collapsing,
    "capped": capped,
    "safe and risky": safe_and_risky,
    "solved by 90 %": solved,
    "rare success": rare,
    "noise grows": growing,
    "noise falls": falling,
    "skewed to the left": skewed_left,
    "one wild (x5)": one_wild(5),
    "one wild (x30)": one_wild(30),
    "one wild (-1e6)": one_abyss,
    "twice the repetitions of leaders": leaders_repeated,
    "15 % missing": missing,
}
