"""Learning curves of a page."""

from dataclasses import replace

import pytest

from tests.reports.browser.pages import opened, until, wait_until_drawn
from tests.reports.example_outcome import example_outcome


def curve_axis(page):
    return page.evaluate("byId('curves').layout.yaxis.range")


def wild(outcome):
    """Return the same sweep, but the runs of its first permutation are far apart."""
    first, *others = outcome.permutations
    runs = tuple(
        replace(run, curve=tuple((step, 200.0 * (-1) ** number) for step, _ in run.curve))
        for number, run in enumerate(first.runs)
    )
    return replace(outcome, permutations=(replace(first, runs=runs), *others))


@pytest.mark.parametrize("repetitions", [2, 3])
def test_hidden_intervals_do_not_set_the_scale_of_the_curves(browser, tmp_path, repetitions):
    outcome = wild(example_outcome(repetitions=repetitions, failures=False))
    page = opened(browser, tmp_path / "page.html", outcome)
    low, high = page.evaluate(
        "extent(permutations.flatMap(({ curve }) => [...curve.mean, ...curve.runs.flat()]))"
    )
    height = high - low
    for bands in ("highlighted", "all"):
        page.locator("#bands").select_option(bands)
        wait_until_drawn(page)
        assert (
            low - 0.35 * height < curve_axis(page)[0] < curve_axis(page)[1] < high + 0.35 * height
        )
    page.close()


def test_intervals_of_curves_stay_within_the_stated_bounds(browser, tmp_path):
    outcome = wild(example_outcome(repetitions=2, failures=False))
    base = {**outcome.base, "evaluation": {"score_bounds": [-300, None]}}
    page = opened(browser, tmp_path / "page.html", replace(outcome, base=base))
    lows = page.evaluate("permutations.flatMap(({ curve }) => curve.low)")
    assert min(lows) == -300
    page.close()


def test_intervals_are_named_only_where_there_are_some(browser, tmp_path):
    page = opened(browser, tmp_path / "page.html", example_outcome(repetitions=1, failures=False))
    captions = page.locator("figcaption").all_text_contents()
    labels = page.evaluate(
        "Object.keys(charts).flatMap((name) => (byId(name).data ?? []).map((each) => each.name ?? ''))"
    )
    told = "\n".join([*captions, *labels])
    assert "95 %" not in told
    assert not page.locator("#bands").is_visible()
    page.close()


@pytest.mark.parametrize("axis", ["updates", "time", "steps"])
def test_curves_are_switched_between_steps_updates_and_time(page, axis):
    page.locator(f"[name=axis][value={axis}]").check()
    wait_until_drawn(page)
    last = page.evaluate("Math.max(...byId('curves').data.flatMap((each) => each.x))")
    # Half of the permutations have 400,000 steps in updates of 2,048, and all take some four minutes.
    assert last == pytest.approx(
        {"updates": 400_000 / 2048, "time": 4.1, "steps": 400_000}[axis], 0.1
    )


def test_pointing_at_a_curve_names_its_permutation(page):
    page.evaluate("byId('learning').scrollIntoView({ behavior: 'instant' })")
    area = page.locator("#curves .nsewdrag").bounding_box()
    at = page.evaluate(
        "(() => { const { xaxis, yaxis } = byId('curves')._fullLayout;"
        " const { curve } = permutations[3];"
        " return [xaxis.d2p(curve.first + 30 / 59 * (curve.last - curve.first)),"
        " yaxis.d2p(curve.mean[30])]; })()"
    )
    page.mouse.move(area["x"] + at[0], area["y"] + at[1])
    until(page, "state.hovered !== null")
    label = page.locator("#curves .hoverlayer").text_content()
    assert "Permutation" in label
    assert "gamma = " in label
    assert page.evaluate("byId('curves').data.at(-1).customdata[0]") is not None
    page.mouse.move(1, 1)
    until(page, "state.hovered === null")
