"""Functions that several modules share: schedules, seeds and the device."""

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
    """Return the value of a polynomial decay at an update.

    Args:
        schedule: initial and final value, power and length of the decay.
        update: number of updates done, from 0.
        updates: number of updates in the training; the length of a decay without its own.
    """
    final = schedule.initial if schedule.final is None else schedule.final
    length = schedule.max_decay_steps or updates
    remaining = 1.0 - min(update, length) / length
    return (schedule.initial - final) * remaining**schedule.power + final


class Stream(IntEnum):
    """Independent streams of random numbers in one run, or in a sweep (`ORDER`, `SEARCH`)."""

    INITIALISATION = 0
    ACTIONS = 1
    SHUFFLING = 2
    ENVIRONMENTS = 3
    EVALUATION = 4
    ORDER = 5
    SEARCH = 6


def derive_seed(seed: int, stream: Stream, index: int = 0) -> int:
    """Return a 63-bit seed for one use of random numbers in a run, independent of all others.

    Args:
        seed: the run's seed.
        stream: the purpose of the random numbers.
        index: number among equal uses, such as the worker's.
    """
    sequence = np.random.SeedSequence(seed, spawn_key=(int(stream), index))
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))


def make_generator(seed: int, stream: Stream) -> torch.Generator:
    """Return a generator on the CPU, so that random numbers don't depend on the device."""
    return torch.Generator().manual_seed(derive_seed(seed, stream))


def select_device(name: str) -> torch.device:
    """Return the device of this name; `auto` is CUDA if there is a GPU, else the CPU.

    Raises:
        UserError: this machine has no such device.
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
    """Check that `torch.compile` can work.

    Raises:
        UserError: a C++ compiler is missing, which torch.compile needs on a CPU.
    """
    names = [os.environ.get("CXX", "g++"), "g++", "clang++"]
    if device.type == "cpu" and not any(map(shutil.which, names)):
        raise UserError(
            "--compile: needs a C++ compiler on a CPU; install one such as g++, or leave the option out"
        )


def choose_threads(spaces: Spaces, cores: int) -> None:
    """Let torch use all cores for convolutions, and one thread for smaller networks.

    Products of small layers are slower on several threads than on one, and many times slower if those
    threads wait for cores that other processes use.
    """
    # NumPy multiplies while acting, and its rounding may depend on the number of threads.
    threadpool_limits(1, "blas")
    torch.set_num_threads(cores if spaces.has_images else 1)


@contextmanager
def single_thread() -> Iterator[None]:
    """Run the block with one thread of torch."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
