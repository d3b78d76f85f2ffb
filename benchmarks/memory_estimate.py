"""Compares the estimated memory of trainings with their peak memory.

`python benchmarks/memory_estimate.py` trains each of several large configs for two updates, each in its
own process, and a tiny config of the same environment, to subtract its peak. It takes a few minutes and
two GiB.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ppo.footprint import MIB, footprint  # noqa: E402  # the root is on the path now
from schema.config import Config  # noqa: E402
from sweeps.search_space.merging import deep_merge  # noqa: E402

CARTPOLE = {"type": "CartPole", "name": "CartPole-v1", "processes": 0}
POOLED = {**CARTPOLE, "processes": None}
PENDULUM = {"type": "Gymnasium", "name": "Pendulum-v1", "processes": 0}
ROOM = {"type": "Minigrid", "name": "MiniGrid-Empty-Random-6x6-v0"}
ROOMS = {"type": "Minigrid", "name": "MiniGrid-MultiRoom-N6-v0"}
PONG = {
    **{"type": "Atari", "name": "Pong-v5", "frame_skip": 4, "obs_stacks": 4},
    **{"grayscale": True, "resize_vis_obs": [84, 84]},
}
LSTM = {"layer_type": "lstm", "hidden_state_size": 512}
GRU = {"layer_type": "gru", "hidden_state_size": 256, "sequence_length": 0}

# Name, environment, model, workers and steps.
CASES = [
    ("CartPole, 256 x 4096 steps", POOLED, {}, 256, 4096),
    ("CartPole, 20,000 environments", CARTPOLE, {}, 20_000, 2),
    (
        "CartPole, 2 x 2 layers of 3000",
        CARTPOLE,
        {"hidden_layer_size": 3000, "share_parameters": False},
        2,
        8,
    ),
    (
        "CartPole, 12 layers of 1000",
        CARTPOLE,
        {"hidden_layer_size": 1000, "num_hidden_layers": 12},
        8,
        128,
    ),
    ("CartPole, LSTM of 512", CARTPOLE, {"recurrence": LSTM}, 32, 512),
    ("CartPole, GRU of 256, whole episodes", CARTPOLE, {"recurrence": GRU}, 64, 256),
    ("Pendulum, 32 x 1024 steps", PENDULUM, {"hidden_layer_size": 256}, 32, 1024),
    ("MiniGrid, a room, one-hot", ROOM, {}, 256, 1024),
    ("MiniGrid, several rooms, one-hot", ROOMS, {}, 256, 512),
    ("MiniGrid, a room, pixels that repeat", {**ROOM, "visual_observation": True}, {}, 32, 128),
    ("Pong, 32 x 128 steps", PONG, {}, 32, 128),
    ("Pong, two networks", PONG, {"share_parameters": False}, 32, 64),
]
TRAINING = """
import resource, sys, tempfile, torch
from pathlib import Path
from ppo.run.member import Run
from schema.config import Config
from trainer import PPOTrainer

folder = tempfile.TemporaryDirectory()
run = Run(Config.model_validate_json(sys.argv[1]), 0, None, Path(folder.name))
with PPOTrainer([run], Placement(torch.device("cpu"), 2)) as trainer:
    trainer.run()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak(config: Config) -> int:
    """Return a training's peak resident memory in bytes (on Linux)."""
    command = [sys.executable, "-c", TRAINING, config.model_dump_json(by_alias=True)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return 1024 * json.loads(done.stdout)


def main() -> None:
    """Print a row for each config."""
    print("| training | estimated, MiB | taken, MiB | times |\n| --- | ---: | ---: | ---: |")
    for name, environment, model, workers, steps in CASES:
        trainer = {"updates": 2, "epochs": 1, "num_workers": workers, "worker_steps": steps}
        tiny = {"trainer": {"num_workers": 2, "worker_steps": 8}, "model": {"hidden_layer_size": 8}}
        sections = {"environment": environment, "trainer": trainer}
        small = Config.model_validate(deep_merge(sections, tiny))
        large = Config.model_validate({**sections, "model": model})
        estimated = (footprint(large).of(1) - footprint(small).of(1)) / MIB
        taken = (peak(large) - peak(small)) / MIB
        print(f"| {name} | {estimated:,.0f} | {taken:,.0f} | {estimated / taken:.2f} |", flush=True)


if __name__ == "__main__":
    main()
