"""Answers of sweeps: rankings, statistics, tables, plots and pages."""
