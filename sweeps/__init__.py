"""From a search space to permutations, to runs, to results."""
