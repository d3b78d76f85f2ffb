"""Examples in README.md and docs/ work as they are written.

The tests validate each block of YAML, and run each page's commands in their order in an empty folder. If
a block's first line is a comment with a file name, the block is written to that file first.
"""

import importlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import gymnasium
import pytest
from docopt import docopt

from ppo.validation import runnable_problems
from schema.config import Config, load_config
from schema.yaml_file import read_yaml
from sweeps.search_space.grid import load_grid
from sweeps.search_space.keys import schedule_names
from sweeps.search_space.merging import deep_merge
from sweeps.search_space.trials import load_space
from tests.e2e.commands import ROOT

PAGES = ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
COMMANDS = ["tune", "train", "eval", "enjoy", "report"]
DEFAULT = ROOT / "configs" / "default.yaml"

# First words of blocks that aren't code, and what the blocks are.
TEXTS = {
    "                                             Permutations": "what `make tune` printed",
    "jobs x (runs that train together": "a formula",
    "4 permutations x 2 repetitions = 8 runs, ": "what `tune.py --backend=slurm` printed",
}
# Texts that would take long, and their replacements.
SHRUNK = {
    "  updates: 50\n": "  updates: 2\n",
    "  updates: 20\n": "  updates: 2\n",
    "update_000050": "update_000002",
    "./grid_search/*.yaml": "./grid_search/[01].yaml",
    "/path/to/the/folder": "$PWD",
}
# Commands that are only parsed, and why they aren't run.
PARSED = {
    "python train.py --config=./configs/unity.yaml": "needs a Unity player",
    "python tune.py": "trains 48 permutations",
    "python tune.py --jobs=0 --together=24": "trains 48 permutations",
    "python tune.py --config=./configs/cartpole.yaml --tune=search.yaml --search=tpe --trials=40 "
    "--num-repetitions=3 --out=./search/": "trains 120 runs",
    "python tune.py --backend=ray --out=./sweep/": "needs Ray; tests/e2e/test_ray.py runs it",
    "python tune.py --config=base.yaml --tune=space.yaml --num-repetitions=2 --together=2 "
    "--backend=slurm --slurm=partition=cpu,time=1:00:00,mem=2G --max-jobs=4 --out=./sweep/": "needs "
    "Slurm; tests/e2e/test_slurm.py runs such commands",
    "python tune.py --generate-only --out=./grid_search/": "tests/e2e/test_generating.py runs it",
}


@dataclass(frozen=True)
class Block:
    language: str
    text: str

    @property
    def file(self):
        """The name of the file that the block is written to; None if it names none."""
        named = re.match(r"# (\S+\.(?:yaml|py))\n", self.text)
        return named and named[1]


def read(page):
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page, *languages):
    found = re.findall(r"^```(\w*)\n(.*?)^```$", read(page), re.MULTILINE | re.DOTALL)
    return [Block(*each) for each in found if not languages or each[0] in languages]


def spans(page):
    """Return the code spans in a page's text and tables."""
    text = re.sub(r"^```.*?^```$", "", read(page), flags=re.MULTILINE | re.DOTALL)
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", text)]


def commands(page):
    """Yield the commands on a page in their order: lines of blocks, and cells of tables."""
    for part in re.findall(r"^```sh\n(?:.*\n)*?```$|^\|.*\|$", read(page), re.MULTILINE):
        if part.startswith("```"):
            yield from re.findall(r"^for (?:.*\n)*?done|^\S.*", part[6:-3], re.MULTILINE)
        else:
            yield from re.findall(r"`((?:python |tensorboard |--jobs)[^`]*)`", part)


def shrink(text):
    for written, instead in SHRUNK.items():
        text = text.replace(written, instead)
    return text


def check_options(command):
    """Parse a command of the project by its usage text."""
    _, program, *options = shlex.split(command)
    if program.startswith("benchmarks/"):
        source = (ROOT / program).read_text(encoding="utf-8")
        assert all(option.partition("=")[0] in source for option in options), command
        return
    usage = importlib.import_module(program.removesuffix(".py")).__doc__
    docopt(usage, options, default_help=False)


def check_target(command):
    """Assert that the Makefile has the targets of a `make` command."""
    targets = re.findall(
        r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert set(command.split()[1:]) <= set(targets), command


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the commands and configs of a clone, and without results of trainings."""
    for path in [*ROOT.glob("*.py"), ROOT / "configs"]:
        (tmp_path / path.name).symlink_to(path)
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "python").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    (programs / "python").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("schema.folders.START", tmp_path)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")  # opens no visible windows
    yield tmp_path
    # The example package of a page stays imported and registered in this process.
    sys.modules.pop("my_package", None)
    gymnasium.registry.pop("Corridor-v0", None)


def write_files(page, folder):
    for block in blocks(page):
        if block.file is not None:
            path = folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(shrink(block.text), encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_every_block_has_a_known_language(page):
    for block in blocks(page):
        if block.language == "text":
            assert any(block.text.startswith(words) for words in TEXTS), block
        else:
            assert block.language in ("sh", "yaml", "python"), block


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "yaml")])
def test_yaml_is_valid(page, folder, monkeypatch):
    write_files(page, folder)
    # The page's example package is found here.
    monkeypatch.syspath_prepend(folder)
    base = read_yaml(DEFAULT).data
    for number, block in enumerate(blocks(page, "yaml")):
        path = folder / f"{number}.yaml"
        path.write_text(block.text, encoding="utf-8")
        data = read_yaml(path).data
        if data.keys() & {"hyperparameters", *schedule_names()}:
            read_space = load_space if "{low: " in block.text else load_grid
            assert read_space(DEFAULT, path).validate() == []
            continue
        # A fragment overrides those before it, unless it chooses another environment.
        is_another = "type" in (data.get("environment") or {})
        base = deep_merge(read_yaml(DEFAULT).data if is_another else base, data)
        checkpoint = Path(base["model"]["model_path"])
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        if checkpoint.suffix:
            checkpoint.touch()
        assert problems_of(Config.model_validate(base)) == []
        if block.file is not None:
            assert problems_of(load_config(path)) == []


def problems_of(config):
    """Return the errors of a config, except for optional suites that aren't installed here."""
    problems = runnable_problems(config)
    return [line for _, line in problems if "pip install" not in line]


@pytest.mark.long
@pytest.mark.parametrize("page", [page for page in PAGES if list(commands(page))])
def test_commands_succeed_in_their_order(page, folder):
    write_files(page, folder)
    script = ["set -e"]
    for command in commands(page):
        # Reports need a sweep; tests/e2e/test_report.py runs them.
        if command in PARSED or command.startswith("python report.py"):
            check_options(command)
        elif command.startswith("make "):
            check_target(command)
        elif command.startswith("tensorboard "):
            # TensorBoard would serve until someone stops it.
            script.append(f"test -d {command.split()[-1]}")
            assert shutil.which("tensorboard", path=Path(sys.executable).parent)
        elif command.startswith("--"):
            # Options that may be added to the command before. They are tested with --dry-run only.
            script += [f"{script[-1]} {command} --dry-run"] if len(script) > 1 else []
        else:
            script.append(shrink(command))
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, (script, done.stdout, done.stderr)


@pytest.mark.parametrize("page", PAGES)
def test_commands_within_text_have_these_options_and_targets(page):
    for span in spans(page):
        if re.match(r"python [\w/]+\.py\b", span) and "..." not in span:
            check_options(span)
        elif span.startswith("make "):
            check_target(re.sub(r" \w+=\S+", "", span))


@pytest.mark.parametrize("page", PAGES)
def test_options_within_text_exist(page):
    usages = "".join(importlib.import_module(command).__doc__ for command in COMMANDS)
    known = set(re.findall(r"--[a-z][a-z-]*", usages))
    for span in spans(page):
        # `--no-deps` is pip's.
        for option in span.split() if span.startswith("--") and span != "--no-deps" else []:
            assert option.partition("=")[0] in known, option
