"""Ranges of seeds; each seed generates one level of an environment."""

from __future__ import annotations

from pydantic import Field

from schema.section import Section


class LevelSeeds(Section):
    """A range of seeds; each generates one level (or one starting state) of the environment."""

    start_seed: int = Field(
        0, ge=0, lt=2**31, alias="start-seed", description="first seed of the range"
    )
    num_seeds: int = Field(
        0, ge=0, lt=2**31, alias="num-seeds", description="number of seeds; 0: no limit"
    )

    def trained(self) -> tuple[int, int]:
        """Return the first level to train on and the number of levels; 0 is no limit."""
        return self.start_seed, self.num_seeds


class TrainingSeeds(LevelSeeds):
    """The levels to train on; the default leaves the seeds below 1000 to evaluation."""

    start_seed: int = Field(
        1000, ge=0, lt=2**31, alias="start-seed", description="first level to train on"
    )
    num_seeds: int = Field(
        0,
        ge=0,
        lt=2**31,
        alias="num-seeds",
        description="number of levels to train on; 0: no limit",
    )


class EvaluationSeeds(LevelSeeds):
    """The levels to evaluate on, one episode each."""

    start_seed: int = Field(
        0, ge=0, lt=2**31, alias="start-seed", description="first level to evaluate on"
    )
    num_seeds: int = Field(
        50,
        ge=1,
        lt=2**31,
        alias="num-seeds",
        description="number of levels to evaluate on, one episode each",
    )
