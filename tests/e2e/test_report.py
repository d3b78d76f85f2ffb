"""`report.py`, and the files that `tune.py` writes at the end of a sweep."""

import csv
import json
import signal
import subprocess
import sys
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
import torch

from tests.e2e.commands import ROOT, fail, succeed, write_tiny

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A folder with a sweep and its confirmed leader, and the printed text."""
    folder = tmp_path_factory.mktemp("swept")
    options = write_tiny(folder)
    printed = succeed(
        *("tune", *options, "--num-repetitions=2", "--together=4", "--confirm=1x2", "--out=o"),
        cwd=folder,
    )
    return folder, printed


def test_a_sweep_ends_with_its_answer(swept):
    folder, printed = swept
    assert "leads the 4 permutations: return" in printed
    assert "95 % interval" in printed and "confirmed" in printed
    assert "Training 1 leader again on fresh seeds" in printed
    assert "Trained again on fresh seeds it reached" in printed
    table = succeed("report", "--out=o", cwd=folder)
    # tune.py printed the same answer after it had trained the leader again.
    assert table.split("best agent:")[0] in printed


def test_no_run_of_the_sweep_uses_a_fresh_seed(swept):
    folder, _ = swept
    with (folder / "o" / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    seeds = {
        run_id: {int(row["seed"]) for row in rows if row["run_id"] == run_id}
        for run_id in ("default", "default-confirmed")
    }
    assert seeds == {"default": {0, 1}, "default-confirmed": {1_000_000, 1_000_001}}


def test_the_best_agent_can_be_trained_again_and_played(swept):
    folder, _ = swept
    best = folder / "o" / "best"
    readme = (best / "README.md").read_text(encoding="utf-8")
    (line,) = (line for line in readme.splitlines() if line.startswith("python train.py"))
    succeed("train", *line.split()[2:], "--out=again", cwd=folder)
    (again,) = (folder / "again" / "checkpoints" / "best").glob("update_000004.pt")
    found, expected = (
        torch.load(path, weights_only=True)["weights"] for path in (again, best / "model.pt")
    )
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert "Evaluation of o/best" in succeed("eval", "--checkpoint=o/best/model.pt", cwd=folder)


def test_tables_are_written_in_each_format(swept):
    folder, _ = swept
    rows = json.loads(succeed("report", "--out=o", "--format=json", cwd=folder))
    assert [row["rank"] for row in rows] == [1, 2, 3, 4]
    succeed("report", "--out=o", "--format=csv", "--to=t.csv", "--where=gamma=0.9", cwd=folder)
    with (folder / "t.csv").open() as file:
        assert {row["gamma"] for row in csv.DictReader(file)} == {"0.9"}
    assert succeed("report", "--out=o", "--to=t.txt", cwd=folder) == ""
    assert "leads the 4 permutations" in (folder / "t.txt").read_text(encoding="utf-8")


def test_the_next_grid_can_be_trained(swept):
    folder, _ = swept
    succeed("report", "--out=o", "--suggest=next.yaml", cwd=folder)
    shown = succeed("tune", "--config=base.yaml", "--tune=next.yaml", "--dry-run", cwd=folder)
    assert "permutations" in shown


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--out=nothing"], "nothing/default.sqlite: no such sweep here"),
        (["--metric=speed"], "--metric=speed: must be one of final, best, area, steps, time"),
        (["--metric=steps"], "--metric=steps: needs --threshold=<return>"),
        (["--threshold=high"], "--threshold=high: must be a number"),
        (["--format=excel"], "--format=excel: must be one of text, csv, json, markdown, latex"),
        (["--watch=70000"], "--watch=70000: must be a port from 0 (any free port) to 65535"),
        (["--top=0"], "--top=0: must be a whole number of at least 1"),
        (["--where=gamma=0.5"], "--where=gamma=0.5: gamma has the choices 0.9, 0.99"),
    ],
)
def test_wrong_options_give_one_line(swept, options, told):
    folder, _ = swept
    if "--out=nothing" not in options:
        options = ["--out=o", *options]
    assert fail("report", *options, cwd=folder) == [told]


def test_pages_and_figures_are_written(swept):
    folder, printed = swept
    assert "page: o/default.html" in printed
    before = (folder / "o" / "default.html").read_text(encoding="utf-8")
    (folder / "o" / "default.html").unlink()
    succeed("report", "--out=o", "--page", "--plots=p", cwd=folder)
    assert "leads the 4 permutations: return" in before
    assert (folder / "o" / "default.html").read_text(encoding="utf-8") == before
    assert {path.suffix for path in (folder / "p").iterdir()} == {".png", ".svg", ".pdf"}


def test_a_page_is_served_until_ctrl_c(swept):
    folder, _ = swept
    child = subprocess.Popen(
        [sys.executable, str(ROOT / "report.py"), "--out=o", "--watch=0"],
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
    )
    address = child.stdout.readline().split()[0]
    with urlopen(address, timeout=30) as answered:
        text = answered.read().decode()
    assert "leads the 4 permutations: return" in text and 'data-refresh="' not in text
    with pytest.raises(HTTPError, match="404"):
        urlopen(f"{address}other", timeout=30)
    child.send_signal(signal.SIGINT)
    assert child.wait(timeout=30) == 0
    child.stdout.close()


def test_a_quiet_sweep_prints_its_answer_only(swept):
    folder, printed = swept
    options = ["--config=base.yaml", "--tune=space.yaml", "--num-repetitions=2"]
    quiet = succeed("tune", *options, "--together=4", "--out=quiet", "--quiet", cwd=folder)
    assert quiet.lstrip().startswith("Permutations by mean return")
    assert "leads the 4 permutations: return" in quiet and "[1/8]" in printed


def test_a_wrong_number_of_leaders_gives_one_line(swept):
    folder, _ = swept
    told = "--confirm=three: must be a number of leaders, such as 3, or 3x10"
    assert fail("tune", "--confirm=three", cwd=folder) == [told]
