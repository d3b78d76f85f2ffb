"""What several modules share and nothing else owns: schedules, seeds and the device."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from environments.interface import Spaces
from schema.errors import UserError
from schema.schedules import DecaySchedule


def scheduled_value(schedule: DecaySchedule, update: int, updates: int) -> float:
    """The value of a polynomial decay at an update.

    Args:
        schedule: initial and final value, power and length of the decay.
        update: how many updates are done, from 0.
        updates: all updates of the training, the length of a decay that names none.
    """
    final = schedule.initial if schedule.final is None else schedule.final
    length = schedule.max_decay_steps or updates
    remaining = 1.0 - min(update, length) / length
    return (schedule.initial - final) * remaining**schedule.power + final


class Stream(IntEnum):
    """The independent uses of randomness in one run."""

    INITIALISATION = 0
    ACTIONS = 1
    SHUFFLING = 2
    ENVIRONMENTS = 3
    EVALUATION = 4


def derive_seed(seed: int, stream: Stream, index: int = 0) -> int:
    """A 63-bit seed for one use of randomness in a run, independent of all others.

    Args:
        seed: the run's seed.
        stream: what the randomness is for.
        index: which of several equal uses, the worker for instance.
    """
    sequence = np.random.SeedSequence(seed, spawn_key=(int(stream), index))
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))


def make_generator(seed: int, stream: Stream) -> torch.Generator:
    """A generator on the CPU, so that random numbers don't depend on the device."""
    return torch.Generator().manual_seed(derive_seed(seed, stream))


def select_device(name: str) -> torch.device:
    """The device of that name; `auto` is CUDA where there is a GPU, else the CPU.

    Raises:
        UserError: there is no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):
        present = "auto, cpu" + (", cuda" if torch.cuda.is_available() else "")
        raise UserError(f"--device={name}: not available here; must be one of {present}") from None
    return device


def check_compiler(device: torch.device) -> None:
    """Makes sure that `torch.compile` can work.

    Raises:
        UserError: there is no C++ compiler, which it needs on a CPU.
    """
    names = [os.environ.get("CXX", "g++"), "g++", "clang++"]
    if device.type == "cpu" and not any(map(shutil.which, names)):
        raise UserError(
            "--compile: needs a C++ compiler such as g++ on a CPU; install one, or leave out --compile"
        )


def choose_threads(spaces: Spaces, cores: int) -> None:
    """Gives torch all of the cores for convolutions, and one for anything smaller.

    Products of small layers are slower on several threads than on one, and many times slower where
    those threads wait for cores that other processes use.
    """
    # NumPy's, which multiplies while acting; what it rounds to may depend on the number of threads.
    threadpool_limits(1, "blas")
    torch.set_num_threads(cores if spaces.has_images else 1)


@contextmanager
def single_thread() -> Iterator[None]:
    """Gives torch one thread for as long as it lasts."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
