"""The libraries that the benchmarks compare, and the commands that train a workload with each."""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from measuring import ContenderFailedError, Measurement, run
from works import (
    CLIP_RANGE,
    ENTROPY_COEFFICIENT,
    EPOCHS,
    GAMMA,
    GRID,
    GRID_RUNS,
    LAMDA,
    LEARNING_RATE,
    MAX_GRAD_NORM,
    MINI_BATCHES,
    VALUE_COEFFICIENT,
    WORKS,
    Work,
    as_yaml,
)

from environments.choosing import backend_of
from schema.config import Config

HERE = Path(__file__).resolve().parent
_BACKENDS = {"gymnasium": "Gymnasium", "envpool": "EnvPool", "compiled": "compiled"}
BASELINE = "Stable-Baselines3"


@dataclass(frozen=True)
class Variant:
    """One way to run a contender; the benchmark uses the fastest.

    Attributes:
        label: its label in the table.
        mode: argument for the contender's script.
        threads: threads of numerical libraries; None: their default.
    """

    label: str
    mode: str = ""
    threads: int | None = None


class Contender(Protocol):
    """A library, or a way to use it, that trains workloads.

    Attributes:
        name: its name in the table.
    """

    name: str

    def variants(self, work: str) -> list[Variant]:
        """Return the ways to train a workload; none if it can't."""

    def measure(self, work: str, variant: Variant, updates: int, seed: int) -> Measurement:
        """Train a workload for a number of updates after its warm-up.

        Raises:
            ContenderFailedError: training failed.
        """


def cores_of(work: str) -> list[int]:
    """Return the cores on which a workload is trained."""
    available = sorted(os.sched_getaffinity(0))
    return available[-1:] if WORKS[work].one_core else available


class ThisProject:
    """A single run through this project's trainer, or a grid through its command.

    Args:
        backend: environment backend; "auto" is the fastest.
        options: further options of the command for grids.
        precision: precision of products; "bfloat16" is for images only.
    """

    def __init__(
        self, backend: str, options: Sequence[str] = (), precision: str = "float32"
    ) -> None:
        self.name = "this project" + (", Gymnasium's steps" if backend == "gymnasium" else "")
        if precision != "float32":
            self.name += f", {precision}"
        self._backend = backend
        self._precision = precision
        self._options = ["--device=cpu", *options]

    def variants(self, work: str) -> list[Variant]:
        """Return one variant, as this project chooses processes and threads itself."""
        config = Config.model_validate(WORKS[work].config(updates=1)).environment
        fastest = backend_of(config).backend
        if self._backend == "gymnasium" and fastest == "gymnasium":
            return []
        if self._precision != "float32" and not WORKS[work].visual:
            return []
        label = _BACKENDS[fastest if self._backend == "auto" else self._backend]
        return [Variant(", ".join([label, *self._options[1:]]))]

    def measure(self, work: str, variant: Variant, updates: int, seed: int) -> Measurement:
        """Train a workload."""
        if WORKS[work].grid:
            options = [*self._options, f"--seed={seed}"]
            return measure_grid(WORKS[work], updates, self._backend, options, cores_of(work))
        script = HERE / "train_ours.py"
        command = [sys.executable, script, work, updates, seed, self._backend, self._precision]
        threads = 1 if WORKS[work].one_core else None
        return run([str(part) for part in command], cores_of(work), threads).measurement()


def measure_grid(
    work: Work, updates: int, backend: str, options: Sequence[str], cores: Sequence[int]
) -> Measurement:
    """Train a grid twice with this project's command: for the warm-up only, and with more updates.

    The difference of both excludes start and warm-up.

    Args:
        work: the workload.
        updates: number of updates after the warm-up.
        backend: environment backend.
        options: options of the command.
        cores: cores to run on.

    Raises:
        ContenderFailedError: the command failed.
    """
    seconds, peaks = [], []
    for trained in (work.warm_up, work.warm_up + updates):
        with tempfile.TemporaryDirectory() as folder:
            config, tuning = Path(folder, "config.yaml"), Path(folder, "tune.yaml")
            config.write_text(as_yaml(work.config(trained, backend)))
            tuning.write_text(as_yaml(GRID))
            command = [
                sys.executable,
                str(HERE.parent / "tune.py"),
                f"--config={config}",
                f"--tune={tuning}",
                f"--out={folder}/out",
                *options,
            ]
            finished = run(command, cores)
            seconds.append(finished.seconds)
            peaks.append(finished.peak_mib)
    return Measurement(GRID_RUNS * updates * work.batch, seconds[1] - seconds[0], peaks[1])


class StableBaselines3:
    """Stable-Baselines3; it trains a grid's runs in sequence, so one run shows their rate."""

    name = BASELINE

    def variants(self, work: str) -> list[Variant]:
        """Return both ways to step environments and, on several cores, one thread or the default."""
        if WORKS[work].suite == "Procgen":
            vectors = {"envpool": "EnvPool"}
        elif WORKS[work].one_core:
            vectors = {"dummy": "DummyVecEnv"}
        else:
            vectors = {"dummy": "DummyVecEnv", "subproc": "SubprocVecEnv"}
        threads = {"1 thread": 1} if WORKS[work].one_core else {"1 thread": 1, "all threads": None}
        return [
            Variant(f"{vector}, {thread}", mode, count)
            for mode, vector in vectors.items()
            for thread, count in threads.items()
        ]

    def measure(self, work: str, variant: Variant, updates: int, seed: int) -> Measurement:
        """Train a workload."""
        command = _sb3_command(work, updates, seed, variant.mode)
        return run(command, cores_of(work), variant.threads).measurement()


class StableBaselines3PerCore:
    """Stable-Baselines3 with a grid's runs in parallel, one on each core."""

    name = f"{BASELINE}, a run per core"

    def variants(self, work: str) -> list[Variant]:
        """Return one variant, for grids only."""
        return [Variant("DummyVecEnv, 1 thread", "dummy", 1)] if WORKS[work].grid else []

    def measure(self, work: str, variant: Variant, updates: int, seed: int) -> Measurement:
        """Train as many runs at once as there are cores."""
        return _measure_on_each_core(
            work, seed, lambda own: _sb3_command(work, updates, own, variant.mode)
        )


def _measure_on_each_core(
    work: str, seed: int, command: Callable[[int], Sequence[str]]
) -> Measurement:
    """Measure one run on each of a workload's cores at once; `command` makes a command from a seed."""
    cores = cores_of(work)
    with ThreadPoolExecutor(len(cores)) as executor:
        started = [executor.submit(run, command(seed + core), [core], 1) for core in cores]
        measured = [future.result().measurement() for future in started]
    steps = sum(measurement.steps for measurement in measured)
    rate = sum(measurement.rate for measurement in measured)
    return Measurement(steps, steps / rate, sum(m.peak_mib for m in measured))


def _sb3_command(work: str, updates: int, seed: int, mode: str) -> list[str]:
    script = str(HERE / "train_sb3.py")
    return [sys.executable, script, work, str(updates), str(seed), mode]


class PureJaxRL:
    """PureJaxRL on CartPole, and with NAVIX on MiniGrid; for grids one process on each core.

    Args:
        python: interpreter of an environment with its requirements.
        folder: folder with its `ppo.py`.
    """

    name = "PureJaxRL"

    def __init__(self, python: Path, folder: Path) -> None:
        self._python, self._folder = python.absolute(), folder.resolve()

    def variants(self, work: str) -> list[Variant]:
        """Return one variant, for vectors from these suites and networks without recurrence."""
        description = WORKS[work]
        suits = description.suite in ("CartPole", "Minigrid")
        if not suits or description.visual or description.lstm:
            return []
        label = "NAVIX" if description.suite == "Minigrid" else "gymnax"
        return [Variant(f"{label}, a process per core" if description.grid else label, threads=1)]

    def measure(self, work: str, variant: Variant, updates: int, seed: int) -> Measurement:
        """Train a workload; a grid's runs share all cores."""
        return _measure_on_each_core(work, seed, lambda own: self._command(work, updates, own))

    def _command(self, work: str, updates: int, seed: int) -> list[str]:
        script = str(HERE / "train_purejaxrl.py")
        return [str(self._python), script, str(self._folder), work, str(updates), str(seed)]


class CleanRL:
    """CleanRL's single-file implementation, with its fixed network for CartPole.

    Args:
        path: path of its `ppo.py`.
    """

    name = "CleanRL"

    def __init__(self, path: Path) -> None:
        self._path = path.resolve()

    def variants(self, work: str) -> list[Variant]:
        """Return one variant, for a single run on CartPole."""
        suitable = work == "cartpole"
        return [Variant("SyncVectorEnv, 1 thread", threads=1)] if suitable else []

    def measure(self, work: str, variant: Variant, updates: int, seed: int) -> Measurement:
        """Train a workload; each update prints a line that starts with SPS."""
        description = WORKS[work]
        options = {
            "env-id": description.environment,
            "seed": seed,
            "total-timesteps": (description.warm_up + updates) * description.batch,
            "learning-rate": LEARNING_RATE,
            "num-envs": description.workers,
            "num-steps": description.steps,
            "gamma": GAMMA,
            "gae-lambda": LAMDA,
            "num-minibatches": MINI_BATCHES,
            "update-epochs": EPOCHS,
            "clip-coef": CLIP_RANGE,
            "ent-coef": ENTROPY_COEFFICIENT,
            "vf-coef": VALUE_COEFFICIENT,
            "max-grad-norm": MAX_GRAD_NORM,
        }
        arguments = [text for key, value in options.items() for text in (f"--{key}", str(value))]
        finished = run(
            [sys.executable, str(self._path), *arguments], cores_of(work), variant.threads
        )
        times = [moment for moment, line in finished.lines if line.startswith("SPS")]
        seconds = times[-1] - times[description.warm_up - 1]
        return Measurement(updates * description.batch, seconds, finished.peak_mib)


class SampleFactory:
    """Sample Factory, in its own Python environment, on vector observations from Gymnasium.

    Args:
        python: the interpreter of that environment.
    """

    name = "Sample Factory"

    def __init__(self, python: Path) -> None:
        self._python = python.absolute()

    def variants(self, work: str) -> list[Variant]:
        """Return one process and several processes; a grid's runs train in sequence."""
        if work not in ("cartpole", "cartpole-grid"):
            return []
        serial = Variant("serial, 1 thread", "serial", 1)
        if WORKS[work].one_core:
            return [serial]
        return [serial, Variant("parallel, 1 thread", "parallel", 1)]

    def measure(self, work: str, variant: Variant, updates: int, seed: int) -> Measurement:
        """Train a workload."""
        script = str(HERE / "train_sample_factory.py")
        command = [str(self._python), script, work, str(updates), str(seed), variant.mode]
        return run(command, cores_of(work), variant.threads).measurement()


def fastest(contender: Contender, work: str, updates: int) -> Variant | None:
    """Return the variant that is fastest in a short trial; None if there is none.

    Raises:
        ContenderFailedError: no variant worked.
    """
    variants = contender.variants(work)
    if not variants:
        return None
    # A single variant is only tried to check that it works.
    trials = 1 if len(variants) == 1 else 2
    rates: dict[Variant, float] = {}
    failure = ContenderFailedError()
    for variant in variants:
        try:
            measured = [contender.measure(work, variant, updates, seed) for seed in range(trials)]
            rates[variant] = statistics.median(measurement.rate for measurement in measured)
        except ContenderFailedError as error:
            failure = error
    if not rates:
        raise failure
    return max(rates, key=rates.__getitem__)
