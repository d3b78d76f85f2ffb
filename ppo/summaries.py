"""TensorBoard summaries of one run.

Tags are `group/name`, the same for every run, so that the runs of a grid overlay in one chart. The
x-axis counts environment steps, so that runs with rollouts of different sizes are comparable.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.plugins.text.metadata import create_summary_metadata
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from schema.yaml_file import dump_yaml


class SummaryWriter:
    """Writes one event with all scalars of an update, from a thread of its own.

    Args:
        folder: where the event file is written.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._writer = EventFileWriter(str(folder))

    def add_scalars(self, scalars: Mapping[str, float], step: int) -> None:
        """Writes scalars by tag at an environment step."""
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items()]
        self._add(Summary(value=values), step)

    def add_config(self, config: dict[str, Any]) -> None:
        """Writes a config as text, which TensorBoard shows as a code block."""
        text = f"```\n{dump_yaml(config)}```"
        tensor = TensorProto(
            dtype="DT_STRING",
            string_val=[text.encode()],
            tensor_shape=TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)]),
        )
        metadata = create_summary_metadata(display_name="config", description="")
        value = Summary.Value(tag="config", metadata=metadata, tensor=tensor)
        self._add(Summary(value=[value]), 0)

    def _add(self, summary: Summary, step: int) -> None:
        self._writer.add_event(Event(wall_time=time.time(), step=step, summary=summary))

    def close(self) -> None:
        """Writes what is left and ends the thread."""
        self._writer.close()


def episode_scalars(episodes: Iterable[Mapping[str, float]], group: str) -> dict[str, float]:
    """Mean, least and greatest of everything that episodes report, as `group/name_mean` and so on."""
    gathered: dict[str, list[float]] = {}
    for episode in episodes:
        for name, value in episode.items():
            gathered.setdefault(name, []).append(value)
    scalars = {}
    for name, values in gathered.items():
        scalars[f"{group}/{name}_mean"] = float(np.mean(values))
        scalars[f"{group}/{name}_min"] = min(values)
        scalars[f"{group}/{name}_max"] = max(values)
    return scalars
