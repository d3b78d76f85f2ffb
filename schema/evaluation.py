"""The section `evaluation`: evaluation during training and by `eval.py`."""

from __future__ import annotations

from pydantic import Field

from schema.levels import EvaluationSeeds
from schema.section import Section


class EvaluationConfig(Section):
    """Evaluation during training and by `eval.py`."""

    evaluate: bool = Field(False, description="evaluate during training")
    num_workers: int = Field(
        4, ge=1, description="environments that are evaluated at the same time"
    )
    seeds: EvaluationSeeds = Field(EvaluationSeeds(), description="the levels to evaluate on")
    interval: int = Field(10, ge=1, description="updates between evaluations")
