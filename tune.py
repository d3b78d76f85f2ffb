"""Trains a PPO agent on every permutation of a tuning config, or writes the permutations to disk.

Usage:
    tune.py [options]
    tune.py --help
    tune.py --version

Options:
    --config=<path>         The base config, which the permutations override
                            [default: ./configs/default.yaml].
    --tune=<path>           The tuning config: the search space
                            [default: ./configs/tune/example.yaml].
    --num-repetitions=<n>   How often each permutation is trained. All are trained once, one after
                            another; then the next repetition starts [default: 1].
    --worker-id=<n>         Offset of the communication port of each environment instance; several
                            sessions with Unity environments on one machine need distinct ones; if
                            left out, ports that are in use are passed over [default: 2].
    --run-id=<path>         Tag of the training session, in the names of the TensorBoard summaries
                            and the checkpoints [default: default].
    --low-mem-fix           Move one mini-batch at a time to the GPU instead of the whole batch,
                            for GPUs with little memory.
    --generate-only         Write the configs to --out and train nothing.
    --out=<path>            Where the generated configs, or the results of the training, are written
                            [default: ./grid_search/].
    --log=<sinks>           What the runs are logged to: tensorboard, wandb (Weights & Biases), mlflow,
                            or several with commas between [default: tensorboard].
    --seed=<n>              Seed of the first repetition; each further one adds 1 [default: 0].
    --device=<name>         Where networks are trained: auto, cpu, cuda, cuda:1, ... auto is CUDA
                            where there is a GPU [default: auto].
    --together=<n>          How many runs (permutations and repetitions) of equal shape train as one
                            population at most, which is faster. On a CPU each gets the weights
                            that it gets alone, bit for bit; on a GPU they learn at once, which
                            rounds otherwise. If left out, what suits the runs is chosen.
    --jobs=<n>              How many populations are trained in parallel, in processes among which
                            the cores and the GPUs are divided; 0 is one per core. If left out,
                            as many as the cores have enough to do for.
    --retries=<n>           How often a run that failed is tried again, once each time that the same
                            command goes on with the sweep [default: 1].
    --fail-fast             End the sweep at the first run that fails.
    --only=<permutations>   Train these permutations of the grid only, such as 0,3,10-19.
    --confirm=<k>           Then train the k leaders again on seeds that the sweep didn't use, which
                            shows how much of their scores was luck: 3 trains them five times each,
                            3x10 ten times.
    --quiet                 Show nothing until the end but warnings and the answer.
    --status                Show what is finished, running and failed in --out, and train nothing.
    --compile               Compile the losses with torch.compile, which takes a minute at the
                            start and pays in long trainings on a GPU.
    --dry-run               Validate everything, show the permutations and write nothing.
    --unique                Drop permutations that repeat an earlier one.
    --overwrite             Replace another grid, or earlier results, in --out.
    -h --help               Show this text.
    --version               Show the version.
"""

from __future__ import annotations

from commands.command import Arguments, ExitCode, run_command
from commands.notices import warn
from commands.options import (
    config_option,
    folder_option,
    integer_option,
    numbers_option,
    optional_integer,
    path_option,
    run_id_option,
    worker_id_option,
)
from ppo.sinks import parse_sinks
from sweeps.confirmation import parse_confirmation
from sweeps.execution.backends.server import start_server
from sweeps.search_space.grid import Grid, load_grid


def main(arguments: Arguments) -> int:
    """Runs the command and returns its exit code."""
    if arguments["--status"]:
        return _status(arguments)
    repetitions = integer_option(arguments, "--num-repetitions", minimum=1)
    seed = integer_option(arguments, "--seed", minimum=0)
    worker_id = worker_id_option(arguments, __doc__)
    together = optional_integer(arguments, "--together", minimum=1)
    jobs = optional_integer(arguments, "--jobs", minimum=0)
    retries = integer_option(arguments, "--retries", minimum=0)
    run_id = run_id_option(arguments)
    out = folder_option(arguments, "--out")
    sinks = parse_sinks(str(arguments["--log"]))
    base, space = (config_option(arguments, name, __doc__) for name in ("--config", "--tune"))
    grid = load_grid(base, space)
    if arguments["--unique"]:
        grid = grid.unique()
    only = numbers_option(arguments, "--only", len(grid))
    confirm = arguments["--confirm"]
    confirmation = None if confirm is None else parse_confirmation(confirm)
    warn(grid.validate())
    if arguments["--generate-only"] and not arguments["--dry-run"]:
        return _generate(grid, arguments)
    if not arguments["--dry-run"]:
        start_server()

    # Imported here because torch takes seconds to load, which writing configs needn't wait for.
    from commands.tuning import preview, tune
    from sweeps.options import SweepOptions
    from sweeps.planning.jobs import share_out
    from utils import check_compiler, select_device

    device = select_device(str(arguments["--device"]))
    if arguments["--compile"]:
        check_compiler(device)
    options = SweepOptions(
        out,
        run_id,
        repetitions,
        seed,
        worker_id,
        low_memory=bool(arguments["--low-mem-fix"]),
        device=device,
        compiled=bool(arguments["--compile"]),
        retries=retries,
        fail_fast=bool(arguments["--fail-fast"]),
        quiet=bool(arguments["--quiet"]),
        sinks=sinks,
        only=only,
    )
    options = share_out(grid, options, together, jobs)
    if arguments["--dry-run"]:
        return preview(grid, options)
    return tune(grid, options, bool(arguments["--overwrite"]), confirmation)


def _status(arguments: Arguments) -> int:
    from commands.status import show_status

    return show_status(path_option(arguments, "--out"), run_id_option(arguments))


def _generate(grid: Grid, arguments: Arguments) -> int:
    from sweeps.search_space.config_files import write_grid

    out = folder_option(arguments, "--out")
    changed = write_grid(grid, out, overwrite=bool(arguments["--overwrite"]))
    print(f"{len(grid)} configs in {out}" + ("" if changed else " (nothing had changed)"))
    return ExitCode.SUCCESS


if __name__ == "__main__":
    run_command(__doc__, main)
