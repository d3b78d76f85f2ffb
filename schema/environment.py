"""The section `environment`: what the agent acts in and what it observes."""

from __future__ import annotations

import math
from typing import Annotated, Any, Final, Literal

from annotated_types import Len
from pydantic import Field, SerializeAsAny, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from schema.levels import TrainingSeeds
from schema.messages import nearest
from schema.section import Section, key_error, keys_of
from schema.unity import PLAYER_TYPES, RESET_PARAMS, TowerParameters, UnityConfig, UnityParameters


class EnvironmentConfig(Section):
    """What the agent acts in and what it observes."""

    type: Literal[
        "CartPole", "Gymnasium", "Minigrid", "Procgen", "Atari", "Unity", "ObstacleTower"
    ] = Field(
        "Minigrid",
        description="suite of the environment: CartPole, Gymnasium, Minigrid, Procgen, Atari, "
        "Unity or ObstacleTower",
    )
    name: str = Field(
        "MiniGrid-Empty-Random-6x6-v0",
        min_length=1,
        description="id under which the suite knows the environment; path of a Unity player",
    )
    kwargs: dict[str, Any] = Field(
        {},
        description="CartPole, Gymnasium and Minigrid only: arguments of the environment's constructor, "
        "such as {is_slippery: false}",
    )
    max_episode_steps: int | None = Field(
        None,
        ge=1,
        description="CartPole, Gymnasium and Minigrid only: steps of the environment (frame_skip takes "
        "several) after which an episode is cut off; null: the environment's own limit",
    )
    mask_velocities: bool = Field(
        False, description="CartPole only: hide both velocities, so that memory is needed"
    )
    visual_observation: bool = Field(
        False,
        description="Minigrid only: observe 84 x 84 RGB pixels instead of the one-hot (7, 7, 20) view",
    )
    full_actions: bool = Field(
        False,
        description="ObstacleTower only: walk backwards and sideways, too, not just forwards",
    )
    frame_skip: int = Field(
        1, ge=1, description="steps for which each action is repeated, their rewards summed"
    )
    last_action_to_obs: bool = Field(
        False,
        description="append the last action (one-hot where discrete) to the vector observation",
    )
    last_reward_to_obs: bool = Field(
        False, description="append the last reward to the vector observation"
    )
    positional_encoding: bool = Field(
        False,
        description="append 16 sines and cosines of the episode's step to the vector observation",
    )
    obs_stacks: int = Field(
        1, ge=1, description="how many of the latest observations are stacked into one"
    )
    grayscale: bool = Field(False, description="turn a visual observation into shades of gray")
    resize_vis_obs: Annotated[list[Annotated[int, Field(ge=1)]], Len(2, 2)] | None = Field(
        None, description="[width, height] to which a visual observation is resized; null keeps it"
    )
    sticky_actions: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Atari only: probability with which the game repeats the action before instead "
        "(Machado et al., 2018, Revisiting the Arcade Learning Environment, take 0.25)",
    )
    terminal_on_life_loss: bool = Field(
        False,
        description="Atari only: training takes a lost life for an end, though the game goes on",
    )
    clip_rewards: bool = Field(
        False,
        description="Atari only: training takes the sign of each reward; returns are unclipped",
    )
    backend: Literal["auto", "gymnasium", "envpool", "compiled"] = Field(
        "auto",
        description="what steps the environments: gymnasium, envpool (fast, for some of them), compiled "
        "(by Numba, for classic control), or auto: the fastest that plays the same task and is "
        "installed",
    )
    processes: int | None = Field(
        None,
        ge=0,
        description="processes that step Gymnasium's environments; 0 steps them in this one; "
        "null measures at the start which is faster (the results are the same)",
    )
    launch_timeout: float | None = Field(
        300.0,
        gt=0,
        description="seconds that an environment's constructor and its first reset may take each, "
        "before it counts as failed; null: for ever. Unity's are in environment.unity",
    )
    step_timeout: float | None = Field(
        60.0,
        gt=0,
        description="seconds that each step and each later reset may take; null: for ever. Unity's are "
        "in environment.unity",
    )
    reset_params: SerializeAsAny[TrainingSeeds | UnityParameters | TowerParameters] = Field(
        TrainingSeeds(), validate_default=True, description="the levels that are trained on"
    )
    unity: UnityConfig = Field(
        UnityConfig(), description="Unity and ObstacleTower only: how players are started"
    )

    @model_validator(mode="before")
    @classmethod
    def _has_the_defaults_of_the_type(cls, data: Any) -> Any:
        # Not a mapping, or a type that isn't text: refused by what follows.
        if not isinstance(data, dict) or not isinstance(data.get("type"), str):
            return data
        return {**TYPE_DEFAULTS.get(data["type"], {}), **data}

    @field_validator("kwargs")
    @classmethod
    def _is_finite(cls, value: dict[str, Any]) -> dict[str, Any]:
        # Configs travel as JSON, which has no word for such numbers.
        if not _all_finite(value):
            raise PydanticCustomError("kwargs", "holds a number that isn't finite")
        return value

    @field_validator("reset_params", mode="before")
    @classmethod
    def _has_the_keys_of_the_type(cls, value: Any, info: ValidationInfo) -> Any:
        kind = info.data.get("type", "")
        section = RESET_PARAMS.get(kind, TrainingSeeds)
        if isinstance(value, TrainingSeeds) and type(value) is not section:
            value = value.model_dump(by_alias=True, exclude_unset=True)
        if section is TowerParameters and isinstance(value, dict):
            # Checked here, where it is known which keys could have been meant.
            for key in set(value) - set(keys_of(section)):
                raise key_error(key, "unknown key" + nearest(key, keys_of(section)))
        return section.model_validate(value)

    @model_validator(mode="after")
    def _keys_belong_to_the_type(self) -> EnvironmentConfig:
        for key, suites in _KEYS_OF_TYPES.items():
            default = EnvironmentConfig.model_fields[key].default
            if getattr(self, key) != default and self.type not in suites:
                only = " and ".join(filter(None, (", ".join(suites[:-1]), suites[-1])))
                raise key_error(key, f"works with type {only} only, not with {self.type}")
        return self

    @model_validator(mode="after")
    def _players_step_themselves(self) -> EnvironmentConfig:
        if self.type in PLAYER_TYPES and self.backend != "auto":
            raise key_error("backend", f"must be auto for type {self.type}")
        if self.type in PLAYER_TYPES and self.processes is not None:
            raise key_error("processes", "must be null: players are processes of their own")
        for key in ("launch_timeout", "step_timeout"):
            default = EnvironmentConfig.model_fields[key].default
            if self.type in PLAYER_TYPES and getattr(self, key) != default:
                raise key_error(key, f"players have their own; set environment.unity.{key}")
        return self

    def for_evaluation(self) -> EnvironmentConfig:
        """The same environment with its own ends and rewards, not those that are learnt from."""
        return self.model_copy(update={"terminal_on_life_loss": False, "clip_rewards": False})


def _all_finite(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_all_finite, value.values()))
    if isinstance(value, list):
        return all(map(_all_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


# What keys that are left out mean for a type, where it isn't what they mean for the others. For Atari
# it is what PPO is compared with (Mnih et al., 2015, Human-level control through deep reinforcement
# learning, but for the sticky actions, which came later).
TYPE_DEFAULTS: Final[dict[str, dict[str, Any]]] = {
    "Atari": {
        "frame_skip": 4,
        "obs_stacks": 4,
        "grayscale": True,
        "resize_vis_obs": [84, 84],
        "terminal_on_life_loss": True,
        "clip_rewards": True,
    },
}
# The suites whose environments are registered with Gymnasium.
REGISTERED_TYPES: Final = ("CartPole", "Gymnasium", "Minigrid")
_KEYS_OF_TYPES: Final[dict[str, tuple[str, ...]]] = {
    "kwargs": REGISTERED_TYPES,
    "max_episode_steps": REGISTERED_TYPES,
    "mask_velocities": ("CartPole",),
    "visual_observation": ("Minigrid",),
    "full_actions": ("ObstacleTower",),
    "sticky_actions": ("Atari",),
    "terminal_on_life_loss": ("Atari",),
    "clip_rewards": ("Atari",),
    "unity": PLAYER_TYPES,
}
