"""Gathers what describes permutations beside their returns, such as entropy and episode lengths."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from reports.outcome import PermutationRuns
from sweeps.journal.runs import FAILURES

# Names of TensorBoard's tags for readers, in the order in which they are listed.
_NAMES = {
    "episode/length_mean": "episode length, steps",
    "policy/entropy": "entropy, nats",
    "policy/kl_divergence": "KL divergence of an update, nats",
    "policy/clip_fraction": "share of clipped ratios",
    "value/explained_variance": "explained variance of the values",
    "loss/value": "loss of the values",
}


def diagnostics_of(permutations: Sequence[PermutationRuns]) -> dict[str, list[float | None]]:
    """Return each diagnostic of each permutation, by the diagnostic's name for readers.

    A value is the mean over the permutation's runs in their last update; runs that failed don't count.
    None stands for no value. What environments report of their episodes comes last.
    """
    found = [_means(each) for each in permutations]
    own = sorted({tag for means in found for tag in means} - set(_NAMES))
    tags = [*(tag for tag in _NAMES if any(tag in means for means in found)), *own]
    return {_name(tag): [means.get(tag) for means in found] for tag in tags}


def _means(permutation: PermutationRuns) -> dict[str, float]:
    runs = [run.diagnostics for run in permutation.runs if run.state not in FAILURES]
    tags = {tag for run in runs for tag in run}
    return {tag: fmean(run[tag] for run in runs if tag in run) for tag in tags}


def _name(tag: str) -> str:
    return _NAMES.get(tag) or tag.removeprefix("episode/").removesuffix("_mean")
