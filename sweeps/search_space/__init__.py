"""The search space: reads a tuning config and expands it into permutations."""
