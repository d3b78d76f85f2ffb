"""Acting by Numba chooses the actions that torch chooses with the same random numbers."""

import numpy as np
import pytest
import torch

from environments.interface import ACTION_MASK, Spaces
from networks.repeats import find_repeats
from ppo.by_torch.acting import TorchActing
from tests.ppo.scene import STEPS, WORKERS, Scene

pytest.importorskip("numba")

from ppo.by_numba.acting import NumbaActing

MASK = {ACTION_MASK: ((7,), "uint8")}
VECTOR = {"vector": ((5,), "float32")}
BYTES = {"vector": ((60,), "uint8")}
BOUNDS = ((-2.0, 2.0), (-1.0, 3.0))


@torch.inference_mode()
def act(acting_class, spaces, model, trainer):
    """Act at every step, and return the scene, the actions for environments and the last values."""
    scene = Scene(spaces, model, **trainer)
    acting = acting_class(scene.parts)
    acting.begin()
    taken = [acting.act(step, None)[0].copy() for step in range(STEPS)]
    acting.finish()
    seen = {
        name: values[:, -1].flatten(0, 1).numpy()
        for name, values in scene.buffer.observations.items()
    }
    return scene, np.stack(taken), acting.values(seen, None)


@pytest.mark.parametrize(
    ("spaces", "model", "trainer"),
    [
        (Spaces(VECTOR, (4,)), {}, {}),
        (Spaces(VECTOR, (4, 3)), {"share_parameters": True}, {}),
        (Spaces(VECTOR | MASK, (4, 3)), {}, {"multi_discrete_ratio": "branch"}),
        (Spaces(BYTES, (4,)), {"num_hidden_layers": 2}, {}),
        (Spaces(BYTES | MASK, (4, 3)), {}, {}),
        (Spaces(BYTES, (4,)), {"normalize_observations": True}, {}),
        (Spaces(VECTOR | {"more": ((3,), "uint8")}, (4,)), {"normalize_observations": True}, {}),
        (Spaces({"more": ((3,), "uint8")}, (4,)), {"activation": "gelu"}, {}),
        (Spaces(VECTOR, (), BOUNDS), {}, {}),
        (Spaces(BYTES, (), BOUNDS), {"squash_actions": True}, {}),
    ],
)
def test_actions_by_numba_equal_those_by_torch(spaces, model, trainer):
    by_numba, taken, values = act(NumbaActing, spaces, model, trainer)
    by_torch, expected, wanted_values = act(TorchActing, spaces, model, trainer)
    assert taken.shape == (STEPS, 2 * WORKERS, spaces.action_size)
    assert taken.dtype == np.dtype(spaces.action_type)
    np.testing.assert_allclose(taken, expected, rtol=1e-4, atol=1e-5)
    for name in ("actions", "log_probabilities"):
        found, wanted = (getattr(scene.buffer, name) for scene in (by_numba, by_torch))
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    assert values.shape == (2, WORKERS)
    torch.testing.assert_close(values, wanted_values, rtol=1e-4, atol=1e-5)
    if ACTION_MASK in spaces.observations:
        allowed = by_numba.buffer.observations[ACTION_MASK]
        assert allowed[..., :4].gather(-1, by_numba.buffer.actions[..., :1]).all()
        assert allowed[..., 4:].gather(-1, by_numba.buffer.actions[..., 1:]).all()


@pytest.mark.parametrize("more", [{}, MASK])
def test_acting_finds_repeated_observations(more):
    scene, _, _ = act(NumbaActing, Spaces({"vector": ((6,), "uint8")} | more, (4, 3)), {}, {})
    for member in range(2):
        found, expected = scene.buffer.repeats[member], scene.buffer.batch_observations(member)
        whole = torch.cat([values.flatten(1) for values in expected.values()], 1)
        # Each observation equals the first with its number, and no two of the first are equal.
        assert torch.equal(whole[found.first[found.numbers]], whole)
        assert len(torch.unique(whole[found.first], dim=0)) == len(found.first)
        assert found.pays == (find_repeats(expected) is not None)
        assert torch.equal(found.numbers.unique(), torch.arange(len(found.first)))


def test_observations_with_equal_hashes_are_told_apart(monkeypatch):
    """With constant weights many hashes collide."""

    class Ones:
        def integers(self, least, most, size, kind):
            return np.ones(size, kind)

    monkeypatch.setattr(np.random, "default_rng", lambda _: Ones())
    spaces = Spaces({"vector": ((60,), "uint8")}, (4,))
    by_numba, taken, _ = act(NumbaActing, spaces, {}, {})
    _, expected, _ = act(TorchActing, spaces, {}, {})
    np.testing.assert_array_equal(taken, expected)
    assert 10 < len(by_numba.buffer.repeats[0].first) < STEPS * WORKERS
