"""The options of a sweep, and the paths of its files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ppo.footprint import available_ram
from ppo.placement import Placement
from ppo.sinks import TENSORBOARD
from sweeps.journal.journal import journal_path
from sweeps.planning.prune import PrunePlan
from sweeps.planning.race import RacePlan
from sweeps.shards import Shard, shard_id


@dataclass(frozen=True)
class SweepOptions:
    """The options of a sweep.

    Attributes:
        out: the output folder.
        run_id: tag of the training session, in the names of summaries and checkpoints.
        repetitions: number of repetitions; in a race, those of its first round.
        seed: seed of the first repetition; each repetition adds 1.
        placement: device, and the first job's ports.
        together: maximum number of runs in a population.
        jobs: number of populations trained in parallel.
        retries: number of retries of a failed run.
        fail_fast: whether the first failure stops the sweep.
        quiet: whether to show nothing before the answer.
        sinks: names of the sinks that runs are logged to.
        only: numbers of the permutations to train; None trains all.
        order: which permutations begin first, "grid" or "random".
        race: the limits of a race, which adds repetitions for contenders; None trains no race.
        prune: the rule that stops hopeless permutations early; None trains all to their ends.
        shard: the part of the runs to train; None trains all.
        elsewhere: whether jobs run on other machines, so that this one's cores and RAM limit nothing.
        jobs_option: the option that sets `jobs`, for messages.
    """

    out: Path
    run_id: str
    repetitions: int
    seed: int
    placement: Placement
    together: int = 1
    jobs: int = 1
    retries: int = 1
    fail_fast: bool = False
    quiet: bool = False
    sinks: tuple[str, ...] = (TENSORBOARD,)
    only: frozenset[int] | None = None
    order: str = "grid"
    race: RacePlan | None = None
    prune: PrunePlan | None = None
    shard: Shard | None = None
    elsewhere: bool = False
    jobs_option: str = "--jobs"

    @property
    def most_repetitions(self) -> int:
        """The maximum number of repetitions of a permutation."""
        return self.repetitions if self.race is None else self.race.most

    @property
    def ram(self) -> int | None:
        """Bytes of RAM that the sweep may use; None without a known limit.

        Training on a GPU has no such limit, because it uses the GPU's memory.
        """
        is_here = self.placement.device.type == "cpu" and not self.elsewhere
        return available_ram() if is_here else None

    @property
    def journal(self) -> Path:
        """Path of the journal."""
        return journal_path(self.out, shard_id(self.run_id, self.shard))

    @property
    def results(self) -> Path:
        """Path of the table of results, which sweeps with other run ids share."""
        return self.out / "results.csv"

    @property
    def configs(self) -> Path:
        """Folder of the permutations' configs."""
        return self.out / "configs" / self.run_id
