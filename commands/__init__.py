"""Carries out the commands and prints their results."""
