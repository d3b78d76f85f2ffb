"""Checks an environment before it is trained on."""
