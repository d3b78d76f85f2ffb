import csv
import json
import re
import shutil
import subprocess
import sys
import time

import imageio.v3 as imageio
import pytest
import torch
from imageio_ffmpeg import get_ffmpeg_exe
from PIL import Image, ImageSequence

from tests.e2e.commands import ROOT, TINY, fail, run, succeed, write_tiny


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    write_tiny(folder)
    succeed("train", "--config=base.yaml", "--run-id=x", cwd=folder)
    return folder


@pytest.mark.parametrize("command", ["tune", "train", "eval", "enjoy"])
def test_version_is_the_latest_in_the_changelog(command, tmp_path):
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    latest = re.search(r"^## (\d+\.\d+\.\d+) - \d{4}-\d{2}-\d{2}$", changelog, re.MULTILINE)
    assert succeed(command, "--version", cwd=tmp_path) == f"ppo-grid {latest[1]}\n"


@pytest.mark.parametrize("command", ["tune", "train", "eval", "enjoy"])
def test_help_prints_the_usage(command, tmp_path):
    shown = succeed(command, "--help", cwd=tmp_path)
    assert f"{command}.py [options]" in shown and "--worker-id=<n>" in shown


def test_the_choice_for_a_key_that_is_null_is_printed(tmp_path):
    options = write_tiny(tmp_path)
    line = "model.share_parameters is null: false, because no images are observed"
    (tmp_path / "space.yaml").write_text("hyperparameters: {share_parameters: [true, null, false]}")
    assert line in succeed("tune", *options, "--dry-run", cwd=tmp_path).splitlines()
    assert line in succeed("train", options[0], cwd=tmp_path).splitlines()
    (tmp_path / "space.yaml").write_text("hyperparameters: {share_parameters: [true, false]}")
    assert "is null" not in succeed("tune", *options, "--dry-run", cwd=tmp_path)


def test_training_leaves_checkpoints_and_summaries(trained):
    names = sorted(path.name for path in (trained / "checkpoints" / "x").iterdir())
    assert names == ["update_000002.pt", "update_000004.pt"]
    assert len(list((trained / "summaries" / "x").glob("events.*"))) == 1


def test_a_second_training_never_mixes_with_the_first(trained):
    (line,) = fail("train", "--config=base.yaml", "--run-id=x", cwd=trained)
    assert "holds an earlier training" in line and "--overwrite" in line


def test_resuming_prints_the_update_and_mixes_with_no_other_training(trained):
    base = (trained / "base.yaml").read_text()
    for run_id in ("a", "b"):
        succeed("train", "--config=base.yaml", f"--run-id={run_id}", cwd=trained)
    path = "checkpoints/a/update_000002.pt"
    resumed = base.replace("model: {", f"model: {{load_model: true, model_path: {path}, ")
    (trained / "again.yaml").write_text(resumed)
    shown = succeed("train", "--config=again.yaml", "--run-id=a", cwd=trained)
    assert shown.startswith("CartPole-v1: resumes after update 2 of 4 updates")
    (line,) = fail("train", "--config=again.yaml", "--run-id=b", cwd=trained)
    assert "holds an earlier training" in line
    shown = succeed("train", "--config=again.yaml", "--run-id=b", "--overwrite", cwd=trained)
    assert "resumes after update 2" in shown
    assert [path.name for path in (trained / "checkpoints" / "b").iterdir()] == ["update_000004.pt"]


def test_resuming_gives_the_same_weights_bit_for_bit(trained):
    base = (trained / "base.yaml").read_text()
    path = "checkpoints/x/update_000002.pt"
    resumed = base.replace("model: {", f"model: {{load_model: true, model_path: {path}, ")
    (trained / "resumed.yaml").write_text(resumed)
    succeed("train", "--config=resumed.yaml", "--run-id=y", cwd=trained)
    whole, parts = (
        torch.load(trained / "checkpoints" / run_id / "update_000004.pt", weights_only=True)
        for run_id in ("x", "y")
    )
    assert whole["update"] == parts["update"] == 4
    for name, weights in whole["weights"].items():
        assert torch.equal(weights, parts["weights"][name]), name


def test_a_folder_of_checkpoints_is_evaluated_in_order(trained):
    succeed("eval", "--checkpoint=checkpoints/x", "--out=evaluated/", cwd=trained)
    with (trained / "evaluated" / "evaluation.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["agent"] for row in rows] == [
        f"checkpoints/x/update_00000{update}.pt" for update in (2, 4)
    ]
    reports = json.loads((trained / "evaluated" / "evaluation.json").read_text())
    returns = [episode["return"] for episode in reports[1]["per_level"]]
    assert [episode["level"] for episode in reports[1]["per_level"]] == [0, 1, 2]
    assert float(rows[1]["return_mean"]) == pytest.approx(sum(returns) / 3)
    assert float(rows[1]["return_max"]) == max(returns)


def test_the_folders_of_several_runs_are_evaluated_and_one_of_them_is_shown(trained, tmp_path):
    for run_id in ("2_0", "10_0"):
        shutil.copytree(trained / "checkpoints" / "x", tmp_path / "runs" / run_id)
    shown = succeed("eval", "--checkpoint=runs", "--out=out", cwd=tmp_path)
    names = [f"{run_id}/update_00000{update}.pt" for run_id in ("2_0", "10_0") for update in (2, 4)]
    table = shown[shown.index("Evaluation of runs") :]
    assert re.findall(r"^ (\S+\.pt) ", table, re.MULTILINE) == names
    with (tmp_path / "out" / "evaluation.csv").open() as file:
        assert [row["agent"] for row in csv.DictReader(file)] == [f"runs/{name}" for name in names]
    (line,) = fail("enjoy", "--checkpoint=runs", "--video=a.gif", cwd=tmp_path)
    assert line == "runs: holds checkpoints of 2 runs; name one of them, such as runs/2_0"


def test_output_that_cannot_be_written_is_found_before_anything_is_done(trained, tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "folder.gif").mkdir()
    for out in ("file", "file/below"):
        for command in ("eval", "train", "tune"):
            (line,) = fail(command, "--config=missing.yaml", f"--out={out}", cwd=tmp_path)
            assert line.startswith(f"{out}: must be a folder to write into; ")
            assert line.endswith("file is a file")
    (line,) = fail("enjoy", "--untrained", "--video=file/a.gif", cwd=tmp_path)
    assert line.startswith("file: must be a folder")
    (line,) = fail("enjoy", "--untrained", "--video=folder.gif", cwd=tmp_path)
    assert line == "--video=folder.gif: is a folder; must be a file"


def test_an_untrained_agent_is_evaluated_and_shown(trained):
    assert "untrained" in succeed("eval", "--config=base.yaml", "--untrained", cwd=trained)
    shown = succeed(
        "enjoy", "--config=base.yaml", "--untrained", "--seed=3", "--video=a.gif", cwd=trained
    )
    assert shown.startswith("seed 3: return ")


def film(folder, name):
    """Write the episode's video, and return its path and the episode's length."""
    shown = succeed("enjoy", "--checkpoint=checkpoints/x", f"--video=videos/{name}", cwd=folder)
    assert len(list((folder / "videos").glob(f"*{name}"))) == 1
    return folder / "videos" / name, int(shown.splitlines()[0].rpartition(" ")[2])


def test_an_mp4_has_a_frame_for_every_step(trained):
    path, length = film(trained, "episode.mp4")
    frames = imageio.imread(path)
    assert frames.shape == (length + 1, 400, 600, 3)
    assert (frames[0] != frames[-1]).any()


def test_a_gif_lasts_as_long_as_the_episode(trained):
    path, length = film(trained, "episode.gif")
    # CartPole shows 50 frames per second, 20 ms each; the writer merges equal frames.
    with Image.open(path) as image:
        durations = [frame.info["duration"] for frame in ImageSequence.Iterator(image)]
        assert image.size == (600, 400)
    assert sum(durations) == 20 * (length + 1)


def test_an_encoder_that_stops_early_gives_one_line(trained, monkeypatch):
    # This ffmpeg answers queries, and exits as soon as it gets frames.
    encoder = trained / "ffmpeg"
    encoder.write_text(
        f'#!/bin/sh\ncase "$*" in *rawvideo*) exit 1;; esac\nexec {get_ffmpeg_exe()} "$@"\n'
    )
    encoder.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(encoder))
    options = ["--checkpoint=checkpoints/x", "--video=early/a.mp4"]
    assert "ffmpeg stopped before the episode ended" in fail("enjoy", *options, cwd=trained)[-1]
    assert not any((trained / "early").glob("*"))


def test_missing_checkpoints_and_displays_give_one_line(trained, monkeypatch):
    assert "names no checkpoint" in fail("eval", "--config=base.yaml", cwd=trained)[0]
    assert "no checkpoint here" in fail("eval", "--checkpoint=none.pt", cwd=trained)[0]
    (trained / "broken.pt").write_bytes(b"not a checkpoint")
    assert "is no checkpoint" in fail("eval", "--checkpoint=broken.pt", cwd=trained)[0]
    (line,) = fail(
        "eval", "--checkpoint=checkpoints/x", f"--config={ROOT}/configs/default.yaml", cwd=trained
    )
    assert "another shape" in line
    for variable in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(variable, raising=False)
    assert "--video" in fail("enjoy", "--checkpoint=checkpoints/x", cwd=trained)[0]


def test_a_video_needs_no_display_and_prints_no_warnings(trained, monkeypatch):
    for variable in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(variable, raising=False)
    done = run("enjoy", "--checkpoint=checkpoints/x", "--video=quiet.gif", cwd=trained)
    assert done.returncode == 0 and done.stderr == ""


def test_a_window_shows_the_episode(trained, monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    done = run("enjoy", "--checkpoint=checkpoints/x", cwd=trained)
    assert done.returncode == 0 and done.stdout.startswith("seed 0: return ")


@pytest.mark.long
def test_the_config_for_cartpole_solves_it(tmp_path):
    shown = succeed("train", f"--config={ROOT}/configs/cartpole.yaml", cwd=tmp_path)
    line = next(line for line in shown.splitlines() if line.startswith("return "))
    assert float(line.split()[1]) >= 475


@pytest.mark.long
def test_the_default_config_solves_minigrid(tmp_path):
    # A permutation of the documented example: 128 steps of 16 workers, learning rate from 0.003 to
    # 1e-5, entropy coefficient from 0.001 to 0.0001.
    succeed("tune", "--generate-only", f"--out={tmp_path}/grid", cwd=ROOT)
    config = tmp_path / "grid" / "37.yaml"
    first_line = config.read_text().splitlines()[0]
    assert "worker_steps=128, num_workers=16" in first_line and "initial=0.003" in first_line
    shown = succeed("train", f"--config={config}", cwd=tmp_path)
    line = next(line for line in shown.splitlines() if line.startswith("return "))
    assert float(line.split()[1]) > 0.9


@pytest.mark.slow
def test_an_interrupted_training_saves_a_checkpoint_and_can_be_resumed(tmp_path):
    tiny = TINY.replace("updates: 4", "updates: 100000").replace("interval: 2", "interval: 100000")
    (tmp_path / "base.yaml").write_text(tiny, encoding="utf-8")
    command = [sys.executable, str(ROOT / "train.py"), "--config=base.yaml", "--out=out"]
    child = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    # The summaries appear when the updates start.
    deadline = time.monotonic() + 60
    while not list((tmp_path / "out").rglob("events.out*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    child.terminate()
    printed, said = child.communicate(timeout=60)
    assert child.returncode == 143
    assert said.endswith("interrupted\n") and "Traceback" not in said
    (checkpoint,) = (tmp_path / "out").rglob("*.pt")
    assert str(checkpoint.relative_to(tmp_path)) in printed
    update = int(checkpoint.stem.removeprefix("update_"))
    text = tiny.replace("updates: 100000", f"updates: {update + 1}").replace(
        "model: {", f"model: {{load_model: true, model_path: {checkpoint}, "
    )
    (tmp_path / "more.yaml").write_text(text, encoding="utf-8")
    printed = succeed("train", "--config=more.yaml", "--out=out", cwd=tmp_path)
    assert f"resumes after update {update:,} of {update + 1:,} updates" in printed
