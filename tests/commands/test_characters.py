"""Output in encodings that lack characters, and on screens without a width."""

import io
import subprocess
import sys

import pytest

from commands.terminal.characters import print_any_character
from commands.terminal.console import make_console
from tests.e2e.commands import ROOT, run, write_tiny


@pytest.mark.parametrize(
    ("encoding", "text", "printed"),
    [
        ("ascii", "return 1 ± 2 – done…", b"return 1 +- 2 - done..."),
        ("ascii", "▁█▄· ü", b"184. ?"),
        ("latin-1", "1 ± 2 – ü", b"1 \xb1 2 - \xfc"),
        ("utf-8", "1 ± 2 – ü ▁", "1 ± 2 – ü ▁".encode()),
        ("utf-8", "o\udcff \ud800", b"o\xff ?"),
        ("ascii", "o\udcff", b"o\xff"),
    ],
)
def test_what_an_encoding_lacks_has_a_substitute(monkeypatch, encoding, text, printed):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding))
    print_any_character()
    print(text, end="", flush=True)
    assert written.getvalue() == printed


@pytest.mark.parametrize(
    ("columns", "width"), [("0", 240), ("", 240), ("x", 240), (None, 240), ("77", 77)]
)
def test_a_width_of_zero_counts_as_unset(monkeypatch, columns, width):
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns is not None:
        monkeypatch.setenv("COLUMNS", columns)
    assert make_console().width == width


@pytest.mark.parametrize("columns", ["0", "60"])
def test_a_terminal_without_a_size_still_shows_text(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("LINES", "0")
    monkeypatch.setenv("FORCE_COLOR", "1")
    written = io.StringIO()
    monkeypatch.setattr(sys, "stdout", written)
    make_console().print("text")
    assert "text" in written.getvalue()


def test_all_commands_print_in_ascii(tmp_path):
    ascii_only = {"PYTHONIOENCODING": "ascii", "COLUMNS": "0"}

    def printed(command, *options):
        done = run(command, *options, cwd=tmp_path, more_environment=ascii_only)
        assert done.returncode == 0 and done.stdout.isascii() and done.stderr.isascii(), done
        return done.stdout

    options = [*write_tiny(tmp_path), "--out=o"]
    assert "+-" in printed("tune", *options)
    assert "+-" in printed("tune", "--status", "--out=o")
    assert "+-" in printed("report", "--out=o", "--page")
    assert "+-" in printed("eval", "--checkpoint=o/best/model.pt")
    assert "+-" in printed("train", "--config=base.yaml", "--out=t")
    assert "return" in printed("enjoy", "--checkpoint=o/best/model.pt", "--video=v.gif")


def test_a_folder_whose_name_is_no_text_gives_one_line(tmp_path):
    write_tiny(tmp_path)
    done = subprocess.run(
        [sys.executable, str(ROOT / "train.py"), "--config=base.yaml", b"--out=o\xff"],
        cwd=tmp_path,
        capture_output=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == (b"error: --out=o\xff: must be a path in UTF-8; rename it\n")


def test_a_training_within_a_folder_whose_name_is_no_text_gives_one_line(tmp_path):
    folder = tmp_path / "o\udcff"
    folder.mkdir()
    write_tiny(folder)
    done = subprocess.run(
        [sys.executable, str(ROOT / "train.py"), f"--config={ROOT}/configs/cartpole.yaml"],
        cwd=folder,
        capture_output=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(b"error: --out=")
    assert b"which must be a path in UTF-8; rename it, or give an absolute path" in done.stderr
    assert done.stderr.count(b"\n") == 1
