"""Lists the compiled tasks and their numbers."""

from __future__ import annotations

CART_POLE, MOUNTAIN_CAR, CONTINUOUS_MOUNTAIN_CAR, ACROBOT, PENDULUM = range(5)

_TASKS = {
    "CartPole-v0": CART_POLE,
    "CartPole-v1": CART_POLE,
    "MountainCar-v0": MOUNTAIN_CAR,
    "MountainCarContinuous-v0": CONTINUOUS_MOUNTAIN_CAR,
    "Acrobot-v1": ACROBOT,
    "Pendulum-v1": PENDULUM,
}
# The number of numbers in a state.
STATE_SIZES = {
    CART_POLE: 4,
    MOUNTAIN_CAR: 2,
    CONTINUOUS_MOUNTAIN_CAR: 2,
    ACROBOT: 4,
    PENDULUM: 2,
}


def task_of(suite: str, name: str) -> int | None:
    """Return the number of an environment's task; None if it isn't compiled.

    Args:
        suite: the environment's type.
        name: its id.
    """
    task = _TASKS.get(name)
    fits = suite == "Gymnasium" or (suite == "CartPole" and task == CART_POLE)
    return task if fits else None


def is_compiled(suite: str, name: str) -> bool:
    """Return whether an environment's task is compiled."""
    return task_of(suite, name) is not None
