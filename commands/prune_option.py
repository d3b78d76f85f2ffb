"""Reads the options of `tune.py --prune`, and checks whether its rungs suit the permutations."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from commands.command import Arguments
from commands.options import choice_option
from commands.turns import refuse_different_tasks
from schema.counting import counted
from schema.environment import REGISTERED_TYPES
from schema.errors import UserError
from sweeps.planning.prune import ASHA, RULES, PrunePlan
from sweeps.search_space.identity import UPDATES, updates_of

if TYPE_CHECKING:
    # They load torch, which writing configs doesn't need.
    from schema.config import Config
    from sweeps.search_space.grid import Grid
    from sweeps.search_space.keys import Axis

_NONE = "none"
_SHARING = ("halving", ASHA)  # they keep a share
_RUNGS, _KEEP = "1/4,1/2", "1/2"  # where the options are left out


def prune_option(arguments: Arguments, grid: Grid) -> PrunePlan | None:
    """Return the rule that prunes permutations and its rungs; None if none does.

    Args:
        arguments: the parsed arguments.
        grid: the permutations, validated; of a search, its first ones.

    Raises:
        UserError: a value is wrong, options don't go together, or runs have no rungs in common.
    """
    rule = choice_option(arguments, "--prune", (_NONE, *RULES))
    if rule == _NONE:
        for name in ("--rungs", "--keep"):
            if arguments[name] is not None:
                raise UserError(f"{name}: belongs to --prune={_one_of(RULES)}; add one")
        return None
    if arguments["--generate-only"]:
        raise UserError("--generate-only: trains nothing, so --prune has nothing to stop")
    if rule == "median" and arguments["--keep"] is not None:
        raise UserError(
            f"--keep: belongs to --prune={_one_of(_SHARING)}; --prune=median keeps the better half"
        )
    updates = updates_of(grid)
    if updates is None:
        raise UserError(
            f"--prune: {'.'.join(UPDATES)} has several choices, so runs have no rungs in common"
        )
    return PrunePlan(rule, _rungs(arguments["--rungs"] or _RUNGS, updates), _keep(arguments))


def _one_of(rules: Sequence[str]) -> str:
    return " or ".join([", ".join(rules[:-1]), rules[-1]])


def _rungs(text: str, updates: int) -> tuple[int, ...]:
    """Return rungs in updates, ascending; fractions are those of all updates, rounded down."""
    rungs = set()
    for part in map(str.strip, text.split(",")):
        share = None if re.fullmatch(r"\d{1,18}", part) else _share("--rungs", text, part)
        rung = int(part) if share is None else max(1, int(share * updates))
        if not 0 < rung < updates:
            raise UserError(
                f"--rungs={text}: a rung after {counted(rung, 'update')} must be at least 1 and less "
                f"than {'.'.join(UPDATES)}, {updates}"
            )
        rungs.add(rung)
    return tuple(sorted(rungs))


def _keep(arguments: Arguments) -> Fraction:
    text = str(arguments["--keep"] or _KEEP)
    return _share("--keep", text, text)


def _share(name: str, text: str, part: str) -> Fraction:
    """Return a part of an option's value that lies between 0 and 1, such as 0.25 or 1/4."""
    found = re.fullmatch(r"\d{0,18}\.\d{1,18}|\d{1,18}/0*[1-9]\d{0,17}", part.strip())
    share = Fraction(part) if found else Fraction(0)
    if not 0 < share < 1:
        wanted = "a share" if name == "--keep" else "numbers of updates, or shares"
        raise UserError(f"{name}={text}: must be {wanted} between 0 and 1, such as 1/4 or 0.25")
    return share


def check_prune(grid: Grid, axes: Sequence[Axis], plan: PrunePlan | None) -> list[str]:
    """Return warnings of rungs that may come too early for a grid's permutations.

    Args:
        grid: the permutations; of a search, its first ones.
        axes: the tuned keys with all their choices.
        plan: the rule and its rungs; None prunes nothing.

    Raises:
        UserError: returns can't be compared, or the first rung comes before the first evaluation.
    """
    if plan is None:
        return []
    refuse_different_tasks(axes, "--prune")
    found = (_early(config, plan.rungs[0]) for config in _configs(grid))
    return list(dict.fromkeys(warning for warning in found if warning))


def _configs(grid: Grid) -> Iterator[Config]:
    """Yield a config of each shape, since those of a shape have equal environments and rollouts."""
    from sweeps.planning.populations import Shapes

    shape_of = Shapes(grid)
    shapes = {shape_of(index): index for index in grid.indices()}
    return (grid.permutation(index).config for index in shapes.values())


def _early(config: Config, rung: int) -> str:
    """Return a warning if episodes may be longer than the steps until a rung; "" otherwise.

    Raises:
        UserError: the first evaluation comes later.
    """
    evaluation, environment = config.evaluation, config.environment
    if evaluation.evaluate:
        if evaluation.interval > rung:
            raise UserError(
                f"--rungs: the first, after {counted(rung, 'update')}, comes before the first "
                f"evaluation; evaluation.interval is {evaluation.interval}"
            )
        return ""
    steps, limit = rung * config.trainer.worker_steps, _episode_limit(config)
    if limit is None or steps >= limit:
        return ""
    return (
        f"--rungs: by the first, after {counted(rung, 'update')}, a worker has done {steps:,} steps; an "
        f"episode of {environment.name} may take {limit:,}, so returns may be missing or those of short "
        "episodes"
    )


def _episode_limit(config: Config) -> int | None:
    """Return the number of steps after which an episode is cut off; None if unknown."""
    from environments.suites.registration import known_limit

    return known_limit(config.environment) if config.environment.type in REGISTERED_TYPES else None
