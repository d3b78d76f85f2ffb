"""Sweeps with a known truth get the right answer."""

import csv
import io
import json
from dataclasses import replace

import pytest
import yaml
from rich.console import Console

from commands.reporting import print_answer
from reports.answer import answer, leaders
from reports.outcome import area, steps_until
from reports.output.table import chosen_columns, columns, ranked, show_rounded, write_table
from reports.suggestion import suggest
from reports.words import sentences
from schema.errors import UserError
from tests.reports.sweeps import sweep

CHOICES = {
    "gamma": ("0.9", "0.99"),
    "lamda": ("0.95",),
    "learning_rate_schedule.initial": ("0.0001", "0.001", "0.01"),
}
NOISE = (1.0, -1.0, 0.5)


def returns(values, repetition):
    """Return a score: only the learning rate matters, and a seed adds the same to all permutations."""
    gamma, _, rate = values
    own = 0.1 * NOISE[(repetition + (gamma == "0.9")) % 3]
    return {"0.0001": 10.0, "0.001": 50.0, "0.01": 90.0}[rate] + own + 5 * repetition


def test_permutations_are_ranked_and_contenders_are_named():
    found = answer(sweep(CHOICES, returns))
    assert [score.permutation.choices[2] for score in found.scores] == [
        *["0.01"] * 2,
        *["0.001"] * 2,
        *["0.0001"] * 2,
    ]
    assert {score.permutation.choices[2] for score in found.contenders} == {"0.01"}
    assert len(found.contenders) == 2
    assert found.leader.mean == pytest.approx(95, abs=0.1)
    assert sum(score.probability for score in found.scores) == pytest.approx(1)
    assert found.matters("learning_rate_schedule.initial") is True
    assert found.matters("gamma") is False
    assert found.edges == {"learning_rate_schedule.initial": "highest"}
    rates = found.choice_scores["learning_rate_schedule.initial"]
    assert [each.choice for each in rates] == ["0.0001", "0.001", "0.01"]
    assert [each.mean for each in rates] == pytest.approx([15, 55, 95], abs=0.1)


def test_a_run_that_failed_counts_as_the_worst():
    whole = answer(sweep(CHOICES, returns))
    assert whole.leader is not None
    place = int(whole.leader.permutation.name)
    found = answer(sweep(CHOICES, returns, failed={(place, 2)}))
    score = next(each for each in found.scores if each.permutation.name == str(place))
    assert score.failed == 1 and score.values[2] is None
    assert found.leader is not score and found.leader.permutation.choices[2] == "0.01"
    values = [value for value in score.values if value is not None]
    worst = min(v for each in found.scores for v in each.values if v is not None)
    assert score.mean == pytest.approx((sum(values) + worst) / 3)


def test_one_repetition_decides_no_contenders():
    found = answer(sweep(CHOICES, returns, repetitions=1))
    assert not found.decided and found.contenders == []
    text = " ".join(sentences(found))
    assert "rests on one seed" in text
    assert "python tune.py --out=o --num-repetitions=5" in text


def test_there_is_no_answer_before_a_run_has_finished():
    everything = {(position, repetition) for position in range(6) for repetition in range(3)}
    found = answer(sweep(CHOICES, returns, failed=everything))
    assert found.leader is None and found.best_run is None and leaders(found, 3) == []
    assert sentences(found) == ["No run has finished an episode yet, so there is nothing to rank."]
    with pytest.raises(UserError, match="nothing can be suggested"):
        suggest(found)


def test_fewer_steps_are_better():
    found = answer(sweep(CHOICES, returns), "steps", threshold=46.0)
    assert found.leader.permutation.choices[2] == "0.01"
    assert found.leader.values == (200.0, 100.0, 100.0)
    assert found.scores[-1].mean == 200.0


def test_the_answer_is_the_same_each_time():
    assert answer(sweep(CHOICES, returns)).scores == answer(sweep(CHOICES, returns)).scores


def test_leaders_repeat_no_permutation():
    twice = {**CHOICES, "learning_rate_schedule.initial": ("0.01", "0.01")}
    found = answer(sweep(twice, returns))
    assert len(leaders(found, 9)) == 2
    assert found.importance is not None


def test_fresh_seeds_show_how_much_was_luck():
    fresh = sweep(CHOICES, lambda values, n: returns(values, n) - 7, run_id="default-confirmed")
    found = answer(sweep(CHOICES, returns), confirmed=fresh)
    alone = answer(sweep(CHOICES, returns)).leader
    assert found.leader.confirmed[0] == pytest.approx(alone.mean - 7)
    assert found.leader.mean == pytest.approx(alone.mean - 3.5)
    told = " ".join(sentences(found))
    assert "on fresh seeds it reached 88" in told and "the ranking includes these seeds" in told


def test_a_confirmation_with_fewer_updates_is_left_out():
    fresh = sweep(CHOICES, returns, run_id="default-confirmed")
    assert answer(sweep(CHOICES, returns), confirmed=fresh).leader.confirmed
    shorter = {**fresh.base, "trainer": {**fresh.base["trainer"], "updates": 1}}
    found = answer(sweep(CHOICES, returns), confirmed=replace(fresh, base=shorter))
    assert found.leader.confirmed is None


def test_conditions_select_a_part_of_the_sweep():
    outcome = sweep(CHOICES, returns)
    part = outcome.where(["gamma=0.90", "initial=1e-3"])
    assert [each.choices for each in part.permutations] == [("0.9", "0.95", "0.001")]
    for condition, told in {
        "gamma=0.5": "gamma has the choices 0.9, 0.99",
        "gama=0.9": "must be one of gamma, lamda, learning_rate_schedule.initial, = and a choice",
    }.items():
        with pytest.raises(UserError, match=told):
            outcome.where([condition])


def test_every_format_has_the_same_table():
    found = answer(sweep(CHOICES, returns, failed={(0, 0)}))
    rows = ranked(found, None, 3)
    (first, *_), titles = (
        list(csv.DictReader(io.StringIO(write_table(found, rows, "csv")))),
        [column.title for column in columns(found)],
    )
    assert list(first) == titles
    as_json = json.loads(write_table(found, rows, "json"))
    assert len(as_json) == 3 and as_json[0]["score"] == pytest.approx(float(first["score"]))
    markdown = write_table(found, rows, "markdown").splitlines()
    assert len(markdown) == 5 and markdown[1].count("---:") == len(titles)
    latex = write_table(found, rows, "latex")
    assert r"could\_be\_best" in latex and latex.count(r"\\") == 4


def test_a_table_has_the_columns_that_are_asked_for_in_their_order():
    found = answer(sweep(CHOICES, returns))
    rows, names = ranked(found, None, 2), "score, gamma,rank,gamma"
    as_csv = write_table(found, rows, "csv", names).splitlines()
    assert as_csv[0] == "score,gamma,rank"
    assert as_csv[1] == f"{found.scores[0].mean},{found.scores[0].permutation.choices[0]},1"
    assert [*json.loads(write_table(found, rows, "json", names))[0]] == ["score", "gamma", "rank"]
    assert write_table(found, rows, "markdown", names).startswith("| score | gamma | rank |\n")
    assert r"\begin{tabular}{rrr}" in write_table(found, rows, "latex", names)


@pytest.mark.parametrize("names", ["rank,speed", "rank,,score", "", "Rank"])
def test_a_wrong_column_gets_one_line_with_the_columns_there_are(names):
    found = answer(sweep(CHOICES, returns))
    with pytest.raises(UserError) as raised:
        chosen_columns(found, names)
    (line,) = str(raised.value).splitlines()
    assert line.startswith(f"--columns={names}: '")
    assert "is no column; columns are rank, permutation, score" in line and "gamma" in line


def test_readers_get_digits_that_mean_something_and_programs_get_numbers():
    choices = {"gamma": ("0.9", "0.99"), "mode": ("fast", "nan"), "epochs": ("4",)}
    found = answer(sweep(choices, lambda own, seed: 1234.5678 + 80 * seed - len(own[1])))
    rows = ranked(found, None, 9)
    best = found.scores[0]
    assert 100 < (best.high - best.low) / 2 < 1000  # two digits of it are tens
    names = "score,low,repetition_0,gamma"
    first = write_table(found, rows, "markdown", names).splitlines()[2].split(" | ")
    assert (
        first[0] == f"| {round(best.mean, -1):,.0f}"
        and first[1].endswith("0")
        and first[2].endswith("0")
    )
    (row, *_) = json.loads(write_table(found, rows, "json"))
    assert row["score"] == best.mean and row["gamma"] == float(best.permutation.choices[0])
    assert row["epochs"] == 4 and isinstance(row["epochs"], int)
    modes = {each["mode"] for each in json.loads(write_table(found, rows, "json"))}
    assert modes == {"fast", "nan"}  # JSON has no number that isn't finite


@pytest.mark.parametrize(
    ("value", "low", "high", "shown"),
    [
        (236.46, 224.1, 248.8, "236"),
        (0.97012, 0.9478, 0.9923, "0.970"),
        (-1234567.0, -1240000.0, -1220000.0, "-1,235,000"),
        (-0.001, -1.0, 1.0, "0.0"),
        (5.0, 5.0, 5.0, "5"),
        (12.3456, None, None, "12.3"),
        (1.0, -1e-12, 1e-12, "1.000000"),
    ],
)
def test_a_number_is_rounded_by_its_interval(value, low, high, shown):
    assert show_rounded(value, low, high) == shown


def test_a_printed_table_has_the_chosen_columns_on_any_screen(capsys):
    found = answer(sweep(CHOICES, returns))
    chosen = chosen_columns(found, "failed,score,gamma")
    for width in (120, 40):
        console = Console(width=width)
        print_answer(console, found, ranked(found, None, 9), chosen)
        heading = next(line for line in capsys.readouterr().out.splitlines() if "score" in line)
        assert [word for word in heading.split() if word.isalpha()] == ["failed", "score", "gamma"]


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_terminal_breaks_the_answer_between_words_and_a_file_not_at_all(is_terminal):
    found = answer(sweep(CHOICES, returns))
    file = io.StringIO()
    console = Console(
        width=40, force_terminal=is_terminal, color_system=None, file=file, _environ={}
    )
    print_answer(console, found, [])
    printed = file.getvalue().splitlines()
    words = [word for sentence in sentences(found) for word in sentence.split()]
    assert [word for line in printed for word in line.split()][-len(words) :] == words
    assert (max(map(len, printed)) <= 40) == is_terminal


def test_tables_are_sorted_by_any_column():
    found = answer(sweep(CHOICES, returns, failed={(0, 0)}))
    by_gamma = ranked(found, "gamma", 9)
    assert [score.permutation.choices[0] for _, score in by_gamma] == ["0.9"] * 3 + ["0.99"] * 3
    assert ranked(found, "repetition_1", 1)[0][1].values[1] == max(
        score.values[1] for score in found.scores
    )
    with pytest.raises(UserError, match="--sort=speed: must be one of rank, permutation, score"):
        ranked(found, "speed", 9)


def test_the_next_grid_is_wider_at_an_edge_and_fixes_keys_that_do_not_matter():
    text = suggest(answer(sweep(CHOICES, returns)))
    data = yaml.safe_load(text)
    assert len(data["hyperparameters"]["gamma"]) == 1
    assert data["hyperparameters"]["lamda"] == [0.95]
    rates = data["learning_rate_schedule"]["initial"]
    assert rates == [0.00316, 0.01, 0.03, 0.09]
    assert "# the best was the highest in its list" in text
    assert "# at most 1 % of the variance" in text


def test_the_next_grid_has_valid_choices_only():
    choices = {"gamma": ("0.9", "0.99", "1.0"), "epochs": ("2", "4")}
    found = answer(sweep(choices, lambda v, n: 100 * float(v[0]) + 9 * int(v[1]) + 0.1 * NOISE[n]))
    data = yaml.safe_load(suggest(found))
    assert data["hyperparameters"] == {"gamma": [0.995, 1.0], "epochs": [3, 4, 8, 16]}


def test_learning_curves_have_an_area_and_a_first_time():
    curve = ((0, 0.0), (100, 10.0), (300, 10.0))
    assert area(curve) == pytest.approx((500 + 2000) / 300)
    assert area(curve[:1]) is None
    assert steps_until(curve, 10.0) == 100.0
    assert steps_until(curve, 10.1) is None
    assert steps_until(curve, None) is None
