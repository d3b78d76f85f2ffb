import csv
from pathlib import Path

import pytest
import torch

import task
from analysis import column_title, rank
from grid import load_grid
from progress import PlainDisplay, make_console
from results import Result
from sweep import Sweep, SweepOptions

BASE = """\
environment: {type: CartPole, name: CartPole-v1, processes: 0}
model: {hidden_layer_size: 8}
trainer: {updates: 1, epochs: 1, num_workers: 2, worker_steps: 32, num_mini_batches: 1}
"""


@pytest.fixture
def grid(tmp_path):
    (tmp_path / "base.yaml").write_text(BASE)
    (tmp_path / "space.yaml").write_text("hyperparameters: {gamma: [0.9, 0.95, 0.99]}\n")
    return load_grid(tmp_path / "base.yaml", tmp_path / "space.yaml")


def run(grid, out, **options):
    chosen = {"run_id": "a", "repetitions": 1, "seed": 0, "worker_id": 2, **options}
    made = SweepOptions(out=out, low_memory=False, device=torch.device("cpu"), **chosen)
    made_sweep = Sweep(grid, made, overwrite=False)
    return made_sweep.run(PlainDisplay(make_console(), made_sweep.runs, made_sweep.steps))


def test_a_run_that_fails_does_not_stop_the_others(grid, tmp_path, monkeypatch):
    class Failing(task.PPOTrainer):
        def run(self, on_update=None):
            if self._members[0].config.gamma == 0.95:
                raise RuntimeError("out of luck\nsecond line")
            super().run(on_update)

    monkeypatch.setattr(task, "PPOTrainer", Failing)
    results = run(grid, tmp_path / "out")
    assert [result.status for result in results] == ["finished", "failed: out of luck", "finished"]
    failure = tmp_path / "out" / "summaries" / "a" / "1_0" / "failure.txt"
    assert "RuntimeError: out of luck" in failure.read_text()
    monkeypatch.undo()
    # The same sweep again trains only what failed.
    before = Path(tmp_path / "out" / results[0].checkpoint).stat().st_mtime_ns
    assert [result.status for result in run(grid, tmp_path / "out")] == ["finished"] * 3
    assert Path(tmp_path / "out" / results[0].checkpoint).stat().st_mtime_ns == before


def test_worker_id_and_seed_reach_every_run(grid, tmp_path, monkeypatch):
    seen = []

    class Watching(task.PPOTrainer):
        def __init__(self, runs, worker_id, *others, **more):
            seen.append((runs[0].seed, worker_id))
            super().__init__(runs, worker_id, *others, **more)

    monkeypatch.setattr(task, "PPOTrainer", Watching)
    run(grid, tmp_path / "out", worker_id=100, seed=7, repetitions=2)
    assert seen == [(7, 100)] * 3 + [(8, 100)] * 3


def test_run_ids_share_a_folder(grid, tmp_path):
    run(grid, tmp_path / "out", run_id="a")
    run(grid, tmp_path / "out", run_id="b/c")
    with (tmp_path / "out" / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["run_id"] for row in rows] == ["a"] * 3 + ["b/c"] * 3
    assert [row["final_return"] for row in rows[:3]] == [row["final_return"] for row in rows[3:]]


def test_permutations_are_ranked_by_their_mean_and_failures_come_last():
    def result(permutation, repetition, value, status="finished"):
        return Result(
            "a", permutation, repetition, {}, repetition, 1, value, 0.5, value, 1.0, status
        )

    scores = rank(
        [
            result("0", 0, 1.0),
            result("1", 0, 4.0),
            result("2", 0, None, "failed: x"),
            result("0", 1, 3.0),
            result("1", 1, 2.0),
            result("2", 1, None, "failed: x"),
        ]
    )
    assert [score.permutation for score in scores] == ["1", "0", "2"]
    assert [score.mean for score in scores] == [3.0, 2.0, None]
    # The sample's standard deviation of 4 and 2 is the root of 2.
    assert scores[0].spread == pytest.approx(2**0.5)
    assert scores[0].best.repetition == 0 and scores[1].best.repetition == 1
    assert scores[2].failed == 2


def test_a_single_repetition_has_the_spread_of_its_episodes():
    (score,) = rank([Result("a", "0", 0, {}, 0, 1, 1.0, 0.25, 1.0, 1.0)])
    assert score.spread == 0.25


def test_column_titles_break_where_words_end():
    title = column_title("learning_rate_schedule.initial")
    assert title == "learning_\nrate_\nschedule.\ninitial"
    assert column_title("gamma") == "gamma"
