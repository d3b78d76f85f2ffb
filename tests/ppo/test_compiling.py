"""The cache of compiled kernels, and training without Numba."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from commands.notices import chosen_lines, compile_beforehand, print_notices
from environments.building import Probe
from environments.interface import Spaces
from numerics import is_installed
from ppo import learner
from ppo.by_numba import learning_notice, obstacle
from ppo.by_torch.epochs import TorchEpochs
from schema.model import ModelConfig
from tests.examples import tiny_config
from tests.ppo.scene import Scene

ROOT = Path(__file__).resolve().parents[2]
needs_numba = pytest.mark.skipif(not is_installed(), reason="needs Numba")


def test_without_numba_torch_trains_and_a_notice_says_so(monkeypatch):
    monkeypatch.setattr("ppo.by_numba.find_spec", lambda _: None)
    monkeypatch.setattr("numerics.is_installed", lambda: False)
    scene = Scene()
    alone = learner.Learner(1, scene.parts)
    assert isinstance(alone.epochs, TorchEpochs)
    assert "requirements-fast.txt" in learning_notice()
    assert obstacle(ModelConfig(), has_images=False) is None


@pytest.mark.parametrize(
    ("model", "has_images", "reason"),
    [
        ({}, True, "images are observed"),
        ({"recurrence": {}}, False, "the network is recurrent"),
        ({"precision": "bfloat16"}, False, "model.precision is bfloat16"),
        ({"use_sde": True}, False, "model.use_sde is true"),
    ],
)
def test_a_line_says_why_numba_cannot_train(model, has_images, reason, monkeypatch):
    seen = Spaces(
        {"visual" if has_images else "vector": ((3,) * (3 if has_images else 1), "uint8")}
    )
    monkeypatch.setattr("commands.notices.probe", lambda _: Probe(seen))
    config = tiny_config(model={"share_parameters": True} | model)
    expected = f"networks are trained by PyTorch, not by Numba, because {reason}"
    assert chosen_lines([config, config]) == [expected]
    assert chosen_lines([config], "cuda") == []
    assert obstacle(ModelConfig.model_validate(model), has_images) == reason


def cache_of(**variables):
    """Return the cache folder of a process with these environment variables, or "None"."""
    question = "from numerics import kept; print(kept.folder())"
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")
    }
    answer = subprocess.run(
        [sys.executable, "-c", question],
        cwd=ROOT,
        env=inherited | {name: str(value) for name, value in variables.items()},
        capture_output=True,
        text=True,
        check=True,
    )
    return answer.stdout.strip()


@needs_numba
def test_machine_code_is_cached_in_the_user_s_cache_folder(tmp_path):
    own, numba_s = tmp_path / "cache", tmp_path / "numba"
    assert Path(cache_of(HOME=tmp_path)).parent == tmp_path / ".cache" / "ppo-grid"
    assert Path(cache_of(XDG_CACHE_HOME=own)).parent == own / "ppo-grid"
    assert Path(cache_of(XDG_CACHE_HOME=own, NUMBA_CACHE_DIR=numba_s)).parent == numba_s


@needs_numba
def test_without_a_writable_folder_nothing_is_cached(tmp_path):
    (tmp_path / "file").touch()
    assert cache_of(XDG_CACHE_HOME=tmp_path / "file") == "None"


NEW = """
import numba.core.event as event, sys
from tests.examples import tiny_config, train
compilations = event.RecordingListener()
event.register("numba:compile", compilations)
from pathlib import Path
train(tiny_config(environment={"processes": None}), 0, Path(sys.argv[1]) / "all")
train(tiny_config(environment={"backend": "gymnasium"}), 0, Path(sys.argv[1]) / "stepwise")
room = {"type": "Minigrid", "name": "MiniGrid-Empty-5x5-v0"}
train(tiny_config(environment=room), 0, Path(sys.argv[1]) / "bytes")
print(len(compilations.buffer))
"""


@needs_numba
@pytest.mark.long
def test_no_training_compiles_after_all_kernels_were_cached(tmp_path):
    inherited = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    command = [sys.executable, "-m", "ppo.by_numba"]
    subprocess.run(command, cwd=ROOT, env=inherited, check=True)
    command = [sys.executable, "-c", NEW, str(tmp_path)]
    done = subprocess.run(
        command, cwd=ROOT, env=inherited, check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "0"


@needs_numba
def test_the_first_training_says_what_it_compiles(monkeypatch, capsys):
    compiled = []
    monkeypatch.setattr("commands.notices.is_kept", lambda: bool(compiled))
    monkeypatch.setattr("commands.notices.compile_all", lambda: compiled.append(True))
    compile_beforehand([tiny_config()], numba=False)
    compile_beforehand([tiny_config(model={"recurrence": {}})], numba=True)
    assert not compiled and capsys.readouterr().err == ""
    for _ in range(2):
        compile_beforehand([tiny_config()], numba=True)
    assert compiled == [True]
    expected = (
        "notice: compiling the training for this processor, which takes half a minute, once\n"
    )
    assert capsys.readouterr().err == expected


@needs_numba
def test_a_command_says_once_that_nothing_can_be_kept(monkeypatch, capsys):
    compiled = []
    monkeypatch.setattr("numerics.kept.folder", lambda: None)
    monkeypatch.setattr("commands.notices.compile_all", lambda: compiled.append(True))
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/proc/here")
    for _ in range(2):
        print_notices([tiny_config()], numba=True)
        compile_beforehand([tiny_config()], numba=True)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("notice: each command compiles the training, which takes half a minute")
    assert "/proc/here can't be written; set NUMBA_CACHE_DIR to a folder that can be" in line
    assert not compiled
