"""Filters of a page: boxes, fields, and ranges along the axes of the parallel coordinates."""

import pytest

from tests.reports.browser.pages import (
    column,
    drag,
    opened,
    rank_column,
    strip,
    tick,
    wait_until_drawn,
)
from tests.reports.test_ranges import outcome as searched  # noqa: F401


def test_a_filter_shows_several_choices_by_keyboard_and_says_which(page):
    key = "learning_rate_schedule.initial"
    summary = page.locator(f"details[data-filter='{key}'] summary")
    assert summary.inner_text() == f"{key}: all"
    summary.focus()
    page.keyboard.press("Enter")
    for _ in range(2):
        page.keyboard.press("Tab")
        page.keyboard.press("Space")
    ticked = page.evaluate(
        "[...document.querySelectorAll('.filter input')].filter((each) => each.checked)"
        ".map((each) => each.dataset.key.split('=')[1])"
    )
    assert len(ticked) == 2 and set(column(page, 6)) == set(ticked)
    assert summary.inner_text() == f"{key}: {' or '.join(ticked)}"
    assert "16 of 24" in page.locator("#shown").inner_text()
    # Filters of two keys hold together.
    tick(page, "gamma", "0.999")
    assert len(rank_column(page)) == 8
    tick(page, "gamma", "0.999", on=False)
    tick(page, key, *ticked, on=False)
    assert len(rank_column(page)) == 24 and summary.inner_text() == f"{key}: all"


def test_filters_hold_for_table_and_charts(page):
    tick(page, "gamma", "0.999")
    assert set(column(page, 7)) == {"0.999"}
    assert len(rank_column(page)) == 12
    assert "12 of 24" in page.locator("#shown").inner_text()
    wait_until_drawn(page)
    assert "12 permutations" in page.locator("#curves").get_attribute("aria-label")
    page.locator("#contenders").check()
    assert len(rank_column(page)) < 12
    page.locator("#contenders").uncheck()
    tick(page, "gamma", "0.999", on=False)
    assert len(rank_column(page)) == 24


def slider(page, axis, end):
    return page.get_by_role("slider", name=f"{axis}, {end} end")


def test_dragging_along_axes_filters_the_table_and_the_charts(page):
    rate = "learning_rate_schedule.initial"
    drag(page, rate, 0.5, 0.9)
    assert set(column(page, 6)) == {"0.001", "0.003"}
    assert page.locator(f"details[data-filter='{rate}'] summary").inner_text() == (
        f"{rate}: 0.001 or 0.003"
    )
    drag(page, "return", 0.95, 0.7)
    low, high = page.evaluate("[filters.at(-1).spans()[0], scoreRange]")
    scores = [float(text) for text in column(page, 3)]
    least, most = (high[0] + fraction * (high[1] - high[0]) for fraction in low)
    assert low == pytest.approx([0.7, 0.95], abs=0.02)
    assert 0 < len(scores) < 16 and least <= min(scores) and max(scores) <= most
    assert f"{rate} 0.001 or 0.003; return" in page.locator("#shown").inner_text()
    wait_until_drawn(page)
    for name in ("curves", "price"):
        assert f" {len(scores)} permutations" in page.locator(f"#{name}").get_attribute(
            "aria-label"
        )
    assert "Grey lines don't pass the filters" in page.locator("#parallel").get_attribute(
        "aria-label"
    )
    # A click on an axis shows all of it again.
    box = strip(page, "return")
    page.mouse.click(box["x"] + 12, box["y"] + 30)
    assert len(rank_column(page)) == 16
    page.locator("#paths .clear").click()
    assert len(rank_column(page)) == 24
    assert page.locator(".clear:visible").count() == 0


def test_ranges_are_selected_by_keyboard_and_escape_resets_them(page):
    lower = slider(page, "return", "lower")
    lower.focus()
    for key in ("ArrowUp", "PageUp", "ArrowDown", "ArrowUp"):
        page.keyboard.press(key)
    assert lower.get_attribute("aria-valuenow") == "5"
    least = float(lower.get_attribute("aria-valuetext"))
    shown = column(page, 3)
    assert 0 < len(shown) < 24 and min(map(float, shown)) >= least
    upper = slider(page, "gamma", "upper")
    assert upper.get_attribute("aria-valuetext") == "0.999"
    upper.focus()
    page.keyboard.press("ArrowDown")
    assert upper.get_attribute("aria-valuetext") == "0.99" and set(column(page, 7)) == {"0.99"}
    # The upper end stays above the lower one.
    page.keyboard.press("Home")
    assert set(column(page, 7)) == {"0.99"}
    page.keyboard.press("Escape")
    assert column(page, 3) == shown
    lower.focus()
    page.keyboard.press("Escape")
    assert len(rank_column(page)) == 24


def test_a_key_with_a_range_has_limits_instead_of_boxes(browser, tmp_path, searched):  # noqa: F811
    page = opened(browser, tmp_path / "page.html", searched)
    assert page.locator("[data-filter=gamma] input[type=checkbox]").count() == 0
    # So few values are listed as choices.
    assert page.locator("[data-filter=epochs] input[type=checkbox]").count() == 4
    drag(page, "gamma", 0.26, 0.74)
    place = page.locator("#table th").all_inner_texts().index("gamma") + 1
    shown = sorted(float(text) for text in column(page, place))
    everything = sorted(float(each.choices[1]) for each in searched.permutations)
    assert shown == everything[10:30]
    limits = [
        page.locator(f"input[data-key='gamma {end}']").input_value() for end in ("from", "to")
    ]
    assert [float(limit) for limit in limits] == [shown[0], shown[-1]]
    assert page.noticed == []
    page.close()


def test_fields_limit_the_score_and_the_axis_shows_the_limits(page):
    page.locator("details[data-filter='return']").evaluate("each => { each.open = true; }")
    field = page.locator("input[data-key='return from']")
    field.fill("200")
    field.press("Tab")
    assert min(map(float, column(page, 3))) >= 200
    wait_until_drawn(page)
    low, high = page.evaluate("scoreRange")
    span = page.locator(".axis[aria-label=return] .span").evaluate("each => each.style.bottom")
    assert float(span.rstrip("%")) == pytest.approx(100 * (200 - low) / (high - low))
    page.locator("#ranking .clear").click()
    assert field.input_value() == "" and len(rank_column(page)) == 24


def test_paper_says_which_filters_are_active_and_has_no_controls(page):
    tick(page, "gamma", "0.999")
    page.emulate_media(media="print")
    assert "12 of 24 permutations" in page.locator("#shown").inner_text()
    assert "gamma 0.999" in page.locator("#shown").inner_text()
    controls = page.locator(
        "main :is(select, input, form, [role=slider]), main > section > button, nav"
    )
    assert controls.count() > 20
    assert [each for each in controls.all() if each.is_visible()] == []
    page.emulate_media(media="screen")
    tick(page, "gamma", "0.999", on=False)
