"""Starts one player and talks to it, through mlagents-envs.

What is stricter here than there: a port can't be shared by accident, only this machine is listened to,
each wait has an end of its own and notices at once that the player died, and nothing is left behind
where something fails.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

# Its complaints are about what is reported here in one line.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
# Players inherit it: they would look for this machine behind a proxy.
os.environ.setdefault("no_grpc_proxy", "localhost,127.0.0.1")
# Processes that are forked to start another program (as ffmpeg is) would abort now and then: gRPC's
# handler of forks polls file descriptors that such a process has closed (grpc/grpc, issue 43055).
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

import grpc
import numpy as np

from environments.interface import EnvironmentFailure
from environments.ports import candidate_ports, describe_conflict
from environments.unity.guard import Guard, kill_group
from schema.errors import UserError

_REMEDY = "pip install -r requirements-unity.txt"
try:
    from mlagents_envs import logging_util
    from mlagents_envs.communicator_objects.unity_message_pb2 import UnityMessageProto
    from mlagents_envs.communicator_objects.unity_to_external_pb2_grpc import (
        add_UnityToExternalProtoServicer_to_server,
    )
    from mlagents_envs.env_utils import validate_environment_path
    from mlagents_envs.environment import UnityEnvironment
    from mlagents_envs.exception import UnityException
    from mlagents_envs.rpc_communicator import (
        RpcCommunicator,
        UnityToExternalServicerImplementation,
    )
except TypeError as error:  # how protobuf refuses messages that were generated for another release
    raise UserError(f"environment.type: mlagents-envs needs protobuf 3.20 ({_REMEDY})") from error
if not hasattr(np, "bool"):
    raise UserError(f"environment.type: mlagents-envs needs NumPy 2 ({_REMEDY})")

# So that what players print is not shown.
logging_util.set_log_level(logging_util.ERROR)

_SECONDS_BETWEEN_CHECKS = 0.1
_SECONDS_TO_ANSWER = 1.0  # of a reply that is under way when a connection ends
_OK, _QUIT = 200, 400  # states of a message

_guard = Guard()


class PlayerFailure(EnvironmentFailure):
    """A player died, hung, quit or said what it mustn't; another one may take its place."""


class Connection(UnityEnvironment):
    """A player's process and the conversation with it.

    Args:
        path: of the player; the ending that its system gives it may be left out.
        worker_id: chooses the port.
        seed: of the player's own random numbers.
        graphics: whether it draws.
        timeouts: seconds until it must have answered for the first time, and later.
        arguments: further ones on its command line.
        channels: side channels.
        stopped: ends every wait as soon as it is set.

    Raises:
        UserError: there is no such player, it speaks another protocol, or its port is in use.
        PlayerFailure: it died or hung.
    """

    def __init__(
        self,
        path: str,
        worker_id: int,
        seed: int,
        graphics: bool,
        timeouts: tuple[float, float],
        arguments: list[str],
        channels: list[Any],
        stopped: threading.Event,
    ) -> None:
        self._timeouts = timeouts
        self._stopped = stopped
        self._player: subprocess.Popen | None = None
        try:
            super().__init__(
                file_name=find_player(path),
                worker_id=worker_id,
                seed=seed,
                no_graphics=not graphics,
                timeout_wait=timeouts[0],
                additional_args=arguments,
                side_channels=channels,
            )
        except BaseException as error:
            self.shut_down(patience=0)
            if isinstance(error, (OSError, UnityException)):
                reason = getattr(error, "strerror", None) or f"{error}".splitlines()[0]
                raise UserError(
                    f"environment.name: {path} can't be started: {reason}; it must be a player for "
                    "this system, and executable"
                ) from error
            raise

    def _get_communicator(
        self, worker_id: int, base_port: int, timeout_wait: float
    ) -> _Communicator:
        communicator = _Communicator(worker_id, self._timeouts, self._stopped)
        self._port = communicator.port
        return communicator

    def _send_academy_parameters(self, init_parameters: Any) -> Any:
        """Is called between the player's start and its first message."""
        self._player = self._process
        _guard.watch(self._player.pid)
        return super()._send_academy_parameters(init_parameters)

    def _poll_process(self) -> None:
        code = self._player.poll() if self._player else None
        if code is not None:
            cause = f"signal {-code}" if code < 0 else f"exit code {code}"
            raise PlayerFailure(f"the player on port {self._port} died ({cause})")

    @contextlib.contextmanager
    def failing_as_one(self) -> Iterator[None]:
        """Turns whatever a conversation may fail with into a `PlayerFailure`."""
        try:
            yield
        # The last three: not a number where one belongs, and a connection that was closed.
        except (UnityException, RuntimeError, EOFError, OSError) as error:
            if isinstance(error, EnvironmentFailure):
                raise
            line = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise PlayerFailure(f"the player on port {self._port} failed: {line}") from error

    def shut_down(self, patience: float) -> None:
        """Asks the player to quit, and kills it if that takes longer than so many seconds."""
        # Registered in the constructor of mlagents-envs, and would keep this object for ever.
        atexit.unregister(self._close)
        player, self._player = self._player, None
        if hasattr(self, "_communicator"):
            self._close(patience)
        if player is not None:
            # A player that is started by a script may outlive the script.
            kill_group(player.pid)
            player.wait()
            _guard.release(player.pid)


class _Servicer(UnityToExternalServicerImplementation):
    """Passes on the messages of the first player that introduces itself, and refuses all others.

    The player of a trainer that was killed may look for it again where another one serves by now;
    refused, it quits.
    """

    def __init__(self) -> None:
        super().__init__()
        self._peer: str | None = None

    def Exchange(self, request: Any, context: Any) -> Any:  # noqa: N802  # named by the protocol
        """A player's message; returns the answer."""
        if self._peer is None and request.unity_output.HasField("rl_initialization_output"):
            self._peer = context.peer()
        if context.peer() != self._peer:
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "another player is served here")
        return super().Exchange(request, context)


class _Communicator(RpcCommunicator):
    """The server to which a player connects."""

    def __init__(
        self, worker_id: int, timeouts: tuple[float, float], stopped: threading.Event
    ) -> None:
        self._later_timeout = timeouts[1]
        self._stopped = stopped
        super().__init__(worker_id, timeout_wait=timeouts[0])

    def create_server(self) -> None:
        """Serves at the worker id's port, or at the next free one where the user chose none."""
        for port in candidate_ports(self.worker_id):
            if _is_free(port) and self._serve(port):
                return
        raise UserError(describe_conflict(self.worker_id))

    def _serve(self, port: int) -> bool:
        # Without the option, two servers could have the same port, and each some of the messages.
        # With the usual limit of 4 MB, players with large observations would be cut off.
        options = (("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", -1))
        server = grpc.server(ThreadPoolExecutor(2), options=options)
        servicer = _Servicer()
        add_UnityToExternalProtoServicer_to_server(servicer, server)
        try:
            bound = server.add_insecure_port(f"127.0.0.1:{port}")
        except RuntimeError:
            bound = 0
        if not bound:
            return False
        server.start()
        self.server, self.unity_to_external, self.port = server, servicer, port
        self.is_open = True
        return True

    def initialize(self, inputs: Any, poll_callback: Callable[[], None] | None = None) -> Any:
        """Exchanges the first messages; what the player says of itself is returned."""
        self.poll_for_timeout(poll_callback)
        pipe = self.unity_to_external.parent_conn
        output = pipe.recv().unity_output
        _check_version(output.rl_initialization_output.communication_version)
        message = UnityMessageProto()
        message.header.status = _OK
        message.unity_input.CopyFrom(inputs)
        pipe.send(message)
        self.poll_for_timeout(poll_callback)
        pipe.recv()
        self.timeout_wait = self._later_timeout
        return output

    def poll_for_timeout(self, poll_callback: Callable[[], None] | None = None) -> None:
        """Waits for the player's next message."""
        deadline = time.monotonic() + self.timeout_wait
        while time.monotonic() < deadline:
            if self.unity_to_external.parent_conn.poll(_SECONDS_BETWEEN_CHECKS):
                return
            if self._stopped.is_set():
                raise EnvironmentFailure("the environments are closed")
            if poll_callback is not None:
                poll_callback()
        raise PlayerFailure(
            f"the player on port {self.port} gave no answer for {self.timeout_wait:g} s"
        )

    def close(self) -> None:
        """Asks the player to quit, and frees the port."""
        if self.is_open:
            self.is_open = False
            message = UnityMessageProto()
            message.header.status = _QUIT
            self.unity_to_external.parent_conn.send(message)
            self.server.stop(_SECONDS_TO_ANSWER).wait()
            self.unity_to_external.parent_conn.close()


def find_player(path: str) -> str:
    """The absolute path of a player.

    Raises:
        UserError: there is none.
    """
    absolute = str(Path(path).expanduser().absolute())
    if validate_environment_path(absolute) is None:
        raise UserError(f"environment.name: no player at {path}; must be the path of a Unity build")
    return absolute


def _is_free(port: int) -> bool:
    """Whether nobody listens; only serving there makes sure of it, but complains where it fails."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _check_version(theirs: str) -> None:
    """Major versions must be equal, and minor ones of unfinished versions.

    Raises:
        UserError: they aren't.
    """
    ours = UnityEnvironment.API_VERSION
    length = 2 if theirs.startswith("0.") else 1
    known = re.fullmatch(r"\d+\.\d+(\.\d+)?", theirs)
    if not known or theirs.split(".")[:length] != ours.split(".")[:length]:
        raise UserError(
            f"environment.name: the player speaks version {theirs or 'unknown'} of the protocol of "
            f"ML-Agents and mlagents-envs {ours}; build it with com.unity.ml-agents 1.0 or newer"
        )
