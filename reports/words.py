"""Puts the answer of a sweep into sentences."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from reports.forgetting import forgetting
from reports.outcome import Outcome, metric_title
from reports.output.table import show_number
from schema.counting import counted
from schema.folders import START, absolute, shown
from sweeps.journal.runs import ENDED, RunState

if TYPE_CHECKING:
    from reports.answer import Answer  # it loads SciPy
    from reports.ranking import Score
    from reports.statistics.importance import Effect

_FEW = 3  # repetitions; up to these, intervals are wide whatever the returns
_TOO_FEW = 30  # runs of a sweep; more of them show a failure that happens once in ten
_LISTED = 5  # effects
_SLIVER = 0.05  # share of an interval
_WORTH_NAMING = 0.01  # share of the variance
_DEFAULT_OUT = "./grid_search/"  # tune.py's


def sentences(answer: Answer) -> list[str]:
    """Return the answer in sentences: the best permutation, its certainty, what mattered, what next."""
    leader = answer.leader
    if leader is None:
        return [_nothing(answer), *_shorter(answer, leader), *_pruned(answer, leader)]
    parts = (
        _leader,
        _shorter,
        _pruned,
        _unequal,
        _certainty,
        _luck,
        _what_matters,
        _edges,
        _failures,
        _forgetting,
    )
    return [sentence for part in parts for sentence in part(answer, leader)]


def _nothing(answer: Answer) -> str:
    if any(run.state == RunState.SHORTER for run in answer.outcome.runs):
        return "No run has finished all updates yet, so there is nothing to rank."
    nothing = "No run has finished an episode yet, so there is nothing to rank"
    if any(run.state == RunState.FINISHED for run in answer.outcome.runs):
        return f"{nothing}; train for more updates, or limit episodes by environment.max_episode_steps."
    return f"{nothing}."


def _leader(answer: Answer, leader: Score) -> Iterator[str]:
    total = sum(
        score.mean is not None or not (score.shorter or score.pruned) for score in answer.scores
    )
    yield (
        f"Permutation {leader.permutation.name} ({describe(answer, leader)}) "
        f"{_rank_of_leader(answer, total)}: {metric_title(answer.metric)} "
        f"{_with_interval(leader.mean, leader.low, leader.high)} {_over(answer, leader)}."
    )
    if leader.is_doubtful:
        yield "Its repetitions lie far apart in two groups, so the interval can't be trusted."


def _rank_of_leader(answer: Answer, total: int) -> str:
    runs = answer.outcome.runs
    ended = sum(run.state in ENDED for run in runs)
    if ended < len(runs):
        return f"leads so far ({ended:,} of {counted(len(runs), 'run')} ended)"
    rounds = f" after {counted(answer.outcome.looks, 'round')}" if answer.outcome.is_race else ""
    if _is_alone(answer):
        return f"is the only one left{rounds}"
    if len(answer.contenders) == 1:
        return f"is the best of {total:,}{rounds}"
    return f"leads the {counted(total, 'permutation')}{rounds}" if total > 1 else "is the only one"


def _over(answer: Answer, leader: Score) -> str:
    count, fresh = leader.finished, leader.confirmed is not None
    over = f"over {counted(count, 'repetition')}" if count > 1 else "in one repetition"
    return f"{over} and those on fresh seeds" if fresh else over


def describe(answer: Answer, score: Score) -> str:
    """Return a permutation's choices for the keys that vary."""
    outcome = answer.outcome
    labels = outcome.varied or outcome.labels
    choices = zip(outcome.labels, score.permutation.choices, strict=True)
    return ", ".join(f"{label} {choice}" for label, choice in choices if label in labels)


def _with_interval(mean: float | None, low: float | None, high: float | None) -> str:
    assert mean is not None
    if low is None or high is None:
        return show_number(mean)
    return f"{show_number(mean)} (95 % interval {show_number(low)} to {show_number(high)})"


def _certainty(answer: Answer, leader: Score) -> Iterator[str]:
    if len(answer.outcome.permutations) < 2 or _is_alone(answer):
        return
    if answer.compares_tasks:
        yield (
            "The permutations play different environments, and returns of different tasks can't be "
            "compared; report.py --where selects one of them."
        )
        return
    if not answer.decided:
        yield (
            "The ranking rests on one seed and may change with another; five repetitions tell more: "
            + command(answer, repetitions=5)
        )
        return
    contenders = answer.contenders
    if len(contenders) == 1:
        others = "all others that weren't pruned" if _count_pruned(answer) else "all others"
        yield f"It is significantly better than {others} (95 %{_for_all(answer.outcome)})."
        return
    yield f"{len(contenders):,} permutations could be the best; {_likeliest(contenders)}."
    yield from _unseen(answer)
    yield from _behind(answer)
    if answer.is_indifferent:
        return
    if answer.outcome.repetitions <= _FEW:
        verb = "is" if answer.outcome.repetitions == 1 else "are"
        few = counted(answer.outcome.repetitions, "repetition")
        yield f"The intervals are wide, as there {verb} only {few}."
    yield _how_to_separate(answer)


def _unseen(answer: Answer) -> Iterator[str]:
    """Yield the share of failures that the sweep's runs are too few to show.

    With a probability of 5 %, n runs show none of the failures that a share of 1 - 0.05 ** (1 / n) has.
    """
    runs = sum(value is not None for score in answer.scores for value in score.values)
    failures = any(score.is_doubtful or score.failed for score in answer.scores)
    if runs <= _TOO_FEW and not failures:
        assumed = "; the intervals assume that none does"
        known = any(score.low is not None for score in answer.scores)
        yield (
            f"{runs} runs can't show whether up to {1 - 0.05 ** (1 / runs):.0%} of runs fail"
            f"{assumed if known else ''}."
        )


def _for_all(outcome: Outcome) -> str:
    if outcome.looks == 1:
        return ""
    looks = "rounds of the race" if outcome.is_race else "looks at the growing sweep"
    return f" for all {outcome.looks} {looks} together"


def _unequal(answer: Answer, _: Score) -> Iterator[str]:
    """Say that permutations of a race have unequal numbers of repetitions, and why."""
    numbers = [len(permutation.runs) for permutation in answer.outcome.permutations]
    if answer.outcome.is_race and min(numbers) < max(numbers):
        yield (
            f"Permutations have {min(numbers)} to {max(numbers)} repetitions, as the race trained "
            "only those again that could still be the best."
        )


def _behind(answer: Answer) -> Iterator[str]:
    """Say how far contenders may be behind the best, and whether that makes a difference."""
    if answer.behind is None:
        if answer.indifference is not None:
            yield "How far these may be behind the best is not known yet."
        return
    worst = show_number(answer.behind)
    if answer.indifference is None:
        yield f"Each of these is at most {worst} worse than the best (95 %)."
    elif answer.is_indifferent:
        yield (
            f"Any of these is within {show_number(answer.indifference)} of the best (95 %; at most "
            f"{worst} worse), so no more repetitions are needed."
        )
    else:
        yield (
            f"Each of these is at most {worst} worse than the best (95 %), which is still more than "
            f"{show_number(answer.indifference)}."
        )


def _likeliest(contenders: Sequence[Score]) -> str:
    """Return which contender is the likeliest to be the best, as the table shows it."""
    greatest = max(score.probability or 0.0 for score in contenders)
    shown = f"{greatest:.2f}"
    names = [
        score.permutation.name for score in contenders if f"{score.probability or 0.0:.2f}" == shown
    ]
    if len(names) > 1:
        return f"the likeliest have a probability of {shown} each"
    return f"permutation {names[0]} is the likeliest (probability {shown})"


def _how_to_separate(answer: Answer) -> str:
    more = answer.more_repetitions
    if more is None:
        return "How many more repetitions would separate them is not known yet."
    if more == float("inf"):
        return "More than 100 further repetitions would be needed to separate them."
    names = [int(score.permutation.name) for score in answer.contenders]
    repetitions = answer.outcome.repetitions + int(more)
    return (
        f"About {counted(int(more), 'more repetition')} of these would leave one with a "
        "probability of 80 %, if the scores stay as they are: "
        + command(answer, repetitions, names)
    )


def _luck(answer: Answer, leader: Score) -> Iterator[str]:
    if leader.confirmed is not None:
        mean, low, high = leader.confirmed
        yield (
            f"Trained again on fresh seeds it reached {_with_interval(mean, low, high)}; the ranking "
            "includes these seeds."
        )
        if leader.luck is not None:
            luck = _with_interval(*leader.luck)
            yield f"An estimated {luck} of its score on the sweep's own seeds was luck."
    elif answer.bias and _is_worth_a_word(answer.bias, leader):
        yield (
            f"About {show_number(answer.bias)} of its score is likely luck, as the best score was "
            "selected; --confirm=3 trains the leaders again on fresh seeds."
        )


def _is_worth_a_word(bias: float, leader: Score) -> bool:
    """Return whether luck is more than a sliver of the interval."""
    if leader.low is None or leader.high is None:
        return True
    return bias > _SLIVER * (leader.high - leader.low)


def _what_matters(answer: Answer, _: Score) -> Iterator[str]:
    importance = answer.importance
    if importance is None:
        return
    by_model = "" if importance.method == "analysis of variance" else " (a model's estimate)"
    effects = sorted((*importance.main, *importance.interactions), key=lambda e: -_share(e))
    strong = [effect for effect in effects if effect.matters is not False and _is_named(effect)]
    if strong:
        listed = ", ".join(f"{_keys(effect)} {effect.share:.0%}" for effect in strong[:_LISTED])
        yield f"Shares of the variance between permutations{by_model}: {listed}."
    idle = [label for label in answer.outcome.varied if answer.matters(label) is False]
    if idle:
        listed = ", ".join(f"{label}{_limited(answer, label)}" for label in idle)
        yield f"Effects not shown beyond the noise of the seeds: {listed}."


def _limited(answer: Answer, label: str) -> str:
    limit = answer.limit(label)
    return "" if limit is None else f" (at most {show_limit(limit)} of the variance)"


def show_limit(share: float) -> str:
    """Return the upper limit of a share in percent, rounded up so that it stays a limit."""
    return f"{max(math.ceil(round(100 * share, 6)), 1)} %"


def _share(effect: Effect) -> float:
    return effect.share if effect.share == effect.share else -1.0  # NaN last


def _is_named(effect: Effect) -> bool:
    return _share(effect) >= _WORTH_NAMING


def _keys(effect: Effect) -> str:
    return " x ".join(effect.keys)


def _edges(answer: Answer, leader: Score) -> Iterator[str]:
    for label, edge in answer.edges.items():
        if answer.matters(label) is not False:
            choice = leader.permutation.choices[answer.outcome.labels.index(label)]
            yield (
                f"The best {label}, {choice}, is the {edge} in its list; a better one may lie beyond "
                "(report.py --suggest writes the next grid)."
            )


def _failures(answer: Answer, _: Score) -> Iterator[str]:
    runs = counted(len(answer.outcome.runs), "run")
    failed = sum(score.failed for score in answer.scores)
    hopeless = sum(score.failed for score in answer.scores if score.mean is None)
    if failed > hopeless:
        yield f"{failed - hopeless:,} of {runs} failed; each counts as the worst score."
    if hopeless:
        yield f"{hopeless:,} of {runs} failed and leave their permutations without a score."
    if answer.metric == "steps":
        never = sum(
            run.state == RunState.FINISHED and value is None
            for score in answer.scores
            for run, value in zip(score.permutation.runs, score.values, strict=False)
        )
        if never:
            yield f"{never:,} of {runs} never reach the threshold; each counts as the longest."


def _forgetting(answer: Answer, _: Score) -> Iterator[str]:
    found = forgetting(answer.outcome)
    if answer.metric != "final" or not found:
        return
    first = found[0]
    runs = counted(len(answer.outcome.runs), "run")
    yield (
        f"{sum(each.runs for each in found):,} of {runs} ended far below what they had reached; "
        f"permutation {first.permutation.name} in {first.runs:,} of {len(first.permutation.runs):,}: "
        f"best {show_number(first.best)}, final {show_number(first.final)}."
    )


def _shorter(answer: Answer, _: Score | None) -> Iterator[str]:
    shorter = sum(score.shorter for score in answer.scores)
    if shorter:
        updates = answer.outcome.base.get("trainer", {}).get("updates")
        yield (
            f"{shorter:,} of {counted(len(answer.outcome.runs), 'run')} ended before "
            f"trainer.updates became {updates} and aren't compared; this resumes them: "
            + command(answer, answer.outcome.repetitions)
        )


def _pruned(answer: Answer, _: Score | None) -> Iterator[str]:
    pruned = _count_pruned(answer)
    if pruned:
        total = counted(len(answer.scores), "permutation")
        were, them = ("was", "it") if pruned == 1 else ("were", "them")
        race = f", which left {them} out of the race" if answer.outcome.is_race else ""
        importances = "" if answer.importance is None else ", and so do the importances of keys"
        yield (
            f"{pruned:,} of {total} {were} pruned{race}; the ranking and its statistics leave {them} "
            f"out{importances}. --prune=none trains {them} to the end."
        )
        if answer.decided and not _is_alone(answer):
            yield "Each 95 % is about the others alone: what was pruned may be better than its start."


def _is_alone(answer: Answer) -> bool:
    """Return whether all permutations but one were pruned."""
    pruned = _count_pruned(answer)
    return pruned > 0 and pruned == len(answer.scores) - 1


def _count_pruned(answer: Answer) -> int:
    return sum(score.pruned is not None for score in answer.scores)


def command(answer: Answer, repetitions: int, only: Sequence[int] = ()) -> str:
    """Return the command that resumes the sweep with more repetitions, from here and where it is now."""
    sessions = answer.outcome.sessions
    session = sessions[-1][2] if sessions else {}
    script, *arguments = session.get("command", ["tune.py"])
    given = _options(arguments)
    if "folder" in session:  # older sessions have none
        script = _from_here(script, session["folder"])
        given = _placed(given, session["folder"], answer.outcome.out)
    if "--race" in given:
        return shlex.join(["python", script, *_of_race(given, repetitions, bool(only))])
    replaced = ("--num-repetitions", "--only", "--confirm", "--overwrite", "--shard")
    kept = [each for each in given if each.partition("=")[0] not in replaced]
    added = [f"--num-repetitions={repetitions}"]
    if only and len(only) < len(answer.outcome.permutations):
        added.append(f"--only={_ranges(only)}")
    return shlex.join(["python", script, *kept, *added])


def _of_race(given: Sequence[str], repetitions: int, more: bool) -> list[str]:
    """Return the options of a race that may train so many repetitions.

    Args:
        given: the options of the session.
        repetitions: number of repetitions of the contenders.
        more: whether these are more than the race trained, so that its limits have to be raised.
    """
    replaced = ("--confirm", "--overwrite", *(("--max-repetitions", "--steps") if more else ()))
    kept = [each for each in given if each.partition("=")[0] not in replaced]
    return [*kept, f"--max-repetitions={repetitions}"] if more else kept


def _options(arguments: Sequence[str]) -> list[str]:
    """Return arguments as `--option=value`, also those that were given as `--option value`."""
    options: list[str] = []
    for argument in arguments:
        if argument.startswith("-") or not options:
            options.append(argument)
        else:
            options[-1] += f"={argument}"
    return options


def _placed(options: Sequence[str], folder: str, out: Path) -> list[str]:
    """Return options with configs as they are found from here, and with a sweep's present folder.

    Args:
        options: the options of the session.
        folder: the folder in which the session was started.
        out: the present output folder.
    """
    values = dict(option.partition("=")[::2] for option in options)
    for name in ("--config", "--tune"):
        if name in values:
            values[name] = _from_here(values[name], folder)
    before = _in(folder, values.get("--out", _DEFAULT_OUT))
    if folder != str(START) or before.resolve() != absolute(out).resolve():
        values["--out"] = str(shown(out))
    return [f"{name}={value}" if value else name for name, value in values.items()]


def _from_here(path: str, folder: str) -> str:
    """Return a path that was given in a folder as it is found from the folder of the start."""
    return path if folder == str(START) else str(shown(_in(folder, path)))


def _in(folder: str, path: str) -> Path:
    return Path(folder) / Path(path).expanduser()


def _ranges(numbers: Sequence[int]) -> str:
    """Return numbers in the form that `--only` reads: `0,3,10-19`."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ",".join(f"{p[0]}-{p[-1]}" if len(p) > 1 else str(p[0]) for p in parts)
