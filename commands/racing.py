"""Runs the race of `tune.py --race`: reads its options, judges its rounds and describes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from commands.command import Arguments
from commands.options import integer_option, is_given, optional_integer
from commands.turns import refuse_different_tasks, train_turns
from schema.counting import counted
from schema.errors import UserError
from sweeps.planning.race import RacePlan

if TYPE_CHECKING:
    # They load torch, which writing configs doesn't need.
    from sweeps.options import SweepOptions
    from sweeps.search_space.grid import Grid
    from sweeps.sweep import Sweep

_FIRST, _MOST = 3, 10  # repetitions, where the options are left out
_LIMITS = ("--max-repetitions", "--steps")


def repetitions_option(arguments: Arguments, usage: str) -> tuple[int, RacePlan | None]:
    """Return the number of repetitions, in a race those of its first round, and the race's limits.

    Args:
        arguments: the parsed arguments.
        usage: the usage text, which names the default.

    Raises:
        UserError: a value is wrong, or options don't go together.
    """
    repetitions = integer_option(arguments, "--num-repetitions", minimum=1)
    if not arguments["--race"]:
        for name in _LIMITS:
            if arguments[name] is not None:
                raise UserError(f"{name}: limits a race; add --race")
        return repetitions, None
    if arguments["--generate-only"]:
        raise UserError("--generate-only: trains nothing, so --race has nothing to compare")
    if arguments["--only"] is not None:
        raise UserError(
            "--only: --race chooses the permutations itself; leave others out with `exclude` in the "
            "tuning config"
        )
    if not is_given("--num-repetitions", usage):
        repetitions = _FIRST
    if repetitions < 2:
        raise UserError(
            f"--num-repetitions={repetitions}: --race needs at least 2 to tell permutations apart"
        )
    most = optional_integer(arguments, "--max-repetitions", minimum=1)
    if most is None:
        most = max(_MOST, repetitions)
    if most < repetitions:
        raise UserError(
            f"--max-repetitions={most}: must be at least --num-repetitions={repetitions}"
        )
    return repetitions, RacePlan(most, optional_integer(arguments, "--steps", minimum=1))


def check_race(grid: Grid, options: SweepOptions) -> None:
    """Raise an error if a race can't compare a grid's permutations, or can't pay for its first round.

    Raises:
        UserError: it can't.
    """
    if options.race is None:
        return
    from sweeps.planning.populations import RunSteps

    refuse_different_tasks(grid.axes, "--race")
    if options.race.steps is not None:
        first = options.repetitions * sum(map(RunSteps(grid), grid.indices()))
        if first > options.race.steps:
            # Equal returns are never pruned, so that all of them may train to the end.
            up_to = "" if options.prune is None else "up to "
            raise UserError(
                f"--steps={options.race.steps}: the first round alone has {up_to}{first:,} environment "
                "steps"
            )


def run_rounds(
    sweep: Sweep,
    options: SweepOptions,
    indifference: float | None,
    train: Callable[[], None],
    say: Callable[[str], None],
) -> None:
    """Train the rounds of a race until it is over or stopped (`train_turns`).

    Args:
        sweep: the sweep; its agenda, the first round or the rest of a later one, is trained.
        options: the sweep's options.
        indifference: the difference of scores that makes no difference; None without one.
        train: trains the sweep's agenda.
        say: prints a line.
    """

    def begin_next() -> bool:
        over = _begin_round(sweep, options, indifference)
        if over is not None:
            say(f"the race is over after {counted(sweep.looks, 'round')}: {over}")
            return False
        size = counted(sweep.agenda.runs, "run")
        say(f"round {sweep.looks}: {size}, {sweep.agenda.steps:,} environment steps")
        return True

    train_turns(sweep, train, say, begin_next)


def _begin_round(sweep: Sweep, options: SweepOptions, indifference: float | None) -> str | None:
    """Add the next round to a race's journal, or return the reason why the race is over."""
    # Imported here, because SciPy takes a while to load.
    from reports.outcome import read_outcome
    from reports.race import contenders_of

    contenders = contenders_of(read_outcome(options.out, options.run_id), indifference)
    return contenders if isinstance(contenders, str) else sweep.begin_round(contenders)
