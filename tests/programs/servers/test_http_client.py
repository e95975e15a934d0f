"""Requests to servers on this machine, and waiting for what they answer."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from scripts.servers.http_client import HttpClient, HttpError, request
from scripts.servers.polling import poll
from scripts.servers.processes import LOOPBACK, free_port


@pytest.fixture
def server() -> Iterator[str]:
    """A server that closes each connection after its answer, without saying so."""

    class ClosingHandler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(418)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((LOOPBACK, 0), ClosingHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"{LOOPBACK}:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_a_connection_that_the_server_has_closed_is_opened_again(server: str) -> None:
    with contextlib.closing(HttpClient(server, 5)) as client:
        for text in (b"one", b"two"):
            assert client.send("POST", "/", text) == (418, "text/plain", text)


def test_a_single_request_returns_any_status(server: str) -> None:
    assert request(f"http://{server}", method="POST", body=b"a").status == 418
    with pytest.raises(ValueError, match="https"):
        request(f"https://{server}")


def test_a_server_that_does_not_answer_is_named() -> None:
    url = f"http://{LOOPBACK}:{free_port()}"
    with pytest.raises(OSError, match=f"no answer from {url.removeprefix('http://')}"):
        request(url)


def answers(*values: str | Exception) -> Callable[[], str]:
    """Return what says or raises one value after the other."""
    left = list(values)

    def answer() -> str:
        value = left.pop(0)
        if isinstance(value, Exception):
            raise value
        return value

    return answer


def test_what_is_missing_is_asked_until_nothing_is() -> None:
    assert poll(answers(HttpError("late"), OSError("later"), "a", ""), 30) == ""


def test_what_is_missing_in_the_end_is_returned() -> None:
    assert poll(answers("a"), 0) == "a"
    assert poll(answers(OSError()), 0) == "OSError()"


def test_a_wait_ends_with_its_check() -> None:
    def ended() -> None:
        raise KeyError("a program")

    with pytest.raises(KeyError, match="a program"):
        poll(answers(""), 30, ended)
