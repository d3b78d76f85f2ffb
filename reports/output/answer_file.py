"""Writes a sweep's answer as JSON, with names that stay the same, for scripts.

`docs/tuning.md` documents the names. The table, the page and the sentences show the same values.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from reports.ranking import Score, known
from reports.words import sentences

if TYPE_CHECKING:
    from reports.answer import Answer  # it loads SciPy


def write_answer(answer: Answer) -> str:
    """Return the answer as JSON text; a value that isn't known is null."""
    more = 0.0 if answer.is_indifferent else answer.more_repetitions
    content = {
        "run_id": answer.outcome.run_id,
        "metric": answer.metric,
        "decided": answer.decided,
        "leader": None if answer.leader is None else answer.leader.permutation.name,
        "scores": [_score(answer, score) for score in answer.scores],
        "importance": _importance(answer),
        "luck": answer.bias,
        "advice": {
            "more_repetitions": None if more is None or more == float("inf") else int(more),
            "permutations": [score.permutation.name for score in answer.contenders],
            "known": more is not None,
        },
        "indifference": _indifference(answer),
        "sentences": sentences(answer),
    }
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def _score(answer: Answer, score: Score) -> dict[str, Any]:
    return {
        "permutation": score.permutation.name,
        "choices": dict(zip(answer.outcome.labels, score.permutation.choices, strict=True)),
        "mean": score.mean,
        "low": score.low,
        "high": score.high,
        "repetitions": score.finished,
        "failed": score.failed,
        "pruned": None if score.pruned is None else list(score.pruned),
        "could_be_best": score.could_be_best if answer.decided else None,
        "probability": score.probability,
        "behind_best": score.behind_best,
        "confirmed": None if score.confirmed is None else list(score.confirmed),
    }


def _indifference(answer: Answer) -> dict[str, Any] | None:
    if answer.indifference is None:
        return None
    return {
        "limit": answer.indifference,
        "behind": answer.behind,
        "within": None if answer.behind is None else answer.is_indifferent,
    }


def _importance(answer: Answer) -> dict[str, Any] | None:
    if answer.importance is None:
        return None
    return {
        effect.keys[0]: {
            "share": known(effect.share),
            "low": known(effect.low),
            "high": known(effect.high),
            "shown": answer.matters(effect.keys[0]),
            "limit": answer.limit(effect.keys[0]),
        }
        for effect in answer.importance.main
    }
