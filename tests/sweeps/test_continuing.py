"""Resuming a sweep: nothing is trained twice, and the results are those of an uninterrupted one."""

import csv
import sqlite3

import pytest
from rich.console import Console

from commands.reporting import read_answer
from commands.terminal.tables import answer_table
from ppo.run.checkpoint import checkpoint_path, list_checkpoints
from reports.output.table import ranked
from reports.words import sentences
from schema.errors import UserError
from sweeps.journal.journal import Journal, read_journal
from sweeps.sweep import Sweep
from tests.sweeps.scene import BASE, Display, comparable, make_grid, options_for, run, run_here


class KilledError(BaseException):
    """Kills the sweep at once, as no error of a run does."""


def killed_at(*updates):
    """Return a display that kills the sweep at these updates, counted over all runs, without warning."""
    left = list(updates)
    count = iter(range(1, 10_000))

    def on_update(_sweep, _progress):
        if next(count) in left:
            raise KilledError

    return Display(on_update)


def stopped_at(update):
    count = iter(range(1, 10_000))
    return Display(lambda sweep, _: sweep.stop.request("x") if next(count) == update else None)


def names(display):
    return [name for population in display.begun for name in population]


@pytest.mark.parametrize("options", [{}, {"together": 2}, {"together": 6}], ids=["1", "2", "6"])
def test_an_interrupted_sweep_ends_as_an_uninterrupted_one(tmp_path, options):
    grid = make_grid(tmp_path)
    whole = run(grid, tmp_path / "whole", repetitions=2, **options)
    out = tmp_path / "out"
    for update in (1, 3, 2):
        with pytest.raises(KilledError):
            run(grid, out, killed_at(update), repetitions=2, **options)
    run(grid, out, stopped_at(1), repetitions=2, **options)
    found = run(grid, out, repetitions=2, **options)
    assert comparable(found, out) == comparable(whole, tmp_path / "whole")
    files = (tmp_path / "whole", out)
    tables = [[*csv.reader((folder / "results.csv").read_text().splitlines())] for folder in files]
    column = tables[0][0].index("wall_time_seconds")
    assert [[*row[:column], *row[column + 1 :]] for row in tables[0]] == [
        [*row[:column], *row[column + 1 :]] for row in tables[1]
    ]


def test_finished_runs_are_kept_and_others_resume(tmp_path):
    grid, out = make_grid(tmp_path), tmp_path / "out"
    with pytest.raises(KilledError):
        # In the fifth update of the second run, which has a checkpoint of the fourth.
        run(grid, out, killed_at(11))
    display = Display()
    with Sweep(grid, options_for(out), overwrite=False) as sweep:
        assert (sweep.agenda.kept, sweep.agenda.continued, sweep.agenda.runs) == (1, 1, 2)
        assert sweep.agenda.steps == (2 + 6) * 64
        display.sweep = sweep
        sweep.run(display, backend=run_here)
    assert names(display) == ["1_0", "2_0"]
    assert display.updates == [5, 6, 1, 2, 3, 4, 5, 6]
    again = Display()
    run(grid, out, again)
    assert not names(again)


def test_a_resumed_population_may_be_split_differently(tmp_path):
    grid, out = make_grid(tmp_path), tmp_path / "out"
    whole = run(grid, tmp_path / "whole")
    with pytest.raises(KilledError):
        run(grid, out, killed_at(3), together=3)
    display = Display()
    found = run(grid, out, display)
    assert display.begun == [["0_0"], ["1_0"], ["2_0"]]
    assert display.updates == [3, 4, 5, 6] * 3
    assert comparable(found, out) == comparable(whole, tmp_path / "whole")


def test_members_whose_checkpoints_differ_train_apart(tmp_path):
    grid, out = make_grid(tmp_path), tmp_path / "out"
    whole = run(grid, tmp_path / "whole")
    with pytest.raises(KilledError):
        run(grid, out, killed_at(5), together=3)
    checkpoint_path(out / "checkpoints" / "a" / "1_0", 4).unlink()
    display = Display()
    found = run(grid, out, display, together=3)
    assert display.begun == [["0_0", "2_0"], ["1_0"]]
    assert comparable(found, out) == comparable(whole, tmp_path / "whole")


def test_a_run_with_a_damaged_checkpoint_resumes_from_the_one_before(tmp_path):
    grid, out = make_grid(tmp_path), tmp_path / "out"
    whole = run(grid, tmp_path / "whole")
    with pytest.raises(KilledError):
        run(grid, out, killed_at(5))
    folder = out / "checkpoints" / "a" / "0_0"
    assert [path.name for path in list_checkpoints(folder)] == [
        "update_000002.pt",
        "update_000004.pt",
    ]
    last = checkpoint_path(folder, 4)
    content = bytearray(last.read_bytes())
    content[len(content) // 2] ^= 1
    last.write_bytes(content)
    display = Display()
    found = run(grid, out, display)
    assert display.updates[:4] == [3, 4, 5, 6]
    assert comparable(found, out) == comparable(whole, tmp_path / "whole")


def test_a_run_that_finished_without_a_record_is_not_trained_again(tmp_path):
    grid, out = make_grid(tmp_path), tmp_path / "out"
    whole = run(grid, out)
    with sqlite3.connect(out / "a.sqlite") as database:
        database.execute("UPDATE run SET state = 'running', final_return = NULL, curve = '[]'")
    database.close()
    display = Display()
    found = run(grid, out, display)
    assert not display.updates
    assert comparable(found, out) == comparable(whole, out)


def test_a_grid_that_gained_choices_trains_only_those(tmp_path):
    out = tmp_path / "out"
    before = run(make_grid(tmp_path, "hyperparameters: {gamma: [0.9, 0.99]}\n"), out)
    display = Display()
    grid = make_grid(
        tmp_path,
        "hyperparameters: {gamma: [0.8, 0.9, 0.95, 0.99]}\nbeta_schedule: {initial: [0.01, 0.1]}\n",
    )
    after = run(grid, out, display)
    # The base config has 0.01. Known permutations keep their names; others get the next numbers.
    assert [(result.run.permutation, *result.run.choices.values()) for result in after] == [
        ("2", "0.8", "0.01"),
        ("3", "0.8", "0.1"),
        ("0", "0.9", "0.01"),
        ("4", "0.9", "0.1"),
        ("5", "0.95", "0.01"),
        ("6", "0.95", "0.1"),
        ("1", "0.99", "0.01"),
        ("7", "0.99", "0.1"),
    ]
    assert names(display) == ["2_0", "3_0", "4_0", "5_0", "6_0", "7_0"]
    kept = [result for result in after if result.run.permutation in "01"]
    assert [result.final_return for result in kept] == [result.final_return for result in before]
    assert (out / "configs" / "a" / "6.yaml").read_text().startswith("# permutation 6: gamma=0.95")


def test_repeated_choices_are_permutations_of_their_own(tmp_path):
    out = tmp_path / "out"
    grid = make_grid(tmp_path, "hyperparameters: {gamma: [0.9, 0.99, 0.9]}\n")
    assert [result.name for result in run(grid, out)] == ["0_0", "1_0", "2_0"]
    display = Display()
    run(grid, out, display)
    assert not names(display)


def test_more_repetitions_train_only_the_missing_runs(tmp_path):
    grid, out, display = make_grid(tmp_path), tmp_path / "out", Display()
    run(grid, out)
    run(grid, out, display, repetitions=2)
    assert names(display) == ["0_1", "1_1", "2_1"]


def longer(tmp_path, updates=10, more=""):
    base = BASE.replace("updates: 6", f"updates: {updates}").replace("}\n", "}\n")
    return make_grid(
        tmp_path, base=base.replace("num_mini_batches: 1}", f"num_mini_batches: 1{more}}}")
    )


def test_more_updates_resume_if_the_schedules_allow_it(tmp_path):
    out = tmp_path / "out"
    run(longer(tmp_path, 6), out)
    display = Display()
    found = run(longer(tmp_path, 10), out, display)
    assert display.updates == [7, 8, 9, 10] * 3
    whole = run(longer(tmp_path, 10), tmp_path / "whole")
    assert comparable(found, out) == comparable(whole, tmp_path / "whole")


def test_more_updates_start_again_if_a_schedule_depends_on_them(tmp_path):
    out, decay = tmp_path / "out", ", learning_rate_schedule: {initial: 1e-3, final: 1e-4}"
    run(longer(tmp_path, 6, decay), out)
    with Sweep(longer(tmp_path, 10, decay), options_for(out), overwrite=False) as sweep:
        ((notice, count),) = sweep.agenda.notices.items()
        assert (sweep.agenda.continued, count) == (0, 3)
        assert "trainer.updates is 10, was 6" in notice
        assert "trainer.learning_rate_schedule.max_decay_steps is null" in notice
    bound = decay.replace("final: 1e-4", "final: 1e-4, max_decay_steps: 6")
    run(longer(tmp_path, 6, bound), tmp_path / "bound")
    options = options_for(tmp_path / "bound")
    with Sweep(longer(tmp_path, 10, bound), options, overwrite=False) as sweep:
        assert sweep.agenda.continued == 3


def test_runs_with_fewer_updates_are_not_compared_until_they_resume(tmp_path):
    out = tmp_path / "out"
    run(longer(tmp_path, 6), out)
    run(longer(tmp_path, 10), out, only=frozenset([0]))
    found = read_answer(out, "a")
    assert [(score.permutation.name, score.shorter) for score in found.scores] == [
        ("0", 0),
        ("1", 1),
        ("2", 1),
    ]
    assert [score.values for score in found.scores[1:]] == [(None,), (None,)]
    table, _ = answer_table(Console(width=200), found, ranked(found, None, 3)).renderables
    assert table.columns[-1].header == "shorter" and [*table.columns[-1].cells] == ["0", "1", "1"]
    assert sentences(found)[0].startswith("Permutation 0 (gamma 0.9) is the only one")
    line = next(line for line in sentences(found) if "aren't compared" in line)
    assert line.startswith("2 of 3 runs ended before trainer.updates became 10 and aren't compared")
    with (out / "results.csv").open() as file:
        rows = [(row["steps"], row["status"]) for row in csv.DictReader(file)]
    assert rows == [("640", "finished"), ("384", "shorter"), ("384", "shorter")]
    display = Display()
    results = run(longer(tmp_path, 10), out, display)
    assert display.updates == [7, 8, 9, 10] * 2
    assert [result.state for result in results] == ["finished"] * 3


def test_a_sweep_without_a_run_of_all_updates_ranks_nothing(tmp_path):
    out = tmp_path / "out"
    run(longer(tmp_path, 6), out)
    Sweep(longer(tmp_path, 10), options_for(out), overwrite=False).close()
    nothing, how = sentences(read_answer(out, "a"))
    assert nothing == "No run has finished all updates yet, so there is nothing to rank."
    assert how.startswith("3 of 3 runs ended before trainer.updates became 10")
    # Nothing is lost: with the former updates, the sweep is whole again.
    display = Display()
    results = run(longer(tmp_path, 6), out, display)
    assert not names(display) and [result.state for result in results] == ["finished"] * 3


def test_fewer_updates_than_trained_are_refused(tmp_path):
    out = tmp_path / "out"
    run(longer(tmp_path, 6), out)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises(UserError) as refusal:
        run(longer(tmp_path, 4), out, repetitions=2)
    (line,) = refusal.value.lines
    assert line == (
        f"{tmp_path}/base.yaml, line 3: trainer.updates: is 4, but runs of --run-id=a have 6, and runs "
        "of different length aren't compared; set at least 6, choose another --run-id or --out, or "
        "replace them with --overwrite"
    )
    assert before == {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}


def test_tuned_updates_are_compared(tmp_path):
    out = tmp_path / "out"
    grid = make_grid(tmp_path, "hyperparameters: {updates: [2, 1]}\n")
    states = [record.state for record in run(grid, out)]
    assert states == ["finished"] * 2
    display = Display()
    assert [record.state for record in run(grid, out, display)] == states
    assert not names(display)


def test_another_base_config_is_refused_with_the_difference(tmp_path):
    out = tmp_path / "out"
    run(make_grid(tmp_path), out)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    other = BASE.replace("hidden_layer_size: 8", "hidden_layer_size: 9").replace(
        "epochs: 1", "epochs: 2"
    )
    with pytest.raises(UserError) as refusal:
        run(make_grid(tmp_path, base=other), out)
    first, *others = refusal.value.lines
    assert first.startswith(f"{out}/a.sqlite: was made with another base config than ")
    assert others == ["model.hidden_layer_size: was 8, is 9", "trainer.epochs: was 1, is 2"]
    with pytest.raises(UserError) as refusal:
        run(make_grid(tmp_path, "hyperparameters: {gamma: [0.9, 0.98]}\n"), out)
    assert "holds another grid, with permutations that this one doesn't have (1, 2)" in str(
        refusal.value
    )
    assert before == {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}


def test_a_sweep_is_restricted_to_some_permutations(tmp_path):
    grid, out, display = make_grid(tmp_path), tmp_path / "out", Display()
    results = run(grid, out, display, only=frozenset([0, 2]))
    assert names(display) == ["0_0", "2_0"]
    assert [result.state for result in results] == ["finished", "waiting", "finished"]
    with (out / "results.csv").open() as file:
        assert [row["permutation"] for row in csv.DictReader(file)] == ["0", "2"]
    rest = Display()
    run(grid, out, rest)
    assert names(rest) == ["1_0"]


def test_results_of_versions_without_a_journal_are_kept(tmp_path):
    grid, out, display = make_grid(tmp_path), tmp_path / "out", Display()
    before = run(grid, out)
    rows = (out / "results.csv").read_text().splitlines()
    (out / "results.csv").write_text("\n".join(rows[:3]) + "\n")
    (out / "a.sqlite").unlink()
    for path in (out / "checkpoints" / "a" / "2_0").iterdir():
        path.unlink()
    after = run(grid, out, display)
    assert names(display) == ["2_0"]
    assert [result.final_return for result in after] == pytest.approx(
        [result.final_return for result in before], rel=1e-5
    )


def test_a_second_process_is_refused_and_a_dead_one_is_not_waited_for(tmp_path):
    grid, out = make_grid(tmp_path), tmp_path / "out"
    with Sweep(grid, options_for(out), overwrite=False):
        with pytest.raises(UserError, match=r"is being trained by process \d+ on "):
            Sweep(grid, options_for(out), overwrite=False)
        with pytest.raises(UserError, match="is being trained by"):
            Sweep(grid, options_for(out), overwrite=True)
        # Another run id is another sweep.
        Sweep(grid, options_for(out, run_id="b"), overwrite=False).close()
    assert not list(out.glob("*.lock"))
    # A lock as a crash leaves it.
    (out / "a.sqlite.lock").write_text('{"host": "elsewhere", "process": 1}')
    assert len(run(grid, out)) == 3
    assert not list(out.glob("*.lock"))


@pytest.mark.parametrize("content", [b"no database at all" * 100, b""])
def test_a_damaged_journal_is_one_line_and_nothing_is_lost(tmp_path, content):
    grid, out = make_grid(tmp_path), tmp_path / "out"
    whole = run(grid, out)
    journal = out / "a.sqlite"
    good = journal.read_bytes()
    journal.write_bytes(content or good[:5000])
    with pytest.raises(UserError) as refusal:
        run(grid, out)
    (line,) = refusal.value.lines
    assert line.startswith(f"{journal}: is damaged")
    journal.unlink()
    display = Display()
    found = run(grid, out, display)
    assert not display.updates
    assert [result.final_return for result in found] == pytest.approx(
        [result.final_return for result in whole], rel=1e-5
    )


def test_the_journal_has_sessions_counts_and_curves(tmp_path):
    grid, out = make_grid(tmp_path), tmp_path / "out"
    with Sweep(grid, options_for(out), False, {"revision": "abc"}) as sweep:
        sweep.run(Display(), backend=run_here)
    reader = Journal(out / "a.sqlite", writable=False)
    ((began, ended, description),) = reader.sessions()
    assert began <= ended and description == {"revision": "abc"}
    assert reader.counts() == {"finished": 3}
    for result in reader.records("a"):
        assert [steps for steps, _ in result.curve] == sorted({steps for steps, _ in result.curve})
        assert result.curve[-1] == (6 * 64, result.final_return)
    reader.close()


def test_a_journal_that_is_just_being_created_is_not_called_damaged(tmp_path):
    path = tmp_path / "default.sqlite"
    sqlite3.connect(path).execute("PRAGMA journal_mode = WAL").connection.close()
    with pytest.raises(UserError, match="holds no sweep yet; if one is just starting"):
        read_journal(tmp_path, "default").__enter__()


def test_the_base_value_of_a_tuned_key_may_change(tmp_path):
    out, tuned = tmp_path / "out", "hyperparameters: {gamma: [0.9, 0.99]}\n"
    base = BASE.replace("trainer: {", "trainer: {gamma: 0.9, ")
    run(make_grid(tmp_path, tuned, base=base), out)
    grown = "hyperparameters: {gamma: [0.9, 0.99, 0.95]}\n"
    for value in (0.99, 0.95, 0.5):
        other, display = base.replace("gamma: 0.9", f"gamma: {value}"), Display()
        run(make_grid(tmp_path, grown, base=other), out, display)
        assert names(display) == (["2_0"] if value == 0.99 else [])
    untuned = "hyperparameters: {epochs: [1, 2]}\n"
    with pytest.raises(UserError) as refusal:
        run(make_grid(tmp_path, untuned, base=base.replace("gamma: 0.9", "gamma: 0.5")), out)
    assert "trainer.gamma: was 0.9, is 0.5" in refusal.value.lines
