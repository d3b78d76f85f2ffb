"""Reads the options of a search."""

from __future__ import annotations

from pathlib import Path

from commands.command import Arguments
from commands.options import choice_option, optional_integer
from schema.counting import counted
from schema.errors import UserError
from sweeps.search_space.trials import load_space
from sweeps.searching.plan import GRID, SAMPLERS, SearchPlan

# Options that say something about a grid only, and what they are when left out.
_OF_GRIDS = {
    "--generate-only": False,
    "--unique": False,
    "--skip-invalid": False,
    "--order": "grid",
    "--race": False,
    "--shard": None,
}


def search_option(arguments: Arguments, base: Path, tune: Path) -> SearchPlan | None:
    """Return what `--search` and `--trials` say, or None for a grid.

    Args:
        arguments: the parsed arguments.
        base: the base config.
        tune: the tuning config.

    Raises:
        UserError: the options don't fit together.
    """
    sampler = choice_option(arguments, "--search", (GRID, *SAMPLERS))
    trials = optional_integer(arguments, "--trials", minimum=1)
    if sampler == GRID:
        if trials is not None:
            raise UserError(
                f"--trials={trials}: --search=grid trains all permutations; leave --trials out, or give "
                f"--search={', '.join(SAMPLERS[:-1])} or {SAMPLERS[-1]}"
            )
        return None
    for name, usual in _OF_GRIDS.items():
        if arguments[name] != usual:
            raise UserError(f"{name}: only works with --search=grid; leave it out")
    space = load_space(base, tune)
    if trials is None:
        raise UserError(
            f"--search={sampler}: needs --trials=<n>, the number of permutations to train"
        )
    if trials > space.size:
        raise UserError(
            f"--trials={trials}: {tune} has only {counted(int(space.size), 'permutation')}; give at "
            "most as many, or --search=grid"
        )
    return SearchPlan(space, sampler, trials)
