import socket

import pytest

import tune
from commands.backend_option import check_backend, ray_options, select_job_device
from schema.errors import UserError
from sweeps.execution.backends.by_ray.cluster import RayOptions

DEFAULTS = {
    "--backend": "ray",
    "--address": None,
    "--cpus-per-job": None,
    "--gpus-per-job": None,
    "--sync": None,
    "--allow-different-versions": False,
    "--device": "auto",
}


@pytest.fixture
def check(monkeypatch):
    """A function that checks options, as if Ray were installed."""
    monkeypatch.setattr("commands.backend_option.find_spec", lambda name: name)
    monkeypatch.setattr("sys.argv", ["tune.py"])

    def checked(**options):
        arguments = {
            **DEFAULTS,
            **{f"--{name}".replace("_", "-"): v for name, v in options.items()},
        }
        check_backend(arguments, tune.__doc__)
        return arguments

    return checked


def test_without_ray_the_error_says_how_to_install_it(check, monkeypatch):
    monkeypatch.setattr("commands.backend_option.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"^--backend=ray: .*`make ray`"):
        check()


@pytest.mark.parametrize(
    "option", ["address", "cpus_per_job", "gpus_per_job", "sync", "allow_different_versions"]
)
def test_options_of_ray_need_ray(check, option):
    with pytest.raises(UserError, match=r"add --backend=ray$"):
        check(backend="local", **{option: "1"})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "slurm"}, "--backend=slurm: must be one of local, ray"),
        ({"cpus_per_job": "0"}, "--cpus-per-job=0: "),
        ({"gpus_per_job": "-1"}, "--gpus-per-job=-1: "),
        ({"gpus_per_job": "1.5"}, "--gpus-per-job=1.5: must be a whole number, or a fraction"),
        ({"sync": "0"}, "--sync=0: must be a positive number"),
        ({"device": "cuda"}, "--device=cuda: add --gpus-per-job"),
        ({"device": "cuda:1", "gpus_per_job": "1"}, "--device=cuda:1: "),
        ({"device": "cpu", "gpus_per_job": "1"}, "--device=cpu: "),
        ({"address": "10.0.0.1"}, "--address=10.0.0.1: must be auto or <host>:<port>"),
        ({"address": "localhost:99999"}, "--address=localhost:99999: no Ray cluster"),
    ],
)
def test_wrong_options_get_one_line(check, options, message):
    with pytest.raises(UserError) as caught:
        check(**options)
    [line] = caught.value.lines
    assert line.startswith(message)


def test_an_address_where_nothing_answers_is_an_error(check):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(UserError, match="no Ray cluster answers there"):
            check(address=address)
        unused.listen()
        check(address=address)


def test_jobs_see_only_the_gpus_that_they_declare(check):
    assert ray_options(check(backend="local")) is None
    plain, sharing = ray_options(check()), ray_options(check(gpus_per_job="0.25", cpus_per_job="2"))
    assert plain == RayOptions(None, 1, 0.0) and sharing == RayOptions(None, 2, 0.25)
    assert str(select_job_device("auto", plain)) == "cpu"
    assert str(select_job_device("auto", sharing)) == "cuda:0"
