"""The server of a sweep's page: who gets it, and what browsers that misbehave can't do."""

import errno
import socket
import struct
import threading

import pytest

from commands.serving import open_server
from reports.answer import answer
from schema.errors import UserError
from tests.reports.example_outcome import example_outcome


@pytest.fixture
def serve():
    """A function that serves what a function reads, and returns the port."""
    started = []

    def start(read, **options):
        server = open_server(read, 0, **options)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        started.append((server, thread))
        return server.server_port

    yield start
    for server, thread in started:
        server.shutdown()
        thread.join()
        server.server_close()


def connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=60)


def ask(port, host):
    """Return the status and the text that a browser gets at an address with this host."""
    header = "" if host is None else f"Host: {host}\r\n"
    with connect(port) as connection:
        connection.sendall(f"GET / HTTP/1.1\r\n{header}\r\n".encode())
        with connection.makefile("rb") as file:
            answered = file.read().decode()
    return int(answered.split()[1]), answered


@pytest.mark.parametrize("host", ["localhost", "localhost:{port}", "127.0.0.1:{port}", "LocalHost"])
def test_the_page_is_served_to_this_machine(serve, host):
    port = serve(lambda: answer(example_outcome()))
    status, text = ask(port, host.format(port=port))
    assert status == 200 and "<html" in text


@pytest.mark.parametrize(
    "host", ["evil.example:{port}", "evil.example", "localhost.evil.example:{port}", "", None]
)
def test_other_names_of_this_machine_are_refused(serve, host):
    port = serve(lambda: pytest.fail("nothing may be read"))
    status, text = ask(port, host and host.format(port=port))
    assert status == 403 and "localhost or 127.0.0.1" in text


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (UserError("o: no such sweep here"), "o: no such sweep here"),
        (OSError(errno.ENOSPC, "No space left", "/tmp/x"), "/tmp/x: No space left"),
    ],
)
def test_what_hinders_the_page_is_told(serve, error, told):
    def read():
        raise error

    status, text = ask(serve(read), "localhost")
    assert status == 503 and told in text


def test_half_a_request_is_not_waited_for(serve):
    port = serve(lambda: pytest.fail("nothing may be read"), timeout=0.05)
    with connect(port) as connection:
        connection.sendall(b"GET / HT")
        assert connection.recv(1) == b""


def test_a_browser_that_goes_away_prints_nothing(serve, capfd):
    begun, gone = threading.Event(), threading.Event()

    def read():
        begun.set()
        assert gone.wait(60)
        return answer(example_outcome())

    port = serve(read)
    connection = connect(port)
    connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert begun.wait(60)
    # Closing resets the connection, so that the server can't write to it.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    gone.set()
    for thread in threading.enumerate():
        if "process_request_thread" in thread.name:
            thread.join(60)
    assert capfd.readouterr().err == ""


def test_a_port_in_use_gives_one_line(serve):
    port = serve(lambda: None)
    with pytest.raises(UserError, match=f"--watch={port}: can't be served: Address already in use"):
        open_server(lambda: None, port)
