import socket

import pytest

import tune
from commands.backend_option import check_backend, cluster_options, select_job_device
from schema.errors import UserError
from sweeps.execution.backends.by_ray.cluster import RayOptions
from sweeps.execution.backends.by_slurm.options import SlurmOptions

DEFAULTS = {
    "--backend": "ray",
    "--address": None,
    "--cpus-per-job": None,
    "--gpus-per-job": None,
    "--sync": None,
    "--slurm": None,
    "--max-jobs": None,
    "--jobs": None,
    "--allow-different-versions": False,
    "--device": "auto",
}


@pytest.fixture
def check(monkeypatch):
    """A function that checks options, as if Ray and Slurm were installed."""
    monkeypatch.setattr("commands.backend_option.find_spec", lambda name: name)
    monkeypatch.setattr("commands.backend_option.shutil.which", lambda name: name)
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


def test_without_slurm_the_error_says_where_to_run_it(check, monkeypatch):
    monkeypatch.setattr(
        "commands.backend_option.shutil.which", lambda name: None if name == "squeue" else name
    )
    with pytest.raises(
        UserError, match=r"^--backend=slurm: there is no squeue here; run tune\.py on "
    ):
        check(backend="slurm")


@pytest.mark.parametrize(
    ("option", "backend", "others"),
    [
        ("address", "local", "--backend=ray"),
        ("cpus_per_job", "local", "--backend=ray"),
        ("gpus_per_job", "slurm", "--backend=ray"),
        ("sync", "slurm", "--backend=ray"),
        ("slurm", "local", "--backend=slurm"),
        ("max_jobs", "ray", "--backend=slurm"),
        ("allow_different_versions", "local", "--backend=ray or --backend=slurm"),
        ("jobs", "slurm", "--backend=local or --backend=ray"),
    ],
)
def test_options_belong_to_sweep_backends(check, option, backend, others):
    name = f"--{option}".replace("_", "-")
    expected = f"{name}: doesn't belong to --backend={backend}, but to {others}"
    with pytest.raises(UserError) as caught:
        check(backend=backend, **{option: "1"})
    assert caught.value.lines == [expected]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "cloud"}, "--backend=cloud: must be one of local, ray, slurm"),
        ({"backend": "slurm", "max_jobs": "0"}, "--max-jobs=0: "),
        (
            {"backend": "slurm", "slurm": "-p gpu"},
            "--slurm=-p gpu: must be options of sbatch without",
        ),
        ({"backend": "slurm", "slurm": "mem=8G,array=1-3"}, "--slurm: array: is set by tune.py"),
        (
            {"backend": "slurm", "slurm": "signal=USR2@60"},
            "--slurm: signal=USR2@60: must be B:USR1@<seconds>",
        ),
        ({"backend": "slurm", "device": "cuda"}, "--device=cuda: add --slurm=gres=gpu:1"),
        ({"backend": "slurm", "device": "cuda:1"}, "--device=cuda:1: must be auto, cpu or cuda"),
        (
            {"backend": "slurm", "device": "cpu", "slurm": "gpus-per-node=1"},
            "--device=cpu: uses no GPU",
        ),
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
    assert cluster_options(check(backend="local")) is None
    plain = cluster_options(check())
    sharing = cluster_options(check(gpus_per_job="0.25", cpus_per_job="2"))
    assert plain == RayOptions(None, 1, 0.0) and sharing == RayOptions(None, 2, 0.25)
    assert str(select_job_device("auto", plain)) == "cpu"
    assert str(select_job_device("auto", sharing)) == "cuda:0"


def test_slurm_gets_its_options_as_they_are(check):
    options = cluster_options(
        check(
            backend="slurm",
            slurm="partition=a,b,exclusive,gres=shard:2,gpu:a100:1,time=1-0,nodelist=n[1,3-4]",
            max_jobs="5",
        )
    )
    assert options.passed == (
        "--signal=B:USR1@90",
        "--partition=a,b",
        "--exclusive",
        "--gres=shard:2,gpu:a100:1",
        "--time=1-0",
        "--nodelist=n[1,3-4]",
    )
    assert options.most == 5 and options.gpus
    plain = cluster_options(check(backend="slurm", slurm="signal=B:USR1@600"))
    assert plain == SlurmOptions(("--signal=B:USR1@600",), 16, False, 600) and not plain.gpus


@pytest.mark.parametrize(
    ("slurm", "device"),
    [
        ("gres=gpu", "cuda:0"),
        ("gres=gpu:2", "cuda:0"),
        ("gpus=a100:1", "cuda:0"),
        ("gpus-per-task=1", "cuda:0"),
        ("partition=gpu", "cpu"),
        ("gres=gpumem:3", "cpu"),
    ],
)
def test_jobs_of_slurm_train_on_the_gpus_that_they_ask_for(check, slurm, device):
    options = cluster_options(check(backend="slurm", slurm=slurm))
    assert str(select_job_device("auto", options)) == device
