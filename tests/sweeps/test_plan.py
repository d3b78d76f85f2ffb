import pytest
from hypothesis import given
from hypothesis import strategies as st

from ppo.footprint import footprint
from schema.errors import UserError
from sweeps.grid import Permutation
from sweeps.plan import PlannedRun, check_memory, memory_of, plan_populations, plan_runs
from sweeps.results import Result
from tests.examples import tiny_config


def planned(index, repetition=0, **trainer):
    permutation = Permutation(index, {}, tiny_config(trainer=trainer))
    return PlannedRun(permutation, Result("a", str(index), repetition, {}, repetition))


def names(populations):
    return [[run.name for run in population] for population in populations]


def test_runs_of_equal_shape_train_together():
    runs = [
        planned(0, gamma=0.9),
        planned(1, worker_steps=64),
        planned(2, beta_schedule={"initial": 0.5}, clip_range_schedule={"initial": 0.3}),
        planned(3, epochs=1),
        planned(4, learning_rate_schedule={"initial": 0.1}, max_grad_norm=3.0, lamda=0.3),
        planned(5, worker_steps=64, weight_decay=0.1, adam_epsilon=0.1, value_coefficient=2.0),
        planned(0, repetition=1, gamma=0.9),
    ]
    assert names(plan_populations(runs, together=10, jobs=1)) == [
        ["0_0", "2_0", "4_0", "0_1"],
        ["1_0", "5_0"],
        ["3_0"],
    ]


def test_one_run_at_a_time_keeps_the_order_of_the_grid():
    runs = [planned(index, worker_steps=(32, 64)[index % 2]) for index in range(4)]
    runs += [planned(index, 1, worker_steps=(32, 64)[index % 2]) for index in range(4)]
    populations = plan_populations(runs, together=1, jobs=1)
    assert names(populations) == [[run.name] for run in runs]


@pytest.mark.parametrize(
    ("together", "jobs", "sizes"),
    [(48, 1, [48]), (48, 2, [24, 24]), (24, 2, [24, 24]), (20, 2, [16] * 3), (1, 4, [1] * 48)],
)
def test_populations_are_even_and_leave_no_job_idle(together, jobs, sizes):
    runs = [planned(index) for index in range(48)]
    assert list(map(len, plan_populations(runs, together, jobs))) == sizes


def test_nothing_left_to_train_is_no_population():
    assert plan_populations([], together=4, jobs=2) == []


@given(
    st.lists(st.sampled_from([32, 64, 96]), max_size=40),
    st.integers(1, 50),
    st.integers(1, 8),
)
def test_every_run_is_planned_once_within_the_limit(worker_steps, together, jobs):
    runs = [planned(index, worker_steps=steps) for index, steps in enumerate(worker_steps)]
    populations = plan_populations(runs, together, jobs)
    planned_names = [run.name for population in populations for run in population]
    assert sorted(planned_names) == sorted(run.name for run in runs)
    for population in populations:
        assert 1 <= len(population) <= together
        assert len({run.permutation.config.trainer.worker_steps for run in population}) == 1
    if worker_steps:
        assert len(populations) >= min(jobs, len(runs), -(-len(runs) // together))


def test_runs_are_planned_repetition_by_repetition_on_common_seeds(tmp_path):
    from sweeps.grid import load_grid

    (tmp_path / "base.yaml").write_text("environment: {type: CartPole, name: CartPole-v1}\n")
    (tmp_path / "space.yaml").write_text("hyperparameters: {gamma: [0.9, 0.99]}\n")
    grid = load_grid(tmp_path / "base.yaml", tmp_path / "space.yaml")
    runs = list(plan_runs(grid, "a", repetitions=2, seed=7))
    assert [run.name for run in runs] == ["0_0", "1_0", "0_1", "1_1"]
    assert [run.result.seed for run in runs] == [7, 7, 8, 8]
    assert [run.result.choices for run in runs[:2]] == [{"gamma": "0.9"}, {"gamma": "0.99"}]
    assert {run.steps for run in runs} == {50 * 16 * 64}


def member_bytes():
    return sum(footprint(tiny_config()).own.values())


def test_populations_are_as_small_as_memory_asks():
    runs = [planned(index) for index in range(12)]
    room = footprint(tiny_config()).of(4) + member_bytes() // 2
    assert list(map(len, plan_populations(runs, 12, 1, memory=room))) == [4, 4, 4]
    assert list(map(len, plan_populations(runs, 12, 2, memory=2 * room))) == [4, 4, 4]
    assert list(map(len, plan_populations(runs, 12, 1, memory=3 * room))) == [12]
    # What has no room even alone is refused elsewhere.
    assert list(map(len, plan_populations(runs, 12, 1, memory=1))) == [1] * 12


def test_the_largest_trainings_that_run_at_once_count():
    small, large = tiny_config(), tiny_config(trainer={"num_workers": 64})
    trainings = [(small, 2), (large, 1), (small, 1), (large, 3)]
    expected = [footprint(large).of(3), footprint(large).of(1), footprint(small).of(2)]
    assert memory_of(trainings, 1) == expected[0]
    assert memory_of(trainings, 3) == sum(expected)


def test_jobs_without_room_are_refused(tmp_path):
    from sweeps.grid import load_grid

    (tmp_path / "base.yaml").write_text("environment: {type: CartPole, name: CartPole-v1}\n")
    (tmp_path / "space.yaml").write_text("hyperparameters: {gamma: [0.9, 0.99]}\n")
    grid = load_grid(tmp_path / "base.yaml", tmp_path / "space.yaml")
    needed = footprint(next(grid.permutations()).config).of(1)
    check_memory(grid, repetitions=2, jobs=4, memory=4 * needed)
    check_memory(grid, repetitions=1, jobs=4, memory=2 * needed)  # as there are two runs only
    with pytest.raises(UserError) as caught:
        check_memory(grid, repetitions=2, jobs=4, memory=4 * needed - 1)
    assert str(caught.value).startswith(
        "--jobs: 4 trainings at a time need about 1.2 GiB of memory"
    )
    assert str(caught.value).endswith("choose at most 3")
