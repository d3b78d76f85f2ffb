"""Writes TensorBoard summaries of a run.

All runs have the same tags, `group/name`, so that the runs of a grid overlay in one chart. The x-axis
counts environment steps, so that runs with rollouts of different sizes are comparable.
"""

from __future__ import annotations

import math
import os
import threading
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

from schema.os_errors import naming
from schema.yaml_file import dump_yaml

_EVENT_FILES = "events.out.tfevents.*"
_CHECKSUM = 4  # bytes

# Tags of the scalars by which TensorBoard compares runs, and the titles of their columns.
# Each run has all of them: parallel coordinates leave out runs that lack one.
FINAL_RETURN = "run/final_return"
METRICS = {
    FINAL_RETURN: "final return",
    "episode/return_mean": "return in the last update",
    "policy/entropy": "entropy",
    "value/explained_variance": "explained variance",
}

# Tags of the scalars that describe a run beside its return, as do the means that environments report of
# their episodes.
_DIAGNOSTICS = (
    "policy/entropy",
    "policy/kl_divergence",
    "policy/clip_fraction",
    "value/explained_variance",
    "loss/value",
)


_print_error = threading.excepthook


def _print_unless_raised(error: threading.ExceptHookArgs) -> None:
    """Print an error that ended a thread, unless the next call of TensorBoard's writer raises it."""
    if type(error.thread).__module__ != EventFileWriter.__module__:
        _print_error(error)


threading.excepthook = _print_unless_raised


class SummaryWriter:
    """Writes one event with all scalars of an update, from a background thread.

    Args:
        folder: folder of the event file.
        resumed_at: the environment step from which a training in that folder is resumed; events of
            later steps are dropped, as they will be written again. None keeps everything.
        trial: the name of the run's tuned values in TensorBoard's HParams, which shows the means of runs
            with the same name; None stands for a hash of the values.

    Raises:
        OSError: events can't be written, as in all methods; the error names the folder or a file in it.
            Since the thread writes, the method that raises may be a later one.
    """

    def __init__(
        self, folder: Path, resumed_at: int | None = None, trial: str | None = None
    ) -> None:
        self._trial = trial
        self._folder = folder
        with naming(folder):
            folder.mkdir(parents=True, exist_ok=True)
            if resumed_at is not None:
                for path in folder.glob(_EVENT_FILES):
                    _drop_events_after(path, resumed_at)
            self._writer = EventFileWriter(str(folder))
        self._events: dict[tuple[str, ...], Event] = {}
        if resumed_at is not None:
            # Makes a TensorBoard that has already read the dropped points forget them.
            start = SessionLog(status=SessionLog.START)
            self._add(Event(wall_time=time.time(), step=resumed_at + 1, session_log=start))

    def add_scalars(self, scalars: Mapping[str, float], step: int) -> None:
        """Write scalars by tag at an environment step."""
        tags = tuple(scalars)
        event = self._events.get(tags)
        if event is None:
            # Reused, as creating events takes most of the time.
            summary = Summary(value=[Summary.Value(tag=tag) for tag in tags])
            event = self._events[tags] = Event(summary=summary)
        for slot, value in zip(event.summary.value, scalars.values(), strict=True):
            slot.simple_value = value
        event.wall_time, event.step = time.time(), step
        self._add(event)

    def add_config(self, config: dict[str, Any], step: int) -> None:
        """Write a config at an environment step, as text that TensorBoard shows as a code block."""
        text = f"```\n{dump_yaml(config)}```"
        tensor = TensorProto(
            dtype="DT_STRING",
            string_val=[text.encode()],
            tensor_shape=TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)]),
        )
        metadata = create_summary_metadata(display_name="config", description="")
        value = Summary.Value(tag="config", metadata=metadata, tensor=tensor)
        self._add_summary(Summary(value=[value]), step)

    def add_hyperparameters(self, values: Mapping[str, str | float], step: int) -> None:
        """Write tuned values for TensorBoard's HParams plugin, which compares runs by them.

        Beside them the plugin shows the latest values of the scalars in `METRICS`.
        """
        parameters = {key: hp.HParam(key) for key in values}
        metrics = [hp.Metric(tag, display_name=name) for tag, name in METRICS.items()]
        self._add_summary(hp.hparams_config_pb(list(parameters.values()), metrics), step)
        chosen = {parameters[key]: value for key, value in values.items()}
        self._add_summary(hp.hparams_pb(chosen, trial_id=self._trial), step)

    def _add_summary(self, summary: Summary, step: int) -> None:
        self._add(Event(wall_time=time.time(), step=step, summary=summary))

    def _add(self, event: Event) -> None:
        with naming(self._folder):
            self._writer.add_event(event)

    def flush(self) -> None:
        """Write all buffered events to the disk."""
        with naming(self._folder):
            self._writer.flush()

    def close(self, failed: bool = False) -> None:
        """Write all buffered events and stop the thread; `failed` changes nothing."""
        with naming(self._folder):
            self._writer.close()


def _drop_events_after(path: Path, step: int) -> None:
    """Truncate an event file after a step, or delete the file if no summary is left.

    This also drops an incomplete event at the file's end, which a killed training leaves. Events are
    ordered by step, so a binary search reads only a few of them.
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
    """Yield the first byte and the end of each event in a file of TFRecords.

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
    """Return the mean, minimum and maximum of each statistic of episodes, by tag.

    Values that aren't finite, such as a ratio that isn't defined, are left out.

    Args:
        episodes: each episode's statistics by name.
        group: the first part of the tags `group/name_mean`, `group/name_min` and `group/name_max`.
    """
    gathered: dict[str, list[float]] = {}
    for episode in episodes:
        for name, value in episode.items():
            if math.isfinite(value):
                gathered.setdefault(name, []).append(value)
    scalars = {}
    for name, values in gathered.items():
        scalars[f"{group}/{name}_mean"] = _mean(values)
        scalars[f"{group}/{name}_min"] = min(values)
        scalars[f"{group}/{name}_max"] = max(values)
    return scalars


def diagnostics_of(scalars: Mapping[str, float]) -> dict[str, float]:
    """Return the scalars that describe a run beside its return, by tag; they may be compared.

    These are the means of what episodes report, such as their length, and what tells whether the policy
    and the values learn.
    """
    episodes = (tag for tag in scalars if tag.startswith("episode/") and tag.endswith("_mean"))
    tags = [*(tag for tag in episodes if tag != "episode/return_mean"), *_DIAGNOSTICS]
    return {tag: scalars[tag] for tag in tags if math.isfinite(scalars.get(tag, math.nan))}


def _mean(values: list[float]) -> float:
    """Return the mean of finite values, also where their sum exceeds the greatest float."""
    try:
        return fmean(values)
    except OverflowError:
        return sum(value / len(values) for value in values)
