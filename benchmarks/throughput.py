"""Compares this project's training throughput and memory with other libraries'.

All train the same environments with the same hyperparameters and networks of the same size, on the CPU
of this machine, in turns. Steps per second are those of the whole training loop after start and
warm-up. If a library can be run in several ways, a short trial finds the fastest.

Usage:
    throughput.py [options]
    throughput.py --help

Options:
    --rounds=<n>                    Number of measurements of each [default: 5].
    --work=<names>                  Workloads to train, separated by commas; all if left out: cartpole,
                                    cartpole-grid, pendulum, cartpole-lstm, minigrid, minigrid-grid,
                                    minigrid-pixels, procgen.
    --cleanrl=<path>                Path of CleanRL's `ppo.py` (for Gymnasium 1), which isn't in this
                                    repository; CleanRL is left out without it.
    --sample-factory-python=<path>  Python of an environment with Sample Factory, which needs an older
                                    Gymnasium; Sample Factory is left out without it.
    --purejaxrl=<folder>            Folder with PureJaxRL's `ppo.py`; PureJaxRL is left out without it.
    --purejaxrl-python=<path>       Python of an environment with the requirements of PureJaxRL and
                                    NAVIX (see train_purejaxrl.py).
    --options=<options>             Further options of this project's command for grids.
    --quick                         Only a few updates, to check that everything works.
    -h --help                       Show this text.

Further requirements: pip install -r benchmarks/requirements.txt
"""

from __future__ import annotations

import datetime
import importlib.metadata
import importlib.util
import platform
import signal
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from contenders import (
    BASELINE,
    CleanRL,
    Contender,
    PureJaxRL,
    SampleFactory,
    StableBaselines3,
    StableBaselines3PerCore,
    ThisProject,
    Variant,
    cores_of,
    fastest,
)
from docopt import docopt
from environment_stepping import processor
from measuring import ContenderFailedError, Measurement
from works import WORKS

_PACKAGES = ("torch", "numpy", "gymnasium", "minigrid", "envpool", "stable-baselines3")
_QUICK_UPDATES, _TRIAL_UPDATES = 2, 4


def say(text: str) -> None:
    """Print a notice that doesn't belong to the tables."""
    print(text, file=sys.stderr, flush=True)


def find_contenders(arguments: dict[str, Any]) -> list[Contender]:
    """Return the contenders that are installed or given, with a notice for each other."""
    options = (arguments["--options"] or "").split()
    contenders: list[Contender] = [
        ThisProject("auto", options),
        ThisProject("gymnasium", options),
        ThisProject("auto", options, precision="bfloat16"),
    ]
    if importlib.util.find_spec("stable_baselines3"):
        contenders += [StableBaselines3(), StableBaselines3PerCore()]
    else:
        say("Stable-Baselines3 isn't installed and is left out")
    if arguments["--purejaxrl"] and arguments["--purejaxrl-python"]:
        folder, python = arguments["--purejaxrl"], arguments["--purejaxrl-python"]
        contenders.append(PureJaxRL(Path(python), Path(folder)))
    else:
        say("PureJaxRL is left out; --purejaxrl and --purejaxrl-python name its folder and Python")
    if arguments["--cleanrl"]:
        contenders.append(CleanRL(Path(arguments["--cleanrl"])))
    else:
        say("CleanRL is left out; --cleanrl=PATH names its ppo.py")
    if arguments["--sample-factory-python"]:
        contenders.append(SampleFactory(Path(arguments["--sample-factory-python"])))
    else:
        say(
            "Sample Factory is left out; --sample-factory-python=PATH names its environment's Python"
        )
    return contenders


def choose_variants(
    contenders: list[Contender], work: str, updates: int
) -> list[tuple[Contender, Variant]]:
    """Return each contender's fastest variant; contenders that fail are left out with a notice."""
    chosen = []
    for contender in contenders:
        try:
            variant = fastest(contender, work, updates)
        except ContenderFailedError as error:
            say(f"{contender.name} is left out of {work}: {error}")
            continue
        if variant is not None:
            chosen.append((contender, variant))
    return chosen


def measure(
    chosen: list[tuple[Contender, Variant]], work: str, updates: int, rounds: int
) -> dict[str, list[Measurement]]:
    """Return each contender's measurements by its name, one for each round."""
    measured: dict[str, list[Measurement]] = {contender.name: [] for contender, _ in chosen}
    for number in range(rounds):
        # Each round starts with another contender, so that none always follows the same.
        first = number % len(chosen)
        for contender, variant in chosen[first:] + chosen[:first]:
            measurement = contender.measure(work, variant, updates, seed=number)
            measured[contender.name].append(measurement)
            say(f"{work}, round {number + 1}, {contender.name}: {measurement.rate:,.0f} steps/s")
    return measured


def print_table(
    chosen: list[tuple[Contender, Variant]], work: str, measured: dict[str, list[Measurement]]
) -> None:
    """Print a workload's results in Markdown."""
    cores = len(cores_of(work))
    print(f"\n## {WORKS[work].title}, {cores} core{'s' if cores > 1 else ''}\n")
    print(f"| | steps/s | least and most | times {BASELINE} | peak memory in MiB |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for contender, variant in chosen:
        measurements = measured[contender.name]
        rates = [measurement.rate for measurement in measurements]
        peak = statistics.median(measurement.peak_mib for measurement in measurements)
        ratio = "–"
        if BASELINE in measured:
            pairs = zip(rates, measured[BASELINE], strict=True)
            ratio = f"{statistics.median(rate / base.rate for rate, base in pairs):.2f}"
        print(
            f"| {contender.name} ({variant.label}) | {statistics.median(rates):,.0f} "
            f"| {min(rates):,.0f} to {max(rates):,.0f} | {ratio} | {peak:,.0f} |",
            flush=True,
        )


def print_heading(rounds: int, sample_factory_python: str | None) -> None:
    """Print date, machine and versions."""
    versions = [
        f"{package} {importlib.metadata.version(package)}"
        for package in _PACKAGES
        if importlib.util.find_spec(package.replace("-", "_"))
    ]
    if sample_factory_python:
        question = "import importlib.metadata as m; print(m.version('sample-factory'))"
        answer = subprocess.run(
            [sample_factory_python, "-c", question], capture_output=True, text=True, check=True
        )
        versions.append(f"sample-factory {answer.stdout.strip()}")
    print(f"{datetime.date.today()}, {processor()}, Python {platform.python_version()}, ", end="")
    print(f"{', '.join(versions)}. Medians of {rounds} rounds.")


def main() -> None:
    """Measure everything and print the tables."""
    arguments = docopt(__doc__)
    # SIGTERM acts like Ctrl-C, so that the measured process is stopped, too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    rounds, quick = int(arguments["--rounds"]), arguments["--quick"]
    works = arguments["--work"].split(",") if arguments["--work"] else list(WORKS)
    unknown = set(works) - set(WORKS)
    if unknown:
        sys.exit(f"--work: {', '.join(unknown)} isn't one of {', '.join(WORKS)}")
    contenders = find_contenders(arguments)
    print_heading(rounds, arguments["--sample-factory-python"])
    for work in works:
        updates = _QUICK_UPDATES if quick else WORKS[work].updates
        chosen = choose_variants(contenders, work, _QUICK_UPDATES if quick else _TRIAL_UPDATES)
        if chosen:
            print_table(chosen, work, measure(chosen, work, updates, rounds))


if __name__ == "__main__":
    main()
