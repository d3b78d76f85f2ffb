import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from environments.interface import ACTION_MASK, Spaces
from ppo.by_torch.epochs import TorchEpochs
from ppo.interface import LOGGED
from ppo.learner import Learner
from tests.ppo.scene import Scene

pytest.importorskip("numba")

from numerics import functions
from numerics.compiler import entry
from ppo.by_numba.epochs import NumbaEpochs


def learn(scene):
    """Return the results of an update by Numba."""
    return scene.learn(NumbaEpochs(1, scene.parts))


def both_ways(*arguments, **options):
    """Return the results of an update by Numba, and of one by torch."""
    reference = Scene(*arguments, **options)
    return learn(Scene(*arguments, **options)), reference.learn(reference.by_torch())


def assert_alike(by_numba, by_torch):
    for found, expected in zip(by_numba, by_torch, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("activation", ["elu", "leaky_relu", "relu", "swish", "tanh", "gelu"])
@pytest.mark.parametrize("share_parameters", [True, False])
@pytest.mark.parametrize("layers", [1, 3])
def test_every_network_learns_as_by_torch(activation, share_parameters, layers):
    model = {
        "activation": activation,
        "share_parameters": share_parameters,
        "num_hidden_layers": layers,
    }
    by_numba, by_torch = both_ways(model=model)
    assert_alike(by_numba, by_torch)
    clipped = by_torch[-1][:, LOGGED.index("policy/clip_fraction")]
    assert ((clipped > 0.1) & (clipped < 0.9)).all()


MASK = {ACTION_MASK: ((7,), "uint8")}
TWO_BRANCHES = Spaces({"vector": ((5,), "float32")}, (4, 3))
MASKED = Spaces(TWO_BRANCHES.observations | MASK, (4, 3))
CONTINUOUS = Spaces({"vector": ((5,), "float32")}, (), ((-2.0, 2.0), (-1.0, 3.0)))
PARTS = Spaces({"vector": ((5,), "float32"), "more": ((3,), "uint8")}, (4,))
# Most columns of the first are always zero; most observations of the second are equal.
SPARSE = Spaces({"vector": ((60,), "uint8")}, (4,))
EQUAL = {"vector": ((6,), "uint8")}


@pytest.mark.parametrize("share_parameters", [True, False])
@pytest.mark.parametrize(
    ("spaces", "model", "trainer"),
    [
        (TWO_BRANCHES, {}, {}),
        (TWO_BRANCHES, {}, {"multi_discrete_ratio": "branch"}),
        (MASKED, {}, {}),
        (MASKED, {}, {"multi_discrete_ratio": "branch"}),
        (CONTINUOUS, {}, {}),
        (CONTINUOUS, {"squash_actions": True}, {}),
        (PARTS, {}, {}),
        (PARTS, {"normalize_observations": True}, {}),
        (SPARSE, {}, {}),
        (SPARSE, {"normalize_observations": True}, {}),
        (Spaces(EQUAL, (4,)), {}, {}),
        (Spaces(EQUAL | MASK, (4, 3)), {}, {"multi_discrete_ratio": "branch"}),
        (Spaces(EQUAL, (), CONTINUOUS.bounds), {"squash_actions": True}, {}),
    ],
)
def test_every_kind_of_task_is_learnt_as_by_torch(spaces, model, trainer, share_parameters):
    assert_alike(*both_ways(spaces, model | {"share_parameters": share_parameters}, **trainer))


@pytest.mark.parametrize(
    "trainer",
    [
        {"clip_value_loss": True},
        {"advantage_normalization": "batch"},
        {"advantage_normalization": "none"},
        {"weight_decay": 0.5},
        {"max_grad_norm": 0.05},
        {"value_coefficient": 0.0},
        {"adam_epsilon": 0.1},
        {"num_mini_batches": 1},
        {"num_mini_batches": 20},
    ],
    ids=" ".join,
)
def test_every_hyperparameter_has_the_same_effect_as_by_torch(trainer):
    assert_alike(*both_ways(**trainer))


@pytest.mark.parametrize(("target", "mini_batches"), [(1e-6, 1), (0.036, 2), (10.0, 4)])
def test_an_update_stops_at_the_same_divergence(target, mini_batches):
    by_numba, by_torch = both_ways(target_kl=target)
    assert_alike(by_numba, by_torch)
    assert len(by_numba[-1]) == mini_batches


def test_losses_that_are_not_finite_are_logged():
    scene = Scene()
    scene.buffer.returns[1, 0, 0] = math.inf
    logged = learn(scene)[-1]
    assert not logged.isfinite().all()


def test_learning_leaves_other_members_unchanged():
    scene = Scene()
    before = scene.population.weights[0].clone()
    learn(scene)
    assert torch.equal(scene.population.weights[0], before)
    assert not scene.population.gradients[0].any()


@entry
def exp(x):
    return functions.exp(x)


@entry
def expm1(x):
    return functions.expm1(x)


@entry
def tanh(x):
    return functions.tanh(x)


@entry
def normal(x):
    return functions.normal(x)


NUMBERS = np.float32(np.geomspace(1e-6, 80, 300))


@pytest.mark.parametrize(
    ("ours", "exact"),
    [(exp, np.exp), (expm1, np.expm1), (tanh, np.tanh)],
    ids=["exp", "expm1", "tanh"],
)
def test_elementary_functions_are_exact_to_rounding(ours, exact):
    for x in (*NUMBERS, *-NUMBERS):
        assert ours(x) == pytest.approx(exact(np.float64(x)), rel=3e-7, abs=0)


def test_the_normal_distribution_is_exact_nearly_to_rounding():
    for x in (*NUMBERS, *-NUMBERS):
        share, density = normal(x)
        assert share == pytest.approx(0.5 * math.erfc(-x / math.sqrt(2)), abs=2e-7)
        assert density == pytest.approx(math.exp(-x * x / 2) / math.sqrt(2 * math.pi), abs=1e-7)


@pytest.mark.parametrize("function", [exp, expm1, tanh])
def test_nan_stays_nan(function):
    assert math.isnan(function(np.float32(math.nan)))


@pytest.mark.parametrize(
    ("rows", "torch_compile", "expected"),
    [
        (1, False, NumbaEpochs),
        (1, True, TorchEpochs),
        (slice(None), False, TorchEpochs),
    ],
)
def test_numba_trains_single_members_unless_torch_compile_is_set(rows, torch_compile, expected):
    scene = Scene()
    learner = Learner(rows, replace(scene.parts, torch_compile=torch_compile))
    assert type(learner.epochs) is expected
