"""Trains one PPO agent.

Usage:
    train.py [options]
    train.py --help
    train.py --version

Options:
    --config=<path>      The config [default: ./configs/default.yaml].
    --worker-id=<n>      Offset of the environments' communication ports. Sessions that run Unity
                         environments on one machine at the same time need distinct offsets. If left
                         out, ports in use are skipped [default: 2].
    --run-id=<path>      Tag of the training session, which names the folders of the TensorBoard
                         summaries and the checkpoints [default: default].
    --low-mem-fix        Move one mini-batch at a time to the GPU instead of the whole batch, for
                         GPUs with little memory.
    --out=<path>         Output folder of summaries and checkpoints [default: ./].
    --log=<sinks>        Services that log the training: tensorboard, wandb (Weights & Biases), mlflow,
                         or several of them, separated by commas [default: tensorboard].
    --seed=<n>           Seed of all random numbers [default: 0].
    --device=<name>      Device that trains the network: auto, cpu, cuda, cuda:1, ... auto chooses CUDA
                         if there is a GPU [default: auto].
    --compile            Compile the losses with torch.compile, which takes a minute at the start and
                         pays off in long trainings on a GPU.
    --overwrite          Replace what an earlier training with the same --run-id left in --out.
    --check-env          Check the config's environment and train nothing. The checks are Gymnasium's
                         own, and those of what training and resuming rely on.
    -h --help            Show this text.
    --version            Show the version.
"""

from __future__ import annotations

from commands.command import Arguments, run_command
from commands.options import (
    config_option,
    folder_option,
    integer_option,
    run_id_option,
    worker_id_option,
)
from ppo.sinks import parse_sinks
from ppo.validation import load_runnable_config


def main(arguments: Arguments) -> int:
    """Run the command and return its exit code."""
    seed = integer_option(arguments, "--seed", minimum=0)
    worker_id = worker_id_option(arguments, __doc__)
    run_id = run_id_option(arguments)
    out = folder_option(arguments, "--out")
    sinks = parse_sinks(str(arguments["--log"]))
    config_path = config_option(arguments, "--config", __doc__)
    if arguments["--check-env"]:
        # Imported here because training doesn't need it.
        from commands.checking import check

        return check(config_path, worker_id)
    config = load_runnable_config(config_path)

    # Imported here because torch takes seconds to load, and --help and errors don't need it.
    from commands.training import train
    from ppo.placement import Placement
    from ppo.run.member import Run
    from ppo.sinks.interface import Log
    from utils import check_compiler, select_device

    device = select_device(str(arguments["--device"]))
    if arguments["--compile"]:
        check_compiler(device)
    log = Log(sinks, out, group=run_id, name=run_id)
    run = Run(config, seed, out / "summaries" / run_id, out / "checkpoints" / run_id, log=log)
    placement = Placement(
        device, worker_id, bool(arguments["--low-mem-fix"]), bool(arguments["--compile"])
    )
    return train(run, placement, overwrite=bool(arguments["--overwrite"]))


if __name__ == "__main__":
    run_command(__doc__, main)
