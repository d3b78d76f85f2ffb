"""Trains the leaders of a sweep again on fresh seeds, as a sweep of its own beside it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from schema.errors import UserError

if TYPE_CHECKING:
    # It needs torch, which writing configs needn't wait for.
    from sweeps.options import SweepOptions

# Further than any sweep's repetitions go, so that no seed is used twice.
_SEEDS_BETWEEN = 1_000_000
_REPETITIONS = 5


@dataclass(frozen=True)
class ConfirmationPlan:
    """What is to be confirmed.

    Attributes:
        leaders: how many permutations.
        repetitions: how often each is trained.
    """

    leaders: int
    repetitions: int


def parse_confirmation(text: str) -> ConfirmationPlan:
    """Reads `3` or `3x10`: leaders, and repetitions of each.

    Raises:
        UserError: it is something else.
    """
    found = re.fullmatch(r"([1-9]\d{0,5})(?:x([1-9]\d{0,5}))?", text.strip())
    if found is None:
        raise UserError(f"--confirm={text}: must be a number of leaders, such as 3, or 3x10")
    return ConfirmationPlan(int(found[1]), int(found[2] or _REPETITIONS))


def confirmation_id(run_id: str) -> str:
    """The run id of what confirms a sweep."""
    return f"{run_id}-confirmed"


def confirmation_options(
    options: SweepOptions, plan: ConfirmationPlan, leaders: Iterable[int]
) -> SweepOptions:
    """How leaders are trained again: on seeds that the sweep doesn't use.

    Args:
        options: of the sweep.
        plan: how often to train them.
        leaders: their numbers in the grid.
    """
    return replace(
        options,
        run_id=confirmation_id(options.run_id),
        seed=options.seed + _SEEDS_BETWEEN,
        repetitions=plan.repetitions,
        only=frozenset(leaders),
    )
