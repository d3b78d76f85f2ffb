"""Tables fit the screen, and their headings name the keys unambiguously."""

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


@pytest.mark.parametrize("width", [60, 80])
def test_on_a_narrow_screen_keys_are_letters_with_a_legend(width):
    labels = [*LABELS, "num_workers", "epochs", "clip_range_schedule.initial"]
    if width == 60:
        labels = LABELS
    printed = lines(width, labels)
    assert max(map(len, printed)) <= width
    (row,) = (line.split() for line in printed if " 123.5 " in line)
    letters = "ABCDEF"[: len(labels)]
    assert row == ["1", "07", "123.5", "1.500", *(f"{n}e-05" for n in range(len(labels))), "1"]
    headings = next(line for line in printed if "rank" in line).split()
    assert headings == ["rank", "index", "return", "±", *letters, "failed"]
    legend = [
        f"{letter}: {name}" for letter, name in zip(letters, short_names(labels), strict=True)
    ]
    caption = [
        "±: standard deviation over repetitions",
        "failed: repetitions that count as the worst score",
    ]
    assert printed[-2 - len(labels) :] == [*legend, *caption]


def test_on_the_narrowest_screen_choices_fold_and_nothing_is_lost():
    labels = [*LABELS, "num_workers", "epochs", "clip_range_schedule.initial"]
    printed = lines(60, labels)
    assert max(map(len, printed)) <= 60 and not any("…" in line for line in printed)
    assert any(line.split()[:4] == ["1", "07", "123.5", "1.500"] for line in printed if line)


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


def test_the_distance_to_the_best_is_the_first_column_to_go():
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
        assert said or width < 90
    assert not any("at most behind" in line for line in printed_answer(returns, width=60))


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
