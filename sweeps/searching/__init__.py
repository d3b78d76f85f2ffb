"""Chooses the permutations of a search: by chance, or by what earlier ones have scored."""
