import re
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands.status import show_shards
from schema.errors import UserError
from schema.yaml_file import Document
from sweeps.journal.journal import journal_path, read_journal
from sweeps.journal.lock import SweepLock, lock_path
from sweeps.journal.merging import merge
from sweeps.journal.runs import RunState
from sweeps.planning.division import divide
from sweeps.planning.populations import Shapes, count_steps
from sweeps.planning.rehearsal import rehearse
from sweeps.search_space.grid import Grid
from sweeps.search_space.keys import Axis
from sweeps.shards import Shard, parse_shard, shard_files, shard_id
from tests.sweeps.scene import (
    BASE,
    Display,
    comparable,
    fail,
    make_grid,
    options_for,
    run,
)

SPACE = "hyperparameters: {gamma: [0.9, 0.95, 0.99], epochs: [1, 2]}\n"
SHARDS = [Shard(number, 3) for number in (1, 2, 3)]


def train(grid, out, shards=SHARDS, **options):
    """Train shards into a folder, one after the other."""
    options = {"repetitions": 2, "together": 3, **options}
    return [run(grid, out, shard=shard, **options) for shard in shards]


def merged_records(out):
    with read_journal(out, "a") as journal:
        return list(journal.records("a"))


def rows(out):
    """Return the rows of results.csv without the wall time."""
    lines = [line.split(",") for line in (out / "results.csv").read_text().splitlines()]
    place = lines[0].index("wall_time_seconds")
    return [line[:place] + line[place + 1 :] for line in lines]


def files(folder, leave_out=r"-(shm|wal)$"):
    """Return the content of files in a folder by path, by default without those of SQLite's readers."""
    found = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {path: path.read_bytes() for path in found if not re.search(leave_out, path.name)}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    records = run(make_grid(folder, SPACE), folder / "out", repetitions=2, together=3)
    return comparable(records, folder / "out"), rows(folder / "out")


class TestDivision:
    @given(
        st.lists(st.integers(1, 4), min_size=1, max_size=3),
        st.lists(st.integers(1, 4), min_size=1, max_size=3),
        st.integers(1, 4),
        st.integers(1, 9),
        st.data(),
    )
    def test_shards_partition_the_runs_evenly_and_cut_few_shapes(
        self, shaped, alike, repetitions, count, data
    ):
        keys = ("worker_steps", "epochs", "num_mini_batches")
        axes = [
            Axis(("trainer", key), key, tuple(2 ** (5 + place) for place in range(size)), (key,))
            for key, size in zip(keys, shaped, strict=False)
        ]
        axes += [
            Axis(("trainer", key), key, tuple(place / 10 for place in range(size)), (key,))
            for key, size in zip(("gamma", "lamda", "weight_decay"), alike, strict=False)
        ]
        base, tune = Document(Path("base.yaml"), {}), Document(Path("tune.yaml"), {})
        grid = Grid(base, tune, axes)
        left_out = data.draw(st.sets(st.integers(1, max(1, len(grid) - 1))))
        grid._skipped = bytearray(index in left_out for index in range(len(grid)))
        shards = divide(grid, repetitions, count)
        expected = [
            repetition * len(grid) + index
            for repetition in range(repetitions)
            for index in grid.indices()
        ]
        assert sorted(each for shard in shards for each in shard) == expected
        assert divide(grid, repetitions, count) == shards

        steps = {index: count_steps(grid.permutation(index)) for index in grid.indices()}
        loads = [sum(steps[each % len(grid)] for each in shard) for shard in shards]
        even = repetitions * sum(steps.values()) / count
        assert all(abs(load - even) <= max(steps.values()) for load in loads)

        shape_of = Shapes(grid)
        pieces = {
            (place, shape_of(each % len(grid))) for place, s in enumerate(shards) for each in s
        }
        assert len(pieces) <= len({shape for _, shape in pieces}) + count - 1

    def test_the_order_of_training_does_not_matter(self, tmp_path):
        grid = make_grid(tmp_path, SPACE)
        begun = []
        for order in ("grid", "random"):
            options = options_for(tmp_path / order, shard=Shard(1, 2), order=order, repetitions=2)
            with rehearse(grid, options) as (_, agenda):
                begun.append([each for population in agenda.populations for each in population])
        assert begun[0] != begun[1] and sorted(begun[0]) == sorted(begun[1])

    def test_a_shard_is_named_by_its_number_and_their_number(self):
        assert parse_shard("2/3") == Shard(2, 3)
        assert shard_id("x", Shard(2, 3)) == "x.shard-2-of-3" and shard_id("x", None) == "x"

    @pytest.mark.parametrize("text", ["0/3", "4/3", "x", "", "3", "1/0", "-1/3", "1/3/5", "1.5/3"])
    def test_other_texts_are_refused(self, text):
        with pytest.raises(UserError, match="must be <i>/<n>, part i of n"):
            parse_shard(text)

    def test_more_shards_than_runs_are_refused(self, tmp_path):
        grid = make_grid(tmp_path, SPACE)
        with pytest.raises(UserError, match="has no runs, because the whole sweep has 6 runs"):
            run(grid, tmp_path / "out", shard=Shard(20, 20))
        assert not list((tmp_path / "out").rglob("*"))


class TestMerging:
    def test_shards_in_one_folder_are_the_whole_sweep(self, tmp_path, whole):
        grid, out = make_grid(tmp_path, SPACE), tmp_path / "out"
        counts = [len(records) for records in train(grid, out)]
        assert sum(counts) == 12 and max(counts) - min(counts) <= 1
        assert rows(out) == whole[1]
        found = merge([out], out, "a")
        assert (found.runs, found.finished, found.missing) == (12, 12, {})
        assert comparable(merged_records(out), out) == whole[0]
        assert rows(out) == whole[1]

    def test_shards_in_folders_of_their_own_are_the_whole_sweep(self, tmp_path, whole):
        grid, out = make_grid(tmp_path, SPACE), tmp_path / "out"
        folders = [tmp_path / str(shard.number) for shard in SHARDS]
        for shard, folder in zip(SHARDS, folders, strict=True):
            train(grid, folder, [shard])
        found = merge(folders, out, "a")
        assert (found.runs, found.finished, found.missing) == (12, 12, {})
        for folder in folders:
            shutil.rmtree(folder)
        assert comparable(merged_records(out), out) == whole[0]
        assert rows(out) == whole[1]
        names = {f"{index}_{repetition}" for index in range(6) for repetition in range(2)}
        assert {path.name for path in (out / "summaries" / "a").iterdir()} == names
        assert len(list((out / "configs" / "a").glob("*.yaml"))) == 6
        display = Display()
        assert comparable(run(grid, out, display, repetitions=2), out) == whole[0]
        assert not display.begun  # nothing is left to train

    def test_merging_twice_changes_nothing(self, tmp_path):
        grid, out = make_grid(tmp_path, SPACE), tmp_path / "out"
        train(grid, tmp_path / "parts")
        merge([tmp_path / "parts"], out, "a")
        before = files(out)
        times = {path: path.stat().st_mtime_ns for path in out.rglob("*.pt")}
        merge([tmp_path / "parts"], out, "a")
        after = files(out)
        journal = journal_path(out, "a")
        assert before.keys() == after.keys()
        assert all(before[path] == after[path] for path in before if path != journal)
        assert all(path.stat().st_mtime_ns == time for path, time in times.items())
        assert [len(merged_records(out)), len(_sessions(out))] == [12, 3]

    def test_an_incomplete_set_says_what_is_missing_and_is_completed_later(
        self, tmp_path, whole, monkeypatch
    ):
        grid, out, parts = make_grid(tmp_path, SPACE), tmp_path / "out", tmp_path / "parts"
        train(grid, parts, SHARDS[:1])

        def stop_soon(sweep, progress):
            if progress.update == 3:
                sweep.stop.request("enough")

        run(grid, parts, Display(stop_soon), shard=SHARDS[1], repetitions=2, together=2)
        found = merge([parts], out, "a")
        assert (found.runs, found.finished, found.absent) == (12, 4, [3])
        assert found.missing == {2: 4}
        assert len(rows(out)) == 5
        train(grid, parts, SHARDS[1:])
        assert merge([parts], out, "a").finished == 12
        assert comparable(merged_records(out), out) == whole[0]
        assert rows(out) == whole[1]

    def test_the_usual_command_trains_what_is_missing(self, tmp_path, whole):
        grid, out, parts = make_grid(tmp_path, SPACE), tmp_path / "out", tmp_path / "parts"
        train(grid, parts, SHARDS[:2])
        merge([parts], out, "a")
        display = Display()
        records = run(grid, out, display, repetitions=2, together=3)
        assert sum(map(len, display.begun)) == 4
        assert comparable(records, out) == whole[0] and rows(out) == whole[1]
        # A shard that is finished later changes nothing.
        train(grid, parts, SHARDS[2:])
        before = rows(out)
        merge([parts], out, "a")
        assert comparable(merged_records(out), out) == whole[0] and rows(out) == before

    def test_an_interrupted_run_resumes_from_its_merged_checkpoint(self, tmp_path, whole):
        grid, out, parts = make_grid(tmp_path, SPACE), tmp_path / "out", tmp_path / "parts"

        def stop_soon(sweep, progress):
            if progress.update == 3:
                sweep.stop.request("enough")

        run(grid, parts, Display(stop_soon), shard=SHARDS[0], repetitions=2, together=4)
        merge([parts], out, "a")
        display = Display()
        records = run(grid, out, display, repetitions=2, together=4)
        assert 4 in display.updates and display.updates[0] == 4
        assert comparable(records, out) == whole[0]

    def test_a_run_that_failed_is_replaced_once_it_is_finished(self, tmp_path, monkeypatch, whole):
        grid, out, parts = make_grid(tmp_path, SPACE), tmp_path / "out", tmp_path / "parts"
        with monkeypatch.context() as patch:
            fail(patch, 0.95, "broken")
            train(grid, parts, together=1)
        found = merge([parts], out, "a")
        assert (found.finished, sum(found.missing.values())) == (8, 4)
        assert Counter(record.state for record in merged_records(out))[RunState.FAILED] == 4
        train(grid, parts)
        assert merge([parts], out, "a").finished == 12
        assert comparable(merged_records(out), out) == whole[0]

    def test_more_updates_in_one_shard_leave_the_others_shorter(self, tmp_path):
        grid, out, parts = make_grid(tmp_path, SPACE), tmp_path / "out", tmp_path / "parts"
        train(grid, parts)
        longer = make_grid(tmp_path, SPACE, BASE.replace("updates: 6", "updates: 8"))
        train(longer, parts, SHARDS[:1])
        found = merge([parts], out, "a")
        assert found.finished == 4 and found.missing == {2: 4, 3: 4}
        assert Counter(record.state for record in merged_records(out))[RunState.SHORTER] == 8

    def test_a_shard_in_training_is_merged_later(self, tmp_path):
        grid, out, parts = make_grid(tmp_path, SPACE), tmp_path / "out", tmp_path / "parts"
        train(grid, parts)
        lock = SweepLock(lock_path(shard_files(parts, "a")[1]))
        try:
            found = merge([parts], out, "a")
            assert (found.finished, found.training, found.absent) == (8, [2], [])
        finally:
            lock.release()
        assert merge([parts], out, "a").finished == 12

    def test_other_run_ids_stay_in_the_table(self, tmp_path, whole):
        grid, out = make_grid(tmp_path, SPACE), tmp_path / "out"
        run(grid, out, run_id="0", repetitions=1)
        run(grid, out, run_id="b", repetitions=1)
        train(grid, out)
        merge([out], out, "a")
        found = rows(out)
        assert [row for row in found if row[0] == "a"] == whole[1][1:]
        assert [row[0] for row in found[1:]] == ["0"] * 6 + ["a"] * 12 + ["b"] * 6


class TestStatus:
    """`--status --merge=<folder>` shows all shards together, and writes nothing."""

    @pytest.fixture
    def printed(self, capsys):
        def lasting(folders):
            # TensorBoard's thread may still be writing events of a sweep that trains.
            return [files(folder, r"-(shm|wal)$|^events\.") for folder in folders]

        def show(*folders):
            before = lasting(folders)
            capsys.readouterr()
            assert show_shards(folders, "a") == 0
            assert lasting(folders) == before
            return capsys.readouterr().out.splitlines()

        return show

    def test_finished_shards_are_added_up_and_ranked(self, tmp_path, printed):
        grid, folders = make_grid(tmp_path, SPACE), [tmp_path / str(shard) for shard in "123"]
        for shard, folder in zip(SHARDS, folders, strict=True):
            train(grid, folder, [shard])
        lines = printed(*folders)
        assert lines[0] == "a: 12 finished of 12 runs"
        for number, line in enumerate(lines[1:4], 1):
            expected = (
                f"shard {number}/3 in {folders[number - 1]}: 4 finished of 4 runs; was trained"
            )
            assert line.startswith(expected)
        assert "... and 1 more; report.py shows them" in lines  # of six permutations
        assert not list(tmp_path.glob("*/*/merged*")) and not journal_path(tmp_path, "a").exists()

    def test_runs_in_training_failures_and_absent_shards_are_named(
        self, tmp_path, printed, monkeypatch
    ):
        grid, parts = make_grid(tmp_path, SPACE), tmp_path / "parts"
        with monkeypatch.context() as patch:
            fail(patch, 0.9, "broken")
            train(grid, parts, SHARDS[:1], together=1)
        seen = []

        def look(sweep, progress):
            if progress.update == 3:
                seen.append(printed(parts))

        run(grid, parts, Display(look), shard=SHARDS[1], repetitions=2, together=4)
        lines = seen[0]
        assert lines[0] == "a: 2 finished, 2 running, 6 waiting, 2 failed of 12 runs"
        assert (
            lines[1].startswith("shard 1/3 in") and ": 2 finished, 2 failed of 4 runs" in lines[1]
        )
        assert ": 2 running, 2 waiting of 4 runs; trained since" in lines[2]
        assert lines[3] == "shard 3/3: not in these folders; 4 runs"
        assert any("broken" in line for line in lines)
        assert sum(" steps, " in line for line in lines) == 2  # the runs in training

    def test_the_further_of_two_copies_of_a_shard_counts(self, tmp_path, printed):
        grid, parts = make_grid(tmp_path, SPACE), tmp_path / "parts"

        def stop_soon(sweep, progress):
            if progress.update == 3:
                sweep.stop.request("enough")

        run(grid, parts, Display(stop_soon), shard=SHARDS[0], repetitions=2, together=4)
        shutil.copytree(parts, tmp_path / "copy")
        train(grid, parts, SHARDS[:1])
        for folders in ((parts, tmp_path / "copy"), (tmp_path / "copy", parts)):
            assert printed(*folders)[0] == "a: 4 finished, 8 waiting of 12 runs"

    def test_shards_of_different_sweeps_are_refused(self, tmp_path):
        train(make_grid(tmp_path, SPACE), tmp_path / "1", SHARDS[:1])
        other = make_grid(tmp_path, SPACE.replace("0.95", "0.96"))
        train(other, tmp_path / "2", SHARDS[1:2])
        with pytest.raises(UserError, match=r"gamma: choices were 0.9, 0.95, 0.99, are 0"):
            show_shards([tmp_path / "1", tmp_path / "2"], "a")


def _sessions(out):
    with read_journal(out, "a") as journal:
        return journal.sessions()


class TestRefusals:
    @pytest.mark.parametrize(
        ("space", "base", "options", "named"),
        [
            (
                SPACE.replace("0.95", "0.96"),
                BASE,
                {},
                r"gamma: choices were 0.9, 0.95, 0.99, are 0",
            ),
            (
                SPACE.replace("epochs", "num_workers"),
                BASE,
                {},
                r"epochs: choices were 1, 2, are none",
            ),
            (SPACE + "exclude: [{gamma: 0.9}]\n", BASE, {}, "exclude, or --skip-invalid"),
            (SPACE, BASE.replace("size: 8", "size: 9"), {}, "model.hidden_layer_size: was 8, is 9"),
            (SPACE, BASE, {"seed": 4}, "--seed: was 0, is 4"),
            (SPACE, BASE, {"repetitions": 3}, "--num-repetitions: was 2, is 3"),
            (SPACE, BASE, {"shard": Shard(2, 2)}, "--shard: a number of shards: was 3, is 2"),
        ],
    )
    def test_shards_of_different_sweeps_are_told_apart_by_the_key(
        self, tmp_path, space, base, options, named
    ):
        train(make_grid(tmp_path, SPACE), tmp_path / "1", SHARDS[:1])
        train(make_grid(tmp_path, SPACE), tmp_path / "shared", SHARDS[:1])
        other = make_grid(tmp_path, space, base)
        options = {"shard": SHARDS[1], "repetitions": 2, **options}
        run(other, tmp_path / "2", **options)
        with pytest.raises(UserError, match=named) as raised:
            merge([tmp_path / "1", tmp_path / "2"], tmp_path / "out", "a")
        assert len(raised.value.lines) == 1
        assert not (tmp_path / "out").exists()
        before = files(tmp_path / "shared")
        # The table of results may be the first to have other keys.
        with pytest.raises(UserError, match=f"{named}|holds results for other tuned keys"):
            run(other, tmp_path / "shared", **options)
        assert files(tmp_path / "shared") == before

    def test_a_sweep_and_its_shards_are_not_trained_in_the_same_place(self, tmp_path):
        grid, out = make_grid(tmp_path, SPACE), tmp_path / "out"
        train(grid, out, SHARDS[:2])
        with pytest.raises(UserError, match="is a shard of this sweep; merge the shards first"):
            run(grid, out, repetitions=2)
        merge([out], out, "a")
        lock = SweepLock(lock_path(shard_files(out, "a")[0]))
        with pytest.raises(UserError, match="a shard of this sweep is being trained"):
            run(grid, out, repetitions=2)
        lock.release()
        lock = SweepLock(lock_path(journal_path(out, "a")))
        with pytest.raises(UserError, match="the whole sweep is being trained"):
            train(grid, out, SHARDS[2:])
        lock.release()
        train(grid, out, SHARDS[2:])

    def test_a_shard_does_not_write_the_files_of_a_grown_sweep(self, tmp_path):
        out = tmp_path / "out"
        run(make_grid(tmp_path, SPACE), out, repetitions=2)
        grown = make_grid(tmp_path, SPACE.replace("[0.9,", "[0.8, 0.9,"))
        run(grown, out, repetitions=2)
        before = files(out)
        with pytest.raises(UserError, match=r"a.sqlite: holds another grid than --shard=1/3"):
            train(grown, out, SHARDS[:1])
        assert files(out) == before

    def test_a_folder_of_another_sweep_is_not_merged_into(self, tmp_path):
        train(make_grid(tmp_path, SPACE), tmp_path / "parts", SHARDS)
        run(make_grid(tmp_path, SPACE), tmp_path / "out", seed=7, repetitions=1)
        before = files(tmp_path / "out")
        with pytest.raises(UserError, match="--seed: was 7, is 0; choose another --out"):
            merge([tmp_path / "parts"], tmp_path / "out", "a")
        assert files(tmp_path / "out") == before

    def test_overwriting_a_shard_leaves_the_others(self, tmp_path, whole):
        grid, out = make_grid(tmp_path, SPACE), tmp_path / "out"
        train(grid, out)
        first, others = shard_files(out, "a")[0], shard_files(out, "a")[1:]
        kept = [path.read_bytes() for path in others]
        display = Display()
        run(grid, out, display, overwrite=True, shard=SHARDS[0], repetitions=2)
        assert sum(map(len, display.begun)) == 4 and first.exists()
        assert [path.read_bytes() for path in others] == kept
        merge([out], out, "a")
        assert comparable(merged_records(out), out) == whole[0]

    def test_overwriting_the_whole_removes_its_shards(self, tmp_path, whole):
        grid, out = make_grid(tmp_path, SPACE), tmp_path / "out"
        train(grid, out, SHARDS[:2])
        records = run(grid, out, overwrite=True, repetitions=2)
        assert comparable(records, out) == whole[0]
        assert not shard_files(out, "a") and not list(out.glob("*.json"))

    def test_a_damaged_division_is_one_line(self, tmp_path):
        grid, out = make_grid(tmp_path, SPACE), tmp_path / "out"
        train(grid, out, SHARDS[:1])
        for text in ("{", "[]", "{}"):
            (out / "a.shards.json").write_text(text)
            with pytest.raises(UserError, match=r"a\.shards\.json: is damaged"):
                train(grid, out, SHARDS[1:2])


def test_a_shard_has_as_many_jobs_as_its_part_needs(tmp_path):
    from sweeps.planning.jobs import share_out

    grid = make_grid(tmp_path, SPACE, BASE.replace("updates: 6", "updates: 1000"))
    options = options_for(tmp_path, repetitions=10)
    part = replace(options, shard=Shard(1, 1000))
    assert share_out(grid, part, None, None).jobs == 1 <= share_out(grid, options, None, None).jobs
