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
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.plugins.text.metadata import create_summary_metadata
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from tensorboard.summary.writer.record_writer import RecordWriter

from schema.yaml_file import dump_yaml, replace_file

_EVENT_FILES = "events.out.tfevents.*"


class SummaryWriter:
    """Writes one event with all scalars of an update, from a thread of its own.

    Args:
        folder: where the event file is written.
        resumed_at: the environment step at which an earlier training in that folder goes on; what it
            wrote of later steps is dropped, since it will be written again. None keeps everything.
    """

    def __init__(self, folder: Path, resumed_at: int | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        if resumed_at is not None:
            for path in folder.glob(_EVENT_FILES):
                _drop_events_after(path, resumed_at)
        self._writer = EventFileWriter(str(folder))
        if resumed_at is not None:
            # A TensorBoard that has read the dropped points already forgets them by this.
            start = SessionLog(status=SessionLog.START)
            event = Event(wall_time=time.time(), step=resumed_at + 1, session_log=start)
            self._writer.add_event(event)

    def add_scalars(self, scalars: Mapping[str, float], step: int) -> None:
        """Writes scalars by tag at an environment step."""
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items()]
        self._add(Summary(value=values), step)

    def add_config(self, config: dict[str, Any], step: int) -> None:
        """Writes a config as text, which TensorBoard shows as a code block, at an environment step."""
        text = f"```\n{dump_yaml(config)}```"
        tensor = TensorProto(
            dtype="DT_STRING",
            string_val=[text.encode()],
            tensor_shape=TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)]),
        )
        metadata = create_summary_metadata(display_name="config", description="")
        value = Summary.Value(tag="config", metadata=metadata, tensor=tensor)
        self._add(Summary(value=[value]), step)

    def _add(self, summary: Summary, step: int) -> None:
        self._writer.add_event(Event(wall_time=time.time(), step=step, summary=summary))

    def flush(self) -> None:
        """Writes what is left to the disk."""
        self._writer.flush()

    def close(self) -> None:
        """Writes what is left and ends the thread."""
        self._writer.close()


def _drop_events_after(path: Path, step: int) -> None:
    """Rewrites an event file without the events of later steps; one without any other is removed.

    What a killed training wrote in part, at the file's end, is dropped as well.
    """
    events = [Event.FromString(data) for data in RawEventFileLoader(str(path)).Load()]
    kept = [event for event in events if event.step <= step]
    if not any(event.HasField("summary") for event in kept):
        path.unlink()
        return
    with replace_file(path, "wb") as file:
        records = RecordWriter(file)
        for event in kept:
            records.write(event.SerializeToString())


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
