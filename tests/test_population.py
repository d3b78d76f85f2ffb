import pytest
import torch

from environments.levels import RandomLevels
from ppo.learner import Learner
from ppo.placement import Placement
from ppo.run.member import Run
from sweeps.search_space.merging import deep_merge
from tests.environments import scripted
from tests.examples import CPU, ON_CPU, close, same, tiny_config, train, train_population
from trainer import PPOTrainer
from utils import Stream, derive_seed


def rate(value):
    return tiny_config(trainer={"learning_rate_schedule": {"initial": value, "final": None}})


KINDS = {
    "dense": {},
    # Sizes that don't fill a processor's vectors; other code computes the remainders.
    "odd sizes": {
        "model": {"hidden_layer_size": 13, "activation": "swish", "share_parameters": False},
        "trainer": {"num_workers": 3, "worker_steps": 10, "num_mini_batches": 3},
    },
    "layers apart": {
        "model": {
            **{"num_hidden_layers": 2, "hidden_layer_size": 128},
            "hidden_layers": {"policy": [13, 64], "value": [16]},
        },
    },
    "no layers": {
        "model": {"num_hidden_layers": 2, "hidden_layer_size": 128, "hidden_layers": []},
        "trainer": {"num_workers": 3, "worker_steps": 10, "num_mini_batches": 3},
    },
    "normalised": {
        "environment": {"backend": "gymnasium"},
        "model": {"normalize_observations": True},
        "trainer": {"normalize_rewards": True},
    },
    "continuous": {
        "environment": {"type": "Gymnasium", "name": "Pendulum-v1"},
        "model": {"squash_actions": True, "hidden_layer_size": 24, "activation": "gelu"},
        "trainer": {"num_workers": 5, "worker_steps": 20, "bootstrap_truncated": True},
    },
    "state-dependent": {
        "environment": {"type": "Gymnasium", "name": "Pendulum-v1"},
        "model": {"use_sde": True, "sde_sample_freq": 4, "hidden_layer_size": 24},
        "trainer": {"num_workers": 5, "worker_steps": 20},
    },
    "recurrent": {
        "environment": {"mask_velocities": True},
        "model": {"recurrence": {"hidden_state_size": 24, "hidden_state_init": "sample"}},
        "trainer": {"updates": 10},
    },
    "one-hot": {
        "environment": {"type": "Minigrid", "name": "MiniGrid-Empty-Random-5x5-v0"},
        "trainer": {"updates": 20},
    },
    "images": {
        "environment": {
            "type": "Minigrid",
            "name": "MiniGrid-Empty-5x5-v0",
            "visual_observation": True,
        },
        "trainer": {"updates": 2},
    },
}


def trained_weights(runs, cores=1):
    with PPOTrainer(runs, Placement(CPU, 2, cores=cores and tuple(range(cores)))) as trainer:
        trainer.run()
        return [trainer.parts.population.member_weights(number) for number in range(len(runs))]


def runs_of(kind, count):
    common = deep_merge({"trainer": {"updates": 40, "worker_steps": 16, "epochs": 1}}, KINDS[kind])
    return [
        Run(tiny_config(**deep_merge(common, {"trainer": {"gamma": 0.99 - number / 100}})), number)
        for number in range(count)
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_weights_are_equal_bit_for_bit_alone_and_in_any_population(kind):
    runs = runs_of(kind, 24 if kind == "dense" else 7)
    all_weights = trained_weights(runs)
    assert same(trained_weights(runs[3:5]), all_weights[3:5])
    assert same(trained_weights(runs[:6]), all_weights[:6])
    for number in (0, 6):
        assert same(trained_weights(runs[number : number + 1]), all_weights[number : number + 1])


@pytest.mark.parametrize("kind", ["images", "recurrent"])
def test_weights_are_equal_bit_for_bit_with_any_number_of_cores(kind):
    runs = runs_of(kind, 2)
    threads = torch.get_num_threads()
    try:
        assert same(trained_weights(runs, cores=2), trained_weights(runs, cores=1))
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("numba", [True, False])
@pytest.mark.parametrize("clip_value_loss", [True, False])
def test_a_clip_range_of_zero_trains(monkeypatch, numba, clip_value_loss):
    if not numba:
        monkeypatch.setattr("numerics.is_installed", lambda: False)
    schedule = {"initial": 0.2, "final": 0, "max_decay_steps": 2}
    trainer = {"updates": 5, "clip_range_schedule": schedule, "clip_value_loss": clip_value_loss}
    with PPOTrainer([Run(tiny_config(trainer=trainer), 0)], ON_CPU) as trained:
        before = trained.parts.population.weights.clone()
        trained.run()
        (member,) = trained.parts.members
        assert trained.failures == [None] and trained.is_finished
        assert member.scalars["schedule/clip_range"] == 0
        assert trained.parts.population.weights.isfinite().all()
        assert not torch.equal(before, trained.parts.population.weights)


def test_a_member_trains_as_if_it_were_alone(tmp_path):
    configs, seeds = [rate(1e-2), rate(3e-3), rate(1e-4)], [11, 12, 13]
    together = train_population(configs, seeds, tmp_path / "together")
    for number, (config, seed) in enumerate(zip(configs, seeds, strict=True)):
        alone = train(config, seed, tmp_path / f"alone{number}")
        beside = together[number]
        assert same(alone.weights, beside.weights)
        assert same(alone.return_history, beside.return_history)
        assert same(alone.generators, beside.generators)
        assert same(alone.environments, beside.environments)
        assert (beside.seed, beside.config) == (seed, config.resolved(False).as_dict())
    kernel = "trunk.layers.0.weight"
    assert (together[0].weights[kernel] - together[1].weights[kernel]).abs().max() > 0.01


@pytest.mark.parametrize(
    "changes",
    [
        {"gamma": 0.5},
        {"lamda": 0.5},
        {"value_coefficient": 0.0},
        {"max_grad_norm": 1e-3},
        {"weight_decay": 0.5},
        {"adam_epsilon": 0.1},
        {"beta_schedule": {"initial": 0.5}},
        {"clip_range_schedule": {"initial": 1e-3}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_each_member_has_its_own_hyperparameters(tmp_path, changes):
    usual, other = tiny_config(), tiny_config(trainer=changes)
    together = train_population([usual, other], [5, 5], tmp_path / "together")
    assert same(train(other, 5, tmp_path / "alone").weights, together[1].weights)
    differences = [
        (weight - together[1].weights[name]).abs().max().item()
        for name, weight in together[0].weights.items()
    ]
    assert max(differences) > 1e-4, "the hyperparameter has no effect"


def test_equal_members_stay_equal(tmp_path):
    first, second = train_population([tiny_config()] * 2, [5, 5], tmp_path)
    assert same(first.weights, second.weights)
    assert same(first.return_history, second.return_history)


def trained_stacked(configs, stacked):
    """Return weights and scalars after an update; members learn at once, as on a GPU, or one by one."""
    runs = [Run(config, seed) for seed, config in enumerate(configs)]
    with PPOTrainer(runs, ON_CPU) as trainer:
        if stacked:
            trainer.learners = [Learner(slice(None), trainer.parts)]
        trainer.run()
        scalars = [member.scalars for member in trainer.parts.members]
        return trainer.parts.population.weights.clone(), scalars


@pytest.mark.parametrize("normalisation", ["minibatch", "batch", "none"])
def test_members_learn_the_same_at_once_and_one_by_one(normalisation):
    # A large epsilon keeps rounding of tiny gradients from making large steps.
    common = {"updates": 1, "adam_epsilon": 1e-3, "advantage_normalization": normalisation}
    configs = [
        tiny_config(trainer=common | own)
        for own in (
            {"weight_decay": 0.3, "beta_schedule": {"initial": 0.2}},
            {"adam_epsilon": 0.01, "value_coefficient": 2.0, "max_grad_norm": 0.05},
            {"learning_rate_schedule": {"initial": 0.01}, "clip_range_schedule": {"initial": 0.05}},
        )
    ]
    (one_by_one, expected), (at_once, found) = (
        trained_stacked(configs, stacked) for stacked in (False, True)
    )
    torch.testing.assert_close(at_once, one_by_one, rtol=1e-4, atol=1e-5)
    for own, other in zip(expected, found, strict=True):
        assert own.keys() == other.keys()
        assert all(
            own[name] == pytest.approx(other[name], abs=1e-3) for name in own if "time" not in name
        )


def test_a_member_that_diverges_leaves_the_others_alone(tmp_path):
    usual = tiny_config()
    bad = tiny_config(
        trainer={"learning_rate_schedule": {"initial": 1.0}, "value_coefficient": 1e38}
    )
    runs = [
        Run(config, 5, checkpoints=tmp_path / str(number))
        for number, config in enumerate((usual, bad))
    ]
    with PPOTrainer(runs, ON_CPU) as trainer:
        trainer.run()
        none, failure = trainer.failures
        assert none is None
        assert (str(failure.error), failure.updates) == ("a loss is not finite in update 1", 0)
        weights = trainer.parts.population.member_weights(0)
    assert not (tmp_path / "1").exists()
    close(train(usual, 5, tmp_path / "alone").weights, weights)


@pytest.mark.parametrize("processes", [0, 2])
def test_a_failing_environment_leaves_the_other_members_alone(tmp_path, processes):
    # The second member's second worker fails in its first episode, in the second update.
    levels = RandomLevels([derive_seed(6, Stream.ENVIRONMENTS, 1)], 0, 2**20)
    kwargs = {"fault": "raises", "at": 50, "level": levels(0, 0)}
    config = tiny_config(
        environment={
            "type": "Gymnasium",
            "name": scripted.name("Faulty"),
            "kwargs": kwargs,
            "processes": processes,
            "reset_params": {"start-seed": 0, "num-seeds": 2**20},
        }
    )
    seeds = (5, 6, 7)
    runs = [Run(config, seed, checkpoints=tmp_path / str(seed)) for seed in seeds]
    with PPOTrainer(runs, ON_CPU) as trainer:
        trainer.run()
        failures = trainer.failures
        weights = [trainer.parts.population.member_weights(number) for number in range(3)]
    assert [failure and failure.updates for failure in failures] == [None, 1, None]
    assert str(failures[1].error).endswith("step raised KeyError: 'motor'")
    assert failures[1].error.details.startswith("environment 5, episode 0")
    assert not (tmp_path / "6").exists()
    for number in (0, 2):
        alone = train(config, seeds[number], tmp_path / f"alone {number}")
        assert same(alone.weights, weights[number])
