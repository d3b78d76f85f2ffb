"""Trains the planned populations and records what happens."""
