"""The process from which those that train are forked, so that they needn't import everything anew."""

from __future__ import annotations

import multiprocessing
import signal
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext


def server_context() -> ForkServerContext:
    """What starts processes that have imported what training needs."""
    context = multiprocessing.get_context("forkserver")
    # The server may be unable to find this repository's modules; most of the time is torch's anyway.
    context.set_forkserver_preload(["torch", "sweeps.execution.worker"])
    return context


# Signals for a whole group of processes, after which those that train still have something to do.
# Without the server, nobody would learn when they end. It ignores Ctrl-C only once it has imported
# everything.
SHIELDED = {signal.SIGTERM, signal.SIGHUP, signal.SIGINT}


def start_server() -> None:
    """Begins these imports, which go on while this process does other things."""
    server_context()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SHIELDED)
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
