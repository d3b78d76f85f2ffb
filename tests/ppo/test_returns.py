import numpy as np
import pytest

from ppo.run.returns import ReturnHistory


def test_a_history_without_episodes_has_no_returns():
    history = ReturnHistory()
    assert history.final is None
    assert history.deviation is None
    assert history.best is None


def test_the_last_100_episodes_are_averaged():
    returns = np.random.default_rng(0).normal(size=250)
    history = ReturnHistory()
    history.add_episodes(returns[:60].tolist())
    assert history.final == pytest.approx(returns[:60].mean())
    assert history.best == pytest.approx(returns[:60].mean())
    history.add_episodes(returns[60:].tolist())
    assert history.final == pytest.approx(returns[150:].mean())
    assert history.deviation == pytest.approx(returns[150:].std())
    windows = [returns[start : start + 100].mean() for start in range(151)]
    assert history.best == pytest.approx(max(windows))
    assert history.best > history.final


def test_a_few_lucky_episodes_at_the_start_are_not_the_best():
    history = ReturnHistory()
    history.add_episodes([100.0] + [0.0] * 99)
    assert history.best == 1.0


def test_after_an_evaluation_only_evaluations_count():
    history = ReturnHistory()
    history.add_episodes([50.0] * 100)
    history.add_evaluation([1.0, 3.0])
    assert (history.final, history.deviation, history.best) == (2.0, 1.0, 2.0)
    history.add_episodes([90.0] * 100)
    assert (history.final, history.best) == (2.0, 2.0)
    history.add_evaluation(iter([5.0]))
    history.add_evaluation([4.0])
    assert (history.final, history.deviation, history.best) == (4.0, 0.0, 5.0)


@pytest.mark.parametrize("evaluations", [[], [[1.0, 2.0], [0.5]]])
def test_a_restored_history_continues_like_the_original(evaluations):
    returns = np.random.default_rng(1).normal(size=300).tolist()
    original, restored = ReturnHistory(), ReturnHistory()
    original.add_episodes(returns[:150])
    for evaluation in evaluations:
        original.add_evaluation(evaluation)
    restored.restore(original.state())
    for history in (original, restored):
        history.add_episodes(returns[150:])
    assert restored.state() == original.state()
    assert (restored.final, restored.best) == (original.final, original.best)
    assert restored.best is not None
