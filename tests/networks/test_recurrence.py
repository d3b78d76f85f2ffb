import numpy as np
import pytest
import torch

from networks.recurrence import Recurrence, Sequences
from networks.sequences import RolloutSequences
from ppo.run.checkpoint import checkpoint_path, load_checkpoint
from ppo.run.member import Run
from ppo.validation import runnable_problems
from schema.errors import UserError
from schema.model import RecurrenceConfig
from tests.examples import ON_CPU, close, same, tiny_config, train, train_population
from trainer import PPOTrainer

KINDS = ["gru", "lstm"]
# Most episodes of CartPole end in the middle of a rollout of 32 steps.
MASKED = {"mask_velocities": True}


def recurrent(trainer=None, model=None, **recurrence):
    recurrence = {"hidden_state_size": 8, "sequence_length": 5} | recurrence
    return tiny_config(
        environment=MASKED,
        model={"recurrence": recurrence} | (model or {}),
        trainer=trainer or {},
    )


def network(kind, num_layers=1, members=None, **config):
    """Return recurrent layers over 3 features, with random weights."""
    config = RecurrenceConfig(layer_type=kind, num_layers=num_layers, hidden_state_size=4, **config)
    axis = () if members is None else (members,)
    layers = Recurrence(axis, 3, config, torch.tanh)
    generator = torch.Generator().manual_seed(7)
    for module in layers.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            values = 0.5 * torch.randn(parameter.shape, generator=generator)
            setattr(module, name, torch.nn.Parameter(values))
    return layers


def naive_gru(x, h, inputs, hidden):
    xr, xz, xn = np.split(x @ inputs[0] + inputs[1], 3)
    hr, hz, hn = np.split(h @ hidden[0] + hidden[1], 3)
    reset, update = 1 / (1 + np.exp(-xr - hr)), 1 / (1 + np.exp(-xz - hz))
    return (1 - update) * np.tanh(xn + reset * hn) + update * h


def naive_lstm(x, state, inputs, hidden):
    h, c = state[:4], state[4:]
    gates = x @ inputs[0] + inputs[1] + h @ hidden[0] + hidden[1]
    into, forget, new, out = np.split(gates, 4)
    c = c / (1 + np.exp(-forget)) + np.tanh(new) / (1 + np.exp(-into))
    return np.concatenate((np.tanh(c) / (1 + np.exp(-out)), c))


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_equals_the_equations_of_the_papers(kind):
    layers = network(kind)
    parameters = [
        [getattr(part[0], name).detach().double().numpy() for name in ("weight", "bias")]
        for part in (layers.inputs, layers.hidden)
    ]
    random = np.random.default_rng(0)
    x, state = random.normal(size=3), random.normal(size=layers.state_size)
    expected = {"gru": naive_gru, "lstm": naive_lstm}[kind](x, state, *parameters)
    outputs, after = layers(
        torch.tensor(x).float().unsqueeze(0),
        Sequences(torch.tensor(state).float().unsqueeze(0)),
        None,
    )
    np.testing.assert_allclose(after[0].detach(), expected, atol=1e-6)
    np.testing.assert_allclose(outputs[0].detach(), expected[:4], atol=1e-6)


@pytest.mark.parametrize("embed", [False, True])
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_padded_sequences_equal_single_steps(kind, num_layers, embed):
    layers = network(kind, num_layers, embed=embed, residual=embed)
    generator = torch.Generator().manual_seed(1)
    lengths = [4, 1, 3]
    mask = torch.arange(4) < torch.tensor(lengths).unsqueeze(1)
    features = torch.randn(8, 3, generator=generator)
    states = torch.randn(3, layers.state_size, generator=generator)
    found, after = layers(features, Sequences(states, None, mask), None)
    assert after is None
    expected, row = [], 0
    for length, state in zip(lengths, states.split(1), strict=True):
        for _ in range(length):
            output, state = layers(features[row : row + 1], Sequences(state), None)  # noqa: PLW2901
            expected.append(output)
            row += 1
    torch.testing.assert_close(found, torch.cat(expected), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_stacked_members_step_as_each_does_alone(kind):
    stacked = network(kind, 2, members=3)
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(3, 5, 3, generator=generator)
    states = torch.randn(3, 5, stacked.state_size, generator=generator)
    outputs, after = stacked(features, Sequences(states), None)
    for member in range(3):
        alone = network(kind, 2)
        for own, shared in zip(alone.modules(), stacked.modules(), strict=True):
            for name, parameter in list(shared.named_parameters(recurse=False)):
                setattr(own, name, torch.nn.Parameter(parameter[member].detach()))
        expected = alone(features[member], Sequences(states[member]), None)
        torch.testing.assert_close(outputs[member], expected[0])
        torch.testing.assert_close(after[member], expected[1])


def test_a_residual_needs_inputs_of_the_outputs_size():
    with pytest.raises(ValueError, match="inputs of size 3 to outputs of size 4"):
        network("gru", residual=True)
    problems = runnable_problems(recurrent(residual=True))
    assert [key for key, _ in problems] == [("model", "recurrence", "residual")]
    assert "hidden_state_size to 2" in problems[0][1]
    assert not runnable_problems(recurrent(residual=True, embed=True))


@pytest.mark.parametrize("share_parameters", [True, False])
@pytest.mark.parametrize("init", ["zero", "one", "mean", "sample", "learned"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_stored_sequences_give_the_rollout_s_values_and_log_probabilities(
    kind, init, share_parameters
):
    config = recurrent(
        layer_type=kind,
        hidden_state_init=init,
        num_layers=2,
        model={"share_parameters": share_parameters},
    )
    with PPOTrainer([Run(config, 1), Run(config, 2)], ON_CPU) as trainer:
        for _ in range(2):  # the second rollout starts within episodes, with trained networks
            trainer.sampler.sample(0)
            trainer.estimate_advantages()
            assert trainer.parts.buffer.ends[:, :-1].any(1).any(1).all(), (
                "episodes end in the middle"
            )
            for member in range(2):
                check_forward_pass(trainer, member)
            trainer.learn()
            trainer.parts.population.observe(
                trainer.parts.buffer.observations, trainer.parts.hidden_states.states
            )


@torch.no_grad()
def check_forward_pass(trainer, member):
    buffer, memory = trainer.parts.buffer, trainer.parts.hidden_states
    network, compared = trainer.parts.population.each[member], 0
    sequences = RolloutSequences(
        buffer.ends[member], 5, memory.states[member], memory.initial[member]
    )
    dealt = sequences.mini_batches(torch.Generator().manual_seed(0), 2)
    for batch in buffer.mini_batches(member, buffer.batch_observations(member), dealt):
        parameters, values = network(batch.observations, None, batch.sequences)
        logs = network.distribution.log_probability(parameters, batch.actions)
        torch.testing.assert_close(values, batch.values, rtol=0, atol=1e-5)
        torch.testing.assert_close(logs, batch.log_probabilities, rtol=0, atol=1e-5)
        compared += len(values)
    assert compared == buffer.size


def test_hidden_states_are_reset_at_ends_of_episodes_only():
    with PPOTrainer([Run(recurrent(hidden_state_init="one"), 1)], ON_CPU) as trainer:
        trainer.sampler.sample(0)
        states, ends = trainer.parts.hidden_states.states[0], trainer.parts.buffer.ends[0]
        assert (states[0] == 1).all()
        assert (states[1:][ends[:-1]] == 1).all()
        assert ends[:-1].sum() > 3
        assert not (states[1:][~ends[:-1]] == 1).all(-1).any()
        assert torch.equal(trainer.parts.hidden_states.initial[0][1:], ends[:-1])


def test_hidden_states_continue_after_an_end_if_they_are_not_reset():
    with PPOTrainer([Run(recurrent(reset_hidden_state=False), 1)], ON_CPU) as trainer:
        trainer.sampler.sample(0)
        assert trainer.parts.buffer.ends.any()
        assert trainer.parts.hidden_states.states[0, 1:].any(-1).all()
        assert not trainer.parts.hidden_states.initial[0, 1:].any()


def test_a_truncated_episode_is_worth_its_last_observation_s_value_with_the_hidden_state():
    config = recurrent(trainer={"worker_steps": 8})
    with PPOTrainer([Run(config, 1)], ON_CPU) as trainer:
        environments, cut = trainer.environments, []
        original = environments.step

        def cut_off(actions):
            step = original(actions)
            if len(cut) == 3:
                step.truncated[2] = True
                step.final_observations.append((2, {"vector": np.array([0.1, 0.2], np.float32)}))
            cut.append(None)
            return step

        environments.step = cut_off
        trainer.sampler.sample(0)
        network = trainer.parts.population.each[0]
        observed = trainer.parts.buffer.observations["vector"][0, :, 2]
        state = trainer.parts.hidden_states.states[0, 0, 2].unsqueeze(0)
        for step in range(4):
            state = network.act({"vector": observed[step : step + 1]}, state).states
        last = {"vector": torch.tensor([[0.1, 0.2]])}
        expected = network(last, None, Sequences(state))[1]
        assert trainer.parts.buffer.final_values[0, 3, 2].item() == pytest.approx(
            expected.item(), abs=1e-6
        )


def test_a_learned_initial_state_is_learned(tmp_path):
    checkpoint = train(recurrent(hidden_state_init="learned"), 1, tmp_path)
    assert checkpoint.weights["trunk.recurrence.initial.values"].abs().max() > 1e-3


@pytest.mark.parametrize("init", ["mean", "sample"])
def test_initial_states_follow_the_last_rollout(init):
    with PPOTrainer([Run(recurrent(hidden_state_init=init), 1)], ON_CPU) as trainer:
        network, generator = trainer.parts.population.each[0], torch.Generator().manual_seed(0)
        assert not network.begin_states(2, generator).any()
        trainer.run()
        states = trainer.parts.hidden_states.states[0].flatten(0, 1)
        drawn = network.begin_states(20_000, generator)
        torch.testing.assert_close(drawn.mean(0), states.mean(0), rtol=0, atol=0.02)
        deviation = states.std(0, unbiased=False) if init == "sample" else torch.zeros(16)
        torch.testing.assert_close(drawn.std(0), deviation, rtol=0.05, atol=1e-4)


@pytest.mark.parametrize("init", ["zero", "sample", "learned"])
def test_a_resumed_training_ends_the_same(tmp_path, init):
    model = {"checkpoint_interval": 2}
    trainer = {"updates": 4}
    whole = train(recurrent(trainer, model, hidden_state_init=init), 3, tmp_path / "whole")
    path = checkpoint_path(tmp_path / "whole" / "0" / "checkpoints", 2)
    model |= {"load_model": True, "model_path": str(path)}
    resumed = train(recurrent(trainer, model, hidden_state_init=init), 3, tmp_path / "resumed")
    for part in ("weights", "statistics", "hidden_states", "generators", "return_history"):
        assert same(getattr(whole, part), getattr(resumed, part)), part


@pytest.mark.parametrize("kind", KINDS)
def test_a_member_is_trained_as_if_it_were_alone(tmp_path, kind):
    config = recurrent(layer_type=kind, hidden_state_init="sample")
    together = train_population([config] * 3, [1, 2, 3], tmp_path / "together")
    for number, seed in enumerate((1, 2, 3)):
        alone = train(config, seed, tmp_path / f"alone{number}")
        close(alone.weights, together[number].weights)
        assert same(alone.return_history, together[number].return_history)


def test_evaluation_does_not_change_training(tmp_path):
    config = recurrent(hidden_state_init="sample")
    evaluation = {"evaluate": True, "interval": 1, "num_workers": 2, "seeds": {"num-seeds": 3}}
    sections = config.as_dict() | {"evaluation": evaluation}
    plain = train(config, 3, tmp_path / "plain")
    evaluated = train(type(config).model_validate(sections), 3, tmp_path / "evaluated")
    assert same(plain.weights, evaluated.weights)
    assert same(plain.generators, evaluated.generators)


def test_a_checkpoint_of_a_network_without_recurrence_is_refused(tmp_path):
    train(tiny_config(environment=MASKED), 1, tmp_path)
    path = checkpoint_path(tmp_path / "0" / "checkpoints", 3)
    load_checkpoint(path)
    model = {"load_model": True, "model_path": str(path)}
    with pytest.raises(UserError, match="another shape"):
        train(recurrent({"updates": 4}, model), 1, tmp_path / "again")
