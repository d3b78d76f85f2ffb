"""The section `evaluation`: evaluation during training and by `eval.py`."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Len
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
    score_bounds: Annotated[list[float | None], Len(2, 2)] | None = Field(
        None,
        description="[least, greatest] possible return of an episode, each a number or null, such as "
        "[0, 500]; intervals of the answer stay within them",
    )
