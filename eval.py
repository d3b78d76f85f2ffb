"""Evaluates an agent on the levels of the config's evaluation.

Usage:
    eval.py [options]
    eval.py --help
    eval.py --version

Options:
    --config=<path>      The config. If left out, the config in the checkpoint with --checkpoint, else
                         ./configs/default.yaml.
    --checkpoint=<path>  The checkpoint, or a folder; each checkpoint in and below the folder is
                         evaluated, run by run. If left out, model.model_path of the config.
    --untrained          Evaluate a model with initial weights instead.
    --worker-id=<n>      Offset of the environments' communication ports [default: 2].
    --stochastic         Sample actions from the policy instead of choosing the most probable ones.
    --out=<path>         Output folder of evaluation.csv and evaluation.json.
    --device=<name>      Device of the network: auto, cpu, cuda, cuda:1, ... auto chooses CUDA if there
                         is a GPU [default: auto].
    -h --help            Show this text.
    --version            Show the version.
"""

from __future__ import annotations

from commands.command import Arguments, run_command
from commands.options import folder_option, optional_path, worker_id_option


def main(arguments: Arguments) -> int:
    """Run the command and return its exit code."""
    worker_id = worker_id_option(arguments, __doc__)
    config_path, checkpoint_path = (
        optional_path(arguments, name) for name in ("--config", "--checkpoint")
    )
    out = None if arguments["--out"] is None else folder_option(arguments, "--out")

    # Imported here because torch takes seconds to load, and --help doesn't need it.
    from commands.evaluation import evaluate_agents
    from commands.playing import load_agents
    from utils import select_device

    device = select_device(str(arguments["--device"]))
    agents = load_agents(config_path, checkpoint_path, bool(arguments["--untrained"]))
    return evaluate_agents(agents, worker_id, device, bool(arguments["--stochastic"]), out)


if __name__ == "__main__":
    run_command(__doc__, main)
