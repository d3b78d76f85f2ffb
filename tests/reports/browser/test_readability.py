"""A page can be read: dark, on paper, on a phone, by keyboard, with enough contrast."""

import pytest

from tests.reports.browser.pages import CHARTS, compare, tick, until, wait_until_drawn


def colour_of(page, chart):
    return page.evaluate(f"document.getElementById('{chart}').layout.font.color")


def test_it_is_dark_if_the_reader_prefers_that(page):
    light = colour_of(page, "curves")
    page.emulate_media(color_scheme="dark")
    until(page, f"byId('curves').layout.font.color !== '{light}'")
    wait_until_drawn(page)
    assert {colour_of(page, name) for name in CHARTS} == {"#e7e9ea"}


def test_paper_is_white_also_in_dark_mode(page):
    page.emulate_media(color_scheme="dark")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert colour_of(page, "heat") == "#1b1f23"
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert colour_of(page, "heat") == "#e7e9ea"


def test_it_fits_a_phone(page):
    page.set_viewport_size({"width": 375, "height": 800})
    wait_until_drawn(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 375
    assert page.evaluate("byId('curves').clientWidth") < 375


def test_everything_can_be_reached_by_keyboard_and_has_a_name(page):
    unnamed = page.evaluate(
        "[...document.querySelectorAll('button, select, input, a, [tabindex]')].filter((each) =>"
        " !each.closest('.js-plotly-plot')"
        " && !(each.textContent.trim() || each.labels?.length || each.ariaLabel"
        " || each.hasAttribute('aria-labelledby'))).length"
    )
    assert unnamed == 0
    page.evaluate("window.scrollTo(0, 0)")
    page.locator(".skip").focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Answer"
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert page.evaluate(outline) == "solid"


# Whether all charts have been drawn for the width that they have now.
FITTED = """Object.keys(charts).map(byId).every((each) =>
  each.hidden || Math.abs(each._fullLayout.width - each.clientWidth) <= 1)"""


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_no_text_of_a_chart_is_cut(long, width):
    compare(long, "0", "5", "23")
    long.set_viewport_size({"width": width, "height": 800})
    until(long, FITTED)
    wait_until_drawn(long)
    cut = long.evaluate(
        """Object.keys(charts).filter((name) => !/curves|parallel/.test(name)).flatMap((name) => {
          const frame = byId(name).getBoundingClientRect();
          return [...byId(name).querySelectorAll(".main-svg text")].filter((each) => {
            const box = each.getBoundingClientRect();
            return box.width && (box.left < frame.left - 1 || box.right > frame.right + 1
              || box.top < frame.top - 1 || box.bottom > frame.bottom + 1);
          }).map((each) => `${name}: ${each.textContent}`);
        })"""
    )
    assert cut == []
    assert long.evaluate("document.documentElement.scrollWidth") == width
    long.set_viewport_size({"width": 1280, "height": 900})


CONTRAST = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const channels = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = (colour) => channels(colour).slice(0, 3).map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
  const contrast = (first, second) => {
    const [dark, light] = [luminance(first), luminance(second)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };
  const ground = (each) => {
    for (let at = each; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (channels(colour)[3] === 255) return colour;
    }
    return getComputedStyle(document.body).backgroundColor;
  };
  const found = [];
  const note = (text, colour, behind) => found.push([contrast(colour, behind), text, colour, behind]);
  for (const each of document.querySelectorAll("body *")) {
    const texts = [...each.childNodes].filter((node) => node.nodeType === 3);
    const own = texts.map((node) => node.data.trim()).join("");
    if (!own || each.closest("script, style, .hidden, .skip, .js-plotly-plot, [hidden]")) continue;
    note(own, getComputedStyle(each).color, ground(each));
  }
  for (const each of document.querySelectorAll(".main-svg text, .main-svg tspan")) {
    if (each.closest("#heat .textpoint") || each.querySelector("tspan")) continue;
    if (!each.textContent.trim()) continue;
    note(each.textContent, getComputedStyle(each).fill, ground(byId("curves")));
  }
  const [cells, words] = byId("heat").data;
  const [low, high] = [cells.zmin, cells.zmax];
  words.text.forEach((text, at) => {
    const value = cells.z[words.y[at]][words.x[at]];
    const scale = cells.colorscale.map(([, colour]) => colour);
    if (value !== null) note(text, words.textfont.color[at], blend(scale, (value - low) / (high - low)));
  });
  return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_a_contrast_of_four_and_a_half(page, scheme):
    page.emulate_media(color_scheme=scheme)
    page.locator(".filter").evaluate_all("all => all.forEach((each) => { each.open = true; })")
    compare(page, "0", "5", "23")
    page.locator("#equal").evaluate("each => { each.open = true; }")
    tick(page, "gamma", "0.999")
    page.evaluate("refresh(...Object.keys(charts))")
    wait_until_drawn(page)
    found = page.evaluate(CONTRAST)
    tick(page, "gamma", "0.999", on=False)
    page.locator("#uncompare").click()
    assert len(found) > 300
    assert "permutation 23" in {text for _, text, *_ in found}
    assert [each for each in found if each[0] < 4.5] == []


def test_black_or_white_is_readable_on_every_colour_of_the_heat_map(page):
    assert page.evaluate("VIRIDIS.map(inkOn)")[4] == "#000000"
