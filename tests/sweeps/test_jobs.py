"""The choice of --together and --jobs if the user leaves them out."""

import pytest

from environments import Spaces
from environments.building import Probe
from sweeps.planning import jobs
from sweeps.planning.jobs import share_out
from tests.sweeps.scene import make_grid, options_for

VECTOR = Spaces({"vector": ((4,), "float32")}, (2,))
IMAGES = Spaces({"visual": ((8, 8, 3), "uint8")}, (2,))


@pytest.fixture
def cores(monkeypatch):
    monkeypatch.setattr(jobs, "available_cores", lambda: 4)
    monkeypatch.setattr(jobs, "probe", lambda _: Probe(VECTOR))


def chosen(tmp_path, grid, together=None, jobs=None, **options):
    shared = share_out(grid, options_for(tmp_path, **options), together, jobs)
    return shared.together, shared.jobs


def test_the_options_of_the_user_are_kept(tmp_path, cores):
    grid = make_grid(tmp_path)
    assert chosen(tmp_path, grid, 3, 2) == (3, 2)
    assert chosen(tmp_path, grid, 3, 0) == (3, 4)


def test_short_trainings_have_one_job(tmp_path, cores):
    assert chosen(tmp_path, make_grid(tmp_path)) == (8, 1)


@pytest.mark.parametrize(("repetitions", "jobs"), [(500, 1), (700, 2), (10_000, 4)])
def test_each_job_has_some_seconds_to_do(tmp_path, cores, repetitions, jobs):
    # 3 x 6 x 64 = 1,152 steps a repetition; 300,000 are three seconds.
    assert chosen(tmp_path, make_grid(tmp_path), repetitions=repetitions) == (8, jobs)


def test_images_take_ram_and_time(tmp_path, cores, monkeypatch):
    monkeypatch.setattr(jobs, "probe", lambda _: Probe(IMAGES))
    assert chosen(tmp_path, make_grid(tmp_path), repetitions=50) == (1, 4)


def test_a_gpu_trains_all_at_once(tmp_path, cores):
    assert chosen(tmp_path, make_grid(tmp_path), device="cuda", repetitions=10_000) == (32, 1)
