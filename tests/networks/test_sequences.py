import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from networks.sequences import RolloutSequences, deal, split


def naive(ends, length):
    """Return the steps (t, n) of each sequence, found by walking along each worker."""
    steps, workers = ends.shape
    found = []
    for worker in range(workers):
        sequence = []
        for step in range(steps):
            if length > 0 and len(sequence) == length:
                found.append(sequence)
                sequence = []
            sequence.append((step, worker))
            if ends[step, worker] or step == steps - 1:
                found.append(sequence)
                sequence = []
    return found


def test_a_small_rollout_is_split_as_worked_out_by_hand():
    # Worker 0 ends an episode at its third step of five, worker 1 ends none.
    ends = np.zeros((5, 2), bool)
    ends[2, 0] = True
    first, lengths = split(ends, 2)
    assert first.tolist() == [0, 4, 6, 1, 5, 9]
    assert lengths.tolist() == [2, 1, 2, 2, 2, 1]
    first, lengths = split(ends, 0)
    assert first.tolist() == [0, 6, 1]
    assert lengths.tolist() == [3, 2, 5]


@given(
    seed=st.integers(0, 10**6),
    steps=st.integers(1, 20),
    workers=st.integers(1, 5),
    share=st.floats(0, 1),
    length=st.integers(-1, 8),
)
def test_sequences_equal_those_of_a_walk_along_each_worker(seed, steps, workers, share, length):
    ends = np.random.default_rng(seed).random((steps, workers)) < share
    first, lengths = split(ends, length)
    expected = naive(ends, length)
    assert first.tolist() == [t * workers + n for (t, n), *_ in expected]
    assert lengths.tolist() == [len(sequence) for sequence in expected]


@given(st.lists(st.integers(1, 30), min_size=1, max_size=60), st.integers(1, 8))
@settings(max_examples=200)
def test_each_sequence_is_dealt_once_into_groups_of_nearly_equal_size(lengths, count):
    lengths = np.array(lengths)
    order = np.random.default_rng(0).permutation(len(lengths))
    groups = deal(lengths, order, count)
    assert np.concatenate(groups).tolist() == order.tolist()
    assert 1 <= len(groups) <= count
    assert all(len(group) for group in groups)
    sizes = [lengths[group].sum() for group in groups]
    assert max(sizes) <= lengths.sum() / count + lengths.max()


@pytest.mark.parametrize("length", [0, 3])
def test_mini_batches_have_each_step_once_and_the_state_before_each_sequence(length):
    random = np.random.default_rng(1)
    steps, workers = 10, 4
    ends = torch.tensor(random.random((steps, workers)) < 0.2)
    numbers = torch.arange(steps * workers, dtype=torch.float32).view(steps, workers, 1)
    initial = torch.zeros(steps, workers, dtype=torch.bool)
    initial[0, :2] = True
    initial[1:] = ends[:-1]
    sequences = RolloutSequences(ends, length, numbers, initial)
    dealt = list(sequences.mini_batches(torch.Generator().manual_seed(0), 3))
    assert len(dealt) == 3
    positions = torch.cat([chosen for chosen, _ in dealt])
    assert sorted(positions.tolist()) == list(range(steps * workers))
    for chosen, found in dealt:
        assert found.mask.sum() == len(chosen)
        padded = torch.full(found.mask.shape, -1)
        padded[found.mask] = chosen
        # Each row continues with the same worker's next step; padding comes last.
        assert torch.equal(found.states[:, 0], padded[:, 0].float())
        for row, begins in zip(padded.tolist(), found.initial.tolist(), strict=True):
            held = [number for number in row if number >= 0]
            assert row[: len(held)] == held
            assert held == [held[0] + workers * step for step in range(len(held))]
            assert begins == initial.flatten()[held[0]].item()
            assert not ends.flatten()[held[:-1]].any(), "no sequence goes beyond an end"


def test_the_order_depends_on_the_generator_alone():
    ends = torch.zeros(8, 6, dtype=torch.bool)
    sequences = RolloutSequences(ends, 2, torch.zeros(8, 6, 1), ends)
    orders = [
        [chosen.tolist() for chosen, _ in sequences.mini_batches(generator, 4)]
        for generator in (torch.Generator().manual_seed(seed) for seed in (1, 1, 2))
    ]
    assert orders[0] == orders[1] != orders[2]
