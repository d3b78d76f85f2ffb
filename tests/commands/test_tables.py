"""Tables fit the screen, and their headings name the keys unambiguously."""

import re

import numpy as np
import pytest
from rich.console import Console

from commands.terminal.tables import answer_table, failure_lines, ranked_table, short_names
from reports.answer import answer
from reports.outcome import PermutationRuns
from reports.output.table import ranked, show
from reports.ranking import Score
from reports.words import sentences
from sweeps.journal.runs import RunIdentity, RunRecord, RunState
from tests.reports.sweeps import sweep

ANSWERED = {"gamma": ("0.9", "0.99"), "lamda": ("0.95",), "epochs": ("2", "4")}
LABELS = ["worker_steps", "learning_rate_schedule.initial", "beta_schedule.initial"]


@pytest.mark.parametrize(
    ("label", "short"),
    [
        ("gamma", "gamma"),
        ("trainer.gamma", "gamma"),
        ("learning_rate_schedule.initial", "learning_rate.initial"),
        ("trainer.learning_rate_schedule.initial", "learning_rate.initial"),
        ("beta_schedule", "beta_schedule"),
        # The bare name would be the trainer's.
        ("evaluation.num_workers", "evaluation.num_workers"),
        ("environment.kwargs.is_slippery", "kwargs.is_slippery"),
        ("environment.reset_params.num-seeds", "reset_params.num-seeds"),
    ],
)
def test_a_key_has_its_shortest_unambiguous_name(label, short):
    assert short_names([label, "lamda"]) == [short, "lamda"]


def test_short_names_stay_distinct():
    labels = ["environment.kwargs.a_schedule.b", "environment.kwargs.a.b"]
    assert short_names(labels) == ["kwargs.a_schedule.b", "kwargs.a.b"]


def lines(width, labels):
    """Return the lines of a table on a screen of that width."""
    choices = {label: f"{number}e-05" for number, label in enumerate(labels)}
    runs = tuple(
        RunRecord(RunIdentity("a", "07", repetition, 0, choices), state)
        for repetition, state in enumerate((RunState.FINISHED, RunState.FINISHED, RunState.FAILED))
    )
    values = (122.0, 124.912, None)
    scores = [Score(PermutationRuns("07", tuple(choices.values()), runs), values, 123.456, 1.5)]
    console = Console(width=width, highlight=False)
    with console.capture() as captured:
        console.print(ranked_table(console, scores, labels))
    return [line.rstrip() for line in captured.get().splitlines()]


def test_a_heading_has_two_lines_at_most():
    above, below = (line for line in lines(120, LABELS) if line.startswith("┃"))
    cells = [line.replace("┃", " ").split() for line in (above, below)]
    assert cells[0] == ["learning_rate."]
    leading = ["rank", "index", "return", "±"]
    assert cells[1] == [*leading, "worker_steps", "initial", "beta.initial", "failed"]


def test_on_a_narrow_screen_keys_are_letters_with_a_legend():
    printed = lines(55, LABELS)
    (row,) = (line.split() for line in printed if " 123.5 " in line)
    assert row == ["1", "07", "123.5", "1.5", "0e-05", "1e-05", "2e-05", "1"]
    headings = next(line for line in printed if "rank" in line).split()
    assert headings == ["rank", "index", "return", "±", "A", "B", "C", "failed"]
    legend = [f"{letter}: {name}" for letter, name in zip("ABC", short_names(LABELS), strict=True)]
    caption = [
        "±: standard deviation over repetitions",
        "failed: repetitions that count as the worst score",
    ]
    assert printed[-6:] == ["", *legend, *caption]


def test_many_keys_on_a_narrow_screen_are_a_paragraph():
    labels = [*LABELS, "num_workers", "epochs", "clip_range_schedule.initial"]
    printed = lines(40, labels)
    assert "│" not in "".join(printed) and not any(line.startswith("A:") for line in printed)
    told = " ".join(printed)
    assert "rank 1, index 07, return 123.5, ± 1.5," in told
    for number, name in enumerate(short_names(labels)):
        assert f"{name} = {number}e-05" in told


THREE = {
    "learning_rate_schedule.initial": ("0.003", "0.001", "0.0003"),
    "gamma": ("0.9", "0.99", "0.999"),
    "worker_steps": ("64", "128", "256", "512"),
}
LONG = {
    "environment.kwargs.agent_visual_observation": (
        "{'scale': 0.25, 'colours': ['red', 'blue'], 'is_partial': true}",
        "{'scale': 0.5, 'colours': ['green'], 'is_partial': false}",
    ),
    "environment.kwargs.maximum_number_of_obstacles": ("100000", "2.5e-05"),
    "environment.kwargs.is_slippery": ("true", "false"),
    "target_kl": ("null", "0.01"),
}
GRIDS = {
    "36 permutations of 3 keys": (THREE, 5, ()),
    "one key": ({"gamma": THREE["gamma"]}, 3, ()),
    "one repetition": (THREE, 1, ()),
    "failures": (THREE, 5, {(0, 1), (3, 2), (3, 3), (7, 0)}),
    "long names, mappings, booleans and null": (LONG, 3, ()),
    "500 runs": ({**THREE, "epochs": ("2", "3", "4", "5", "8")}, 3, ()),
    "many repetitions": ({"gamma": THREE["gamma"]}, 40, ()),
}
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:,\d{3})*(?:\.\d+)?(?:e[+-]?\d+)?")


def wide_and_narrow(grid, width):
    """Return a sweep's answer, and the lines of its table on a screen of that width."""
    choices, repetitions, failed = GRIDS[grid]
    rng = np.random.default_rng(3)
    offsets = {}

    def returns(values, _):
        base = offsets.setdefault(values, -130.0 * len(offsets) ** 0.5)
        return 233.8 + base + float(rng.normal(0, 20))

    found = answer(sweep(choices, returns, repetitions, failed))
    console = Console(width=width, highlight=False)
    with console.capture() as captured:
        console.print(answer_table(console, found, ranked(found, None, 24)))
    return found, [line.rstrip() for line in captured.get().splitlines()]


@pytest.mark.parametrize("width", [120, 100, 80, 60, 50, 40])
@pytest.mark.parametrize("grid", GRIDS)
def test_no_number_is_ever_cut(grid, width):
    found, printed = wide_and_narrow(grid, width)
    assert max(map(len, printed)) <= width and "…" not in "".join(printed)
    told = " ".join(printed)
    shown = found.scores[:24]
    whole = set(NUMBER.findall(" ".join(wide_and_narrow(grid, 2000)[1])))
    choices = [choice for score in shown for choice in score.permutation.choices]
    whole |= {*NUMBER.findall(" ".join(choices)), "95"}
    assert whole >= set(NUMBER.findall(told.replace("?", "")))
    # Ranks, names, means and numeric choices are there at any width.
    in_table = NUMBER.findall(told)
    for rank, score in enumerate(shown, start=1):
        wanted = [str(rank), score.permutation.name, show(score.mean), *score.permutation.choices]
        assert set(in_table) >= {cell for cell in wanted if NUMBER.fullmatch(cell)}


def test_columns_go_in_a_fixed_order_before_names_become_letters():
    left_out = {}
    for width in range(40, 131, 4):
        _, printed = wide_and_narrow("36 permutations of 3 keys", width)
        if not any(line.startswith("A: ") for line in printed):
            told = " ".join(printed)
            left_out[width] = told.partition("A wider screen also shows: ")[2]
    assert list(dict.fromkeys(left_out.values())) == [
        "at most behind, each repetition",
        "each repetition",
        "",
    ]
    assert [*left_out] == list(range(min(left_out), 131, 4)) and 70 < min(left_out) <= 80


def test_names_stay_where_there_is_room():
    _, printed = wide_and_narrow("36 permutations of 3 keys", 80)
    told = " ".join(printed)
    assert "gamma" in told and "worker_steps" in told and "A: " not in told
    assert printed[-1] == "A wider screen also shows: at most behind, each repetition"
    # One line is below the heading, and one below those that could be the best.
    assert sum(line.startswith("──") for line in printed) == 2


def test_a_long_choice_is_folded_and_complete():
    _, printed = wide_and_narrow("long names, mappings, booleans and null", 60)
    joined = re.sub(r"\s", "", "".join(printed))
    for choice in ("true", "false", "null", "100000", "2.5e-05"):
        assert choice in joined
    _, printed = wide_and_narrow("long names, mappings, booleans and null", 40)
    joined = re.sub(r"\s", "", "".join(printed))
    assert "{'scale':0.25,'colours':['red','blue'],'is_partial':true}" in joined


def test_runs_that_failed_for_the_same_reason_are_one_line():
    states = [RunState.FINISHED, RunState.FAILED] * 2 + [RunState.FINISHED, RunState.DIVERGED]
    records = [
        RunRecord(RunIdentity("a", str(index), 0, 0, {}), state, error="xy"[index == 5])
        for index, state in enumerate(states)
    ]
    assert failure_lines(records) == ["1_0 3_0: failed: x", "5_0: diverged: y"]


def printed_answer(returns, width=120, **changed):
    found = answer(sweep(ANSWERED, returns, **changed))
    console = Console(width=width, highlight=False)
    with console.capture() as captured:
        console.print(answer_table(console, found, ranked(found, None, 9)))
    return [line.rstrip() for line in captured.get().splitlines()]


def test_a_line_is_below_those_that_could_be_the_best():
    noise = (0.1, -0.1, 0.05)
    printed = printed_answer(lambda values, n: 100 * (values[0] == "0.9") + noise[n])
    rows = [line for line in printed if line.startswith(("│", "├"))]
    assert [row[0] for row in rows] == ["│", "│", "├", "│", "│"]
    assert rows[0].split("│")[5].strip() == "0.50" and rows[3].split("│")[5].strip() == ""
    headings = " ".join(line for line in printed if line.startswith("┃"))
    # Keys that aren't varied have no column.
    assert "gamma" in headings and "epochs" in headings and "lamda" not in headings
    assert printed[-2].endswith("(95 %); the line is below them")


def test_the_distance_to_the_best_is_explained_where_it_is_shown():
    def returns(values, n):
        return 100 * (values[0] == "0.9") + float(np.random.default_rng(n).normal()) * float(
            values[2]
        )

    found = answer(sweep(ANSWERED, returns))
    for width in range(60, 130):
        printed = printed_answer(returns, width=width)
        said = any("at most behind: the most by which" in line for line in printed)
        assert said == any("behind" in line and "rank" in line for line in printed)
        assert max(map(len, printed)) <= width
        if said:
            told = " ".join(printed)
            assert all(show(score.behind_best) in told for score in found.scores)
        assert said or width < 70
    assert printed_answer(returns, width=60)[-1].startswith(
        "A wider screen also shows: at most behind"
    )


def test_scores_on_fresh_seeds_have_their_intervals():
    def returns(values, n):
        return 100 * (values[0] == "0.9") + float(n)

    fresh = sweep(ANSWERED, returns, run_id="default-confirmed")
    found = answer(sweep(ANSWERED, returns), confirmed=fresh)
    console = Console(width=200)
    with console.capture() as captured:
        console.print(answer_table(console, found, ranked(found, None, 9)))
    mean, low, high = found.leader.confirmed
    assert f"{show(mean)} ({show(low)} to {show(high)})" in captured.get()
    luck, least, most = found.leader.luck
    assert least < luck < most
    told = " ".join(sentences(found))
    assert f"An estimated {show(luck)} (95 % interval {show(least)} to {show(most)}) of its" in told


def test_every_repetition_and_failure_is_shown():
    printed = printed_answer(
        lambda values, n: float(n + 10 * int(values[2])), failed={(0, 1)}, repetitions=3
    )
    row = next(line for line in printed if line.startswith("│") and " – " in line)
    assert [cell.strip() for cell in row.split("│")[-3:-1]] == ["20.0 – 22.0", "1"]


def test_one_repetition_shows_the_spread_of_its_episodes():
    printed = printed_answer(lambda values, n: float(values[2]), repetitions=1)
    assert any("±" in line for line in printed if line.startswith("┃"))
    assert printed[-1] == "±: standard deviation over the episodes of the one repetition"
