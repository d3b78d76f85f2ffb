"""Trains the leaders of a sweep again on fresh seeds, as a sweep of its own beside it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from schema.errors import UserError

if TYPE_CHECKING:
    # It loads torch, which writing configs doesn't need.
    from sweeps.options import SweepOptions

# More than any sweep has repetitions, so that no seed is used twice.
_SEEDS_BETWEEN = 1_000_000
_REPETITIONS = 5


@dataclass(frozen=True)
class ConfirmationPlan:
    """The number of leaders to train again, and how often.

    Attributes:
        leaders: number of permutations.
        repetitions: number of repetitions of each.
    """

    leaders: int
    repetitions: int


def parse_confirmation(text: str) -> ConfirmationPlan:
    """Parse `3` or `3x10`: the number of leaders, and the repetitions of each.

    Raises:
        UserError: the text has another form.
    """
    found = re.fullmatch(r"([1-9]\d{0,5})(?:x([1-9]\d{0,5}))?", text.strip())
    if found is None:
        raise UserError(f"--confirm={text}: must be a number of leaders, such as 3, or 3x10")
    return ConfirmationPlan(int(found[1]), int(found[2] or _REPETITIONS))


def confirmation_id(run_id: str) -> str:
    """Return the run id of the sweep that confirms another."""
    return f"{run_id}-confirmed"


def confirmation_options(
    options: SweepOptions, plan: ConfirmationPlan, leaders: Iterable[int]
) -> SweepOptions:
    """Return the options that train leaders again, on seeds that the sweep doesn't use.

    Args:
        options: options of the sweep.
        plan: how often to train them.
        leaders: the leaders' numbers in the grid.
    """
    return replace(
        options,
        run_id=confirmation_id(options.run_id),
        seed=options.seed + _SEEDS_BETWEEN,
        repetitions=plan.repetitions,
        only=frozenset(leaders),
        race=None,
        prune=None,
    )
