import signal

import torch
from hypothesis import settings

from ppo.by_numba import compile_all, is_kept

# Tests that are run in the background ignore Ctrl-C, as would all that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# One thread: the tests' networks are too small to share out, and CI machines have few cores.
torch.set_num_threads(1)
# No deadline, since a busy machine is no failure, and the same examples in each run.
settings.register_profile("project", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("project")


def pytest_configure(config):
    """Compiles once what several processes would compile each, before these are started."""
    if not hasattr(config, "workerinput") and not is_kept():
        compile_all()
