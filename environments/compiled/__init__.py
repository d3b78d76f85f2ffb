"""Gymnasium's classic control tasks, compiled by Numba: whole rollouts of them are one call.

Stepping such a task takes less time than calling anything that does. Each takes the numbers of its state
to the next ones in float64, as Gymnasium's own code does; only the random starts are others.
"""
