"""Acrobot: swing up the end of two links by driving the joint between them (Sutton, 1996,
Generalization in reinforcement learning), with the equations of Sutton and Barto's book and Gymnasium's
constants.

A state has the first link's angle from hanging down and the second link's angle from the first, in
radians, and the velocities of both.
"""

from __future__ import annotations

import math

import numpy as np

from numerics.compiler import jit
from numerics.random import uniform

# Links of 1 m and 1 kg, with their centre of mass in the middle and a moment of inertia of 1.
_GRAVITY, _SECONDS = 9.8, 0.2  # m/s^2, s of a step
_CENTRE, _INERTIA = 0.5, 1.0
_FASTEST_1, _FASTEST_2 = 4 * math.pi, 9 * math.pi
_START = 0.1


@jit
def begin(state: np.ndarray, seed: int, episode: int) -> None:
    """Draw an episode's initial state."""
    for place in range(4):
        # Gymnasium draws float32.
        state[place] = np.float32(uniform(seed, 4 * episode + place, -_START, _START))


@jit
def observe(states: np.ndarray, observations: np.ndarray) -> None:
    """Write the cosine and sine of each angle, and both velocities, of E environments."""
    for number in range(len(states)):
        state, observation = states[number], observations[number]
        observation[0], observation[1] = math.cos(state[0]), math.sin(state[0])
        observation[2], observation[3] = math.cos(state[1]), math.sin(state[1])
        observation[4], observation[5] = state[2], state[3]


@jit
def _slopes(
    first: float, second: float, spin_1: float, spin_2: float, torque: float
) -> tuple[float, float]:
    """Return the accelerations of both angles in radians / s^2."""
    coupling = _CENTRE * math.cos(second)
    d_2 = _CENTRE * _CENTRE + coupling + _INERTIA
    d_1 = _CENTRE * _CENTRE + (1.0 + _CENTRE * _CENTRE + 2 * coupling) + 2 * _INERTIA
    pull_2 = _CENTRE * _GRAVITY * math.cos(first + second - math.pi / 2)
    sine = _CENTRE * math.sin(second)
    pull_1 = (
        -sine * spin_2 * spin_2
        - 2 * sine * spin_2 * spin_1
        + (_CENTRE + 1.0) * _GRAVITY * math.cos(first - math.pi / 2)
        + pull_2
    )
    by_2 = (torque + d_2 / d_1 * pull_1 - sine * spin_1 * spin_1 - pull_2) / (
        _CENTRE * _CENTRE + _INERTIA - d_2 * d_2 / d_1
    )
    return -(d_2 * by_2 + pull_1) / d_1, by_2


@jit
def _wrapped(angle: float) -> float:
    """Return the same angle between -pi and pi."""
    while angle > math.pi:
        angle -= 2 * math.pi
    while angle < -math.pi:
        angle += 2 * math.pi
    return angle


@jit
def step(
    states: np.ndarray, choices: np.ndarray, rewards: np.ndarray, terminated: np.ndarray
) -> None:
    """Apply E torques of -1 (0), 0 (1) or 1 (2) N m; write rewards and whether the end is up."""
    for number in range(len(states)):
        up = _swing(states[number], choices[number])
        rewards[number] = 0.0 if up else -1.0
        terminated[number] = up


@jit
def _swing(state: np.ndarray, choice: int) -> bool:
    """Apply a torque to one environment (classical Runge-Kutta method); return whether its end is up."""
    torque = choice - 1.0
    a, b, c, d = state[0], state[1], state[2], state[3]
    half = _SECONDS / 2
    e_1, f_1 = _slopes(a, b, c, d, torque)
    c_2, d_2 = c + half * e_1, d + half * f_1
    e_2, f_2 = _slopes(a + half * c, b + half * d, c_2, d_2, torque)
    c_3, d_3 = c + half * e_2, d + half * f_2
    e_3, f_3 = _slopes(a + half * c_2, b + half * d_2, c_3, d_3, torque)
    c_4, d_4 = c + _SECONDS * e_3, d + _SECONDS * f_3
    e_4, f_4 = _slopes(a + _SECONDS * c_3, b + _SECONDS * d_3, c_4, d_4, torque)
    sixth = _SECONDS / 6
    state[0] = _wrapped(a + sixth * (c + 2 * c_2 + 2 * c_3 + c_4))
    state[1] = _wrapped(b + sixth * (d + 2 * d_2 + 2 * d_3 + d_4))
    spin_1 = c + sixth * (e_1 + 2 * e_2 + 2 * e_3 + e_4)
    spin_2 = d + sixth * (f_1 + 2 * f_2 + 2 * f_3 + f_4)
    state[2] = min(max(spin_1, -_FASTEST_1), _FASTEST_1)
    state[3] = min(max(spin_2, -_FASTEST_2), _FASTEST_2)
    return -math.cos(state[0]) - math.cos(state[0] + state[1]) > 1.0
