import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from buffer import MiniBatch
from networks.distributions import MultiCategorical
from ppo.by_torch.losses import Coefficients, explained_variance, ppo_losses

BRANCHES = (3, 2)
CLIP_RANGE, BETA, VALUE_COEFFICIENT = 0.2, 0.03, 0.7


def coefficients(clip_range, beta, value_coefficient, clip_value=True):
    numbers = (clip_range, beta, value_coefficient)
    tensors = (torch.tensor([number], dtype=torch.float64) for number in numbers)
    return Coefficients(*tensors, clip_value=clip_value)


def example(seed, size=40):
    """Return features, a linear policy and value function, and a batch for them, in float64."""
    random = np.random.default_rng(seed)
    arrays = {
        "features": random.normal(size=(size, 4)),
        "policy": 0.3 * random.normal(size=(4, sum(BRANCHES))),
        "value": 0.3 * random.normal(size=4),
        "actions": np.stack([random.integers(count, size=size) for count in BRANCHES], -1),
        "advantages": random.normal(size=size),
        "old_values": 0.3 * random.normal(size=size),
        "returns": random.normal(size=size),
    }
    logs = joint_log_probabilities(arrays["features"] @ arrays["policy"], arrays["actions"])
    arrays["old_logs"] = logs + 0.3 * random.normal(size=size)
    return arrays


def joint_log_probabilities(logits, actions):
    rows = np.arange(len(actions))
    first, second = log_softmax(logits[:, :3], -1), log_softmax(logits[:, 3:], -1)
    return first[rows, actions[:, 0]] + second[rows, actions[:, 1]]


def reference(arrays, policy, value):
    """Return PPO's losses by the paper's equations, step by step."""
    logits, values = arrays["features"] @ policy, arrays["features"] @ value
    logs = joint_log_probabilities(logits, arrays["actions"])
    surrogate, errors, entropy, clips, divergence = [], [], [], [], []
    for step in range(len(values)):
        ratio = np.exp(logs[step] - arrays["old_logs"][step])
        limited = min(max(ratio, 1 - CLIP_RANGE), 1 + CLIP_RANGE)
        advantage = arrays["advantages"][step]
        surrogate.append(min(ratio * advantage, limited * advantage))
        clips.append(abs(ratio - 1) > CLIP_RANGE)
        divergence.append(ratio - 1 - np.log(ratio))
        old, target = arrays["old_values"][step], arrays["returns"][step]
        moved = old + min(max(values[step] - old, -CLIP_RANGE), CLIP_RANGE)
        errors.append(max((values[step] - target) ** 2, (moved - target) ** 2))
        for part in (logits[step, :3], logits[step, 3:]):
            probabilities = np.exp(part) / np.exp(part).sum()
            entropy.append(-(probabilities * np.log(probabilities)).sum())
    losses = {
        "policy": -np.mean(surrogate),
        "value": np.mean(errors),
        "entropy": np.sum(entropy) / len(values),
        "kl_divergence": np.mean(divergence),
        "clip_fraction": np.mean(clips),
    }
    total = losses["policy"] + VALUE_COEFFICIENT * losses["value"] - BETA * losses["entropy"]
    return losses | {"total": total}


def computed(arrays, policy, value):
    tensors = {name: torch.tensor(array).unsqueeze(0) for name, array in arrays.items()}
    batch = MiniBatch(
        {},
        tensors["actions"],
        tensors["old_logs"],
        tensors["old_values"],
        tensors["advantages"],
        tensors["returns"],
    )
    return ppo_losses(
        tensors["features"] @ policy,
        tensors["features"] @ value,
        batch,
        MultiCategorical(BRANCHES),
        coefficients(CLIP_RANGE, BETA, VALUE_COEFFICIENT),
    )


@pytest.mark.parametrize("seed", range(3))
def test_each_loss_equals_that_of_the_paper(seed):
    arrays = example(seed)
    found = computed(arrays, torch.tensor(arrays["policy"]), torch.tensor(arrays["value"]))
    expected = reference(arrays, arrays["policy"], arrays["value"])
    assert 0 < expected["clip_fraction"] < 1
    for name, value in expected.items():
        assert getattr(found, name).shape == (1,)
        tolerance = 1e-6 if name == "clip_fraction" else 1e-12  # the fraction is float32
        assert getattr(found, name).item() == pytest.approx(value, abs=tolerance), name


@pytest.mark.parametrize("seed", range(3))
def test_the_gradient_equals_finite_differences(seed):
    arrays = example(seed)
    policy = torch.tensor(arrays["policy"], requires_grad=True)
    value = torch.tensor(arrays["value"], requires_grad=True)
    computed(arrays, policy, value).total.sum().backward()
    step = 1e-6
    for name, gradient in (("policy", policy.grad), ("value", value.grad)):
        assert gradient.abs().max() > 1e-3
        for index in np.ndindex(gradient.shape):
            totals = []
            for sign in (1, -1):
                moved = {key: arrays[key].copy() for key in ("policy", "value")}
                moved[name][index] += sign * step
                totals.append(reference(arrays, **moved)["total"])
            slope = (totals[0] - totals[1]) / (2 * step)
            assert gradient[index].item() == pytest.approx(slope, abs=1e-7)


def single_step(advantage, old_probability=0.5):
    """Return the logits after a gradient step of a uniform policy that took the first of two actions."""
    logits = torch.zeros(1, 1, 2, requires_grad=True)
    value = torch.zeros(1, 1, requires_grad=True)
    batch = MiniBatch(
        {},
        torch.zeros(1, 1, 1, dtype=torch.int64),
        torch.tensor([[old_probability]]).log(),
        torch.zeros(1, 1),
        torch.tensor([[advantage]]),
        torch.zeros(1, 1),
    )
    losses = ppo_losses(logits, value, batch, MultiCategorical((2,)), coefficients(0.2, 0.0, 0.5))
    losses.total.sum().backward()
    return logits.detach() - 0.1 * logits.grad


@pytest.mark.parametrize(("advantage", "sign"), [(1.0, 1), (-1.0, -1), (0.0, 0)])
def test_a_step_makes_a_better_action_likelier_and_a_worse_one_rarer(advantage, sign):
    probability = single_step(advantage).softmax(-1)[0, 0, 0].item()
    assert np.sign(round(probability - 0.5, 6)) == sign


@pytest.mark.parametrize(
    ("advantage", "old_probability", "moves"),
    [(1.0, 0.4, False), (-1.0, 0.4, True), (1.0, 0.7, True), (-1.0, 0.7, False)],
)
def test_a_ratio_beyond_the_clip_range_only_moves_back(advantage, old_probability, moves):
    # The ratios are 0.5 / 0.4 = 1.25 and 0.5 / 0.7 = 0.71.
    assert bool(single_step(advantage, old_probability).abs().max() > 0) == moves


def test_the_entropy_bonus_evens_out_the_policy():
    logits = torch.tensor([[[2.0, 0.0]]], requires_grad=True)
    zeros = torch.zeros(1, 1)
    actions = torch.zeros(1, 1, 1, dtype=torch.int64)
    batch = MiniBatch({}, actions, zeros, zeros, zeros, zeros)
    losses = ppo_losses(logits, zeros, batch, MultiCategorical((2,)), coefficients(0.2, 1.0, 0.5))
    losses.total.backward()
    assert logits.grad[0, 0, 0] > 0 > logits.grad[0, 0, 1]


@pytest.mark.parametrize(
    ("target", "loss", "slope"), [(2.0, 1.8**2, 0.0), (0.5, 0.25, 1.0), (0.0, 1.0, 2.0)]
)
def test_the_value_loss_is_the_greater_of_both_errors(target, loss, slope):
    # Value 1 moved from 0 by more than 0.2: clipped 0.2.
    zeros = torch.zeros(1, dtype=torch.float64)
    value = torch.ones(1, dtype=torch.float64, requires_grad=True)
    actions = torch.zeros(1, 1, dtype=torch.int64)
    targets = torch.tensor([target], dtype=torch.float64)
    batch = MiniBatch({}, actions, zeros - np.log(2), zeros, zeros, targets)
    logits = torch.zeros(1, 2, dtype=torch.float64)
    found = ppo_losses(logits, value, batch, MultiCategorical((2,)), coefficients(0.2, 0.0, 1.0))
    found.total.backward()
    assert found.value.item() == pytest.approx(loss)
    assert value.grad.item() == pytest.approx(slope)


def test_rounding_does_not_stop_an_unclipped_value():
    # In float32, old + (value - old) may differ from value if the two have different signs.
    random = np.random.default_rng(0)
    old = torch.tensor(random.uniform(0, 0.1, 1000), dtype=torch.float32)
    values = torch.tensor(random.uniform(-0.05, 0, 1000), dtype=torch.float32, requires_grad=True)
    assert (old + (values - old) != values).any()
    targets = torch.tensor(random.normal(size=1000), dtype=torch.float32)
    zeros, actions = torch.zeros(1000), torch.zeros(1000, 1, dtype=torch.int64)
    batch = MiniBatch({}, actions, zeros - np.log(2), old, zeros, targets)
    distribution = MultiCategorical((2,))
    single = Coefficients(*torch.tensor([[0.2], [0.0], [1.0]]), clip_value=True)
    ppo_losses(torch.zeros(1000, 2), values, batch, distribution, single).total.backward()
    torch.testing.assert_close(values.grad, 2 * (values.detach() - targets) / 1000)


def test_each_member_has_its_own_losses():
    first, second = example(0), example(1)
    both = {name: np.stack([first[name], second[name]]) for name in first}
    tensors = {name: torch.tensor(array) for name, array in both.items()}
    batch = MiniBatch(
        {},
        tensors["actions"],
        tensors["old_logs"],
        tensors["old_values"],
        tensors["advantages"],
        tensors["returns"],
    )
    parameters = tensors["features"] @ tensors["policy"]
    values = (tensors["features"] @ tensors["value"].unsqueeze(-1)).squeeze(-1)
    found = ppo_losses(
        parameters,
        values,
        batch,
        MultiCategorical(BRANCHES),
        coefficients(CLIP_RANGE, BETA, VALUE_COEFFICIENT),
    )
    expected = [reference(arrays, arrays["policy"], arrays["value"]) for arrays in (first, second)]
    assert found.total.tolist() == pytest.approx([losses["total"] for losses in expected])


def test_explained_variance_equals_that_computed_by_hand():
    # Returns 2, 2, 5 have variance 2; their differences 1, 0, 2 from values 1, 2, 3 have variance 2/3.
    values = torch.tensor([[1.0, 2, 3], [2, 2, 5], [3, 3, 3], [-2, -2, -5], [1, 2, 3]])
    returns = torch.tensor([[2.0, 2, 5], [2, 2, 5], [2, 2, 5], [2, 2, 5], [4, 4, 4]])
    found = explained_variance(values, returns)
    assert found == pytest.approx([2 / 3, 1.0, 0.0, -3.0, 0.0], abs=1e-6)
