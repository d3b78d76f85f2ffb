import math

import pytest

from ppo.footprint import footprint
from schema.errors import UserError
from sweeps.options import SweepOptions
from sweeps.planning.populations import plan_populations
from sweeps.planning.ram import check_memory, fitting, memory_of
from tests.sweeps.scene import make_grid, options_for


@pytest.fixture
def limited(monkeypatch, tmp_path):
    """Options on a machine with so much memory."""

    def limit(memory, **options):
        monkeypatch.setattr(SweepOptions, "memory", memory)
        return options_for(tmp_path, **options)

    return limit


def sizes(grid, options):
    populations = plan_populations(
        range(12), lambda _: 0, options.together, options.jobs, fitting(grid, options)
    )
    return list(map(len, populations))


def test_populations_are_as_small_as_memory_asks(tmp_path, limited):
    grid = make_grid(tmp_path)
    needed = footprint(grid.permutation(0).config)
    room = needed.of(4) + sum(needed.own.values()) // 2
    more = {"repetitions": 4, "together": 12}
    assert sizes(grid, limited(room, **more)) == [4, 4, 4]
    assert sizes(grid, limited(2 * room, jobs=2, **more)) == [4, 4, 4]
    assert sizes(grid, limited(3 * room, **more)) == [12]
    # What has no room even alone is refused elsewhere.
    assert sizes(grid, limited(1, **more)) == [1] * 12
    assert fitting(grid, limited(None, **more))(0) == math.inf


def test_the_largest_populations_that_run_at_once_count(tmp_path):
    grid = make_grid(tmp_path, "hyperparameters: {num_workers: [2, 64], gamma: [0.9, 0.99]}\n")
    small, large = (footprint(grid.permutation(index).config) for index in (0, 2))
    populations = [[0, 1], [2], [0], [2, 3], [4, 5]]
    assert memory_of(grid, populations, 1) == large.of(2)
    assert memory_of(grid, populations, 4) == large.of(2) + large.of(1) + 2 * small.of(2)
    assert memory_of(grid, [[0]] * 1000, 3) == 3 * small.of(1)


def test_jobs_without_room_are_refused(tmp_path, limited):
    grid = make_grid(tmp_path, "hyperparameters: {gamma: [0.9, 0.99]}\n")
    needed = footprint(grid.permutation(0).config).of(1)
    check_memory(grid, limited(4 * needed, repetitions=2, jobs=4))
    check_memory(grid, limited(2 * needed, jobs=4))  # as there are two runs only
    with pytest.raises(UserError) as caught:
        check_memory(grid, limited(4 * needed - 1, repetitions=2, jobs=4))
    assert str(caught.value).startswith(
        "--jobs: 4 trainings at a time need about 1.2 GiB of memory"
    )
    assert str(caught.value).endswith("choose at most 3")
