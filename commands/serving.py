"""Serves the current page of a sweep on localhost."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from reports.answer import Answer
from reports.output.page.page import write_page
from reports.words import sentences
from schema.errors import UserError
from sweeps.journal.runs import PENDING

_SECONDS_BETWEEN = 15  # interval of reloading the page while the sweep runs


def serve(read: Callable[[], Answer], port: int) -> int:
    """Serve the page until Ctrl-C and return the exit code.

    Args:
        read: reads the current answer.
        port: port of localhost; 0 chooses a free one.

    Raises:
        UserError: the port is in use.
    """
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), _handler(read))
    except OSError as error:
        raise UserError(f"--watch={port}: can't be served: {error.strerror}") from None
    with server:
        print(f"http://localhost:{server.server_port}/ (Ctrl-C stops)", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return 0
    return 0


def _handler(read: Callable[[], Answer]) -> type[BaseHTTPRequestHandler]:
    one_at_a_time = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        """Answers every request for `/` with the current page."""

        def do_GET(self) -> None:  # the name that http.server expects
            """Send the page."""
            if self.path != "/":
                self.send_error(404)
                return
            with one_at_a_time:
                try:
                    found = read()
                except UserError as error:
                    self.send_error(503, explain="; ".join(error.lines))
                    return
                page = _page(found)
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(page)))
            if any(run.state in PENDING for run in found.outcome.runs):
                self.send_header("Refresh", str(_SECONDS_BETWEEN))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    return Handler


def _page(found: Answer) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "page.html"
        write_page(found, path, sentences(found))
        return path.read_bytes()
