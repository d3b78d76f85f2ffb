"""Environments: suites, wrappers and the environment backends that step many workers together."""

from __future__ import annotations

from environments.building import make_environment, probe, probe_spaces
from environments.choosing import backend_notice
from environments.interface import (
    EnvironmentFailure,
    EpisodeState,
    Levels,
    Observations,
    Spaces,
    Step,
    VectorEnvironment,
)
from environments.vector import make_environments

__all__ = [
    "EnvironmentFailure",
    "EpisodeState",
    "Levels",
    "Observations",
    "Spaces",
    "Step",
    "VectorEnvironment",
    "backend_notice",
    "make_environment",
    "make_environments",
    "probe",
    "probe_spaces",
]
