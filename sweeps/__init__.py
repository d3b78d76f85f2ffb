"""Turns a search space into permutations, trains their runs and records the results."""
