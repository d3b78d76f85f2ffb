import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ppo.run.member import Run, TrainingDivergedError
from tests.examples import ON_CPU, global_random_state, same, tiny_config, train
from trainer import PPOTrainer


def scalars(folder):
    """Return all scalars of a run, except durations and speeds."""
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    return {
        tag: [(event.step, event.value) for event in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
        if not tag.startswith("time/")
    }


def test_the_same_seed_gives_the_same_training_bit_for_bit(tmp_path):
    first = train(tiny_config(), 5, tmp_path / "first")
    torch.manual_seed(99)
    second = train(tiny_config(), 5, tmp_path / "second")
    assert same(vars(first), vars(second))
    curves = scalars(tmp_path / "first" / "0" / "summaries")
    assert curves == scalars(tmp_path / "second" / "0" / "summaries")
    assert [step for step, _ in curves["loss/total"]] == [128, 256, 384]
    assert {"episode/return_mean", "policy/entropy", "schedule/learning_rate"} <= set(curves)
    rates = [value for _, value in curves["schedule/learning_rate"]]
    assert rates == pytest.approx([3e-3, 1e-4 + 2.9e-3 * 2 / 3, 1e-4 + 2.9e-3 / 3])


def test_another_seed_gives_another_training(tmp_path):
    first = train(tiny_config(), 5, tmp_path / "first")
    second = train(tiny_config(), 6, tmp_path / "second")
    assert not any(
        torch.equal(weight, second.weights[name]) for name, weight in first.weights.items()
    )
    assert not same(first.return_history, second.return_history)


def test_training_leaves_the_global_generators_alone(tmp_path):
    before = global_random_state()
    train(tiny_config(evaluation={"evaluate": True, "interval": 1}), 5, tmp_path)
    assert global_random_state() == before


def test_low_memory_does_not_change_training(tmp_path):
    usual = train(tiny_config(), 5, tmp_path / "usual")
    low = train(tiny_config(), 5, tmp_path / "low", low_memory=True)
    assert same(vars(usual), vars(low))


def test_evaluation_does_not_change_training(tmp_path):
    evaluation = {"evaluate": True, "interval": 1, "num_workers": 2, "seeds": {"num-seeds": 3}}
    without = train(tiny_config(), 5, tmp_path / "without")
    with_it = train(tiny_config(evaluation=evaluation), 5, tmp_path / "with")
    for part in ("weights", "optimiser", "generators", "environments"):
        assert same(getattr(without, part), getattr(with_it, part)), part
    assert without.return_history["evaluation"] == []
    assert len(with_it.return_history["evaluation"]) == 3
    assert with_it.return_history["episodes"] == without.return_history["episodes"]
    curves = scalars(tmp_path / "with" / "0" / "summaries")
    assert [step for step, _ in curves["evaluation/return_mean"]] == [128, 256, 384]


@pytest.mark.slow
def test_processes_do_not_change_training(tmp_path):
    here = train(tiny_config(), 5, tmp_path / "here")
    elsewhere = train(tiny_config(environment={"processes": 2}), 5, tmp_path / "elsewhere")
    for part in ("weights", "optimiser", "generators", "environments", "return_history"):
        assert same(getattr(here, part), getattr(elsewhere, part)), part


def test_progress_is_reported_after_each_update():
    seen = []
    with PPOTrainer([Run(tiny_config(), 5)], ON_CPU) as trainer:
        trainer.run(seen.append)
        assert trainer.steps == 384
    assert [(item.update, item.updates, item.steps) for item in seen] == [
        (1, 3, 128),
        (2, 3, 256),
        (3, 3, 384),
    ]


def test_a_loss_that_is_not_finite_stops_the_training():
    config = tiny_config(
        trainer={"learning_rate_schedule": {"initial": 1.0}, "max_grad_norm": 1e30}
    )
    with PPOTrainer([Run(config, 5)], ON_CPU) as trainer:
        trainer.parts.population.weights.fill_(torch.inf)
        trainer.run()
        assert trainer.update == 0
        (failure,) = trainer.failures
    assert isinstance(failure.error, TrainingDivergedError)
    assert str(failure.error) == "a loss is not finite in update 1"


def test_no_checkpoint_keeps_weights_that_are_not_finite(tmp_path, monkeypatch):
    config = tiny_config(model={"checkpoint_interval": 1})
    with PPOTrainer([Run(config, 5, checkpoints=tmp_path)], ON_CPU) as trainer:
        epochs = trainer.learners[0].epochs
        learn = epochs.learn

        def break_after_update_2(rates):
            logged = learn(rates)
            if trainer.update == 1:
                trainer.parts.population.weights[0, 3] = torch.nan
            return logged

        monkeypatch.setattr(epochs, "learn", break_after_update_2)
        trainer.run()
        (failure,) = trainer.failures
    assert (str(failure.error), failure.updates) == ("a weight is not finite in update 2", 1)
    assert [path.name for path in tmp_path.iterdir()] == ["update_000001.pt"]
