"""Ranges of seeds, each of which generates one level of an environment."""

from __future__ import annotations

from pydantic import Field

from schema.section import Section


class LevelSeeds(Section):
    """A range of seeds, each of which generates one level (or one start) of the environment."""

    start_seed: int = Field(
        0, ge=0, lt=2**31, alias="start-seed", description="first seed of the range"
    )
    num_seeds: int = Field(
        0, ge=0, lt=2**31, alias="num-seeds", description="how many seeds; 0 is no limit"
    )

    def trained(self) -> tuple[int, int]:
        """First level that is trained on, and how many there are; 0 is no limit."""
        return self.start_seed, self.num_seeds


class TrainingSeeds(LevelSeeds):
    """The levels trained on; the default leaves the seeds below 1000 to the evaluation."""

    start_seed: int = Field(
        1000, ge=0, lt=2**31, alias="start-seed", description="first level that is trained on"
    )
    num_seeds: int = Field(
        0,
        ge=0,
        lt=2**31,
        alias="num-seeds",
        description="how many levels are trained on; 0 is no limit",
    )


class EvaluationSeeds(LevelSeeds):
    """The levels that are evaluated, one episode each."""

    start_seed: int = Field(
        0, ge=0, lt=2**31, alias="start-seed", description="first level that is evaluated"
    )
    num_seeds: int = Field(
        50,
        ge=1,
        lt=2**31,
        alias="num-seeds",
        description="how many levels are evaluated, one episode each",
    )
