"""Layers of networks, compiled by Numba."""
