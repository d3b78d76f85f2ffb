"""Settings of Unity players and the Obstacle Tower, and the levels that they play."""

from __future__ import annotations

from typing import Annotated, Final

from annotated_types import Len
from pydantic import ConfigDict, Field, model_validator

from schema.levels import LevelSeeds, TrainingSeeds
from schema.section import Section, key_error

# Players receive numbers as float32, which holds whole numbers exactly up to this one.
_EXACT_LEVELS: Final = 2**24
_GREATEST_FLOAT32: Final = 3.4028234663852886e38


class UnityParameters(TrainingSeeds):
    """The levels to train on; any other key is a parameter of the scene, and a number."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, float]

    def trained(self) -> tuple[int, int]:
        """Return the first level to train on and the number of levels."""
        return self.start_seed, self.num_seeds or _EXACT_LEVELS - self.start_seed

    @model_validator(mode="after")
    def _can_be_sent(self) -> UnityParameters:
        _check_levels(self, _EXACT_LEVELS)
        if "seed" in (self.model_extra or {}):
            raise key_error(
                "seed", "is set for each level; choose levels by start-seed and num-seeds"
            )
        for name, value in (self.model_extra or {}).items():
            if not name.isascii():
                raise key_error(name, "must be ASCII: players accept no other names")
            if abs(value) > _GREATEST_FLOAT32:
                raise key_error(name, f"must fit a 32-bit float, at most {_GREATEST_FLOAT32:.3g}")
        return self


class TowerParameters(TrainingSeeds):
    """The towers to train on and their properties."""

    start_seed: int = Field(
        0, ge=0, lt=2**31, alias="start-seed", description="first tower to train on"
    )
    num_seeds: int = Field(
        100, ge=1, lt=2**31, alias="num-seeds", description="number of towers to train on"
    )
    tower_seed: int | None = Field(
        None,
        ge=0,
        lt=100_000,
        alias="tower-seed",
        description="the one tower to train on; null: those given by start-seed and num-seeds",
    )
    starting_floor: int = Field(
        0, ge=0, le=99, alias="starting-floor", description="floor on which an episode starts"
    )
    total_floors: int = Field(
        100, ge=1, le=100, alias="total-floors", description="number of floors of a tower"
    )
    dense_reward: int = Field(
        1, ge=0, le=1, alias="dense-reward", description="1: also reward doors, keys and puzzles"
    )
    lighting_type: int = Field(
        1,
        ge=0,
        le=2,
        alias="lighting-type",
        description="no realtime light (0), one light (1), or one of many colours (2)",
    )
    visual_theme: int = Field(
        1,
        ge=0,
        le=2,
        alias="visual-theme",
        description="the default theme (0), themes in their order (1), or a random theme for each "
        "floor (2)",
    )
    agent_perspective: int = Field(
        1, ge=0, le=1, alias="agent-perspective", description="first person (0) or third person (1)"
    )
    allowed_rooms: int = Field(
        2,
        ge=0,
        le=2,
        alias="allowed-rooms",
        description="normal rooms only (0), also rooms with keys (1), or also rooms with puzzles "
        "(2)",
    )
    allowed_modules: int = Field(
        2,
        ge=0,
        le=2,
        alias="allowed-modules",
        description="rooms without modules (0), with easy ones (1), or with all (2)",
    )
    allowed_floors: int = Field(
        2,
        ge=0,
        le=2,
        alias="allowed-floors",
        description="straight floors only (0), also branching ones (1), or also circular ones (2)",
    )
    default_theme: int = Field(
        0,
        ge=0,
        le=4,
        alias="default-theme",
        description="Ancient (0), Moorish (1), Industrial (2), Modern (3) or Future (4)",
    )

    def trained(self) -> tuple[int, int]:
        """Return the first tower to train on and the number of towers."""
        if self.tower_seed is not None:
            return self.tower_seed, 1
        return self.start_seed, self.num_seeds

    @model_validator(mode="after")
    def _towers_exist(self) -> TowerParameters:
        _check_levels(self, 100_000)
        return self


def _check_levels(levels: LevelSeeds, limit: int) -> None:
    first, count = levels.trained()
    if first >= limit:
        raise key_error("start-seed", f"{first} is out of range; must be less than {limit}")
    if first + count > limit:
        message = f"the last level would be {first + count - 1}; must be less than {limit}"
        raise key_error("num-seeds", message)


# Types with Unity players as environments.
PLAYER_TYPES = ("Unity", "ObstacleTower")
# Types with their own keys in reset_params.
RESET_PARAMS: Final[dict[str, type[TrainingSeeds]]] = {
    "Unity": UnityParameters,
    "ObstacleTower": TowerParameters,
}


class UnityConfig(Section):
    """Settings of Unity players."""

    behavior: str | None = Field(
        None,
        min_length=1,
        description="name of the behaviour to train; null: the only one in the scene",
    )
    graphics: bool | None = Field(
        None,
        description="render while training, as cameras require; null: for ObstacleTower only",
    )
    time_scale: float = Field(
        20.0, gt=0, le=100, description="speed of the simulation relative to real time"
    )
    screen_size: Annotated[list[Annotated[int, Field(ge=1)]], Len(2, 2)] = Field(
        [84, 84], description="[width, height] of the window in pixels"
    )
    quality_level: int = Field(
        5, ge=0, description="index of the project's quality level; 0 is the lowest"
    )
    launch_timeout: float = Field(
        60.0, gt=0, description="seconds allowed for a player's first answer"
    )
    step_timeout: float = Field(
        60.0, gt=0, description="seconds allowed for a player's answer to each step or reset"
    )
    arguments: list[str] = Field([], description="further command-line arguments of the player")
