"""MountainCar: drive a weak car up a hill (Moore, 1990, Efficient memory-based learning for robot
control), with Gymnasium's constants, and with discrete or continuous actions.

A state has the car's position and velocity.
"""

from __future__ import annotations

import math

import numpy as np

from numerics.compiler import jit
from numerics.random import uniform

_GRAVITY, _FASTEST = 0.0025, 0.07
_LEFTMOST, _RIGHTMOST = -1.2, 0.6
_PUSH, _GOAL = 0.001, 0.5
_POWER, _CONTINUOUS_GOAL, _BONUS, _EFFORT = 0.0015, 0.45, 100.0, 0.1


@jit
def begin(state: np.ndarray, seed: int, episode: int) -> None:
    """Draw an episode's initial state."""
    state[0] = uniform(seed, episode, -0.6, -0.4)
    state[1] = 0.0


@jit
def _roll(state: np.ndarray, push: float) -> None:
    velocity = state[1] + push - math.cos(3 * state[0]) * _GRAVITY
    velocity = min(max(velocity, -_FASTEST), _FASTEST)
    position = min(max(state[0] + velocity, _LEFTMOST), _RIGHTMOST)
    if position == _LEFTMOST and velocity < 0:
        velocity = 0.0
    state[0], state[1] = position, velocity


@jit
def step(
    states: np.ndarray, choices: np.ndarray, rewards: np.ndarray, terminated: np.ndarray
) -> None:
    """Push E cars to the left (0), not at all (1) or to the right (2); write rewards and arrivals."""
    for number in range(len(states)):
        state = states[number]
        _roll(state, (choices[number] - 1) * _PUSH)
        rewards[number] = -1.0
        terminated[number] = state[0] >= _GOAL and state[1] >= 0


@jit
def step_continuous(
    states: np.ndarray, forces: np.ndarray, rewards: np.ndarray, terminated: np.ndarray
) -> None:
    """Push E cars with forces from -1 to 1; write rewards and arrivals."""
    for number in range(len(states)):
        state, force = states[number], forces[number]
        _roll(state, min(max(force, -1.0), 1.0) * _POWER)
        arrived = state[0] >= _CONTINUOUS_GOAL and state[1] >= 0
        # Gymnasium keeps float32 here.
        state[0], state[1] = np.float32(state[0]), np.float32(state[1])
        rewards[number] = (_BONUS if arrived else 0.0) - _EFFORT * (force * force)
        terminated[number] = arrived
