"""Pendulum: swing a pendulum up and hold it there, with Gymnasium's constants.

A state has the angle from the upright in radians, and its velocity in radians / s.
"""

from __future__ import annotations

import math

import numpy as np

from numerics.compiler import jit
from numerics.random import uniform

_GRAVITY, _SECONDS = 10.0, 0.05  # m/s^2, s of a step; a rod of 1 m and 1 kg
_FASTEST, _STRONGEST = 8.0, 2.0


@jit
def begin(state: np.ndarray, seed: int, episode: int) -> None:
    """Draw an episode's initial state."""
    state[0] = uniform(seed, 2 * episode, -math.pi, math.pi)
    state[1] = uniform(seed, 2 * episode + 1, -1.0, 1.0)


@jit
def observe(states: np.ndarray, observations: np.ndarray) -> None:
    """Write the cosine and sine of the angle, and its velocity, of E environments."""
    for number in range(len(states)):
        angle = states[number, 0]
        observations[number, 0], observations[number, 1] = math.cos(angle), math.sin(angle)
        observations[number, 2] = states[number, 1]


@jit
def step(
    states: np.ndarray, forces: np.ndarray, rewards: np.ndarray, terminated: np.ndarray
) -> None:
    """Apply E torques in N m; write rewards. The task has no real end."""
    for number in range(len(states)):
        rewards[number] = _swing(states[number], forces[number])
        terminated[number] = False


@jit
def _swing(state: np.ndarray, force: float) -> float:
    """Apply a torque to one environment; return the reward."""
    torque = min(max(force, -_STRONGEST), _STRONGEST)
    angle, spin = state[0], state[1]
    # The angle from the upright, between -pi and pi.
    away = (angle + math.pi) % (2 * math.pi) - math.pi
    reward = -(away * away + 0.1 * (spin * spin) + 0.001 * (torque * torque))
    spin += (1.5 * _GRAVITY * math.sin(angle) + 3.0 * torque) * _SECONDS
    state[1] = min(max(spin, -_FASTEST), _FASTEST)
    state[0] = angle + state[1] * _SECONDS
    return reward
