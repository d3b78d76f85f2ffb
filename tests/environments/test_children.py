"""Children of environments don't inherit the signal handlers of our processes."""

import multiprocessing
import signal

import numpy as np
import pytest

from environments import make_environments
from environments.levels import ListedLevels
from environments.safety.children import free_children
from schema.environment import EnvironmentConfig
from tests.environments import scripted

FORK = multiprocessing.get_context("fork")
NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture
def handlers():
    """Handle and block signals as jobs and worker processes do."""
    free_children()
    before = {number: signal.signal(number, lambda *_: None) for number in NUMBERS}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    yield
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    for number, handler in before.items():
        signal.signal(number, handler)


def _told(found):
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, set())
    found.send(([signal.getsignal(number) for number in NUMBERS], blocked & set(NUMBERS)))


def _tell_of_a_child(found):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = FORK.Process(target=_told, args=(found,))
    child.start()
    child.join()


def _run(target):
    ours, theirs = FORK.Pipe()
    child = FORK.Process(target=target, args=(theirs,))
    child.start()
    found = ours.recv()
    child.join()
    return found


def test_a_child_has_python_s_own_handlers(handlers):
    own = [signal.default_int_handler, signal.SIG_DFL, signal.SIG_DFL]
    assert _run(_told) == (own, set())


def test_the_parent_keeps_its_handlers_and_its_mask(handlers):
    before = [signal.getsignal(number) for number in NUMBERS]
    _run(_told)
    assert [signal.getsignal(number) for number in NUMBERS] == before
    assert signal.pthread_sigmask(signal.SIG_BLOCK, set()) & set(NUMBERS) == {signal.SIGINT}


def test_a_child_s_own_handlers_reach_its_children(handlers):
    (_, terminated, _), blocked = _run(_tell_of_a_child)
    assert terminated == signal.SIG_IGN and not blocked


@pytest.mark.parametrize("processes", [0, 1])
def test_an_environment_ends_its_child(handlers, processes):
    config = EnvironmentConfig(
        type="Gymnasium", name=scripted.name("Parent"), processes=processes, launch_timeout=20
    )
    built = make_environments(config, ListedLevels([0], 1), 1, 0)
    try:
        built.reset()
        steps = [built.step(np.zeros((1, 1), np.int64)) for _ in range(3)]
    finally:
        built.close()
    ((_, statistics),) = steps[-1].episodes
    assert statistics["exit_code"] == -signal.SIGTERM
