"""Environments that are Unity players, to which ML-Agents talks over a port each."""
