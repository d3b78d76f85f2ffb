"""Estimates shares of variance with intervals, from F tests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from reports.statistics.averages import Array

_LARGEST = 9_999.0  # noncentrality that SciPy inverts


@dataclass(frozen=True)
class Variance:
    """The variances of effects with 95 % intervals; each array is (effects,)."""

    value: Array
    low: Array
    high: Array


def variance_without_noise(squares: Array, noise: Array, tested: Array, freedom: Array) -> Variance:
    """Return effects' variances without noise.

    The interval is that of the noncentral F distribution.

    Args:
        squares: variance of each effect, noise included, (effects,).
        noise: variance that noise alone would give each effect, (effects,).
        tested: degrees of freedom of each effect, (effects,).
        freedom: degrees of freedom of the noise, (effects,).
    """
    value = np.maximum(squares - noise, 0.0)
    low, high = value.copy(), value.copy()
    noisy = noise > 0
    ratio, tested, freedom = (
        (squares / np.where(noisy, noise, 1.0))[noisy],
        tested[noisy],
        freedom[noisy],
    )
    unit = noise[noisy] / tested
    low[noisy] = unit * _noncentrality(ratio, tested, freedom, 0.975)
    # A ratio far below 1 is chance, and no proof that an effect is smaller than none.
    high[noisy] = unit * _noncentrality(np.maximum(ratio, 1.0), tested, freedom, 0.025)
    return Variance(value, np.minimum(low, value), np.maximum(high, value))


def share_interval(effect: Variance, rest: Variance) -> tuple[Array, Array]:
    """Return 95 % intervals of effects' shares in the sums of effects and rests.

    The uncertainties of both are combined as if independent (Zou and Donner 2008, "Construction of
    confidence limits about effect measures").

    Args:
        effect: variances of the effects.
        rest: variances of everything else.
    """
    share = share_of(effect.value, rest.value)
    below = np.hypot(
        share - share_of(effect.low, rest.value), share - share_of(effect.value, rest.high)
    )
    above = np.hypot(
        share_of(effect.high, rest.value) - share, share_of(effect.value, rest.low) - share
    )
    return np.maximum(share - below, 0.0), np.minimum(share + above, 1.0)


def share_of(effect: Array, rest: Array) -> Array:
    """Return the share of variances in the sum with the rest; 0 if both are 0."""
    whole = effect + rest
    return np.divide(effect, whole, out=np.zeros_like(whole), where=whole > 0)


def _noncentrality(ratio: Array, tested: Array, freedom: Array, probability: float) -> Array:
    """Return the noncentrality at which a smaller ratio has a probability."""
    found: Array = special.ncfdtrinc(tested, freedom, probability, ratio)
    # Beyond SciPy's range, the uncertainty of the noise is nearly all.
    quantile = special.chdtri(freedom, probability) / freedom
    return np.where(found < _LARGEST, found, tested * ratio * quantile)
