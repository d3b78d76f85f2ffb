"""Starts the fork server: jobs are forked from it, with all imports done."""

from __future__ import annotations

import multiprocessing
import signal
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext


def server_context() -> ForkServerContext:
    """Return the context that starts processes which have already imported what training needs."""
    context = multiprocessing.get_context("forkserver")
    # The server may not find this repository's modules, but torch takes most of the time anyway.
    context.set_forkserver_preload(["torch", "sweeps.execution.worker"])
    return context


# Signals that may reach the whole process group, after which jobs still save checkpoints. The server
# must survive them, because only it learns when a job exits. It ignores Ctrl-C by itself, but only after
# its imports.
SHIELDED = {signal.SIGTERM, signal.SIGHUP, signal.SIGINT}


def start_server() -> None:
    """Start the server, which imports modules while this process continues."""
    server_context()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SHIELDED)
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
