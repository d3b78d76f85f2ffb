"""Serves the current page of a sweep on localhost."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from reports.answer import Answer
from reports.output.page.data import page_data, to_json
from reports.output.page.page import page_text
from reports.words import sentences
from schema.errors import UserError
from schema.os_errors import describe
from sweeps.journal.runs import PENDING

_SECONDS_BETWEEN = 15  # questions of the page for news while the sweep runs
_TIMEOUT = 10.0  # seconds without a byte after which a browser's connection is closed
# A site whose name resolves to this machine could read the page, too, but browsers send that name.
_HOSTS = ("localhost", "127.0.0.1")


def serve(read: Callable[[], Answer], port: int) -> int:
    """Serve the page until Ctrl-C and return the exit code.

    Args:
        read: reads the current answer.
        port: port of localhost; 0 chooses a free one.

    Raises:
        UserError: the port is in use.
    """
    with open_server(read, port) as server:
        print(f"http://localhost:{server.server_port}/ (Ctrl-C stops)", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return 0
    return 0


class Server(ThreadingHTTPServer):
    """Serves the page, each request in a thread."""

    def handle_error(self, *request: Any) -> None:
        """Print the error of a request, unless the browser has gone away."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(*request)


def open_server(read: Callable[[], Answer], port: int, timeout: float = _TIMEOUT) -> Server:
    """Return a server for the page.

    Args:
        read: reads the current answer.
        port: port of localhost; 0 chooses a free one.
        timeout: seconds without a byte after which a connection is closed.

    Raises:
        UserError: the port is in use.
    """
    handler = _handler(read)
    handler.timeout = timeout
    try:
        return Server(("127.0.0.1", port), handler)
    except OSError as error:
        raise UserError(f"--watch={port}: can't be served: {error.strerror}") from None


def _handler(read: Callable[[], Answer]) -> type[BaseHTTPRequestHandler]:
    one_at_a_time = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        """Answers `/` with the current page and `/version` with what it would say."""

        def do_GET(self) -> None:  # the name that http.server expects
            """Send the page, or the version of the current answer."""
            host = self.headers.get("Host", "").partition(":")[0].lower()
            if host not in _HOSTS:
                self.send_error(403, explain=f"The address must begin with {' or '.join(_HOSTS)}.")
                return
            if self.path not in ("/", "/version"):
                self.send_error(404)
                return
            with one_at_a_time:
                try:
                    found = read()
                    sent = _version(found) if self.path == "/version" else _page(found)
                except UserError as error:
                    self.send_error(503, explain="; ".join(error.lines))
                    return
                except OSError as error:
                    self.send_error(503, explain=describe(error))
                    return
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(sent.encode())))
            self.end_headers()
            self.wfile.write(sent.encode())

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    return Handler


def _page(found: Answer) -> str:
    runs_on = any(run.state in PENDING for run in found.outcome.runs)
    seconds = _SECONDS_BETWEEN if runs_on else None
    return page_text(found, sentences(found), _version(found), seconds)


def _version(found: Answer) -> str:
    """Return a text that changes with what the page shows."""
    states = [run.state for run in found.outcome.runs]
    shown = [to_json(page_data(found)), *sentences(found), *states]
    return sha256("\n".join(shown).encode()).hexdigest()
