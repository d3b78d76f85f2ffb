import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweeps.planning.populations import Shapes, plan_populations
from tests.sweeps.scene import make_grid


def planned(runs, group_of, together, jobs):
    return [list(population) for population in plan_populations(runs, group_of, together, jobs)]


def test_runs_of_equal_shape_train_together(tmp_path):
    grid = make_grid(
        tmp_path,
        """
hyperparameters:
  gamma: [0.9, 0.99]
  worker_steps: [32, 64, 32.0]
  trainer.max_grad_norm: [0.5]
clip_range_schedule: {initial: [0.1, 0.2]}
""",
    )
    # 12 permutations; in each half, those at 0, 1, 4 and 5 have 32 steps.
    shape_of = Shapes(grid)
    assert planned(range(12), shape_of, together=20, jobs=1) == [
        [0, 1, 4, 5, 6, 7, 10, 11],
        [2, 3, 8, 9],
    ]
    for index, permutation in enumerate(grid.permutations()):
        alike = permutation.config.trainer.worker_steps == 32
        assert (shape_of(index) == shape_of(0)) == alike


@pytest.mark.parametrize(
    "key",
    ["epochs: [1, 2]", "hidden_layer_size: [8, 16]", "num_workers: [2, 4]", "updates: [1, 2]"],
)
def test_keys_that_members_share_change_the_shape(tmp_path, key):
    shape_of = Shapes(make_grid(tmp_path, f"hyperparameters: {{{key}}}"))
    assert shape_of(0) != shape_of(1)


@pytest.mark.parametrize(
    "section",
    [
        "hyperparameters: {gamma: [0.1, 0.2]}",
        "hyperparameters: {lamda: [0.1, 0.2]}",
        "hyperparameters: {value_coefficient: [0.1, 0.2]}",
        "hyperparameters: {weight_decay: [0.1, 0.2]}",
        "hyperparameters: {adam_epsilon: [0.1, 0.2]}",
        "hyperparameters: {trainer.beta_schedule: [{initial: 0.1}, {initial: 0.2}]}",
        "learning_rate_schedule: {power: [1.0, 2.0]}",
    ],
)
def test_keys_that_each_member_has_do_not_change_the_shape(tmp_path, section):
    shape_of = Shapes(make_grid(tmp_path, section))
    assert shape_of(0) == shape_of(1)


def test_one_run_at_a_time_keeps_the_order_of_the_grid():
    assert planned(range(8), lambda run: run % 2, together=1, jobs=1) == [[run] for run in range(8)]


@pytest.mark.parametrize(
    ("together", "jobs", "sizes"),
    [(48, 1, [48]), (48, 2, [24, 24]), (24, 2, [24, 24]), (20, 2, [16] * 3), (1, 4, [1] * 48)],
)
def test_populations_are_even_and_leave_no_job_idle(together, jobs, sizes):
    assert [len(each) for each in planned(range(48), lambda _: 0, together, jobs)] == sizes


def test_nothing_left_to_train_is_no_population():
    assert planned([], lambda _: 0, together=4, jobs=2) == []


@given(st.lists(st.sampled_from("abc"), max_size=40), st.integers(1, 50), st.integers(1, 8))
def test_every_run_is_planned_once_within_the_limit(shapes, together, jobs):
    populations = planned(range(len(shapes)), lambda run: shapes[run], together, jobs)
    assert sorted(run for population in populations for run in population) == [*range(len(shapes))]
    for population in populations:
        assert 1 <= len(population) <= together
        assert len({shapes[run] for run in population}) == 1
    assert populations == sorted(populations)
    if shapes:
        assert len(populations) >= min(jobs, len(shapes), -(-len(shapes) // together))
