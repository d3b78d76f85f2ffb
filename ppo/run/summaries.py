"""TensorBoard summaries of one run.

Tags are `group/name`, the same for every run, so that the runs of a grid overlay in one chart. The
x-axis counts environment steps, so that runs with rollouts of different sizes are comparable.
"""

from __future__ import annotations

import os
import time
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.plugins.hparams import summary_v2 as hp
from tensorboard.plugins.text.metadata import create_summary_metadata
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from schema.yaml_file import dump_yaml

_EVENT_FILES = "events.out.tfevents.*"
_CHECKSUM = 4  # bytes

# By what runs are compared: tags, and what the columns are called.
METRICS = {
    "episode/return_mean": "return of training episodes",
    "evaluation/return_mean": "return of evaluation",
    "policy/entropy": "entropy",
    "value/explained_variance": "explained variance",
}


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
        self._events: dict[tuple[str, ...], Event] = {}
        if resumed_at is not None:
            # A TensorBoard that has read the dropped points already forgets them by this.
            start = SessionLog(status=SessionLog.START)
            event = Event(wall_time=time.time(), step=resumed_at + 1, session_log=start)
            self._writer.add_event(event)

    def add_scalars(self, scalars: Mapping[str, float], step: int) -> None:
        """Writes scalars by tag at an environment step."""
        tags = tuple(scalars)
        event = self._events.get(tags)
        if event is None:
            # Kept, as making one takes most of the time.
            summary = Summary(value=[Summary.Value(tag=tag) for tag in tags])
            event = self._events[tags] = Event(summary=summary)
        for slot, value in zip(event.summary.value, scalars.values(), strict=True):
            slot.simple_value = value
        event.wall_time, event.step = time.time(), step
        self._writer.add_event(event)

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

    def add_hyperparameters(self, values: Mapping[str, str | float], step: int) -> None:
        """Writes tuned values for TensorBoard's HParams plugin, which compares runs by them.

        What it shows beside them are the latest values of the scalars in `METRICS`.
        """
        parameters = {key: hp.HParam(key) for key in values}
        metrics = [hp.Metric(tag, display_name=name) for tag, name in METRICS.items()]
        self._add(hp.hparams_config_pb(list(parameters.values()), metrics), step)
        self._add(hp.hparams_pb({parameters[key]: value for key, value in values.items()}), step)

    def _add(self, summary: Summary, step: int) -> None:
        self._writer.add_event(Event(wall_time=time.time(), step=step, summary=summary))

    def flush(self) -> None:
        """Writes what is left to the disk."""
        self._writer.flush()

    def close(self, failed: bool = False) -> None:
        """Writes what is left and ends the thread; failures are written elsewhere."""
        self._writer.close()


def _drop_events_after(path: Path, step: int) -> None:
    """Cuts an event file off where later steps begin; one without any other summary is removed.

    What a killed training wrote in part, at the file's end, is dropped as well. Events are in the order
    of their steps, so that few of them are read, however long the training was.
    """
    data = path.read_bytes()
    records = list(_records(data))

    def event(record: tuple[int, int]) -> Event:
        begin, end = record
        return Event.FromString(data[begin:end])

    kept = records[: bisect_right(records, step, key=lambda record: event(record).step)]
    if any(event(record).HasField("summary") for record in kept):
        os.truncate(path, kept[-1][1] + _CHECKSUM)
    else:
        path.unlink()


def _records(data: bytes) -> Iterator[tuple[int, int]]:
    """Where each event begins and ends in a file of TFRecords.

    A record is the length as eight bytes and a checksum, then the event and a checksum
    (https://www.tensorflow.org/tutorials/load_data/tfrecord).
    """
    end = -_CHECKSUM
    while (begin := end + _CHECKSUM + 8 + _CHECKSUM) <= len(data):
        end = begin + int.from_bytes(data[begin - 12 : begin - 4], "little")
        if end + _CHECKSUM > len(data):
            return
        yield begin, end


def episode_scalars(episodes: Iterable[Mapping[str, float]], group: str) -> dict[str, float]:
    """Mean, least and greatest of everything that episodes report, as `group/name_mean` and so on."""
    gathered: dict[str, list[float]] = {}
    for episode in episodes:
        for name, value in episode.items():
            gathered.setdefault(name, []).append(value)
    scalars = {}
    for name, values in gathered.items():
        scalars[f"{group}/{name}_mean"] = fmean(values)
        scalars[f"{group}/{name}_min"] = min(values)
        scalars[f"{group}/{name}_max"] = max(values)
    return scalars
