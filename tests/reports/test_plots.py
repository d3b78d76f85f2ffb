"""Plots for papers show a sweep's answer."""

from pathlib import Path

import imageio.v3 as imageio
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from reports.answer import answer
from reports.outcome import Outcome
from reports.output.plots import _learning_curves, _ranking, write_plots
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


LONG = {
    "learning_rate_schedule.initial": ("1e-4", "1e-3"),
    "environment.reset_params.agent_visual_observation_mode": (
        "{'scale': 0.25, 'colours': ['red', 'blue'], 'is_partial': true}",
        "{'scale': 0.5, 'colours': ['green'], 'is_partial': false}",
    ),
    "gamma": ("0.9", "0.99", "0.999"),
}


@pytest.mark.parametrize("draw", [_learning_curves, _ranking])
def test_long_names_leave_room_for_the_data_and_are_not_cut(draw):
    figure = draw(answer(example_outcome(LONG, 3)))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    page, (axes,) = figure.bbox, figure.axes
    assert axes.bbox.width > 0.45 * page.width
    renderer = canvas.get_renderer()
    texts = [axes.title, axes.xaxis.label, axes.yaxis.label, *axes.get_yticklabels()]
    texts += [axes._left_title, *figure.legends[0].get_texts(), figure.legends[0].get_title()]
    for text in texts:
        box = text.get_window_extent(renderer)
        if text.get_text():
            assert box.x0 >= -1 and box.x1 <= page.x1 + 1, text.get_text()
    legend = figure.legends[0].get_window_extent(renderer)
    assert not legend.overlaps(axes.bbox)


def test_a_choice_is_not_read_as_a_formula(tmp_path):
    outcome = example_outcome({"$x^": ("$a_{", "$b"), **CHOICES}, 2, failures=False)
    assert len(write_plots(answer(outcome), tmp_path)) == 3 * len(NAMES)
