"""Slurm's commands, played by scripts; tests/e2e/test_slurm.py has the real ones."""

import pytest

from schema.errors import UserError
from sweeps.execution.backends.by_slurm import queue


@pytest.fixture
def install(tmp_path, monkeypatch):
    """A function that installs a command of Slurm: a line of the shell."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    def installed(name, line):
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / name).chmod(0o755)

    return installed


def test_an_array_has_a_name_and_the_options_of_the_user(install, tmp_path):
    install("sbatch", f'printf "%s\\n" "$@" > {tmp_path}/said; echo "17;cluster"')
    job = queue.submit("ppo-grid-1", 3, 2, ["--partition=gpu"], tmp_path / "array.sbatch")
    assert job == "17"
    said = (tmp_path / "said").read_text().splitlines()
    assert {"--parsable", "--job-name=ppo-grid-1", "--array=0-2%2", "--requeue"} <= set(said)
    assert said[-2:] == ["--partition=gpu", str(tmp_path / "array.sbatch")]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            "sbatch: error: invalid partition specified: x\nallocation failure: Invalid partition name",
            "invalid partition specified: x; Invalid partition name",
        ),
        ("sbatch: unrecognized option '--x'\nTry \"sbatch --help\"", "unrecognized option '--x'"),
        ("", "exit code 3"),
    ],
)
def test_an_error_of_sbatch_is_one_line(install, tmp_path, said, words):
    (tmp_path / "words").write_text(said)
    install("sbatch", f"cat {tmp_path}/words >&2; exit 3")
    with pytest.raises(UserError) as caught:
        queue.check_options(["--x"])
    assert caught.value.lines == [f"--slurm: sbatch refuses it: {words}"]


def test_elements_are_found_by_the_names_of_their_arrays(install):
    install("squeue", 'test "$3" = --name=a,b && printf "a|0\\nb|12\\na|N/A\\n"')
    assert queue.queued(["a", "b"]) == {("a", 0), ("b", 12)}
    assert queue.queued([]) == set()


def test_a_silent_queue_is_not_an_empty_one(install):
    install(
        "squeue", "echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1"
    )
    assert queue.queued(["a"]) is None


def test_without_its_commands_slurm_is_silent(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert queue.queued(["a"]) is None and queue.exit_code("17", 0) is None
    with pytest.raises(UserError, match=r"^sbatch: can't be run: No such file"):
        queue.check_options([])


def test_scontrol_tells_exit_codes_and_limits(install):
    install(
        "scontrol", 'test "$2" = show && echo "JobId=5 ExitCode=66:0 X=1" "MaxArraySize  = 200"'
    )
    assert queue.exit_code("5", 1) == 66 and queue.most_elements() == 200
    install("scontrol", "exit 1")
    assert queue.exit_code("5", 1) is None and queue.most_elements() == 1001


def test_a_job_asks_to_run_again_by_its_id(install, monkeypatch):
    install("scontrol", 'test "$*" = "requeue 23"')
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    assert not queue.requeue()
    monkeypatch.setenv("SLURM_JOB_ID", "23")
    assert queue.requeue()
    monkeypatch.setenv("SLURM_JOB_ID", "24")
    assert not queue.requeue()
