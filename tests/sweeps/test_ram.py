import math

import pytest

from ppo.footprint import footprint
from schema.errors import UserError
from sweeps.options import SweepOptions
from sweeps.planning.populations import plan_populations
from sweeps.planning.ram import check_ram, ram_capacity, ram_needed
from tests.sweeps.scene import make_grid, options_for


@pytest.fixture
def limited(monkeypatch, tmp_path):
    """Options on a machine with that many bytes of RAM."""

    def limit(ram, **options):
        monkeypatch.setattr(SweepOptions, "ram", ram)
        return options_for(tmp_path, **options)

    return limit


def sizes(grid, options):
    populations = plan_populations(
        range(12), lambda _: 0, options.together, options.jobs, ram_capacity(grid, options)
    )
    return list(map(len, populations))


def test_populations_are_as_small_as_the_ram_requires(tmp_path, limited):
    grid = make_grid(tmp_path)
    needed = footprint(grid.permutation(0).config)
    enough = needed.of(4) + sum(needed.own.values()) // 2
    more = {"repetitions": 4, "together": 12}
    assert sizes(grid, limited(enough, **more)) == [4, 4, 4]
    assert sizes(grid, limited(2 * enough, jobs=2, **more)) == [4, 4, 4]
    assert sizes(grid, limited(3 * enough, **more)) == [12]
    # Validating the grid refuses a run that doesn't even fit alone.
    assert sizes(grid, limited(1, **more)) == [1] * 12
    assert ram_capacity(grid, limited(None, **more))(0) == math.inf


def test_the_largest_populations_that_run_at_once_count(tmp_path):
    grid = make_grid(tmp_path, "hyperparameters: {num_workers: [2, 64], gamma: [0.9, 0.99]}\n")
    small, large = (footprint(grid.permutation(index).config) for index in (0, 2))
    populations = [[0, 1], [2], [0], [2, 3], [4, 5]]
    assert ram_needed(grid, populations, 1) == large.of(2)
    assert ram_needed(grid, populations, 4) == large.of(2) + large.of(1) + 2 * small.of(2)
    assert ram_needed(grid, [[0]] * 1000, 3) == 3 * small.of(1)


def test_jobs_that_do_not_fit_into_the_ram_are_refused(tmp_path, limited):
    grid = make_grid(tmp_path, "hyperparameters: {gamma: [0.9, 0.99]}\n")
    needed = footprint(grid.permutation(0).config).of(1)
    check_ram(grid, limited(4 * needed, repetitions=2, jobs=4))
    check_ram(grid, limited(2 * needed, jobs=4))  # as there are two runs only
    with pytest.raises(UserError) as caught:
        check_ram(grid, limited(4 * needed - 1, repetitions=2, jobs=4))
    assert str(caught.value).startswith("--jobs: 4 trainings at a time need about 1.2 GiB of RAM")
    assert str(caught.value).endswith("choose at most 3")
