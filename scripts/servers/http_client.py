"""HTTP requests to a server on this machine, over connections that stay open."""

from __future__ import annotations

import contextlib
import http.client
import queue
import ssl
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

# Seconds that a single request may take.
_TIMEOUT = 20


class HttpError(Exception):
    """What a server says of a request that it refuses."""


# What a request raises that may succeed later.
TRANSIENT = (HttpError, OSError)


class Response(NamedTuple):
    """What a server answers."""

    status: int
    content_type: str
    content: bytes


class HttpClient:
    """Requests to one server, by any number of threads; there is no proxy on the way."""

    def __init__(self, address: str, timeout: float, context: ssl.SSLContext | None = None) -> None:
        """Open nothing before the first request.

        Args:
            address: Host and port.
            timeout: Seconds until a server counts as silent.
            context: For TLS; without it, plain HTTP is spoken.
        """
        self._address = address
        self._timeout = timeout
        self._context = context
        self._idle: queue.LifoQueue[http.client.HTTPConnection] = queue.LifoQueue()

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Return the answer to a request, whatever its status.

        Raises:
            OSError: If there is no answer.
        """
        connection = self._connection()
        try:
            try:
                connection.request(method, path, body, headers or {})
                answer = connection.getresponse()
            except ConnectionError:
                # The server closes what was idle for long; a second time is a failure.
                connection.close()
                connection.request(method, path, body, headers or {})
                answer = connection.getresponse()
            kind = answer.getheader("Content-Type") or ""
            return Response(answer.status, kind, answer.read())
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise OSError(f"no answer from {self._address}: {error!r}") from error
        finally:
            self._idle.put(connection)

    def close(self) -> None:
        """Close every connection that is idle; another request would open one again."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._idle.get_nowait().close()

    def _connection(self) -> http.client.HTTPConnection:
        with contextlib.suppress(queue.Empty):
            return self._idle.get_nowait()
        if self._context is None:
            return http.client.HTTPConnection(self._address, timeout=self._timeout)
        return http.client.HTTPSConnection(
            self._address, timeout=self._timeout, context=self._context
        )


def request(
    url: str,
    *,
    method: str = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Send a single request and return the answer, whatever its status.

    Raises:
        OSError: If there is no answer.
    """
    parts = urlsplit(url)
    if parts.scheme != "http":
        raise ValueError(url)
    target = parts._replace(scheme="", netloc="").geturl()
    with contextlib.closing(HttpClient(parts.netloc, _TIMEOUT)) as client:
        return client.send(method, target or "/", body, headers)
