"""The environment backend "compiled": Gymnasium's classic control tasks, compiled by Numba.

A step of such a task takes less time than a Python call, so one call steps a whole rollout. The
dynamics are computed in float64, exactly as in Gymnasium; only the random initial states differ.
"""
