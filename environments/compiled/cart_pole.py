"""CartPole: balance a pole on a cart (Barto, Sutton and Anderson, 1983, Neuronlike adaptive elements
that can solve difficult learning control problems), with Gymnasium's constants.

A state has the cart's position in m and velocity in m/s, and the pole's angle in radians and velocity in
radians / s.
"""

from __future__ import annotations

import math

import numpy as np

from numerics.compiler import jit
from numerics.random import uniform

_GRAVITY, _SECONDS, _FORCE = 9.8, 0.02, 10.0  # m/s^2, s of a step, N
_POLE, _CART, _HALF_LENGTH = 0.1, 1.0, 0.5  # kg, kg, m
_TOTAL, _MOMENT = _POLE + _CART, _POLE * _HALF_LENGTH
_FARTHEST, _STEEPEST = 2.4, 12 * 2 * math.pi / 360
_START = 0.05


@jit
def begin(state: np.ndarray, seed: int, episode: int) -> None:
    """Draw an episode's initial state."""
    for place in range(4):
        state[place] = uniform(seed, 4 * episode + place, -_START, _START)


@jit
def step(
    states: np.ndarray, choices: np.ndarray, rewards: np.ndarray, terminated: np.ndarray
) -> None:
    """Push E carts to the left (0) or right (1); write rewards and whether the pole fell."""
    for number in range(len(states)):
        terminated[number] = _push(states[number], choices[number])
        rewards[number] = 1.0


@jit
def _push(state: np.ndarray, choice: int) -> bool:
    """Push one cart; return whether its pole fell."""
    position, velocity, angle, spin = state[0], state[1], state[2], state[3]
    force = _FORCE if choice == 1 else -_FORCE
    cosine, sine = math.cos(angle), math.sin(angle)
    push = (force + _MOMENT * (spin * spin) * sine) / _TOTAL
    torque = _GRAVITY * sine - cosine * push
    by_angle = torque / (_HALF_LENGTH * (4.0 / 3.0 - _POLE * (cosine * cosine) / _TOTAL))
    by_position = push - _MOMENT * by_angle * cosine / _TOTAL
    state[0] = position + _SECONDS * velocity
    state[1] = velocity + _SECONDS * by_position
    state[2] = angle + _SECONDS * spin
    state[3] = spin + _SECONDS * by_angle
    return abs(state[0]) > _FARTHEST or abs(state[2]) > _STEEPEST
