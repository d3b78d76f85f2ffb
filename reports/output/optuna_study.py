"""Writes a sweep as an Optuna study, which optuna-dashboard shows."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from reports.answer import Answer
from reports.outcome import LESS_IS_BETTER, Outcome
from reports.ranking import Score
from sweeps.journal.runs import PENDING
from sweeps.search_space.choices import show
from sweeps.search_space.ranges import Range
from sweeps.searching.sampler import choice_texts, range_distribution


def write_study(answer: Answer, path: Path) -> None:
    """Write a study with a trial for each permutation, into an SQLite file that it replaces.

    A trial's value is the permutation's mean score; a pruned one has its mean return as an intermediate
    value, by its environment steps. The study has the name of the run id.

    Raises:
        OSError: the file can't be written.
    """
    outcome = answer.outcome
    distributions = {label: _distribution(outcome, label) for label in outcome.labels}
    less = answer.metric in LESS_IS_BETTER
    direction = StudyDirection.MINIMIZE if less else StudyDirection.MAXIMIZE
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        file = Path(folder) / "study.sqlite"
        storage = optuna.storages.RDBStorage(f"sqlite:///{file}")
        study = optuna.create_study(storage=storage, study_name=outcome.run_id, direction=direction)
        study.set_user_attr("metric", answer.metric)
        scores = sorted(answer.scores, key=lambda score: int(score.permutation.name))
        study.add_trials([_trial(outcome, score, distributions) for score in scores])
        storage.engine.dispose()
        os.replace(file, path)


def _distribution(outcome: Outcome, label: str) -> BaseDistribution:
    if outcome.search is None:
        return CategoricalDistribution(outcome.choices_of(label))
    written = outcome.search["space"][label]
    if isinstance(written, dict):
        return range_distribution(Range(**written))
    return CategoricalDistribution(choice_texts(written))


def _parameter(outcome: Outcome, label: str, choice: str) -> Any:
    """Return a choice as its distribution holds it."""
    if outcome.search is None:
        return choice
    written = outcome.search["space"][label]
    if isinstance(written, dict):
        return int(choice) if written["whole"] else float(choice)
    return choice_texts(written)[list(map(show, written)).index(choice)]


def _trial(
    outcome: Outcome, score: Score, distributions: dict[str, BaseDistribution]
) -> FrozenTrial:
    permutation = score.permutation
    pairs = zip(outcome.labels, permutation.choices, strict=True)
    state = TrialState.COMPLETE
    if score.mean is None:
        waits = any(run.state in PENDING for run in permutation.runs)
        state = TrialState.WAITING if waits else TrialState.FAIL
    intermediate: dict[int, float] = {}
    if score.pruned is not None:
        state = TrialState.PRUNED
        value, steps = score.pruned
        if value is not None:
            intermediate[steps] = value
    return create_trial(
        state=state,
        value=score.mean,
        params={label: _parameter(outcome, label, choice) for label, choice in pairs},
        distributions=distributions,
        intermediate_values=intermediate,
        user_attrs={
            "permutation": permutation.name,
            "repetitions": score.finished,
            "failed": score.failed,
            "scores": list(score.values),
        },
    )
