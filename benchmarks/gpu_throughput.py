"""Measures training throughput and GPU memory against population size.

Usage:
    gpu_throughput.py [options]
    gpu_throughput.py --help

Options:
    --device=<name>       Device that trains the networks [default: cuda].
    --work=<names>        Workloads to train, separated by commas [default: cartpole,minigrid].
    --populations=<list>  Population sizes, separated by commas
                          [default: 1,2,4,8,16,32,64,128,256,512,1024].
    --seconds=<n>         Least duration of each measurement after the warm-up [default: 5].
    -h --help             Show this text.

Trains each size with the rollouts on the device, and with the rollouts in RAM as by --low-mem-fix.
"""

from __future__ import annotations

import datetime
import platform

import torch
from docopt import docopt
from environment_stepping import processor
from populations import seconds_of_an_update
from works import WORKS, Work


def cells(
    work: Work, members: int, seconds: float, device: torch.device, low_memory: bool
) -> list[str]:
    """Return steps per second and the device's peak memory in MiB, as table cells."""
    on_gpu = device.type == "cuda"
    if on_gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    try:
        update = seconds_of_an_update(work, members, seconds, device, low_memory)
    except torch.cuda.OutOfMemoryError:
        return ["out of memory", "–"]
    peak = f"{torch.cuda.max_memory_allocated(device) / 2**20:,.0f}" if on_gpu else "–"
    return [f"{members * work.batch / update:,.0f}", peak]


def main() -> None:
    """Print a Markdown table for each workload."""
    arguments = docopt(__doc__)
    device = torch.device(arguments["--device"])
    seconds = float(arguments["--seconds"])
    populations = [int(size) for size in arguments["--populations"].split(",")]
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "no GPU"
    print(
        f"{datetime.date.today()}, {name}, {processor()}, Python {platform.python_version()}, "
        f"torch {torch.__version__}"
    )
    for work in map(WORKS.__getitem__, arguments["--work"].split(",")):
        print(f"\n## {work.title}\n")
        print("| members | steps/s | MiB | steps/s, low memory | MiB, low memory |")
        print("| ---: | ---: | ---: | ---: | ---: |")
        for members in populations:
            row = [
                cell
                for low_memory in (False, True)
                for cell in cells(work, members, seconds, device, low_memory)
            ]
            print("|", " | ".join([f"{members:,}", *row]), "|", flush=True)


if __name__ == "__main__":
    main()
