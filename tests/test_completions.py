"""Shells complete the options and values in the usage texts."""

import shlex
import shutil
import subprocess
from importlib import import_module

import pytest

from docs.write_completions import BASH, COMMANDS, FILES, FOLDERS, WORDS, ZSH, bash, options, zsh

# Completes the end of a line that is split as readline splits it.
COMPLETE = """
source {script}
COMP_WORDS=({words})
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_ppo_grid python "${{COMP_WORDS[COMP_CWORD]}}" "${{COMP_WORDS[COMP_CWORD-1]}}"
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def complete(tmp_path):
    (tmp_path / "some folder").mkdir()
    (tmp_path / "some.yaml").touch()

    def completed(*words, setup=""):
        script = COMPLETE.format(script=shlex.quote(str(BASH)), words=shlex.join(words))
        command = ["bash", "--norc", "-c", setup + script]
        result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert not result.stderr
        return sorted(filter(None, result.stdout.split("\n")))

    return completed


def test_the_files_are_up_to_date():
    assert BASH.read_text("utf-8") == bash(), "make docs renews it"
    assert ZSH.read_text("utf-8") == zsh(), "make docs renews it"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_completed(command, complete):
    from docopt import parse_options

    expected = {
        option.longer + "=" * option.argcount
        for option in parse_options(import_module(command).__doc__)
        if option.longer
    }
    assert set(complete("python", f"{command}.py", "--")) == expected


def test_completed_values_belong_to_options():
    assert FILES | FOLDERS | set(WORDS) <= {
        option.name for command in COMMANDS for option in options(command) if option.takes_value
    }


def test_an_option_is_completed_wherever_the_script_is(complete):
    assert complete("python", "-X", "dev", "../code/tune.py", "--dry") == ["--dry-run"]
    assert complete("python", "tune.py", "--quiet", "--conf") == ["--config=", "--confirm="]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--config", "=", "so"], ["some folder", "some.yaml"]),
        (["--config", "="], ["some folder", "some.yaml"]),
        (["--config", "so"], ["some folder", "some.yaml"]),
        (["--config=so"], ["--config=some folder", "--config=some.yaml"]),
        (["--out", "=", "so"], ["some folder"]),
        (["--device", "=", "c"], ["cpu", "cuda"]),
        (["--device=c"], ["--device=cpu", "--device=cuda"]),
        (["--seed", "=", ""], []),
    ],
)
def test_values_are_completed_by_their_kind(words, expected, complete):
    assert complete("python", "tune.py", *words) == expected


def test_other_programs_are_completed_as_before(complete):
    assert complete("python", "other.py", "--") == []
    before = "others() { COMPREPLY=(as-before); }; complete -F others python\n"
    assert complete("python", "other.py", "--", setup=before) == ["as-before"]
    twice = f"{before}source {shlex.quote(str(BASH))}\n"
    assert complete("python", "other.py", "--", setup=twice) == ["as-before"]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh isn't installed")
def test_zsh_reads_its_file():
    subprocess.run(["zsh", "-n", str(ZSH)], check=True)
