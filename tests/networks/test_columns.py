import numpy as np
import pytest
import torch

from environments.interface import Spaces
from networks.columns import find_columns
from tests.networks.test_network import population

SPACES = Spaces({"vector": ((40,), "uint8")}, (3,))


def sparse_observations(members, batch):
    """Return observations that use columns 3, 4, 20 and 39, and 30 and 31, which equal column 4."""
    random = np.random.default_rng(0)
    values = np.zeros((members, batch, 40), np.uint8)
    values[..., [3, 4, 20, 39]] = random.integers(0, 3, size=(members, batch, 4))
    values[..., 30] = values[..., 31] = values[..., 4]
    return torch.tensor(values)


def test_zero_columns_are_left_out_and_equal_columns_merged():
    values = sparse_observations(1, 20)[0]
    columns = find_columns(values)
    assert columns.used.tolist() == [3, 4, 20, 30, 31, 39]
    groups = dict(zip(columns.used.tolist(), columns.groups.tolist(), strict=True))
    assert groups[4] == groups[30] == groups[31]
    assert len(set(groups.values())) == len(columns.first) == 4
    selected = columns.select(values)
    for place, group in groups.items():
        assert selected[:, group].tolist() == values[:, place].tolist()


@pytest.mark.parametrize("selection", [1, slice(None)], ids=["one", "all"])
@pytest.mark.parametrize("share_parameters", [True, False])
def test_outputs_and_gradients_equal_those_of_all_columns(selection, share_parameters):
    members = population(SPACES, share_parameters=share_parameters)
    network = members.part(selection)
    observed = sparse_observations(3, 6)[selection]
    columns = network.find_columns({"vector": observed.reshape(-1, 40)})
    found = []
    for inputs, selected in ((observed, None), (columns.select(observed), columns)):
        members.gradients.zero_()
        parameters, values = network({"vector": inputs}, selected)
        (parameters.square().sum() + values.square().sum()).backward()
        found.append((parameters.detach(), values.detach(), members.gradients.clone()))
    assert found[0][2].any()
    for whole, part in zip(*found, strict=True):
        torch.testing.assert_close(whole, part, rtol=1e-5, atol=1e-5)


def test_columns_are_left_out_only_if_it_is_exact_and_saves_time():
    sparse = torch.zeros(10, 40, dtype=torch.uint8)
    network = population(SPACES).each[0]
    assert network.find_columns({"vector": torch.ones(10, 40, dtype=torch.uint8)}) is None
    assert network.find_columns({"vector": sparse.float()}) is None
    assert network.find_columns({"vector": sparse, "visual": sparse}) is None
    normalising = population(SPACES, normalize_observations=True).each[0]
    assert normalising.find_columns({"vector": sparse}) is None


def test_a_rollout_without_any_used_column_can_be_learned_from():
    columns = find_columns(torch.zeros(10, 40, dtype=torch.uint8))
    assert columns.select(torch.zeros(10, 40)).shape == (10, 0)
    assert columns.merge(torch.ones(40, 3)).shape == (0, 3)


def test_columns_with_equal_sums_but_unequal_values_stay_separate(monkeypatch):
    values = sparse_observations(1, 20)[0]
    monkeypatch.setattr(torch, "rand", lambda count, **_: torch.zeros(count, dtype=torch.float64))
    columns = find_columns(values)
    groups = dict(zip(columns.used.tolist(), columns.groups.tolist(), strict=True))
    assert groups[4] == groups[30] == groups[31]
    assert len(set(groups.values())) == len(columns.first) == 4
