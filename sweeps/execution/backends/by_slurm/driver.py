"""Submits job arrays to Slurm, and follows their elements."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from schema.errors import UserError
from schema.os_errors import describe
from sweeps.execution.backends.by_slurm import queue
from sweeps.execution.backends.by_slurm.array import (
    NO_FOLDER,
    SCRIPT,
    Element,
    JobArray,
    find_arrays,
    remove_half_written,
)
from sweeps.execution.backends.by_slurm.held import Held, RunKey, key_of
from sweeps.execution.backends.by_slurm.options import SlurmOptions
from sweeps.execution.backends.local import Observer, Population, Queue
from sweeps.execution.backends.losses import Losses, abandon
from sweeps.execution.backends.messages import Inbox, tells_an_end
from sweeps.execution.stop import Stop
from sweeps.execution.versions import describe_difference, versions
from sweeps.execution.worker import WorkerOptions, part
from sweeps.planning.populations import PlannedRun

_SECONDS_PER_LOOK = 0.5
_SECONDS_PER_FILE = 0.01  # so that many jobs don't burden a network disk
# Each look at the queue asks Slurm's controller, which serves the whole cluster.
_SECONDS_PER_QUEUE = 5.0


class SlurmBackend:
    """A sweep backend that trains each population in an element of a job array.

    Args:
        options: the options of the arrays.
        folder: the folder of the sweep's arrays, which the nodes see, too.
    """

    def __init__(self, options: SlurmOptions, folder: Path) -> None:
        self._options = options
        self._folder = folder

    def __call__(
        self,
        populations: Iterable[Population],
        options: Sequence[WorkerOptions],
        observer: Observer,
        stop: Stop,
    ) -> None:
        """Train populations until done or stopped; jobs go on if the user interrupts the driver."""
        _Session(self._options, self._folder, populations, options[0], observer, stop).run()


class _Job:
    """An element in the queue.

    Attributes:
        element: the element.
        inbox: receives its messages.
        position: bytes of its messages received so far.
    """

    def __init__(self, element: Element, inbox: Inbox) -> None:
        self.element = element
        self.inbox = inbox
        self.position = 0

    @property
    def key(self) -> tuple[str, int]:
        """The array's name and the element's number."""
        return self.element.array.name, self.element.number

    def receive(self) -> None:
        """Pass on the messages that have come.

        Raises:
            UserError: the node refuses to train.
            ValueError: the messages aren't a node's.
            OSError: the folder can't be read or written.
        """
        for line, end in self.element.lines(self.position):
            self.position = end
            self.inbox.receive(line)
            if tells_an_end(line):
                # After the journal has recorded it: a driver that comes back goes on from here.
                self.element.note_read(self.position)


class _Session:
    """One agenda: the populations that wait, and the elements in the queue."""

    def __init__(
        self,
        slurm: SlurmOptions,
        folder: Path,
        populations: Iterable[Population],
        options: WorkerOptions,
        observer: Observer,
        stop: Stop,
    ) -> None:
        self._slurm = slurm
        self._folder = folder
        self._queue = Queue(populations, options.out)
        self._options = options
        self._observer = observer
        self._stop = stop
        self._losses = Losses("Slurm")
        self._most = queue.most_elements()
        self._later: deque[Population] = deque()  # taken from the queue, for a later array
        self._waiting: deque[Population] = deque()  # for the next array
        self._jobs: list[_Job] = []
        self._looked_at = time.monotonic()

    def run(self) -> None:
        """Train until done or stopped.

        Raises:
            UserError: Slurm refuses an array, or its jobs have other versions.
        """
        self._find_jobs()
        while not self._stop.is_requested:
            self._submit()
            if not self._jobs:
                return
            for job in list(self._jobs):
                self._receive(job)
            if time.monotonic() - self._looked_at > _SECONDS_PER_QUEUE:
                self._look_at_queue()
            time.sleep(max(_SECONDS_PER_LOOK, len(self._jobs) * _SECONDS_PER_FILE))
        # Only the user's interruption has a deadline. The jobs go on then.
        if self._stop.deadline is None:
            self._end()

    def _find_jobs(self) -> None:
        """Follow the elements that an earlier driver submitted, as far as this agenda has their runs.

        Raises:
            UserError: they were submitted with other versions.
        """
        remove_half_written(self._folder)
        held = [
            Held(element) for array in find_arrays(self._folder) for element in array.elements()
        ]
        planned = self._take({key for each in held for key in each.keys})
        for each in held:
            if each.is_stale(planned):
                queue.cancel([each.element.array.name])
                self._waiting += each.regroup(planned, self._options.out)
                each.element.remove()
            elif any(key in planned for key in each.keys):
                self._follow(each.element, each.members(planned))
        self._refuse_other_versions()

    def _take(self, keys: set[RunKey]) -> dict[RunKey, PlannedRun]:
        """Take the runs that were submitted before from the queue, and return them."""
        found: dict[RunKey, PlannedRun] = {}
        while len(found) < len(keys) and (population := self._queue.next()):
            submitted = {key_of(each): each for each in population if key_of(each) in keys}
            found |= submitted
            if rest := [each for each in population if key_of(each) not in submitted]:
                self._later.append(rest)
        return found

    def _refuse_other_versions(self) -> None:
        if self._slurm.allow_differences or not self._jobs:
            return
        found = queue.queued({job.element.array.name for job in self._jobs}) or set()
        here = versions()
        for name in {name for name, _ in found}:
            array = JobArray(self._folder / name)
            difference = describe_difference(here, array.read()["versions"])
            if difference:
                raise UserError(
                    f"{name}: was submitted with other versions: {difference}; make them equal, "
                    f"cancel its jobs (scancel --name={name}), or add --allow-different-versions"
                )

    def _submit(self) -> None:
        """Submit the populations of lost jobs, or else new ones once no job is left.

        Raises:
            UserError: Slurm refuses them.
        """
        if not self._jobs and not self._waiting:
            self._waiting = self._later
            while len(self._waiting) < self._most and (population := self._queue.next()):
                self._waiting.append(population)
            self._later = deque()
        while self._waiting:
            chunk = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
            array = JobArray.write(self._folder, chunk, self._options, self._slurm)
            try:
                self._hand_over(array, len(chunk))
            except UserError:
                array.remove()
                raise
            for number, population in enumerate(chunk):
                self._follow(array.element(number), population)
            self._looked_at = time.monotonic()

    def _hand_over(self, array: JobArray, elements: int) -> None:
        """Submit an array.

        Raises:
            UserError: Slurm refuses it.
        """
        slurm, script = self._slurm, array.folder / SCRIPT
        try:
            job = queue.submit(array.name, elements, slurm.most, slurm.passed, script)
        except UserError:
            # A busy controller may accept an array and fail to say so.
            if not queue.queued([array.name]):
                raise
        else:
            array.note_job(job)

    def _follow(self, element: Element, members: Sequence[PlannedRun | None]) -> None:
        taken = {job.inbox.job for job in self._jobs}
        number = next(number for number in range(len(taken) + 1) if number not in taken)
        inbox = Inbox(members, self._options, number, self._observer)
        self._jobs.append(_Job(element, inbox))

    def _receive(self, job: _Job) -> None:
        """Pass on the messages of a job; stop the sweep if it can't train."""
        try:
            job.receive()
        except UserError as error:
            self._stop.request(error.lines[0])
        except OSError as error:
            self._stop.request(describe(error))
        except ValueError as error:
            self._stop.request(f"{job.element.folder}: has messages that no job sends: {error}")
        if job.inbox.is_over:
            self._jobs.remove(job)
            self._bury(job, job.inbox.error)

    def _look_at_queue(self) -> None:
        """Queue the runs of jobs that Slurm has no longer."""
        self._looked_at = time.monotonic()
        found = queue.queued({job.element.array.name for job in self._jobs})
        if found is None:
            return
        for job in [each for each in self._jobs if each.key not in found]:
            # It may have sent more since the last look.
            self._receive(job)
            if job in self._jobs:
                self._jobs.remove(job)
                self._lose(job)

    def _lose(self, job: _Job) -> None:
        array, number = job.element.array, job.element.number
        code = None if array.job is None else queue.exit_code(array.job, number)
        if code == NO_FOLDER:
            self._stop.request(
                f"a node doesn't see {self._options.out}; --out must be a folder that all nodes share"
            )
            abandon(job.inbox)
            job.element.remove()
            return
        own = "it left the queue" if not code else f"exit code {code}"
        self._bury(job, job.element.last_words() or own)

    def _bury(self, job: _Job, cause: str) -> None:
        """Remove what is left of a job, and queue the runs that it hasn't trained."""
        job.element.remove()
        if job.inbox.left:
            # A job that is cut off over and over, but comes further each time, may go on.
            reached = tuple(
                (planned.name, planned.update)
                for [planned] in part(job.inbox.left, self._options.out)
            )
            self._waiting += self._losses.requeue(job.inbox, reached, cause)

    def _end(self) -> None:
        """Cancel all jobs and record what they have saved, unless the user doesn't wait for it."""
        names = {job.element.array.name for job in self._jobs}
        queue.request_cancel(names)
        while queue.queued(names) != set():
            if self._stop.deadline is not None:
                return
            time.sleep(_SECONDS_PER_LOOK)
        for job in self._jobs:
            with suppress(UserError, ValueError, OSError):
                job.receive()
            abandon(job.inbox)
            job.element.remove()
