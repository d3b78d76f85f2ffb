import pytest

from environments.levels import ListedLevels, RandomLevels
from schema.schedules import BetaSchedule, ClipRangeSchedule, LearningRateSchedule
from utils import Stream, derive_seed, make_generator, scheduled_value


@pytest.mark.parametrize(
    ("schedule", "update", "expected"),
    [
        ({"initial": 0.5}, 0, 0.5),
        ({"initial": 0.5}, 7, 0.5),
        ({"initial": 1.0, "final": 0.0}, 0, 1.0),
        ({"initial": 1.0, "final": 0.0}, 1, 0.9),
        ({"initial": 1.0, "final": 0.0}, 5, 0.5),
        ({"initial": 1.0, "final": 0.0}, 10, 0.0),
        ({"initial": 1.0, "final": 0.2}, 5, 0.6),
        ({"initial": 1.0, "final": 0.2, "power": 2.0}, 5, 0.4),
        ({"initial": 1.0, "final": 0.2, "power": 0.5}, 1, 0.8 * 0.9**0.5 + 0.2),
        ({"initial": 1.0, "final": 0.0, "max_decay_steps": 4}, 1, 0.75),
        ({"initial": 1.0, "final": 0.2, "max_decay_steps": 4}, 4, 0.2),
        ({"initial": 1.0, "final": 0.2, "max_decay_steps": 4}, 9, 0.2),
        ({"initial": 1.0, "final": 0.0, "max_decay_steps": 20}, 10, 0.5),
        ({"initial": 0.0, "final": 1.0}, 5, 0.5),
    ],
)
def test_a_schedule_decays_as_worked_out_by_hand(schedule, update, expected):
    found = scheduled_value(BetaSchedule(**schedule), update, 10)
    assert found == pytest.approx(expected, abs=1e-12)


def test_a_clip_range_may_fall_to_zero():
    schedule = ClipRangeSchedule(initial=0.2, final=0)
    assert [scheduled_value(schedule, update, 4) for update in range(5)] == pytest.approx(
        [0.2, 0.15, 0.1, 0.05, 0.0]
    )


def test_a_learning_rate_decays_linearly_by_default():
    schedule = LearningRateSchedule(initial=3e-3, final=1e-3)
    rates = [scheduled_value(schedule, update, 4) for update in range(5)]
    assert rates == pytest.approx([3e-3, 2.5e-3, 2e-3, 1.5e-3, 1e-3])


def test_seeds_differ_between_runs_streams_and_indices():
    seeds = [
        derive_seed(seed, stream, index)
        for seed in range(5)
        for stream in Stream
        for index in range(10)
    ]
    assert len(set(seeds)) == 5 * len(Stream) * 10
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_seeds_are_reproducible():
    assert derive_seed(3, Stream.ACTIONS, 2) == derive_seed(3, Stream.ACTIONS, 2)
    first = make_generator(3, Stream.ACTIONS)
    assert first.initial_seed() == derive_seed(3, Stream.ACTIONS)
    assert first.initial_seed() != make_generator(3, Stream.SHUFFLING).initial_seed()


def test_training_levels_cover_their_range_and_nothing_else():
    levels = RandomLevels(
        [derive_seed(0, Stream.ENVIRONMENTS, worker) for worker in range(4)], 5, 3
    )
    drawn = {levels(worker, episode) for worker in range(4) for episode in range(20)}
    assert drawn == {5, 6, 7}
    unlimited = RandomLevels([1, 2], 2**31 - 2)
    assert {unlimited(i % 2, i) for i in range(40)} == {2**31 - 2, 2**31 - 1}


def test_training_levels_depend_on_their_seed_and_episode_only():
    alone, beside = RandomLevels([7], 1000), RandomLevels([3, 7, 9], 1000)
    own = [alone(0, episode) for episode in range(10)]
    assert own == [beside(1, episode) for episode in range(10)]
    assert len(set(own)) == 10
    assert not set(own) & {beside(0, episode) for episode in range(10)}


def test_listed_levels_are_assigned_in_turn():
    levels = ListedLevels([10, 11, 12, 13, 14], 2)
    assert [levels(0, episode) for episode in range(4)] == [10, 12, 14, 11]
    assert [levels(1, episode) for episode in range(3)] == [11, 13, 10]
    assert [levels.position(1, episode) for episode in range(3)] == [1, 3, 5]
