"""Plots for papers show a sweep's answer."""

from pathlib import Path

import imageio.v3 as imageio
import matplotlib as mpl
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from reports.answer import answer
from reports.outcome import Outcome
from reports.output import plots
from reports.output.plots import _effects, _heat_map, _learning_curves, _ranking, write_plots
from tests.reports.example_outcome import CHOICES, example_outcome
from tests.reports.sweeps import sweep

NAMES = ("learning_curves", "ranking", "effects", "heat_map")


@pytest.fixture(autouse=True)
def style():
    with mpl.rc_context(plots._STYLE):
        yield


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


DRAWN = (_learning_curves, _ranking, _effects, _heat_map)
MAPPINGS = {
    "mode": ("{'scale': 0.25, 'a': 1}", "{'scale': 0.25, 'a': 2}", "null", "true"),
    "learning_rate_schedule.initial": ("0.0001", "0.001", "0.00025"),
}
SWEEPS = {
    "grid": example_outcome(repetitions=3),
    "one key": example_outcome({"gamma": ("0.9", "0.99", "0.999")}, 4),
    "long names": example_outcome(LONG, 3),
    "mappings": sweep(MAPPINGS, lambda own, seed: len(own[0]) + float(own[1]) + seed),
    "500 runs": example_outcome(
        {
            "learning_rate_schedule.initial": tuple(f"{rate}e-4" for rate in range(1, 11)),
            "gamma": ("0.9", "0.95", "0.99", "0.995", "0.999"),
            "epochs": ("2", "4"),
        },
        5,
        points=20,
    ),
}


@pytest.mark.parametrize("name", SWEEPS)
@pytest.mark.filterwarnings("error")
def test_figures_are_as_wide_as_columns_of_a_paper_and_cut_no_text(name):
    for draw in DRAWN:
        figure = draw(answer(SWEEPS[name]))
        if figure is None:
            assert (name, draw) == ("one key", _heat_map)
            continue
        width, height = figure.get_size_inches()
        assert width in (3.5, 7.2)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        drawn = figure.get_tightbbox(canvas.get_renderer())  # inches
        assert min(drawn.x0, drawn.y0) > -0.02, draw
        assert drawn.x1 < width + 0.02 and drawn.y1 < height + 0.02, draw
        sizes = {text.get_fontsize() for text in figure.findobj(Text) if text.get_text()}
        assert min(sizes) >= 7 and max(sizes) <= 9
        axes = figure.axes[0]
        for legend in figure.legends:
            assert not legend.get_window_extent(canvas.get_renderer()).overlaps(axes.bbox)
        assert axes.bbox.width > 0.4 * figure.bbox.width


def across(*choices):
    axes = _effects(answer(example_outcome({"gamma": choices}, 3, failures=False))).axes[0]
    return axes.get_xscale(), [label.get_text() for label in axes.get_xticklabels()], axes


def test_one_key_shows_its_scores_on_an_axis_that_suits_its_choices():
    scale, names, axes = across("0.9", "0.1", "0.5")
    assert (scale, names) == ("linear", ["0.1", "0.5", "0.9"])
    means = axes.containers[0].lines[0]
    assert [*means.get_xdata()] == [0.1, 0.5, 0.9]
    assert across("0.001", "0.1", "0.01")[:2] == ("log", ["0.001", "0.01", "0.1"])
    assert across("0", "1", "100")[0] == "linear"  # 0 has no logarithm


def test_words_of_one_key_are_categories_and_long_ones_are_numbers_with_a_note():
    outcome = sweep({"mode": MAPPINGS["mode"]}, lambda own, seed: len(own[0]) + seed)
    axes = _effects(answer(outcome)).axes[0]
    names = [label.get_text() for label in axes.get_xticklabels()]
    assert names == ["(1)", "(2)", "null", "true"]
    assert axes.get_xlabel().splitlines() == [
        "mode",
        "mode (1): {'scale': 0.25, 'a': 1}",
        "mode (2): {'scale': 0.25, 'a': 2}",
    ]
    assert axes.get_title(loc="left") == "repetitions, means, 95 % intervals"


@pytest.mark.parametrize("draw", [_learning_curves, _ranking, _heat_map])
def test_every_figure_explains_the_numbers_of_long_choices(draw):
    figure = draw(answer(SWEEPS["mappings"]))
    told = [text.get_text().replace("\n   ", " ") for text in figure.findobj(Text)]
    assert any("mode (2): {'scale': 0.25, 'a': 2}" in text for text in told)
    assert not any("…" in text for text in told)


def test_limits_fit_what_is_drawn_and_failures_are_marked():
    found = answer(
        sweep({"gamma": ("0.9", "0.99")}, lambda own, seed: 500.0 + seed, failed={(1, 0)})
    )
    axes = _effects(found).axes[0]
    ends = [end for score in found.scores for end in (score.low, score.high, *score.values)]
    drawn = [end for end in ends if end is not None]
    low, high = axes.get_ylim()
    assert low <= min(drawn) and max(drawn) <= high
    assert high - low < 1.3 * (max(drawn) - min(drawn))
    crosses = [line for line in axes.lines if line.get_marker() == "x"]
    assert [line.get_xdata()[0] for line in crosses] == [0.99]
    assert "crosses: failed runs" in axes.get_title(loc="left")


def test_a_choice_is_not_read_as_a_formula(tmp_path):
    outcome = example_outcome({"$x^": ("$a_{", "$b"), **CHOICES}, 2, failures=False)
    assert len(write_plots(answer(outcome), tmp_path)) == 3 * len(NAMES)
