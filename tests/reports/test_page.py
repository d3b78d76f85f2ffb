"""The page of a sweep is safe, complete and independent of any network."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from reports.answer import answer
from reports.outcome import Outcome
from reports.output.page.data import page_data, to_json
from reports.output.page.page import write_page
from reports.output.page.parts import number, span
from tests.reports.example_outcome import CHOICES, example_outcome, under_way

NASTY = '</script><img src=x onerror="alert(1)">&amp;{{data}}'


class Elements(HTMLParser):
    """The elements of a page with their attributes, and its texts without scripts and styles."""

    def __init__(self, text):
        super().__init__()
        self.found, self.texts, self.open = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag):
        self.open.append(f"/{tag}")

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("script", "style"):
            self.texts.append(data)


def written(tmp_path, outcome, sentences=("It is so.",), **options):
    path = tmp_path / "page.html"
    write_page(answer(outcome, **options), path, sentences)
    return path.read_text(encoding="utf-8")


def data_of(text):
    return json.loads(
        re.search(r'<script type="application/json" id="data">(.*?)</script>', text)[1]
    )


def with_name(outcome, name):
    first, *others = outcome.permutations
    return replace(outcome, permutations=(replace(first, name=name), *others))


def test_it_loads_nothing_from_elsewhere(tmp_path):
    elements = Elements(written(tmp_path, example_outcome()))
    names = ("src", "href", "action", "data", "poster")
    addresses = [attrs[name] for _, attrs in elements.found for name in names if name in attrs]
    assert all(address.startswith(("#", "data:")) for address in addresses)
    (policy,) = [attrs["content"] for _, attrs in elements.found if "http-equiv" in attrs]
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy


def test_it_begins_with_the_answer_in_words(tmp_path):
    sentences = [
        "The first & best.",
        "See `code <here>`.",
        "Do this: python tune.py --only=1",
    ]
    text = written(tmp_path, example_outcome(), sentences)
    assert '<p class="lead">The first &amp; best.</p>' in text
    assert "<p>See <code>code &lt;here&gt;</code>.</p>" in text
    code = 'python tune.py <span class="word">--only=1</span>'
    assert f"<p>Do this: <code>{code}</code></p>" in text


def test_it_shows_the_best_permutation_and_each_repetition(tmp_path):
    found = answer(example_outcome())
    data = data_of(written(tmp_path, example_outcome()))
    best = data["permutations"][0]
    assert best["name"] == found.leader.permutation.name
    assert best["mean"] == pytest.approx(found.leader.mean, rel=1e-3)
    assert [run["value"] for run in best["runs"]] == pytest.approx(
        list(found.leader.values), rel=1e-3
    )
    chosen = [
        key["choices"][place] for key, place in zip(data["keys"], best["choices"], strict=True)
    ]
    assert chosen == list(found.leader.permutation.choices)


def test_choices_and_their_scores_are_sorted_by_size():
    found = answer(example_outcome())
    rate = page_data(found)["keys"][0]
    assert rate["choices"] == ["0.0003", "0.001", "0.003"]
    means = {
        each.choice: each.mean for each in found.choice_scores["learning_rate_schedule.initial"]
    }
    assert [each["mean"] for each in rate["choiceScores"]] == pytest.approx(
        [means[choice] for choice in rate["choices"]], rel=1e-3
    )


def test_failures_are_shown_with_their_reasons(tmp_path):
    text = written(tmp_path, example_outcome())
    told = " ".join(Elements(text).texts)
    assert "the losses aren't finite after update 17" in told
    assert "the environment raised <ValueError>: no level & no seed" in told
    lost = [run for each in data_of(text)["permutations"] for run in each["runs"] if run["error"]]
    assert sorted(run["state"] for run in lost) == ["diverged", "failed"]


def test_configuration_machine_and_cost_are_shown(tmp_path):
    told = " ".join(Elements(written(tmp_path, example_outcome())).texts)
    for part in ("num_workers: 16", "workstation", "torch 2.13.0", "2 h 30 min", "47,400,000"):
        assert part in told


def test_an_update_has_the_steps_that_the_permutation_says():
    found = answer(example_outcome())
    sizes = {"128": 16 * 128, "256": 16 * 256}
    for shown, score in zip(page_data(found)["permutations"], found.scores, strict=True):
        assert shown["batch"] == sizes[score.permutation.choices[-1]]


def test_no_name_is_taken_for_html(tmp_path):
    outcome = with_name(example_outcome({NASTY: (NASTY, "2"), **CHOICES}, 2, failures=False), NASTY)
    outcome = replace(outcome, run_id=NASTY, base={NASTY: NASTY})
    text = written(tmp_path, outcome, [NASTY])
    elements = Elements(text)
    assert "onerror" not in {name for _, attrs in elements.found for name in attrs}
    assert [tag for tag, _ in elements.found].count("script") == 4
    data = data_of(text)
    assert data["runId"] == NASTY
    assert data["keys"][0]["label"] == NASTY
    assert NASTY in data["keys"][0]["choices"]


def test_numbers_that_are_no_json_are_left_out():
    outcome = example_outcome()
    first = outcome.permutations[0]
    runs = tuple(replace(run, curve=((0, 1.0), (9, float("inf")))) for run in first.runs)
    changed = (replace(first, runs=runs), *outcome.permutations[1:])
    data = json.loads(to_json(page_data(answer(replace(outcome, permutations=changed)))))
    assert [each["name"] for each in data["permutations"] if not each["curve"]] == ["0"]


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome("empty", Path("out"), (), (), {}, ()),
        under_way(example_outcome()),
        example_outcome({"gamma": ("0.99",)}, repetitions=1, failures=False),
        example_outcome({"gamma": ("0.99", "0.9")}, repetitions=1, failures=False),
        example_outcome(repetitions=9),
    ],
    ids=["empty", "under way", "one run", "one repetition", "many repetitions"],
)
def test_any_sweep_has_a_page(tmp_path, outcome):
    data = data_of(written(tmp_path, outcome, []))
    assert len(data["permutations"]) == len(outcome.permutations)


@pytest.mark.parametrize("metric", ["best", "area", "steps", "time"])
def test_any_metric_has_a_page(tmp_path, metric):
    data = data_of(written(tmp_path, example_outcome(), metric=metric, threshold=200.0))
    assert data["lessIsBetter"] is (metric in ("steps", "time"))
    assert data["threshold"] == 200


@pytest.mark.parametrize(("name", "tag"), [("episode.mp4", "video"), ("episode.gif", "img")])
def test_a_video_of_the_best_agent_is_part_of_the_file(tmp_path, name, tag):
    (tmp_path / "best").mkdir()
    (tmp_path / "best" / name).write_bytes(b"moving")
    elements = Elements(written(tmp_path, example_outcome(out=tmp_path)))
    (attrs,) = [attrs for found, attrs in elements.found if found == tag]
    assert attrs["src"].endswith(";base64,bW92aW5n")
    assert attrs.get("alt") or attrs.get("aria-label")


def test_a_page_that_cannot_be_written_leaves_the_one_before(tmp_path, monkeypatch):
    path = tmp_path / "page.html"
    path.write_text("before")
    monkeypatch.setattr("reports.output.page.page._plotly", lambda: "\udcff")  # no UTF-8
    with pytest.raises(UnicodeEncodeError):
        write_page(answer(example_outcome()), path, [])
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def luminance(colour):
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(first, second):
    darker, lighter = sorted([luminance(first), luminance(second)])
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_texts_can_be_read_on_their_ground(mode):
    style = Path("reports/output/page/page.css").read_text(encoding="utf-8")
    colours = dict(re.findall(r"--([\w-]+): (#\w{6})", style.split("@media")[mode == "dark"]))
    for ground in ("ground", "raised", "best-ground"):
        for text in ("text", "soft", "accent", "best", "bad"):
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)


def test_numbers_and_time_spans_are_short():
    assert [number(value) for value in (None, 258.8903, -1234567.0, 0.000123)] == [
        *("–", "258.9", "−1,234,567", "0.000123")
    ]
    assert [span(value) for value in (0, 59.6, 3600, 93_784)] == ["0 s", "1 min", "1 h", "1 d 2 h"]
