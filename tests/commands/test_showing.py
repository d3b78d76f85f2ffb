"""Videos: made from rendered frames, or refused with one line."""

import gymnasium
import imageio.v3 as imageio
import pytest
import torch

from commands import showing
from commands.playing import Agent
from commands.showing import frame_rate, show_episode
from environments import EnvironmentFailure
from schema.config import Config
from schema.errors import UserError
from tests.environments import scripted


def show(video, name="Faulty", **arguments):
    environment = {"type": "Gymnasium", "name": scripted.name(name), "kwargs": arguments}
    config = Config.model_validate({"environment": environment, "model": {"hidden_layer_size": 4}})
    return show_episode(
        Agent("untrained", config, None), 0, 2, torch.device("cpu"), stochastic=True, video=video
    )


@pytest.mark.parametrize("suffix", ["mp4", "gif"])
@pytest.mark.parametrize(
    ("fault", "given"),
    [
        ("renders nothing", "None; must be an array of shape (height, width, 3) of uint8"),
        ("renders text", "a str; must be an array of shape (height, width, 3) of uint8"),
        ("renders rows", "a list; must be an array of shape (height, width, 3) of uint8"),
        ("renders floats", "an array of shape (16, 16, 3) of float64; must be an array"),
        ("renders gray", "an array of shape (16, 16) of uint8; must be an array"),
        (
            "renders other sizes",
            "a frame of shape (8, 16, 3) after frames of (16, 16, 3); all must be of one size",
        ),
    ],
)
def test_an_invalid_frame_gives_one_line_and_no_file(tmp_path, suffix, fault, given):
    with pytest.raises(EnvironmentFailure) as caught:
        show(tmp_path / f"episode.{suffix}", fault=fault, length=5)
    assert str(caught.value).startswith(f"{scripted.name('Faulty')}: render gave {given}")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("arguments", [{}, {"length": 3}])
def test_a_constructor_without_a_render_mode_gives_one_line(tmp_path, arguments):
    name = "ScriptLong"
    with pytest.raises(EnvironmentFailure) as caught:
        show(tmp_path / "episode.mp4", name, **arguments)
    assert str(caught.value) == (
        f"{scripted.name(name)} can't be rendered: its constructor takes no render_mode"
    )


@pytest.mark.parametrize("suffix", ["mp4", "gif"])
def test_frames_become_a_video(tmp_path, capsys, suffix):
    video = tmp_path / f"episode.{suffix}"
    assert show(video, length=5) == 0
    assert imageio.imread(video).shape[1:] == (16, 16, 3)
    assert capsys.readouterr().out.splitlines()[0].endswith("length 5")


@pytest.mark.parametrize("suffix", ["mp4", "gif"])
def test_a_video_that_cannot_be_written_names_its_file(tmp_path, suffix):
    video = tmp_path / f"episode.{suffix}"
    video.mkdir()
    with pytest.raises(IsADirectoryError) as caught:
        show(video, length=5)
    assert caught.value.filename == str(video)
    assert list(tmp_path.iterdir()) == [video]


def test_a_video_that_ffmpeg_breaks_off_gives_one_line(tmp_path, monkeypatch):
    whole = showing.get_writer

    def breaking(path, **options):
        writer = whole(path, **options)
        close = writer.close

        def close_and_cut():
            close()
            path.write_bytes(path.read_bytes()[:-100])

        writer.close = close_and_cut
        return writer

    monkeypatch.setattr(showing, "get_writer", breaking)
    with pytest.raises(UserError, match="ffmpeg couldn't write into"):
        show(tmp_path / "episode.mp4", length=5)
    assert not list(tmp_path.iterdir())


def test_transparency_is_left_out_and_a_rate_may_be_text(tmp_path):
    video = tmp_path / "episode.mp4"
    assert show(video, "Camera") == 0
    frames = imageio.imread(video)
    assert frames.shape[1:] == (16, 16, 3)
    assert abs(frames[0].astype(int) - [10, 20, 30]).max() < 8  # compressed
    assert imageio.immeta(video)["fps"] == 10


@pytest.mark.parametrize(
    ("named", "rate"),
    [("10", 10), (12.5, 12.5), ("fast", 30), (None, 30), (0, 30), ("inf", 30), ([10], 30)],
)
def test_a_wrong_rate_is_the_default(named, rate):
    environment = gymnasium.Env()
    environment.metadata = {"render_fps": named}
    assert frame_rate(environment) == rate


def test_an_environment_may_name_no_rate():
    assert frame_rate(gymnasium.Env()) == 30
