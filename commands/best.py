"""Writes the best agent of a sweep into `<out>/best/`."""

from __future__ import annotations

import filecmp
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from ppo.run.checkpoint import load_checkpoint
from reports.answer import Answer
from reports.words import sentences
from schema.yaml_file import dump_yaml, replace_file
from sweeps.journal.runs import RunRecord

VIDEO = "episode.mp4"
_ENJOY = Path(__file__).resolve().parents[1] / "enjoy.py"
_SECONDS_TO_FILM = 120


def write_best(answer: Answer, film: bool) -> Path | None:
    """Write the best agent's config, checkpoint and numbers, and a video of an episode.

    Args:
        answer: the sweep's answer.
        film: whether to make the video, which takes some seconds.

    Returns:
        The folder; None if there is no agent yet.
    """
    run = answer.best_run
    if run is None or not run.checkpoint:
        return None
    out = answer.outcome.out
    source, folder = out / run.checkpoint, out / "best"
    if not source.is_file():
        return None
    folder.mkdir(parents=True, exist_ok=True)
    if not _is_copy(source, folder / "model.pt"):
        (folder / VIDEO).unlink(missing_ok=True)
    with replace_file(folder / "model.pt", "wb") as file, source.open("rb") as original:
        shutil.copyfileobj(original, file)
    with replace_file(folder / "config.yaml") as file:
        file.write(dump_yaml(load_checkpoint(source).config))
    problem = _film(folder) if film else ""
    with replace_file(folder / "README.md") as file:
        file.write(_readme(answer, run, folder, problem))
    return folder


def _is_copy(source: Path, path: Path) -> bool:
    return path.is_file() and filecmp.cmp(source, path, shallow=False)


def _film(folder: Path) -> str:
    """Make the video and return the reason if that fails, else "".

    A process of its own makes it, so that no window system or environment can harm this one.
    """
    command = [
        *(sys.executable, str(_ENJOY), f"--checkpoint={folder / 'model.pt'}"),
        *(f"--video={folder / VIDEO}", "--device=cpu"),
    ]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_SECONDS_TO_FILM, check=False
        )
    except subprocess.TimeoutExpired:
        return f"no video was made within {_SECONDS_TO_FILM} s"
    if done.returncode == 0:
        return ""
    lines = done.stderr.strip().splitlines()
    return f"no video could be made: {lines[-1] if lines else 'enjoy.py failed'}"


def _readme(answer: Answer, best: RunRecord, folder: Path, problem: str) -> str:
    reached = f"return {best.final_return:.6g} after {best.steps:,} environment steps"
    choices = "".join(f"| {key} | {value} |\n" for key, value in best.run.choices.items())
    video = f"`{VIDEO}` is one of its episodes.\n" if (folder / VIDEO).exists() else problem
    numbers = "\n".join(f"- {sentence}" for sentence in sentences(answer))
    return f"""# The best agent of {answer.outcome.run_id}

Run {best.name}, seed {best.run.seed}: {reached}.
{video}

| key | value |
| --- | ---: |
{choices}
{numbers}

Show it, evaluate it, and train it again:

```sh
{_commands(folder, best.run.seed)}
```
"""


def _commands(folder: Path, seed: int) -> str:
    """Return the commands, a line each, which work from any folder."""
    checkpoint, config = f"--checkpoint={folder / 'model.pt'}", f"--config={folder / 'config.yaml'}"
    commands = [
        ["cd", str(_ENJOY.parent)],
        ["python", "enjoy.py", checkpoint, f"--video={VIDEO}"],
        ["python", "eval.py", checkpoint],
        ["python", "train.py", config, f"--seed={seed}", "--run-id=best"],
    ]
    return "\n".join(map(shlex.join, commands))
