import signal

import torch
from hypothesis import settings

from ppo.by_numba import compile_all, is_kept

# A process in the background ignores Ctrl-C, and its children would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# One thread: the tests' networks are too small for more, and CI machines have few cores.
torch.set_num_threads(1)
# No deadline, as busy machines are slow, and the same examples in each run.
settings.register_profile("project", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("project")


def pytest_configure(config):
    """Compile everything before test processes start, as otherwise each would compile it."""
    if not hasattr(config, "workerinput") and not is_kept():
        compile_all()
