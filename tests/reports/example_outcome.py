"""Synthetic sweeps: their returns are drawn around a known truth."""

from dataclasses import replace
from itertools import product
from math import log10
from pathlib import Path

import numpy as np

from reports.outcome import Outcome, PermutationRuns
from sweeps.journal.runs import RunIdentity, RunRecord, RunState

CHOICES = {
    "learning_rate_schedule.initial": ("0.003", "0.001", "0.0003"),
    "gamma": ("0.99", "0.999"),
    "epochs": ("4", "8"),
    "worker_steps": ("128", "256"),
}
BASE = {
    "environment": {"type": "Gymnasium", "name": "LunarLander-v3"},
    "trainer": {"num_workers": 16, "worker_steps": 128, "epochs": 4, "gamma": 0.99},
}
SESSION = {
    "command": ["tune.py", "--config=lunar_lander.yaml", "--tune=lunar_lander.yaml"],
    "host": "workstation",
    "process": 4711,
    "device": "cpu",
    "processor": "x86_64",
    "python": "3.11.7",
    "packages": {"torch": "2.13.0", "numpy": "2.3.1", "gymnasium": "1.2.0"},
    "revision": "0123456789abcdef",
}
STEPS = 400_000
# Shares of the training after which half of the final return is learnt.
_SLOW, _FAST = 0.28, 0.12


def example_outcome(
    choices: dict[str, tuple[str, ...]] = CHOICES,
    repetitions: int = 5,
    failures: bool = True,
    points: int = 100,
    out: Path = Path("grid_search"),
) -> Outcome:
    """Return a sweep in which the learning rate matters most and `worker_steps` not at all."""
    rng = np.random.default_rng(7)
    labels = tuple(choices)
    luck = rng.normal(0, 6, repetitions)  # each seed's effect on all permutations
    permutations = tuple(
        PermutationRuns(
            str(number),
            own,
            tuple(
                _run(rng, number, dict(zip(labels, own, strict=True)), seed, luck[seed], points)
                for seed in range(repetitions)
            ),
        )
        for number, own in enumerate(product(*choices.values()))
    )
    sessions = ((1.7e9, 1.7e9 + 9000, SESSION),)
    ended = tuple((each.name, seed) for seed in range(repetitions) for each in permutations)
    outcome = Outcome("lunar", out, labels, permutations, BASE, sessions, ended=ended)
    return with_failures(outcome) if failures else outcome


def with_failures(outcome: Outcome) -> Outcome:
    """Return the same sweep, but one run of the last permutation diverged and one failed."""
    *others, last = outcome.permutations
    kept = last.runs[:-2]
    lost = (
        _lost(last.runs[-2], RunState.DIVERGED, "the losses aren't finite after update 17"),
        _lost(
            last.runs[-1],
            RunState.FAILED,
            "the environment raised <ValueError>: no level & no seed",
        ),
    )
    changed = replace(last, runs=(*kept, *lost))
    return replace(outcome, permutations=(*others, changed))


def under_way(outcome: Outcome) -> Outcome:
    """Return the same sweep before any run has finished: half of the runs are waiting."""
    permutations = tuple(
        replace(each, runs=tuple(_begun(run) for run in each.runs)) for each in outcome.permutations
    )
    return replace(outcome, permutations=permutations, ended=())


def _begun(record: RunRecord) -> RunRecord:
    waits = record.run.repetition % 2 == 1
    return replace(
        record,
        state=RunState.WAITING if waits else RunState.RUNNING,
        final_return=None,
        error="",
        curve=() if waits else record.curve[:9],
    )


def _run(
    rng: np.random.Generator,
    number: int,
    choices: dict[str, str],
    seed: int,
    luck: float,
    points: int,
) -> RunRecord:
    asymptote, half = _truth(choices)
    asymptote += luck + rng.normal(0, 12)
    time = np.linspace(0.01, 1, points)
    learnt = time**3 / (time**3 + (half * rng.uniform(0.85, 1.15)) ** 3)
    returns = -180 + (asymptote + 180) * learnt + rng.normal(0, 9, points)
    return RunRecord(
        RunIdentity("lunar", str(number), seed, seed, choices),
        RunState.FINISHED,
        steps=STEPS,
        final_return=float(returns[-5:].mean()),
        return_deviation=30.0,
        best_return=float(returns.max()),
        wall_time_seconds=float(rng.normal(170 + 9 * float(choices.get("epochs", 4)), 5)),
        checkpoint=f"checkpoints/{number}_{seed}/update_000100.pt",
        curve=tuple(
            (round(STEPS * at), float(value)) for at, value in zip(time, returns, strict=True)
        ),
        diagnostics={
            "episode/length_mean": 250.0 + seed,
            "policy/entropy": 1.4 - number / 100,
            "episode/fuel_mean": 0.5,
        },
    )


def _truth(choices: dict[str, str]) -> tuple[float, float]:
    """Return a permutation's true final return, and the share of the training that half of it takes."""
    rate = log10(float(choices.get("learning_rate_schedule.initial", 0.001)))
    gamma = float(choices.get("gamma", 0.99))
    epochs = float(choices.get("epochs", 4))
    asymptote = 236 - 260 * (rate + 3) ** 2
    asymptote += 16 if gamma > 0.99 and rate <= -3 else 0
    asymptote -= 55 if rate > -3 and epochs > 4 else 0
    return asymptote, _SLOW if rate < -3 else _FAST


def _lost(run: RunRecord, state: RunState, error: str) -> RunRecord:
    """Return the run as if it had stopped after a quarter of its steps."""
    return replace(
        run,
        steps=run.steps // 4,
        final_return=None,
        return_deviation=None,
        best_return=None,
        wall_time_seconds=run.wall_time_seconds / 4,
        state=state,
        error=error,
        checkpoint="",
        curve=run.curve[: len(run.curve) // 4],
    )
