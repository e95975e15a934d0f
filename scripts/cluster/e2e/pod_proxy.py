"""An HTTP proxy that forwards what is sent to a pod's address to a program on loopback."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from scripts.servers.http_client import request
from scripts.servers.processes import LOOPBACK
from scripts.servers.tcp_proxy import relay


class PodProxy:
    """Forwards from the addresses of pods, which nobody listens on; refuses all other addresses.

    Attributes:
        port: Where it listens.
        routes: Port on loopback, by `address:port` of the pod.
    """

    def __init__(self) -> None:
        """Listen."""
        self.routes: dict[str, int] = {}
        routes = self.routes

        class RoutingHandler(_PodProxyHandler):
            known = routes

        self._server = ThreadingHTTPServer((LOOPBACK, 0), RoutingHandler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Where it is, as programs want it."""
        return f"http://{LOOPBACK}:{self.port}"

    def close(self) -> None:
        """End."""
        self._server.shutdown()
        self._server.server_close()


class _PodProxyHandler(BaseHTTPRequestHandler):
    known: Mapping[str, int]

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""

    def do_GET(self) -> None:
        """Forward a request for an absolute address (RFC 9112, 3.2.2)."""
        self._forward()

    def do_POST(self) -> None:
        """Forward one with a body: alerts, for Alertmanager."""
        self._forward()

    def _forward(self) -> None:
        host, slash, path = self.path.removeprefix("http://").partition("/")
        port = self.known.get(host)
        if port is None:
            self.send_error(502, "nothing runs there")
            return
        url = f"http://{LOOPBACK}:{port}{slash}{path}"
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {k: v for k, v in self.headers.items() if k in ("Accept", "Content-Type")}
        try:
            answer = request(url, method=self.command, body=body, headers=headers)
        except OSError as error:
            self.send_error(502, str(error))
            return
        # The client may be gone meanwhile, as Prometheus is when it is ended during a scrape.
        with contextlib.suppress(ConnectionError):
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type or "text/plain")
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

    def do_CONNECT(self) -> None:
        """Open a tunnel, for TLS (RFC 9110, 9.3.6)."""
        port = self.known.get(self.path)
        if port is None:
            self.send_error(502, "nothing runs there")
            return
        with socket.create_connection((LOOPBACK, port)) as target:
            self.send_response(200)
            self.end_headers()
            relay(self.connection, target)
        self.close_connection = True
