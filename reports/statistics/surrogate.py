"""Estimates the importance of hyperparameters on an incomplete grid, by a model.

Optuna fits a random forest to the scores and decomposes its variance (fANOVA; Hutter 2014, "An
efficient approach for assessing hyperparameter importance").
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reports.statistics.averages import Array, means
from reports.statistics.importance import Choices, Effect, Importance
from schema.errors import UserError

_SEED = 0  # of the forest, so that the same scores have the same importance


def estimate_importance(
    keys: Sequence[str],
    choices: Choices,
    scores: Array,
    rng: np.random.Generator,
    resamples: int = 20,
) -> Importance:
    """Estimate each key's share of the variance between permutations.

    The intervals cover the choice of seeds, by a bootstrap, but not the model's error.

    Args:
        keys: names of the hyperparameters.
        choices: number of each permutation's choice of each key, (permutations, keys), in the order of
            the key's list.
        scores: (permutations, repetitions), NaN where there is none.
        rng: generator that draws the seeds of each resample.
        resamples: number of resamples.

    Returns:
        The importance with main effects only. Intervals are NaN with one repetition.

    Raises:
        UserError: Optuna isn't installed.
    """
    repetitions = scores.shape[1]
    share = _shares(choices, means(scores))
    if repetitions > 1:
        drawn = [
            _shares(choices, means(scores[:, rng.integers(repetitions, size=repetitions)]))
            for _ in range(resamples)
        ]
        low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    else:
        low = high = np.full(len(keys), np.nan)
    main = tuple(
        Effect((key,), float(own), float(least), float(most), float("nan"))
        for key, own, least, most in zip(keys, share, low, high, strict=True)
    )
    return Importance("fANOVA", main, (), (), float("nan"))


def _shares(choices: Choices, mean: Array) -> Array:
    """Return Optuna's importance of each key, (keys,); 0 if a key has one choice or scores are equal."""
    try:
        import optuna  # optional, and slow to import
        import sklearn  # noqa: F401  which Optuna's forest is made of
    except ImportError:
        raise UserError(
            "the importance on an incomplete grid needs Optuna: pip install optuna scikit-learn"
        ) from None
    scored = ~np.isnan(mean)
    choices, mean = choices[scored], mean[scored]
    varied = [key for key, column in enumerate(choices.T) if len(np.unique(column)) > 1]
    share = np.zeros(choices.shape[1])
    if not varied or np.ptp(mean) == 0:
        return share
    distributions: dict[str, optuna.distributions.BaseDistribution] = {
        str(key): optuna.distributions.IntDistribution(
            int(choices[:, key].min()), int(choices[:, key].max())
        )
        for key in varied
    }
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study()
    study.add_trials(
        [
            optuna.trial.create_trial(
                params={str(key): int(row[key]) for key in varied},
                distributions=distributions,
                value=float(value),
            )
            for row, value in zip(choices, mean, strict=True)
        ]
    )
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=_SEED)
    found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    for key, value in found.items():
        share[int(key)] = value
    return share
