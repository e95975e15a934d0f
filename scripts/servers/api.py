"""Requests to a server on this machine, over a few connections that stay open."""

from __future__ import annotations

import http.client
import json
import queue
from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from scripts.core.yamlfile import Json

Parameters = Mapping[str, str | Sequence[str]]

# As many as there are threads that ask.
CONNECTIONS = 2
# Longer than any server's own limit on a query, whose message says more than ours.
_TIMEOUT = 360


class ApiError(Exception):
    """What a server says of a request that it refuses."""


class Api:
    """A server's HTTP interface."""

    def __init__(self, port: int) -> None:
        """Talk to a port of this machine; nothing is opened before the first request."""
        self.port = port
        self._connections = [
            http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT)
            for _ in range(CONNECTIONS)
        ]
        self._idle: queue.LifoQueue[http.client.HTTPConnection] = queue.LifoQueue()
        for connection in self._connections:
            self._idle.put(connection)

    def get(self, path: str, parameters: Parameters | None = None) -> Json:
        """Return the JSON that a GET answers.

        Raises:
            ApiError: With the server's message.
        """
        query = urlencode(parameters or {}, doseq=True)
        return _parsed(self._send("GET", f"{path}?{query}" if query else path))

    def form(self, path: str, parameters: Parameters) -> Json:
        """Return the JSON that a POST of a form answers: a query may be longer than an address."""
        body = urlencode(parameters, doseq=True).encode()
        return _parsed(self._send("POST", path, body, "application/x-www-form-urlencoded"))

    def post(self, path: str, document: Json) -> None:
        """Send JSON; what comes back is not read."""
        self._send("POST", path, json.dumps(document).encode(), "application/json")

    def text(self, path: str) -> str:
        """Return what a GET answers."""
        return self._send("GET", path).decode(errors="replace")

    def close(self) -> None:
        """Close every connection; another request would open one again."""
        for connection in self._connections:
            connection.close()

    def _send(self, method: str, path: str, body: bytes | None = None, kind: str = "") -> bytes:
        headers = {"Content-Type": kind} if kind else {}
        connection = self._idle.get()
        try:
            try:
                status, content = _exchange(connection, method, path, body, headers)
            except (http.client.RemoteDisconnected, ConnectionError):
                # The server has closed what was idle for long; a second time is a failure.
                connection.close()
                status, content = _exchange(connection, method, path, body, headers)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise ApiError(f"no answer from port {self.port}: {error!r}") from error
        finally:
            self._idle.put(connection)
        if status >= 300:
            raise ApiError(f"{status}: {_message(content)}")
        return content


def _exchange(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: bytes | None,
    headers: Mapping[str, str],
) -> tuple[int, bytes]:
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    return response.status, response.read()


def _parsed(content: bytes) -> Json:
    return json.loads(content)


def _message(content: bytes) -> str:
    """Return the message of an error: Prometheus wraps it in JSON, Loki does not always."""
    text = content.decode(errors="replace").strip()
    try:
        document = json.loads(text)
    except json.JSONDecodeError:
        return text[:500]
    return str(document.get("error") or document.get("message") or text)[:500]
