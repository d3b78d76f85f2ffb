"""Small grids and sweeps for tests; a sweep trains in this process."""

from pathlib import Path

import torch

from commands.terminal.console import make_console
from commands.terminal.progress import PlainDisplay
from ppo.placement import Placement
from ppo.run.checkpoint import load_checkpoint
from sweeps.execution import worker
from sweeps.execution.backends.local import Queue
from sweeps.execution.worker import train_population
from sweeps.options import SweepOptions
from sweeps.search_space.grid import load_grid
from sweeps.sweep import Sweep

BASE = """\
environment: {type: CartPole, name: CartPole-v1, backend: gymnasium, processes: 0}
model: {hidden_layer_size: 8, checkpoint_interval: 2}
trainer: {updates: 6, epochs: 1, num_workers: 2, worker_steps: 32, num_mini_batches: 1}
"""


CARTPOLE = "environment: {type: CartPole, name: CartPole-v1}\n"
# The documented example: 48 permutations; 16 repeat another.
DOCUMENTED = """
hyperparameters:
  worker_steps: [64, 128]
  num_workers: [8, 16]

learning_rate_schedule:
  initial: [3.0e-3, 1.0e-4]
  final: [1.0e-5, 1.0e-6]

beta_schedule:
  initial: [0.01, 0.001, 0.001]
  final: [0.0001]
"""


def make_grid(folder: Path, space="hyperparameters: {gamma: [0.9, 0.95, 0.99]}\n", base=BASE):
    (folder / "base.yaml").write_text(base)
    (folder / "tune.yaml").write_text(space)
    return load_grid(folder / "base.yaml", folder / "tune.yaml")


class Display(PlainDisplay):
    """Records the trained runs, and calls a function after each update."""

    def __init__(self, on_update=lambda sweep, progress: None):
        super().__init__(make_console(), 1, 1)
        self.on_update = on_update
        self.sweep = None
        self.begun = []
        self.updates = []

    def show_start(self, job, names, updates):
        super().show_start(job, names, updates)
        self.begun.append(list(names))

    def show_progress(self, job, progress):
        super().show_progress(job, progress)
        self.updates.append(progress.update)
        self.on_update(self.sweep, progress)


def run_here(populations, placements, observer, stop):
    """Train populations in this process, where tests can replace parts of the trainer."""
    queue = Queue(populations, placements[0].out)
    while not stop.is_requested and (population := queue.next()):
        observer.started(0, population)
        results = train_population(
            population,
            placements[0],
            lambda progress: observer.progressed(0, progress),
            lambda: stop.is_requested,
        )
        if results is None:
            queue.part(population)
        else:
            observer.ended(0, population, results)


def fail(monkeypatch, gamma, message):
    """Make each population raise an error if a member has that gamma."""

    class Failing(worker.PPOTrainer):
        def __init__(self, runs, placement):
            super().__init__(runs, placement)
            self.fails = any(run.config.trainer.gamma == gamma for run in runs)

        def run(self, on_update):
            if self.fails:
                raise RuntimeError(message)
            super().run(on_update)

    monkeypatch.setattr(worker, "PPOTrainer", Failing)


def options_for(out, worker_id=2, device="cpu", **options):
    chosen = {"run_id": "a", "repetitions": 1, "seed": 0, **options}
    return SweepOptions(out=out, placement=Placement(torch.device(device), worker_id), **chosen)


def run(grid, out, display=None, overwrite=False, **options):
    """Run a sweep and return the records of all its runs."""
    display = display or Display()
    with Sweep(grid, options_for(out, **options), overwrite) as sweep:
        display.sweep = sweep
        sweep.run(display, backend=run_here)
        return list(sweep.records())


def comparable(results, out):
    """Return everything that must be the same however often a sweep was interrupted."""
    return [
        (
            result.name,
            result.run.choices,
            result.run.seed,
            result.steps,
            result.final_return,
            result.return_deviation,
            result.best_return,
            result.state,
            result.checkpoint,
            result.curve,
            {name: tensor.tolist() for name, tensor in _weights(result, out).items()},
        )
        for result in results
    ]


def _weights(result, out):
    return load_checkpoint(out / result.checkpoint).weights if result.checkpoint else {}
