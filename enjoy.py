"""Shows an agent playing one episode, in a window or as a video.

Usage:
    enjoy.py [options]
    enjoy.py --help
    enjoy.py --version

Options:
    --config=<path>      The config. If left out, the config in the checkpoint with --checkpoint, else
                         ./configs/default.yaml.
    --checkpoint=<path>  The checkpoint, or a run's folder, which stands for the latest checkpoint in it.
                         If left out, model.model_path of the config.
    --untrained          Show a model with initial weights instead.
    --worker-id=<n>      Offset of the environment's communication port [default: 2].
    --seed=<n>           Seed of the episode [default: 0].
    --stochastic         Sample actions from the policy instead of choosing the most probable ones.
    --video=<path>       Write the episode to an MP4 or GIF file, which needs no display.
    --device=<name>      Device of the network: auto, cpu, cuda, cuda:1, ... auto chooses CUDA if there
                         is a GPU [default: auto].
    -h --help            Show this text.
    --version            Show the version.
"""

from __future__ import annotations

from commands.command import Arguments, run_command
from commands.options import integer_option, optional_path, worker_id_option


def main(arguments: Arguments) -> int:
    """Run the command and return its exit code."""
    worker_id = worker_id_option(arguments, __doc__)
    seed = integer_option(arguments, "--seed", minimum=0)
    config_path, checkpoint_path, video = (
        optional_path(arguments, name) for name in ("--config", "--checkpoint", "--video")
    )

    # Imported here because torch takes seconds to load, and --help doesn't need it.
    from commands.playing import load_agent
    from commands.showing import check_output, show_episode
    from utils import select_device

    check_output(video)
    device = select_device(str(arguments["--device"]))
    agent = load_agent(config_path, checkpoint_path, bool(arguments["--untrained"]))
    return show_episode(agent, seed, worker_id, device, bool(arguments["--stochastic"]), video)


if __name__ == "__main__":
    run_command(__doc__, main)
