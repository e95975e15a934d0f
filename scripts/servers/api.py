"""The HTTP API of Prometheus, Loki and Alertmanager."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from scripts.core.yamlfile import Json
from scripts.servers.http_client import HttpClient, HttpError

Parameters = Mapping[str, str | Sequence[str]]

# Seconds; longer than any server's own limit on a query, whose message says more than ours.
_TIMEOUT = 360


class ApiError(HttpError):
    """What Prometheus, Loki or Alertmanager says of a request that it refuses."""


class SilentError(ApiError):
    """There is no answer, or none in time."""


class Api:
    """The API of a server on this machine."""

    def __init__(self, port: int, timeout: float = _TIMEOUT) -> None:
        """Talk to a port of this machine; nothing is opened before the first request.

        Args:
            port: Which one.
            timeout: Seconds until the server counts as silent.
        """
        self.port = port
        self._timeout = timeout
        self._client = HttpClient(f"127.0.0.1:{port}", timeout)

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
        self._client.close()

    def _send(self, method: str, path: str, body: bytes | None = None, kind: str = "") -> bytes:
        headers = {"Content-Type": kind} if kind else {}
        try:
            status, _, content = self._client.send(method, path, body, headers)
        except OSError as error:
            late = isinstance(error.__cause__, TimeoutError)
            text = f"no answer within {self._timeout:g} s" if late else str(error)
            raise SilentError(text) from error
        if status >= 300:
            raise ApiError(f"{status}: {_message(content)}")
        return content


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
