"""The search space: reads what is tuned and expands it into permutations."""
