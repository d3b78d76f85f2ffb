"""The section `trainer`: PPO and its hyperparameters."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from schema.schedules import BetaSchedule, ClipRangeSchedule, LearningRateSchedule
from schema.section import Section, as_whole, key_error

# Keys that determine the number of updates where total_steps is given.
LENGTH_KEYS = ("total_steps", "num_workers", "worker_steps")


class TrainerConfig(Section):
    """PPO and its hyperparameters."""

    algorithm: Literal["PPO"] = Field("PPO", description="the algorithm: PPO")
    gamma: float = Field(0.99, ge=0, le=1, description="discount factor")
    lamda: float = Field(0.95, ge=0, le=1, description="lambda of generalised advantage estimation")
    updates: int = Field(
        50, ge=1, description="number of updates; each collects a rollout and trains on it"
    )
    total_steps: int | None = Field(
        None,
        ge=1,
        description="environment steps of a run, instead of updates; rounded up to whole updates, which "
        "take the place of this key in a run's own config; null: as many as updates take",
    )
    epochs: int = Field(4, ge=1, description="passes over each rollout")
    num_workers: int = Field(
        16, ge=1, description="number of workers: environment instances that are stepped together"
    )
    worker_steps: int = Field(64, ge=1, description="steps of each worker in a rollout")
    num_mini_batches: int = Field(
        4,
        ge=1,
        description="mini-batches per epoch; must divide num_workers x worker_steps",
    )
    value_coefficient: float = Field(0.5, ge=0, description="weight of the value loss")
    max_grad_norm: float = Field(0.5, gt=0, description="norm to which the gradient is clipped")
    adam_epsilon: float = Field(
        1.0e-5, gt=0, description="epsilon of AdamW, added to the root of the second moment"
    )
    weight_decay: float = Field(0.0, ge=0, description="decoupled weight decay of AdamW")
    clip_value_loss: bool = Field(
        False,
        description="limit the change in value by the clip range; false: plain squared error "
        "(Engstrom et al., 2020, Implementation matters in deep policy gradients, "
        "compare both)",
    )
    target_kl: float | None = Field(
        None,
        gt=0,
        description="stop an update early when a mini-batch's KL divergence from the policy that "
        "acted exceeds 1.5 times this (OpenAI Spinning Up); null: never",
    )
    multi_discrete_ratio: Literal["joint", "branch"] = Field(
        "joint",
        description="probability ratios of a multi-discrete action: joint (one for the whole "
        "action) or branch (one for each branch)",
    )
    bootstrap_truncated: bool = Field(
        True,
        description="add the value of the last observation when a time limit truncates an episode "
        "(Pardo et al., 2018, Time limits in reinforcement learning); false: treat it "
        "as the episode's end",
    )
    normalize_rewards: bool = Field(
        False,
        description="divide rewards by the running standard deviation of the discounted return",
    )
    advantage_normalization: Literal["minibatch", "batch", "none"] = Field(
        "minibatch",
        description="steps over which advantages get mean 0 and standard deviation 1: each "
        "minibatch, the whole batch, or none",
    )
    resume_at: int | None = Field(
        None, ge=0, description="update at which load_model resumes; null: the checkpoint's own"
    )
    learning_rate_schedule: LearningRateSchedule = Field(
        LearningRateSchedule(), description="learning rate of AdamW"
    )
    beta_schedule: BetaSchedule = Field(
        BetaSchedule(), description="coefficient of the entropy bonus"
    )
    clip_range_schedule: ClipRangeSchedule = Field(
        ClipRangeSchedule(), description="clip range of the probability ratio and of the value"
    )

    @property
    def batch_size(self) -> int:
        """Steps of a rollout, over all workers."""
        return self.num_workers * self.worker_steps

    @model_validator(mode="before")
    @classmethod
    def _has_whole_updates(cls, data: Any) -> Any:
        if not isinstance(data, dict) or data.get("total_steps") is None:
            return data
        if "updates" in data:
            raise key_error("total_steps", "can't be combined with updates; leave one of them out")
        return with_updates(data)

    @model_validator(mode="after")
    def _mini_batches_divide_the_batch(self) -> TrainerConfig:
        if self.batch_size % self.num_mini_batches:
            raise key_error(
                "num_mini_batches",
                f"{self.num_mini_batches} doesn't divide the batch of {self.batch_size} "
                f"(num_workers {self.num_workers} x worker_steps {self.worker_steps})",
            )
        return self


def with_updates(data: dict[str, Any]) -> dict[str, Any]:
    """Replace a section's total_steps by the least number of updates that take so many steps.

    Args:
        data: the section trainer as a file has it. Values of a wrong type or out of range stay, and fail
            the fields' own validation.
    """
    steps, workers, worker_steps = (
        as_whole(data.get(key, TrainerConfig.model_fields[key].default)) for key in LENGTH_KEYS
    )
    if not all(type(number) is int and number > 0 for number in (steps, workers, worker_steps)):
        return data
    updates = -(-steps // (workers * worker_steps))
    return {**data, "total_steps": None, "updates": updates}
