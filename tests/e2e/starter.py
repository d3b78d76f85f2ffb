"""Starts commands as forks of a process that has loaded their libraries, which saves seconds for each.

A command runs as in a process of its own: with its own arguments, folder, variables and output. Tests of
signals, of other variables and of the documentation start Python anew; they notice what this may hide.
`python starter.py <descriptor>` is the process that forks.
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_LARGEST = 2**20  # bytes of a request


class Starter:
    """The process that forks, from the side of the tests; it starts with the first command."""

    def __init__(self):
        self._socket = None

    def run(self, script, options, cwd, environment, timeout):
        """Return the completed process of a script in the project's root folder.

        Raises:
            subprocess.TimeoutExpired: it was killed, as it took too long.
        """
        connection = self._connected()
        command = [sys.executable, str(ROOT / script), *options]
        request = {"arguments": command[1:], "cwd": str(cwd), "environment": environment}
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            socket.send_fds(
                connection, [json.dumps(request).encode()], [output.fileno(), errors.fileno()]
            )
            connection.settimeout(timeout)
            child = int(connection.recv(64))
            try:
                code = int(connection.recv(64))
            except TimeoutError:
                os.kill(child, signal.SIGKILL)
                connection.settimeout(None)
                connection.recv(64)
                raise subprocess.TimeoutExpired(command, timeout) from None
            return subprocess.CompletedProcess(command, code, _text(output), _text(errors))

    def _connected(self):
        if self._socket is None:
            self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            command = [sys.executable, __file__, str(theirs.fileno())]
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            server = subprocess.Popen(command, pass_fds=[theirs.fileno()], env=environment)
            theirs.close()
            atexit.register(lambda: (self._socket.close(), server.wait()))
        return self._socket


def _text(file):
    file.seek(0)
    return file.read().decode().replace("\r\n", "\n")


def _load():
    """Load what most commands need, but no modules of the project, which may note where they start."""
    # As the commands set it before they load torch.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    tensorboard = "tensorboard.plugins.hparams.summary_v2"
    for name in (
        "gymnasium",
        "numba",
        "pydantic",
        "rich.progress",
        "scipy.stats",
        "torch",
        tensorboard,
    ):
        with suppress(ImportError):  # Numba is optional
            importlib.import_module(name)
    sys.path[0] = str(ROOT)


def _next_command(connection):
    """Fork for each request, and tell how the child ended; in the child, return the request."""
    while True:
        content, descriptors, _, _ = socket.recv_fds(connection, _LARGEST, 2)
        if not content:
            sys.exit()
        child = os.fork()
        if not child:
            connection.close()
            for number, descriptor in enumerate(descriptors, start=1):
                os.dup2(descriptor, number)
                os.close(descriptor)
            return json.loads(content)
        for descriptor in descriptors:
            os.close(descriptor)
        connection.send(str(child).encode())
        _, status = os.waitpid(child, 0)
        connection.send(str(os.waitstatus_to_exitcode(status)).encode())


def _become(request):
    """Run the command of a request, and end with its exit code."""
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["cwd"])
    sys.argv = request["arguments"]
    code = 0
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as exit_:
        code = exit_.code or 0
    except BaseException:
        traceback.print_exc()
        code = 1
    # As at Python's own end, but without taking all modules apart, which takes most of a second.
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def main():
    """Serve; in a child, become the command."""
    _load()
    gc.freeze()  # else the first collection in each child would copy all objects
    _become(_next_command(socket.socket(fileno=int(sys.argv[1]))))


if __name__ == "__main__":
    main()
