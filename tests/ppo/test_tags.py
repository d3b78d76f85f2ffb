"""Compares the tags that a training writes with the table of tags in docs/commands.md."""

import re
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ppo.run.member import Run
from tests.examples import ON_CPU, tiny_config
from trainer import PPOTrainer

PAGE = Path(__file__).resolve().parents[2] / "docs" / "commands.md"
ENDINGS = ("mean", "min", "max")
# Written only if an environment crashed.
RARE = {"episode/crashes"}


def documented():
    """Return the tags in the table; a cell has its first tag in full, and the endings of the others."""
    tags, first = set(), ""
    table = PAGE.read_text(encoding="utf-8").partition("| tag | meaning |")[2]
    for cell in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE):
        for tag in re.findall(r"`([^`]+)`", cell):
            if tag.startswith("_"):
                tags.add(first.rpartition("_")[0] + tag)
            elif tag.startswith("/"):
                tags.add(first.partition("/")[0] + tag)
            else:
                first = tag
                tags.add(tag)
        if cell.endswith(", ..."):
            tags |= {tag.replace("episode/", "evaluation/") for tag in tags if "episode/" in tag}
    return tags - RARE - {tag.replace("episode/", "evaluation/") for tag in RARE}


def test_documented_and_written_tags_are_the_same(tmp_path):
    config = tiny_config(
        environment={"type": "Minigrid", "name": "MiniGrid-Empty-5x5-v0", "backend": "gymnasium"},
        evaluation={"evaluate": True, "interval": 1, "num_workers": 2, "seeds": {"num-seeds": 2}},
        trainer={"worker_steps": 128, "updates": 2},
    )
    with PPOTrainer([Run(config, 0, tmp_path)], ON_CPU) as trainer:
        trainer.run()
    written = set(EventAccumulator(str(tmp_path)).Reload().Tags()["scalars"])
    reported = {
        f"{group}/{name}_{ending}"
        for group in ("episode", "evaluation")
        for name in ("return", "length", "success")
        for ending in ENDINGS
    }
    assert reported <= written
    assert {tag.replace("success", "NAME") for tag in written} == documented()
