"""Sweep backends, which run the jobs that train populations."""
