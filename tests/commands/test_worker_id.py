"""Worker ids: one that the user gave differs from the default, even if the numbers are equal."""

import pickle
import sys

import pytest

import enjoy
import eval as eval_command
import train
import tune
from commands.options import worker_id_option
from environments.ports import PROBING, DefaultWorkerId, candidate_ports
from schema.errors import UserError


def option(command, *arguments):
    from docopt import docopt

    sys.argv = [f"{command.__name__}.py", *arguments]
    return worker_id_option(dict(docopt(command.__doc__)), command.__doc__)


@pytest.fixture(autouse=True)
def own_command_line(monkeypatch):
    monkeypatch.setattr(sys, "argv", sys.argv)


@pytest.mark.parametrize("command", [train, tune, eval_command, enjoy])
def test_the_default_differs_from_the_same_number_given(command):
    default = option(command)
    assert default == 2 and isinstance(default, DefaultWorkerId)
    for given in (["--worker-id=2"], ["--worker-id", "2"], ["--worker=2"]):
        chosen = option(command, *given)
        assert chosen == 2 and not isinstance(chosen, DefaultWorkerId)


def test_an_invalid_worker_id_gives_one_line():
    with pytest.raises(UserError, match="--worker-id=-1: must be a whole number of at least 0"):
        option(train, "--worker-id=-1")


def test_a_default_stays_one_when_added_to_and_pickled():
    later = pickle.loads(pickle.dumps(DefaultWorkerId(2))) + 3
    assert later == 5 and isinstance(later, DefaultWorkerId)


def test_a_given_worker_id_has_one_port_and_a_default_all_later_ports():
    assert list(candidate_ports(2)) == [5007]
    ports = candidate_ports(DefaultWorkerId(2))
    assert [next(ports), next(ports)] == [5007, 5008]
    assert list(candidate_ports(60_531)) == []


def test_probing_starts_far_from_any_session():
    assert next(candidate_ports(PROBING)) == 45_005
