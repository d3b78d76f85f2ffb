"""Evaluates an agent on the levels that the config's evaluation names.

Usage:
    eval.py [options]
    eval.py --help
    eval.py --version

Options:
    --config=<path>      The config; if left out, the checkpoint's own with --checkpoint, else
                         ./configs/default.yaml.
    --checkpoint=<path>  The checkpoint, or a folder; each checkpoint in and below it is evaluated,
                         run by run. If left out, model.model_path of the config.
    --untrained          Evaluate a model from scratch instead.
    --worker-id=<n>      Offset of the communication port of each environment instance
                         [default: 2].
    --stochastic         Draw actions from the policy instead of taking the most probable ones.
    --out=<path>         A folder, into which evaluation.csv and evaluation.json are written.
    --device=<name>      Where the network is: auto, cpu, cuda, cuda:1, ... auto is CUDA where there
                         is a GPU [default: auto].
    -h --help            Show this text.
    --version            Show the version.
"""

from __future__ import annotations

from commands.command import Arguments, run_command
from commands.options import folder_option, optional_path, worker_id_option


def main(arguments: Arguments) -> int:
    """Runs the command and returns its exit code."""
    worker_id = worker_id_option(arguments, __doc__)
    config_path, checkpoint_path = (
        optional_path(arguments, name) for name in ("--config", "--checkpoint")
    )
    out = None if arguments["--out"] is None else folder_option(arguments, "--out")

    # Imported here because torch takes seconds to load, which --help needn't wait for.
    from commands.evaluation import evaluate_agents
    from commands.playing import load_agents
    from utils import select_device

    device = select_device(str(arguments["--device"]))
    agents = load_agents(config_path, checkpoint_path, bool(arguments["--untrained"]))
    return evaluate_agents(agents, worker_id, device, bool(arguments["--stochastic"]), out)


if __name__ == "__main__":
    run_command(__doc__, main)
