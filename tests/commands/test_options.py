"""Options: run ids, default configs and output folders."""

import os
import sys
from pathlib import Path

import pytest
from docopt import docopt

import train
import tune
from commands.options import (
    check_folder,
    check_lengths,
    config_option,
    optional_positive,
    run_id_option,
)
from commands.playing import load_agents
from schema.errors import UserError
from schema.yaml_file import replace_file
from sweeps.confirmation import confirmation_id
from sweeps.journal.journal import journal_path
from sweeps.journal.lock import SweepLock, lock_path

ROOT = Path(tune.__file__).resolve().parent
DEFAULT, EXAMPLE = Path("configs/default.yaml"), Path("configs/tune/example.yaml")


@pytest.mark.parametrize("text", ["", " ", "a/ ", "../x", "a/../b", "/x", ".", "a\tb", "a\nb"])
def test_a_run_id_must_name_a_folder_below_the_output_folder(text):
    with pytest.raises(UserError) as failure:
        run_id_option({"--run-id": text})
    (line,) = failure.value.lines
    assert line.endswith(": must be a name, or a path below --out without `..`")
    assert line.isprintable()


@pytest.mark.parametrize("text", ["x", "a b", "a/b", "größe", "2026-11-25"])
def test_a_run_id_may_have_spaces_and_folders(text):
    assert run_id_option({"--run-id": text}) == text


@pytest.mark.parametrize("letter", ["r", "ö"])
@pytest.mark.parametrize("confirmed", [False, True])
def test_a_run_id_leaves_room_for_what_is_added_to_it(tmp_path, letter, confirmed):
    room = os.pathconf(tmp_path, "PC_NAME_MAX") - 15 - (10 if confirmed else 0)

    def check(run_id):
        check_lengths(tmp_path / "new", run_id, confirmation_id(run_id) if confirmed else run_id)

    longest = letter * (room // len(letter.encode()))
    check(longest)
    run_id = confirmation_id(longest) if confirmed else longest
    SweepLock(lock_path(journal_path(tmp_path, run_id))).release()
    with replace_file(tmp_path / f"{longest}.html"):
        pass
    check(f"{longest}/{longest}")
    for run_id in (longest + letter, f"a/{longest}{letter}"):
        with pytest.raises(UserError, match=f"is too long; file names leave room for {room} bytes"):
            check(run_id)


def test_paths_leave_room_for_what_is_below_them(tmp_path):
    out = tmp_path.joinpath(*["o" * 200] * 20)
    with pytest.raises(UserError, match=r"--out=.*: is too long; with the run id, its full path"):
        check_lengths(out, "a", "a")
    check_lengths(out.parents[1], "a", "a")


@pytest.mark.parametrize(
    ("command", "name", "default"),
    [(train, "--config", DEFAULT), (tune, "--config", DEFAULT), (tune, "--tune", EXAMPLE)],
)
def test_a_default_config_is_found_from_any_folder(command, name, default, tmp_path, monkeypatch):
    def option(*arguments):
        monkeypatch.setattr(sys, "argv", ["command.py", *arguments])
        return config_option(dict(docopt(command.__doc__)), name, command.__doc__)

    monkeypatch.chdir(tmp_path)
    assert option() == ROOT / default
    # A path that the user gives is used as it is, even if it equals the default.
    assert option(f"{name}=./{default}") == option(name, str(default)) == default
    default.parent.mkdir(parents=True)
    default.touch()
    assert option() == default


def test_playing_finds_the_default_config_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (agent,) = load_agents(None, None, untrained=True)
    assert agent.config.environment.name == "MiniGrid-Empty-Random-6x6-v0"
    DEFAULT.parent.mkdir()
    DEFAULT.write_text("environment: {type: CartPole, name: CartPole-v1}\n")
    (agent,) = load_agents(None, None, untrained=True)
    assert agent.config.environment.name == "CartPole-v1"


def test_a_write_protected_folder_is_refused(tmp_path, monkeypatch):
    check_folder(tmp_path / "new" / "below")
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)
    with pytest.raises(UserError) as failure:
        check_folder(tmp_path / "new" / "below")
    assert failure.value.lines == [
        f"{tmp_path}/new/below: must be a folder to write into; {tmp_path} is write-protected"
    ]


@pytest.mark.parametrize("text", ["0", "-1", "inf", "nan", "five"])
def test_an_indifference_is_a_positive_number(text):
    with pytest.raises(UserError, match=r"--indifference=.*: must be a (positive )?number"):
        optional_positive({"--indifference": text}, "--indifference")


def test_an_indifference_may_be_left_out():
    assert optional_positive({"--indifference": None}, "--indifference") is None
    assert optional_positive({"--indifference": "2.5"}, "--indifference") == 2.5
