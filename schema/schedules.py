"""Decay schedules of hyperparameters that change during training."""

from __future__ import annotations

from pydantic import Field

from schema.section import Section


class DecaySchedule(Section):
    """Polynomial decay: (initial - final) * (1 - update / max_decay_steps) ** power + final."""

    initial: float
    final: float | None
    power: float = Field(1.0, gt=0, description="exponent of the decay; 1 is linear")
    max_decay_steps: int | None = Field(
        None, ge=1, description="updates until final is reached; null: all updates"
    )


class LearningRateSchedule(DecaySchedule):
    """Learning rate of AdamW."""

    initial: float = Field(1.0e-3, gt=0, le=1, description="learning rate at the start")
    final: float | None = Field(
        None, ge=0, le=1, description="learning rate at the end; null: same as initial"
    )


class BetaSchedule(DecaySchedule):
    """Coefficient of the entropy bonus."""

    initial: float = Field(0.01, ge=0, description="coefficient of the entropy bonus at the start")
    final: float | None = Field(
        None, ge=0, description="coefficient of the entropy bonus at the end; null: same as initial"
    )


class ClipRangeSchedule(DecaySchedule):
    """Clip range of the probability ratio and of the change in value."""

    initial: float = Field(0.2, gt=0, description="clip range at the start")
    final: float | None = Field(
        None, ge=0, description="clip range at the end; null: same as initial"
    )
