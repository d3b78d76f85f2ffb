"""The journal of a sweep: one SQLite file that records the state of each run."""
