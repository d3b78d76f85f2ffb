"""Layers of networks that Numba compiles."""
