"""The section `environment`: the environment, its observations and its levels."""

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
    """The environment, its observations and its levels."""

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
        description="the environment's id in its suite; the path of a player for Unity and "
        "ObstacleTower",
    )
    kwargs: dict[str, Any] = Field(
        {},
        description="CartPole, Gymnasium and Minigrid only: arguments of the environment's constructor, "
        "such as {is_slippery: false}",
    )
    max_episode_steps: int | None = Field(
        None,
        ge=1,
        description="CartPole, Gymnasium and Minigrid only: environment steps (several per action "
        "with frame_skip) after which an episode is truncated; null: the environment's "
        "own limit",
    )
    use_action_mask: Literal["auto", True, False] = Field(
        "auto",
        description="whether forbidden choices are masked: auto (if a reset brings a mask), true (an "
        "error where there is none) or false (masks are ignored)",
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
        description="ObstacleTower only: also walk backwards and sideways, not just forwards",
    )
    frame_skip: int = Field(
        1,
        ge=1,
        description="environment steps for which each action is repeated; their rewards are summed",
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
        1, ge=1, description="number of the latest observations to stack into one"
    )
    grayscale: bool = Field(False, description="convert visual observations to grayscale")
    resize_vis_obs: Annotated[list[Annotated[int, Field(ge=1)]], Len(2, 2)] | None = Field(
        None, description="[width, height] to resize visual observations to; null: keep their size"
    )
    sticky_actions: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Atari only: probability of repeating the previous action instead of the chosen "
        "one (Machado et al., 2018, Revisiting the Arcade Learning Environment, "
        "recommend 0.25)",
    )
    terminal_on_life_loss: bool = Field(
        False,
        description="Atari only: in training, treat a lost life as the end of an episode, although "
        "the game continues",
    )
    clip_rewards: bool = Field(
        False,
        description="Atari only: train on the sign of each reward; returns are reported unclipped",
    )
    backend: Literal["auto", "gymnasium", "envpool", "compiled"] = Field(
        "auto",
        description="environment backend: gymnasium, envpool (faster, for some environments), "
        "compiled (by Numba, for classic control), or auto: the fastest that is "
        "installed and plays the same task",
    )
    processes: int | None = Field(
        None,
        ge=0,
        description="processes that step Gymnasium's environments; 0: step them in the training's "
        "own process; null: measure at the start which is faster (the results are the "
        "same)",
    )
    launch_timeout: float | None = Field(
        300.0,
        gt=0,
        description="seconds allowed for an environment's constructor, and again for its first "
        "reset; null: no limit. For Unity players see environment.unity",
    )
    step_timeout: float | None = Field(
        60.0,
        gt=0,
        description="seconds allowed for each step and each later reset; null: no limit. For Unity "
        "players see environment.unity",
    )
    reset_params: SerializeAsAny[TrainingSeeds | UnityParameters | TowerParameters] = Field(
        TrainingSeeds(), validate_default=True, description="the levels to train on"
    )
    unity: UnityConfig = Field(
        UnityConfig(), description="Unity and ObstacleTower only: settings of the players"
    )

    @model_validator(mode="before")
    @classmethod
    def _has_the_defaults_of_the_type(cls, data: Any) -> Any:
        # Data that isn't a mapping, or a type that isn't text, fails the field's own validation.
        if not isinstance(data, dict) or not isinstance(data.get("type"), str):
            return data
        return {**TYPE_DEFAULTS.get(data["type"], {}), **data}

    @field_validator("kwargs")
    @classmethod
    def _is_finite(cls, value: dict[str, Any]) -> dict[str, Any]:
        # Configs are sent and stored as JSON, which can't express infinity and NaN.
        if not _all_finite(value):
            raise PydanticCustomError("kwargs", "must hold finite numbers only")
        return value

    @field_validator("reset_params", mode="before")
    @classmethod
    def _has_the_keys_of_the_type(cls, value: Any, info: ValidationInfo) -> Any:
        kind = info.data.get("type", "")
        section = RESET_PARAMS.get(kind, TrainingSeeds)
        if isinstance(value, TrainingSeeds) and type(value) is not section:
            value = value.model_dump(by_alias=True, exclude_unset=True)
        if section is TowerParameters and isinstance(value, dict):
            # Checked here because only here the keys that could have been meant are known.
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
                raise key_error(key, f"Unity players have their own; set environment.unity.{key}")
        return self

    def for_evaluation(self) -> EnvironmentConfig:
        """Return the same environment with its own ends and rewards instead of those for training."""
        return self.model_copy(update={"terminal_on_life_loss": False, "clip_rewards": False})


def _all_finite(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_all_finite, value.values()))
    if isinstance(value, list):
        return all(map(_all_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


# Defaults of a type that differ from the other types' defaults. Those of Atari are the settings with
# which PPO is usually compared (Mnih et al., 2015, Human-level control through deep reinforcement
# learning), without sticky actions, which came later.
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
# Suites with environments registered in Gymnasium.
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
