"""Trains a PPO agent with every permutation of a tuning config, or writes the configs to disk.

Usage:
    tune.py [options] [--merge=<folder>]...
    tune.py --help
    tune.py --version

Options:
    --config=<path>         The base config; permutations override its keys
                            [default: ./configs/default.yaml].
    --tune=<path>           The tuning config, which lists the search space
                            [default: ./configs/tune/example.yaml].
    --num-repetitions=<n>   Number of times that each permutation is trained. A repetition trains all
                            permutations once before the next repetition starts. With --race, those of
                            the first round, and 3 if left out [default: 1].
    --race                  After --num-repetitions, add repetitions only for the permutations that could
                            still be the best, round by round, until one is left (95 % over all rounds),
                            or all that are left are within --indifference of the best.
    --max-repetitions=<n>   Most repetitions of a permutation in a race; 10 if left out.
    --steps=<n>             Most environment steps of all runs of a race; a round that would exceed them
                            doesn't begin.
    --prune=<rule>          Stop hopeless permutations early, all repetitions of one together: none,
                            median (those whose mean return is below the median), or halving (all but
                            the best). They aren't ranked, and --prune=none trains them to the end
                            [default: none].
    --rungs=<list>          Updates after which --prune judges permutations, or shares of
                            trainer.updates, such as 50,100 or 0.1,1/3; 1/4,1/2 if left out.
    --keep=<share>          Share of the permutations at a rung that --prune=halving keeps; 1/2 if left
                            out.
    --worker-id=<n>         Offset of the environments' communication ports. Sessions that run Unity
                            environments on one machine at the same time need distinct offsets. If left
                            out, ports in use are skipped [default: 2].
    --run-id=<path>         Tag of the training session, which names the folders of the TensorBoard
                            summaries and the checkpoints [default: default].
    --low-mem-fix           Move one mini-batch at a time to the GPU instead of the whole batch,
                            for GPUs with little memory.
    --generate-only         Write the configs to --out and train nothing.
    --out=<path>            Output folder of the generated configs, or of the training's results
                            [default: ./grid_search/].
    --log=<sinks>           Services that log the runs: tensorboard, wandb (Weights & Biases), mlflow,
                            or several of them, separated by commas [default: tensorboard].
    --seed=<n>              Seed of the first repetition; each later one adds 1 [default: 0].
    --device=<name>         Device that trains the networks: auto, cpu, cuda, cuda:1, ... auto chooses
                            CUDA if there is a GPU [default: auto].
    --together=<n>          Most runs that train as one population. Runs of equal shape train faster
                            together. On a CPU, each run gets the same weights as alone, bit for bit; on
                            a GPU, rounding differs. If left out, tune.py chooses a number that suits
                            the runs.
    --jobs=<n>              Number of jobs: processes that each train one population at a time, and
                            share the cores and the GPUs. 0 is one job per core. If left out, tune.py
                            chooses as many as keep the cores busy.
    --backend=<name>        Where jobs run: local (processes of this machine), or ray (the nodes of a Ray
                            cluster; `make ray` installs it) [default: local].
    --address=<address>     The Ray cluster, as <host>:<port>, or auto for the one of this machine. If
                            left out, Ray starts on this machine. With --backend=ray, --jobs is the most
                            jobs at a time; if left out, there are as many as the cluster has places for.
    --cpus-per-job=<n>      CPUs of a job on a Ray cluster; 1 if left out.
    --gpus-per-job=<n>      GPUs of a job on a Ray cluster; 0.25 lets four jobs share one. If left out,
                            jobs train on CPUs.
    --sync=<seconds>        Most seconds between copies of checkpoints and summaries from nodes of a Ray
                            cluster that don't see --out; 60 if left out.
    --allow-different-versions  Train also on nodes whose Python, torch, Numba or copy of this project
                            differs from this machine's; the results may differ, too.
    --retries=<n>           Most retries of a failed run. Each time the same command resumes the sweep,
                            it retries a failed run once [default: 1].
    --fail-fast             Stop the sweep at the first run that fails.
    --only=<permutations>   Train only these permutations of the grid, such as 0,3,10-19.
    --search=<name>         How permutations are chosen: grid (all combinations), or a search, which
                            trains --trials of them and may have ranges in the tuning config: random,
                            qmc (spread evenly), or, by the scores so far, tpe or gp (a Gaussian process)
                            [default: grid].
    --trials=<n>            Number of permutations that a search trains.
    --shard=<part>          Train one of n disjoint parts of the runs: 1/3, 2/3 or 3/3, each for example
                            on a machine of its own. --merge makes one sweep of the parts.
    --merge=<folder>        Merge the shards of --run-id in this folder into --out, print which runs are
                            missing, and the answer; may be repeated for more folders.
    --order=<name>          Which permutations begin first: grid (the order of the tuning config), or
                            random (drawn from --seed), so that early results stand for the whole grid
                            [default: grid].
    --confirm=<k>           Train the k leaders again afterwards, on fresh seeds, which shows how much of
                            their scores was luck. 3 trains three leaders five times each; 3x10 trains
                            them ten times each.
    --indifference=<return>  A difference of returns that doesn't matter to you. Once any permutation
                            that could be the best is within it of the best, the answer advises no more
                            repetitions.
    --quiet                 Print only warnings and, at the end, the answer.
    --status                Show the finished, running and failed runs in --out, and train nothing.
                            With --merge=<folder>, show all shards there together, and merge nothing.
    --compile               Compile the losses with torch.compile, which takes a minute at the start
                            and pays off in long trainings on a GPU.
    --dry-run               Validate everything, show the permutations and write nothing.
    --skip-invalid          Leave out permutations whose configs are invalid, and print the reasons,
                            instead of refusing the whole grid.
    --unique                Drop permutations that repeat an earlier one.
    --overwrite             Replace another grid, or earlier results, in --out.
    -h --help               Show this text.
    --version               Show the version.
"""

from __future__ import annotations

from pathlib import Path

from commands.backend_option import check_backend, ray_options, select_job_device
from commands.command import Arguments, ExitCode, run_command
from commands.notices import warn
from commands.options import (
    check_lengths,
    choice_option,
    config_option,
    folder_option,
    integer_option,
    numbers_option,
    optional_integer,
    optional_positive,
    path_option,
    run_id_option,
    worker_id_option,
)
from commands.pruning import check_prune, prune_option
from commands.racing import repetitions_option
from commands.search_option import search_option
from ppo.sinks import parse_sinks
from schema.counting import counted
from schema.errors import UserError
from schema.folders import shown
from sweeps.confirmation import confirmation_id, parse_confirmation
from sweeps.execution.backends.server import start_server
from sweeps.journal.journal import journal_path
from sweeps.search_space.grid import ORDERS, Grid, load_grid
from sweeps.shards import Shard, parse_shard, shard_id


def main(arguments: Arguments) -> int:
    """Run the command and return its exit code."""
    shard = _shard(arguments)
    if arguments["--status"]:
        return _status(arguments, shard)
    if arguments["--merge"]:
        return _merge(arguments)
    repetitions, race = repetitions_option(arguments, __doc__)
    seed = integer_option(arguments, "--seed", minimum=0)
    worker_id = worker_id_option(arguments, __doc__)
    together = optional_integer(arguments, "--together", minimum=1)
    jobs = optional_integer(arguments, "--jobs", minimum=0)
    check_backend(arguments, __doc__)
    retries = integer_option(arguments, "--retries", minimum=0)
    run_id = run_id_option(arguments)
    out = folder_option(arguments, "--out")
    order = choice_option(arguments, "--order", ORDERS)
    sinks = parse_sinks(str(arguments["--log"]))
    base, space = (config_option(arguments, name, __doc__) for name in ("--config", "--tune"))
    indifference = optional_positive(arguments, "--indifference")
    confirm = arguments["--confirm"]
    confirmation = None if confirm is None else parse_confirmation(confirm)
    plan = search_option(arguments, base, space)
    if plan is None:
        grid = _read_grid(arguments, base, space)
        only = numbers_option(arguments, "--only", len(grid))
        warn(grid.validate(skip_invalid=bool(arguments["--skip-invalid"])))
        prune = prune_option(arguments, grid)
        if arguments["--generate-only"] and not arguments["--dry-run"]:
            return _generate(grid, arguments, repetitions, seed)
    else:
        prune = None
        warn(plan.space.validate())
    longest = shard_id(run_id, shard) if confirmation is None else confirmation_id(run_id)
    check_lengths(out, run_id, longest)
    if prune is not None:
        warn(check_prune(grid, prune))
    if not arguments["--dry-run"]:
        start_server()

    # Imported here because torch takes seconds to load, and writing configs doesn't need it.
    from commands.tuning import preview, tune
    from ppo.placement import Placement
    from sweeps.execution.backends.choosing import choose_backend
    from sweeps.options import SweepOptions
    from sweeps.planning.jobs import share_out
    from sweeps.searching.search import Search
    from utils import check_compiler

    overwrite = bool(arguments["--overwrite"])
    search = None
    if plan is not None:
        search = Search(plan, journal_path(out, run_id), seed, overwrite)
        grid = search.grid
        only = numbers_option(arguments, "--only", len(grid))
    ray = ray_options(arguments)
    device = select_job_device(str(arguments["--device"]), ray)
    if arguments["--compile"]:
        check_compiler(device)
    placement = Placement(
        device, worker_id, bool(arguments["--low-mem-fix"]), bool(arguments["--compile"])
    )
    options = SweepOptions(
        out,
        run_id,
        repetitions,
        seed,
        placement,
        retries=retries,
        fail_fast=bool(arguments["--fail-fast"]),
        quiet=bool(arguments["--quiet"]),
        sinks=sinks,
        only=only,
        order=order,
        race=race,
        prune=prune,
        shard=shard,
        elsewhere=ray is not None and ray.address is not None,
    )
    backend, jobs = choose_backend(ray, jobs)
    options = share_out(grid, options, together, jobs)
    if arguments["--dry-run"]:
        return preview(grid, options, search)
    return tune(grid, options, overwrite, confirmation, indifference, search, backend)


def _shard(arguments: Arguments) -> Shard | None:
    """Return the value of `--shard`, which options that need the whole sweep exclude."""
    if arguments["--shard"] is None:
        return None
    shard = parse_shard(str(arguments["--shard"]))
    for name in ("--merge", "--only", "--confirm", "--generate-only", "--race"):
        if arguments[name]:
            raise UserError(f"{name}: needs the whole sweep; leave it out, or --shard={shard}")
    if arguments["--prune"] != "none":
        raise UserError(f"--prune: needs the whole sweep; leave it out, or --shard={shard}")
    return shard


def _status(arguments: Arguments, shard: Shard | None) -> int:
    from commands.status import show_shards, show_status

    if arguments["--merge"]:
        return show_shards(_folders(arguments), run_id_option(arguments))
    return show_status(path_option(arguments, "--out"), shard_id(run_id_option(arguments), shard))


def _merge(arguments: Arguments) -> int:
    run_id, out = run_id_option(arguments), folder_option(arguments, "--out")
    indifference = optional_positive(arguments, "--indifference")
    check_lengths(out, run_id, run_id)

    from commands.merging import merge_shards

    return merge_shards(_folders(arguments), out, run_id, indifference)


def _folders(arguments: Arguments) -> list[Path]:
    """Return the values of `--merge`."""
    return [path_option({"--merge": text}, "--merge") for text in arguments["--merge"]]


def _read_grid(arguments: Arguments, base: Path, space: Path) -> Grid:
    grid = load_grid(base, space)
    return grid.unique() if arguments["--unique"] else grid


def _generate(grid: Grid, arguments: Arguments, repetitions: int, seed: int) -> int:
    from sweeps.search_space.config_files import write_grid
    from sweeps.search_space.job_files import write_jobs

    out = folder_option(arguments, "--out")
    changed = write_grid(grid, out, overwrite=bool(arguments["--overwrite"]))
    write_jobs(grid, out, repetitions, seed)
    print(
        f"{counted(grid.count, 'config')} in {shown(out)}"
        + ("" if changed else " (nothing had changed)")
    )
    return ExitCode.SUCCESS


if __name__ == "__main__":
    run_command(__doc__, main)
