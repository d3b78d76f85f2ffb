import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from buffer import RolloutBuffer, normalise_advantages
from environments.interface import Spaces, Step
from numerics import is_installed
from tests.examples import CPU

SPACES = Spaces({"vector": ((1,), "float32")}, (2,))


def naive_advantages(rewards, values, ends, final_values, last_value, gamma, lamda):
    """Return one worker's advantages: the weighted sum of errors until each trajectory's end."""
    steps = len(rewards)
    advantages = np.zeros(steps)
    for start in range(steps):
        weight = 1.0
        for step in range(start, steps):
            if ends[step]:
                following = final_values[step]
            else:
                following = values[step + 1] if step + 1 < steps else last_value
            advantages[start] += weight * (rewards[step] + gamma * following - values[step])
            weight *= gamma * lamda
            if ends[step]:
                break
    return advantages


def estimate(rewards, values, ends, final_values, last_values, gamma, lamda):
    """Return advantages and returns of arrays (M, T, N), for each member's gamma and lamda."""
    found = [
        estimate_either(rewards, values, ends, final_values, last_values, gamma, lamda, by_numba)
        for by_numba in ([False, True] if is_installed() else [False])
    ]
    for by_numba in found[1:]:
        np.testing.assert_allclose(by_numba, found[0], rtol=1e-5, atol=1e-5)
    return found[-1]


def estimate_either(rewards, values, ends, final_values, last_values, gamma, lamda, by_numba):
    buffer = RolloutBuffer(SPACES, rewards.shape, CPU, low_memory=False)
    buffer.rewards.copy_(torch.tensor(rewards))
    buffer.values.copy_(torch.tensor(values))
    buffer.ends.copy_(torch.tensor(ends))
    buffer.final_values.copy_(torch.tensor(final_values))
    last_values = torch.tensor(last_values, dtype=torch.float32)
    rates = [torch.tensor(rate, dtype=torch.float32).unsqueeze(1) for rate in (gamma, lamda)]
    if by_numba:
        from ppo.by_numba.advantages import estimate_advantages

        estimate_advantages(buffer, last_values, *rates)
    else:
        buffer.estimate_advantages(last_values, *rates)
    return buffer.advantages.numpy(), buffer.returns.numpy()


def column(values):
    """Return arrays of one member with one worker."""
    return np.array(values).reshape(1, -1, 1)


def test_a_short_rollout_has_the_advantages_worked_out_by_hand():
    # Errors with gamma 0.5: 1 + 0.5 * 4 - 2 = 1; 0 + 0.5 * 6 - 4 = -1; 2 + 0.5 * 8 - 6 = 0.
    advantages, returns = estimate(
        column([1.0, 0.0, 2.0]),
        column([2.0, 4.0, 6.0]),
        column([False] * 3),
        column([0.0] * 3),
        np.array([[8.0]]),
        [0.5],
        [0.5],
    )
    assert advantages.ravel().tolist() == [0.75, -1.0, 0.0]
    assert returns.ravel().tolist() == [2.75, 3.0, 6.0]


def test_a_truncated_episode_continues_with_the_value_of_its_last_observation():
    def advantages(ends, final_values, later):
        return estimate(
            column([1.0, 1.0, later]),
            column([0.0, 0.0, later]),
            column(ends),
            column(final_values),
            np.array([[later]]),
            [0.5],
            [1.0],
        )[0].ravel()

    # The episode ends at the second step: its advantages are r + 0.5 * (r' + 0.5 * bootstrap).
    terminated = advantages([False, True, False], [0.0, 0.0, 0.0], 100.0)
    assert terminated[:2].tolist() == [1.5, 1.0]
    truncated = advantages([False, True, False], [0.0, 8.0, 0.0], 100.0)
    assert truncated[:2].tolist() == [3.5, 5.0]
    other_later = advantages([False, True, False], [0.0, 8.0, 0.0], -7.0)
    assert other_later[:2].tolist() == truncated[:2].tolist(), "the next episode leaks into it"
    assert other_later[2] != truncated[2]


@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(st.integers(1, 3), st.integers(1, 12), st.integers(1, 3)),
    share=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    gamma=st.floats(0, 1),
    lamda=st.floats(0, 1),
)
def test_advantages_equal_those_of_each_trajectory_alone(seed, shape, share, gamma, lamda):
    random = np.random.default_rng(seed)
    members, _, workers = shape
    rewards, values = random.normal(size=shape), random.normal(size=shape)
    ends = random.random(shape) < share
    truncated = ends & (random.random(shape) < 0.5)
    final_values = np.where(truncated, random.normal(size=shape), 0.0)
    last_values = random.normal(size=(members, workers))
    gammas, lamdas = [gamma, 0.9, 0.99][:members], [lamda, 0.8, 0.95][:members]
    advantages, returns = estimate(rewards, values, ends, final_values, last_values, gammas, lamdas)
    for member in range(members):
        for worker in range(workers):
            expected = naive_advantages(
                *(array[member, :, worker] for array in (rewards, values, ends, final_values)),
                last_values[member, worker],
                gammas[member],
                lamdas[member],
            )
            found = advantages[member, :, worker]
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
            np.testing.assert_allclose(
                returns[member, :, worker],
                expected + values[member, :, worker],
                rtol=1e-5,
                atol=1e-5,
            )


@pytest.mark.parametrize("low_memory", [False, True])
def test_mini_batches_have_each_step_once_with_all_its_data(low_memory):
    spaces = Spaces({"vector": ((2,), "float32"), "visual": ((2, 2, 1), "uint8")}, (5, 5))
    members, steps, workers = 2, 3, 4
    buffer = RolloutBuffer(spaces, (members, steps, workers), CPU, low_memory)
    for step in range(steps):
        # Every step of every worker has a unique number: 100 m + 10 t + n.
        numbers = np.array(
            [100 * m + 10 * step + n for m in range(members) for n in range(workers)]
        )
        buffer.store_observations(
            step,
            {
                "vector": np.stack([numbers, -numbers], -1).astype(np.float32),
                "visual": np.broadcast_to(numbers[:, None, None, None], (8, 2, 2, 1)).astype(
                    "uint8"
                ),
            },
        )
        observed = buffer.observed(step)
        assert observed["vector"].shape == (members, workers, 2)
        assert observed["visual"].shape == (members, workers, 2, 2, 1)
        outcome = Step({}, numbers.astype(np.float32), numbers % 3 == 0, numbers % 3 == 1, [], [])
        buffer.store_outcome(step, outcome)
    everything = buffer.rewards.long()
    actions = torch.stack([everything % 5, everything % 4], -1)
    buffer.finish(actions, buffer.rewards + 1)
    buffer.values.copy_(buffer.rewards)
    expected_ends = [n % 3 != 2 for n in range(100, 104)]
    assert buffer.ends[1, 0].tolist() == expected_ends
    buffer.advantages.copy_(buffer.rewards + 2)
    buffer.returns.copy_(buffer.rewards + 3)
    generator = torch.Generator().manual_seed(0)
    orders = torch.stack([torch.randperm(12, generator=generator) for _ in range(members)])
    numbers = torch.tensor([[10 * t + n for t in range(steps) for n in range(workers)]])
    numbers = numbers + torch.tensor([[0], [100]])
    for selection, shape in ((1, (4,)), (slice(None), (2, 4))):
        observations = buffer.batch_observations(selection)
        dealt = [(chosen, None) for chosen in orders[selection].chunk(3, -1)]
        batches = list(buffer.mini_batches(selection, observations, dealt))
        assert [batch.values.shape for batch in batches] == [shape] * 3
        values = torch.cat([batch.values for batch in batches], -1)
        assert torch.equal(values, numbers.float().gather(1, orders)[selection])
        for batch in batches:
            assert torch.equal(batch.observations["vector"][..., 0], batch.values)
            assert torch.equal(batch.observations["visual"][..., 1, 1, 0].float(), batch.values)
            assert torch.equal(batch.actions[..., 0], batch.values.long() % 5)
            assert torch.equal(batch.actions[..., 1], batch.values.long() % 4)
            assert torch.equal(batch.log_probabilities, batch.values + 1)
            assert torch.equal(batch.advantages, batch.values + 2)
            assert torch.equal(batch.returns, batch.values + 3)


def test_normalised_advantages_have_mean_0_and_deviation_1():
    found = normalise_advantages(torch.tensor([[1.0, 3.0], [-5.0, 5.0], [2.0, 2.0]]))
    torch.testing.assert_close(found, torch.tensor([[-1.0, 1.0], [-1.0, 1.0], [0.0, 0.0]]))


def test_normalising_a_whole_batch_leaves_other_members_alone():
    buffer = RolloutBuffer(SPACES, (2, 2, 2), CPU, low_memory=False)
    buffer.advantages.copy_(torch.tensor([[[1.0, 3], [3, 1]], [[1, 3], [3, 1]]]))
    buffer.normalise_advantages(0)
    torch.testing.assert_close(buffer.advantages[0], torch.tensor([[-1.0, 1], [1, -1]]))
    assert buffer.advantages[1].tolist() == [[1, 3], [3, 1]]
