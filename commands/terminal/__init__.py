"""Draws on the terminal: progress and tables."""
