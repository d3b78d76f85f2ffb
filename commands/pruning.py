"""Trains the permutations of `tune.py --prune` from rung to rung, and ends hopeless ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from schema.counting import counted
from sweeps.planning.promotion import Turn, next_turn
from sweeps.planning.prune import ASHA, PrunePlan
from sweeps.search_space.identity import updates_of

if TYPE_CHECKING:
    from reports.outcome import Outcome
    from sweeps.options import SweepOptions
    from sweeps.sweep import Sweep


def train_and_prune(
    sweep: Sweep,
    options: SweepOptions,
    train: Callable[[], None],
    say: Callable[[str], None],
) -> None:
    """Train a sweep's runs from rung to rung, prune hopeless permutations, and train the rest.

    Permutations that were judged at a rung before aren't judged there again: later rounds of a race and
    earlier batches of a search train to their ends.

    Args:
        sweep: the sweep.
        options: the sweep's options, with a plan to prune.
        train: trains the sweep's agenda.
        say: prints a line.
    """
    assert options.prune is not None
    climb = _promote if options.prune.rule == ASHA else _halve
    climb(sweep, options, options.prune, train, say)
    if not sweep.stop.is_requested:
        sweep.plan_again()
        train()


def _halve(
    sweep: Sweep,
    options: SweepOptions,
    plan: PrunePlan,
    train: Callable[[], None],
    say: Callable[[str], None],
) -> None:
    """Train all permutations up to each rung, and judge them there."""
    for number, rung in enumerate(plan.rungs, 1):
        judged = sweep.judged(rung)
        targets = {name: rung for _, name in sweep.names() if name not in judged}
        sweep.plan_again(targets)
        if sweep.agenda.runs:
            runs = counted(sweep.agenda.runs, "run")
            say(f"rung {number} of {len(plan.rungs)}: {runs} up to update {rung}")
        _train_with_retries(sweep, train)
        if sweep.stop.is_requested:
            return
        _judge(sweep, options, plan, rung, say)


def _promote(
    sweep: Sweep,
    options: SweepOptions,
    plan: PrunePlan,
    train: Callable[[], None],
    say: Callable[[str], None],
) -> None:
    """Train turn after turn, and promote permutations in between, until there is nothing to promote."""
    # An earlier session may have had other rungs.
    turn = {name: rung for name, rung in sweep.turn.items() if rung in (*plan.rungs, None)}
    over: set[str] = set()
    while True:
        sweep.plan_again(turn)
        _train_with_retries(sweep, train)
        if sweep.stop.is_requested:
            return
        _score(sweep, options, plan)
        judged = {rung: sweep.judged(rung) for rung in plan.rungs}
        # All runs of some may have failed, and an earlier session may have begun more repetitions.
        over |= {name for name, rung in turn.items() if rung is None or name not in judged[rung]}
        free = [name for name in sweep.free() if name not in over]
        turn = next_turn(plan, list(judged.values()), free)
        if not turn:
            break
        sweep.begin_turn(turn)
        say(_describe(turn, plan))
    rest = [name for name in free if name in judged[plan.rungs[0]]]
    for line in _pruned_lines(judged, set(rest) - sweep.pruned()):
        say(line)
    sweep.end_turns(rest)


def _describe(turn: Turn, plan: PrunePlan) -> str:
    """Return how many permutations of a turn are promoted from each rung, and how many are new."""
    counts = Counter(turn.values())
    parts = [
        f"{counts[target]:,} promoted after update {rung}"
        for rung, target in zip(plan.rungs, (*plan.rungs[1:], None), strict=True)
        if counts[target]
    ]
    if counts[plan.rungs[0]]:
        parts.append(f"{counts[plan.rungs[0]]:,} new")
    return f"next {counted(len(turn), 'permutation')}: {', '.join(parts)}"


def _pruned_lines(
    judged: Mapping[int, Mapping[str, float | None]], pruned: set[str]
) -> Sequence[str]:
    """Return a line for each rung at which permutations end."""
    lines: list[str] = []
    beyond: Mapping[str, float | None] = {}
    for rung, there in reversed(list(judged.items())):
        ended = sum(name in pruned and name not in beyond for name in there)
        if ended:
            came = counted(len(there), "permutation")
            lines.insert(0, f"after update {rung}: {ended:,} of {came} pruned")
        beyond = there
    return lines


def _train_with_retries(sweep: Sweep, train: Callable[[], None]) -> None:
    """Train the permutations of the agenda to their rungs, unless the sweep is stopped.

    Failed runs are retried before their rung is judged, so that the decision is the same, however often
    the sweep is interrupted.
    """
    while sweep.agenda.runs and not sweep.stop.is_requested:
        train()
        sweep.plan_again(sweep.agenda.targets)


def _judge(
    sweep: Sweep,
    options: SweepOptions,
    plan: PrunePlan,
    rung: int,
    say: Callable[[str], None],
) -> None:
    """Judge the permutations that have come to a rung, and record what is decided."""
    # Imported here, because SciPy takes a while to load.
    from reports.prune import judge

    judgement = judge(_outcome(options), plan, _steps_at(sweep, rung), sweep.judged(rung))
    if judgement.scores:
        sweep.judge(rung, judgement.scores, judgement.pruned)
        judged = counted(len(judgement.scores), "permutation")
        say(f"after update {rung}: {len(judgement.pruned):,} of {judged} pruned")


def _score(sweep: Sweep, options: SweepOptions, plan: PrunePlan) -> None:
    """Record the scores of the permutations that have come to a rung."""
    # Imported here, because SciPy takes a while to load.
    from reports.prune import scores_at

    outcome = _outcome(options)
    for rung in plan.rungs:
        scores = scores_at(outcome, _steps_at(sweep, rung), sweep.judged(rung))
        if scores:
            sweep.judge(rung, scores, pruned=())


def _outcome(options: SweepOptions) -> Outcome:
    """Return the sweep's results so far."""
    from reports.outcome import read_outcome

    return read_outcome(options.out, options.run_id)


def _steps_at(sweep: Sweep, rung: int) -> Callable[[str], int]:
    """Return a map from a permutation's name to the environment steps of a run at a rung."""
    from sweeps.planning.populations import RunSteps

    updates, steps_of = updates_of(sweep.grid), RunSteps(sweep.grid)
    assert updates is not None
    places = {name: index for index, name in sweep.names()}
    return lambda name: steps_of(places[name]) * rung // updates
