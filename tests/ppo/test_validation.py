"""A notice says that hardly any action of a new policy is within the environment's bounds."""

import pytest
from scipy import stats

from commands.notices import print_notices
from ppo.validation import _chance, bounds_notice
from schema.config import Config
from tests.environments import scripted


def acting(identifier, **model):
    environment = {"type": "Gymnasium", "name": scripted.name(identifier)}
    return Config.model_validate({"environment": environment, "model": model})


@pytest.mark.parametrize(
    ("low", "high"), [(-1, 1), (3, 4), (5, 9), (-9, -5), (6, float("inf")), (-1e-5, 1e-5), (0, 2)]
)
def test_the_chance_equals_scipy_s(low, high):
    inside = stats.norm.sf(low) - stats.norm.sf(high) if low > 0 else stats.norm.cdf([low, high])
    expected = inside if low > 0 else inside[1] - inside[0]
    assert _chance(low, high) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("identifier", "begin", "remedy"),
    [
        ("Valve", "within 100 and 200, the bounds of action 2 of 2", "set model.squash_actions to"),
        (
            "HalfOpen",
            "within -inf and -7, the bounds of action 1 of 1",
            "bound; let the environment",
        ),
        ("Tiny", "within -1e-05 and 1e-05, the bounds of action 1 of 1", "model.squash_actions to"),
    ],
)
def test_bounds_far_from_the_first_actions_get_a_notice(capsys, identifier, begin, remedy):
    print_notices([acting(identifier)], numba=False)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("notice: hardly any action that a new policy draws is " + begin)
    assert remedy in line


@pytest.mark.parametrize("identifier", ["Square", "Unbounded", "Fixed", "Shifted"])
def test_other_actions_get_none(identifier):
    assert bounds_notice(acting(identifier)) is None


def test_the_notice_depends_on_the_initial_deviation():
    assert bounds_notice(acting("Valve", log_std_init=5.0)) is None
    assert bounds_notice(acting("Square", log_std_init=0.0)) is None
    wide = bounds_notice(acting("Square", log_std_init=10.0))
    assert wide is not None and "hardly any action" in wide


def test_squashed_actions_are_always_within_and_state_dependent_ones_get_no_notice():
    assert bounds_notice(acting("Valve", use_sde=True)) is None
    assert bounds_notice(acting("Valve", squash_actions=True)) is None
