"""Turns an answer into plain values, the only data that the page's JavaScript reads."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from reports.answer import Answer
from reports.diagnostics import diagnostics_of
from reports.history import History, Time, history
from reports.outcome import LESS_IS_BETTER, Outcome, PermutationRuns, mean_title, metric_title
from reports.ranking import Ranking, Score, rank, sign_of
from reports.statistics.averages import Array
from reports.statistics.bounds import Bounds
from reports.statistics.curves import Curve, mean_curves
from reports.statistics.importance import Effect, Importance

_MOST_CURVES = 1000  # permutations, best first; nobody could tell more lines apart
_POINTS = 12_000  # total of all mean curves, which keeps a browser fast
_DIGITS = 5  # significant ones; a screen shows three of them


def page_data(answer: Answer) -> dict[str, Any]:
    """Return the answer as plain values; numbers that aren't finite become None."""
    outcome = answer.outcome
    shown = [score.permutation for score in answer.scores[:_MOST_CURVES]]
    choices = {label: outcome.ordered(label) for label in outcome.varied}
    parts = _parts(outcome)
    margins = _margins(answer)
    course = history(outcome, answer.metric, answer.threshold)
    counted = _counted(rank(outcome, answer.metric, answer.threshold), sign_of(answer.metric))
    diagnostics = diagnostics_of([score.permutation for score in answer.scores])
    points = min(60, max(12, _POINTS // max(len(shown), 1)))
    curves = [
        *mean_curves(shown, points, Bounds(*outcome.return_bounds)),
        *[None] * (len(answer.scores) - len(shown)),
    ]
    return {
        "runId": outcome.run_id,
        "metric": metric_title(answer.metric),
        "meanMetric": mean_title(answer.metric),
        "lessIsBetter": answer.metric in LESS_IS_BETTER,
        "threshold": _number(answer.threshold),
        "decided": answer.decided,
        "repetitions": outcome.repetitions,
        "keys": [_key(answer, label) for label in outcome.varied],
        "permutations": [
            _permutation(outcome, choices, score, curve)
            | {"runs": _runs(score, counted[score.permutation.name])}
            | {"margins": margins.get(score.permutation.name)}
            | {"ended": _time(course.ended.get(score.permutation.name))}
            | {"diagnostics": [_number(values[place]) for values in diagnostics.values()]}
            | parts.get(score.permutation.name, {})
            for place, (score, curve) in enumerate(zip(answer.scores, curves, strict=True))
        ],
        "diagnostics": list(diagnostics),
        "importance": _importance(answer.importance),
        "history": _history(outcome, course),
    }


def _parts(outcome: Outcome) -> dict[str, dict[str, list[int]]]:
    """Return the numbers of each permutation's parts, by its name; nothing without ranges."""
    if not outcome.ranges:
        return {}
    coarse = outcome.in_parts()
    ordered = {label: coarse.ordered(label) for label in outcome.varied}
    return {
        each.name: {
            "parts": [
                parts.index(each.choices[outcome.labels.index(label)])
                for label, parts in ordered.items()
            ]
        }
        for each in coarse.permutations
    }


def to_json(data: Any) -> str:
    """Return the data as JSON that is safe within a script element."""
    text = json.dumps(data, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    # No name may close the element or open a comment.
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _key(answer: Answer, label: str) -> dict[str, Any]:
    parts = answer.outcome.in_parts().ordered(label)
    scores = {each.choice: each for each in answer.choice_scores.get(label, ())}
    return {
        "label": label,
        "choices": answer.outcome.ordered(label),
        "parts": parts,
        "matters": answer.matters(label),
        "edge": answer.edges.get(label),
        "choiceScores": [
            {"mean": _number(each.mean), "low": _number(each.low), "high": _number(each.high)}
            for each in map(scores.get, parts)
            if each is not None
        ],
    }


def _permutation(
    outcome: Outcome, choices: dict[str, list[str]], score: Score, curve: Curve | None
) -> dict[str, Any]:
    permutation = score.permutation
    return {
        "name": permutation.name,
        "choices": [
            ordered.index(permutation.choices[outcome.labels.index(label)])
            for label, ordered in choices.items()
        ],
        "mean": _number(score.mean),
        "low": _number(score.low),
        "high": _number(score.high),
        "interquartileMean": _number(score.interquartile_mean),
        "doubtful": score.is_doubtful,
        "contender": score.could_be_best,
        "probability": _number(score.probability),
        "behind": _number(score.behind_best),
        "confirmed": None if score.confirmed is None else _numbers(score.confirmed),
        "area": _number(score.area),
        "steps": _number(score.steps),
        "seconds": _number(score.seconds),
        "failed": score.failed,
        "pruned": None if score.pruned is None else _numbers(score.pruned),
        "batch": _batch(outcome, permutation),
        "curve": None if curve is None else _curve(curve),
    }


def _counted(ranking: Ranking, sign: float) -> dict[str, list[float]]:
    """Return the scores of each permutation's repetitions as the ranking counts them, by its name."""
    rows = zip(ranking.outcome.permutations, sign * ranking.judged, strict=True)
    return {permutation.name: row.tolist() for permutation, row in rows}


def _history(outcome: Outcome, course: History) -> dict[str, Any]:
    """Return the course of the sweep; times are pairs of ended runs and of their environment steps."""
    states = {
        (each.name, run.run.repetition): run.state
        for each in outcome.permutations
        for run in each.runs
    }
    return {
        "isSearch": outcome.search is not None,
        "runs": sum(key in states for key in outcome.ended),
        "moments": [
            {"time": _time(each.time), "name": each.permutation, "score": _number(each.score)}
            for each in course.moments
        ],
        "lost": [
            {"time": _time(time), "name": key[0], "repetition": key[1], "state": states[key]}
            for key, time in course.lost.items()
        ],
        "cuts": [
            {
                "time": _time(each.time),
                "kind": each.kind,
                "at": each.at,
                "leftBehind": each.left_behind,
            }
            for each in course.cuts
        ],
    }


def _time(time: Time | None) -> list[int] | None:
    return None if time is None else [time.runs, time.steps]


def _margins(answer: Answer) -> dict[str, dict[str, float | None]]:
    """Return the margins of each permutation's differences, by its name; means are less the leader's."""
    found, sign = answer.margins, sign_of(answer.metric)
    if found is None:
        return {}
    best = np.nanmax(found.mean)
    low, high = np.sort(sign * (np.stack([found.low, found.high]) - best), axis=0)
    columns = {
        "lead": sign * (found.mean - best),
        "error": found.error,
        "limit": found.limit,
        "low": low,
        "high": high,
        "rest": found.rest,
    }
    return {
        each.name: {name: _number(column[place]) for name, column in columns.items()}
        for place, each in enumerate(answer.outcome.permutations)
    }


def _runs(score: Score, counted: list[float]) -> list[dict[str, Any]]:
    """Return a permutation's runs; a run without a score may count all the same, as the worst one."""
    runs = []
    for record in score.permutation.runs:
        value = score.values[record.run.repetition]
        runs.append(
            {
                "seed": record.run.seed,
                "value": _number(value),
                "counted": _number(counted[record.run.repetition]) if value is None else None,
                "state": record.state,
                "error": record.error,
            }
        )
    return runs


def _batch(outcome: Outcome, permutation: PermutationRuns) -> int | None:
    """Return the environment steps of an update; None if the config doesn't say."""
    sizes = [_tuned(outcome, permutation, key) for key in ("num_workers", "worker_steps")]
    return None if None in sizes else math.prod(size for size in sizes if size is not None)


def _tuned(outcome: Outcome, permutation: PermutationRuns, key: str) -> int | None:
    """Return an integer of a permutation's section `trainer`; None if the config lacks it."""
    for label, choice in zip(outcome.labels, permutation.choices, strict=True):
        if label in (key, f"trainer.{key}"):
            return int(float(choice))
    value = outcome.base.get("trainer", {}).get(key)
    return value if isinstance(value, int) else None


def _curve(curve: Curve) -> dict[str, Any]:
    return {
        "first": _number(curve.steps[0]),
        "last": _number(curve.steps[-1]),
        "mean": _numbers(curve.mean),
        "low": _numbers(curve.low),
        "high": _numbers(curve.high),
        "runs": [_numbers(run) for run in curve.runs],
    }


def _importance(importance: Importance | None) -> dict[str, Any] | None:
    if importance is None:
        return None
    return {
        "method": importance.method,
        "main": [_effect(effect) for effect in importance.main],
        "total": [_effect(effect) for effect in importance.total],
        "interactions": [_effect(effect) for effect in importance.interactions],
        "noise": _number(importance.noise),
    }


def _effect(effect: Effect) -> dict[str, Any]:
    return {
        "keys": list(effect.keys),
        "share": _number(effect.share),
        "low": _number(effect.low),
        "high": _number(effect.high),
        "matters": effect.matters,
    }


def _numbers(values: Iterable[float | None] | Array) -> list[float | None]:
    return [_number(value) for value in values]


def _number(value: float | None) -> float | None:
    if value is None or not math.isfinite(value):
        return None
    rounded = float(f"{value:.{_DIGITS}g}")
    return int(rounded) if rounded.is_integer() else rounded
