"""Plays the part of Grafana that mcp-grafana asks: its data sources, and its proxy to them."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from scripts.core.yamlfile import Json
from scripts.servers.api import Api
from scripts.servers.http_client import request
from scripts.servers.processes import LOOPBACK

TOKEN, SOURCES = "glsa_of-a-viewer", "/api/datasources"
# Hop by hop, or of our own answer.
_OURS = {"authorization", "connection", "host", "accept-encoding"}


@dataclass
class GrafanaProxy:
    """A Grafana with some data sources.

    Attributes:
        servers: By the data source's uid, which is its type, too.
        port: Where it answers.
        huge: Text of a query that Loki is said to read 2 GiB for.
        asked: Method and path of each request.
    """

    servers: Mapping[str, Api]
    port: int = 0
    huge: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def datasource(self, uid: str) -> Json:
        return {
            "id": sorted(self.servers).index(uid) + 1,
            "uid": uid,
            "name": uid,
            "type": uid,
            "access": "proxy",
            "jsonData": {"httpMethod": "POST"},
        }

    def answer(self, method: str, path: str) -> tuple[int, Json]:
        """Return what Grafana itself answers."""
        if (method, path) == ("GET", SOURCES):
            return 200, [self.datasource(uid) for uid in self.servers]
        kind, _, uid = path.removeprefix(f"{SOURCES}/").partition("/")
        if method == "GET" and kind == "uid" and uid in self.servers:
            return 200, self.datasource(uid)
        return 404, {"message": "Not found"}

    def estimate(self, path: str) -> Json:
        """Return what Loki says of a query that is huge; None for any other."""
        if self.huge and "/index/stats" in path and self.huge in path:
            return {"streams": 1, "chunks": 1, "entries": 1, "bytes": 2 << 30}
        return None

    def behind(self, path: str) -> str:
        """Return the address behind the proxy; empty for Grafana's own."""
        for uid, api in self.servers.items():
            for base in (f"{SOURCES}/proxy/uid/{uid}/", f"{SOURCES}/uid/{uid}/resources/"):
                if path.startswith(base):
                    return f"http://{LOOPBACK}:{api.port}/{path.removeprefix(base)}"
        return ""


class Handler(BaseHTTPRequestHandler):
    """Answers for the `GrafanaProxy`, or hands on to the server behind it."""

    server: Http

    def answer(self) -> None:
        grafana = self.server.grafana
        grafana.asked.append((self.command, self.path))
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            self.send(401, "application/json", b'{"message": "Invalid API key"}')
        elif estimate := grafana.estimate(self.path):
            self.send(200, "application/json", json.dumps(estimate).encode())
        elif address := grafana.behind(self.path):
            headers = {k: v for k, v in self.headers.items() if k.lower() not in _OURS}
            self.send(*request(address, method=self.command, body=body, headers=headers))
        else:
            status, document = grafana.answer(self.command, self.path)
            self.send(status, "application/json", json.dumps(document).encode())

    do_DELETE = do_GET = do_PATCH = do_POST = do_PUT = answer  # noqa: N815

    def send(self, status: int, kind: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


class Http(ThreadingHTTPServer):
    """A port of its own."""

    daemon_threads = True

    def __init__(self, grafana: GrafanaProxy) -> None:
        super().__init__((LOOPBACK, 0), Handler)
        self.grafana = grafana
        grafana.port = self.server_address[1]


@contextlib.contextmanager
def running(servers: Mapping[str, Api], huge: str = "") -> Iterator[GrafanaProxy]:
    """Run it until the block ends."""
    grafana = GrafanaProxy(servers, huge=huge)
    http = Http(grafana)
    thread = threading.Thread(target=http.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield grafana
    finally:
        http.shutdown()
        thread.join()
        http.server_close()
