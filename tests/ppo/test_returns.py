import numpy as np
import pytest

from ppo.run.returns import ReturnHistory


def test_nothing_is_known_before_the_first_episode():
    record = ReturnHistory()
    assert record.final is None
    assert record.deviation is None
    assert record.best is None


def test_the_last_100_episodes_are_averaged():
    returns = np.random.default_rng(0).normal(size=250)
    record = ReturnHistory()
    record.add_episodes(returns[:60].tolist())
    assert record.final == pytest.approx(returns[:60].mean())
    assert record.best == pytest.approx(returns[:60].mean())
    record.add_episodes(returns[60:].tolist())
    assert record.final == pytest.approx(returns[150:].mean())
    assert record.deviation == pytest.approx(returns[150:].std())
    windows = [returns[start : start + 100].mean() for start in range(151)]
    assert record.best == pytest.approx(max(windows))
    assert record.best > record.final


def test_few_lucky_episodes_at_the_start_are_not_the_best():
    record = ReturnHistory()
    record.add_episodes([100.0] + [0.0] * 99)
    assert record.best == 1.0


def test_an_evaluation_counts_from_then_on():
    record = ReturnHistory()
    record.add_episodes([50.0] * 100)
    record.add_evaluation([1.0, 3.0])
    assert (record.final, record.deviation, record.best) == (2.0, 1.0, 2.0)
    record.add_episodes([90.0] * 100)
    assert (record.final, record.best) == (2.0, 2.0)
    record.add_evaluation(iter([5.0]))
    record.add_evaluation([4.0])
    assert (record.final, record.deviation, record.best) == (4.0, 0.0, 5.0)


@pytest.mark.parametrize("evaluations", [[], [[1.0, 2.0], [0.5]]])
def test_a_restored_record_goes_on_as_the_original(evaluations):
    returns = np.random.default_rng(1).normal(size=300).tolist()
    original, restored = ReturnHistory(), ReturnHistory()
    original.add_episodes(returns[:150])
    for evaluation in evaluations:
        original.add_evaluation(evaluation)
    restored.restore(original.state())
    for record in (original, restored):
        record.add_episodes(returns[150:])
    assert restored.state() == original.state()
    assert (restored.final, restored.best) == (original.final, original.best)
    assert restored.best is not None
