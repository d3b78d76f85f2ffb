"""Plots for papers show a sweep's answer."""

from pathlib import Path

import imageio.v3 as imageio
import pytest

from reports.answer import answer
from reports.outcome import Outcome
from reports.output.plots import write_plots
from tests.reports.example_outcome import CHOICES, example_outcome

NAMES = ("learning_curves", "ranking", "effects", "heat_map")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plots")
    write_plots(answer(example_outcome()), folder)
    return folder


def names(paths):
    return [path.name for path in paths]


@pytest.mark.parametrize("name", NAMES)
def test_each_plot_is_written_as_png_svg_and_pdf(folder, name):
    picture = imageio.imread(folder / f"{name}.png")
    assert picture.shape[1] > 600
    assert picture[..., :3].std() > 5
    assert (folder / f"{name}.svg").read_text(encoding="utf-8").startswith("<?xml")
    pdf = (folder / f"{name}.pdf").read_bytes()
    # Fonts are embedded as TrueType; publishers refuse type 3.
    assert b"/FontFile2" in pdf and b"/Type3" not in pdf


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("learning_curves", ["environment steps", "return", "15: 0.001, 0.999, 8, 256"]),
        ("ranking", ["return: repetitions, mean, 95 % interval", "could be the best"]),
        ("effects", ["share of the variance", "worker_steps", "(not shown beyond the noise)"]),
        ("heat_map", ["mean return", "learning_rate_schedule.initial", "epochs", "0.0003"]),
    ],
)
def test_each_plot_has_titles_labels_and_units(folder, name, texts):
    svg = (folder / f"{name}.svg").read_text(encoding="utf-8")
    for text in texts:
        assert text in svg


def test_the_same_sweep_makes_the_same_files(folder, tmp_path):
    for path in write_plots(answer(example_outcome()), tmp_path):
        assert path.read_bytes() == (folder / path.name).read_bytes(), path.name


def test_without_data_there_is_no_plot(tmp_path):
    assert write_plots(answer(Outcome("empty", Path("out"), (), (), {}, ())), tmp_path) == []
    single = answer(example_outcome({"gamma": ("0.99", "0.9")}, 1, failures=False), metric="time")
    written = names(write_plots(single, tmp_path))
    assert [name for name in written if name.endswith(".png")] == [
        *("learning_curves.png", "ranking.png", "effects.png")
    ]


def test_a_choice_is_not_read_as_a_formula(tmp_path):
    outcome = example_outcome({"$x^": ("$a_{", "$b"), **CHOICES}, 2, failures=False)
    assert len(write_plots(answer(outcome), tmp_path)) == 3 * len(NAMES)
