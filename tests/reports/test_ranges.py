"""What a sweep means whose values were drawn from ranges."""

import itertools
import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import optuna
import pytest

from reports.answer import answer
from reports.outcome import Outcome, PermutationRuns
from reports.output.optuna_study import write_study
from reports.output.page.data import page_data
from reports.output.plots import write_plots
from reports.suggestion import suggest
from schema.yaml_file import read_yaml
from sweeps.journal.runs import RunIdentity, RunRecord, RunState
from sweeps.search_space.keys import resolve_axes
from sweeps.search_space.ranges import Range

SPACE = {
    "learning_rate_schedule.initial": asdict(Range(1e-5, 1e-2, log=True)),
    "gamma": asdict(Range(0.9, 0.999)),
    "epochs": asdict(Range(1, 4, step=1, whole=True)),
    "model.activation": ["relu", "tanh"],
}


def record(name, repetition, choices, value):
    run = RunIdentity("a", name, repetition, repetition, dict(zip(SPACE, choices, strict=True)))
    if value is None:
        return RunRecord(run, RunState.FAILED, error="out of luck")
    return RunRecord(run, RunState.FINISHED, 512, value, 1.0, value, curve=((256, 0), (512, value)))


@pytest.fixture
def outcome():
    """Forty permutations whose score depends on the learning rate alone; the last one failed."""
    rng = np.random.default_rng(0)
    permutations, trials = [], []
    for number in range(40):
        rate, gamma = round(10 ** rng.uniform(-5, -2), 7), round(rng.uniform(0.9, 0.999), 5)
        epochs, activation = int(rng.integers(1, 5)), ["relu", "tanh"][rng.integers(2)]
        trials.append([rate, gamma, epochs, activation])
        choices = (str(rate), str(gamma), str(epochs), activation)
        scores = 100 + 20 * np.log10(rate) + rng.normal(0, 1, 3)
        values = scores if number < 39 else [None] * 3
        runs = tuple(record(f"{number:02}", lap, choices, each) for lap, each in enumerate(values))
        permutations.append(PermutationRuns(f"{number:02}", choices, runs))
    search = {"sampler": "tpe", "space": SPACE, "trials": trials}
    return Outcome("a", Path("out"), tuple(SPACE), tuple(permutations), {}, (), search=search)


def test_values_of_a_range_are_summed_up_in_parts(outcome):
    assert outcome.ranges == ["learning_rate_schedule.initial", "gamma", "epochs"]
    coarse = outcome.in_parts()
    parts = coarse.ordered("learning_rate_schedule.initial")
    assert len(parts) == 3
    ends = [tuple(map(float, part.split(" to "))) for part in parts]
    assert all(low <= high for low, high in ends)
    assert all(before[1] < after[0] for before, after in itertools.pairwise(ends))
    sizes = [sum(part in each.choices for each in coarse.permutations) for part in parts]
    assert sum(sizes) == 40 and min(sizes) >= 12
    # Few values stay apart, and so do choices.
    assert coarse.ordered("epochs") == ["1", "2", "3", "4"]
    assert coarse.choices_of("model.activation") == outcome.choices_of("model.activation")


def test_the_importance_is_an_estimate_and_no_value_is_an_edge(outcome):
    found = answer(outcome)
    assert found.importance is not None and found.importance.method == "main effects"
    assert found.matters("learning_rate_schedule.initial") is True
    assert found.matters("gamma") is False
    assert not set(found.edges) & set(outcome.ranges)
    means = [each.mean for each in found.choice_scores["learning_rate_schedule.initial"]]
    assert len(means) == 3 and None not in means


def test_the_page_and_the_plots_show_parts(outcome, tmp_path):
    found = answer(outcome)
    data = json.loads(json.dumps(page_data(found)))
    key = data["keys"][0]
    assert len(key["choices"]) == 40 and len(key["parts"]) == len(key["choiceScores"]) == 3
    means = [each["mean"] for each in key["choiceScores"]]
    assert means == sorted(means)
    for permutation in data["permutations"]:
        rate = float(key["choices"][permutation["choices"][0]])
        low, high = map(float, key["parts"][permutation["parts"][0]].split(" to "))
        assert low * 0.99 <= rate <= high * 1.01
    assert len(write_plots(found, tmp_path)) == 12


def test_the_next_search_has_narrower_ranges(outcome, tmp_path):
    path = tmp_path / "next.yaml"
    path.write_text(suggest(answer(outcome)))
    ranges = {axis.label: axis.range for axis in resolve_axes(read_yaml(path))}
    rate = ranges["learning_rate_schedule.initial"]
    assert rate.log and 1e-3 < rate.low < rate.high <= 1e-2


@pytest.mark.slow
def test_a_study_has_a_trial_for_each_permutation(outcome, tmp_path):
    found, path = answer(outcome), tmp_path / "new" / "study.db"
    write_study(found, path)
    write_study(found, path)  # it replaces the file
    assert [each.name for each in path.parent.iterdir()] == ["study.db"]
    study = optuna.load_study(study_name="a", storage=f"sqlite:///{path}")
    assert study.direction.name == "MAXIMIZE"
    assert [trial.user_attrs["permutation"] for trial in study.trials] == [
        each.name for each in outcome.permutations
    ]
    for trial, values in zip(study.trials, outcome.search["trials"], strict=True):
        assert list(trial.params.values()) == values
    *finished, failed = study.trials
    means = {score.permutation.name: score.mean for score in found.scores}
    assert [trial.value for trial in finished] == [
        means[trial.user_attrs["permutation"]] for trial in finished
    ]
    assert failed.state.name == "FAIL" and failed.user_attrs["failed"] == 3
    assert study.best_trial.user_attrs["repetitions"] == 3


@pytest.mark.slow
def test_a_grid_is_a_study_of_choices(outcome, tmp_path):
    write_study(answer(replace(outcome, search=None)), tmp_path / "study.db")
    study = optuna.load_study(study_name="a", storage=f"sqlite:///{tmp_path / 'study.db'}")
    assert study.trials[0].params["gamma"] == outcome.permutations[0].choices[1]
