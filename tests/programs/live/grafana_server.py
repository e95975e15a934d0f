"""A Grafana that a test runs in this process, and that answers as the test wants it to."""

from __future__ import annotations

import base64
import contextlib
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from scripts.core.yamlfile import Json

PASSWORD, TOKEN = "correct-horse-battery", "glsa_not-a-real-token"
ADMIN = base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
ACCOUNTS = "/api/serviceaccounts"
HEADERS = {f"Basic {ADMIN}", f"Bearer {TOKEN}"}
HIDDEN = (PASSWORD, TOKEN, ADMIN, base64.b64encode(PASSWORD.encode()).decode())


def rows(query: Json) -> Json:
    """What Grafana answers to a query that has a result."""
    fields = [{"name": "Time", "type": "time"}, {"name": "Value", "type": "number"}]
    frame = {"schema": {"refId": query["refId"], "fields": fields}}
    return {"status": 200, "frames": [frame | {"data": {"values": [[1_700_000_000_000], [1]]}}]}


def nothing(_: Json) -> Json:
    """What it answers to a query of Prometheus that finds no series."""
    return {"status": 200, "frames": [{"schema": {"fields": []}, "data": {"values": []}}]}


@dataclass
class Server:
    """Grafana's documented API; what it does may be changed while it runs.

    Attributes:
        unavailable: How many requests are still answered with 503.
        dashboard: Status of the home dashboard.
        whole: Status and body of every request for data, in place of results.
        result: Of one query.
        role: What a service account gets that is made.
        account: Status of the answer to who makes one.
        queries: Each that was asked, in order.
        paths: Of each request.
        askers: Scheme of the credentials of each request that was answered, and its path.
        accounts: Token of each service account that is there.
    """

    port: int = 0
    unavailable: int = 0
    dashboard: int = 200
    whole: tuple[int, bytes] | None = None
    result: Callable[[Json], Json] = rows
    role: str = "Viewer"
    account: int = 201
    queries: list[Json] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    askers: list[tuple[str, str]] = field(default_factory=list)
    accounts: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class Handler(BaseHTTPRequestHandler):
    """Answers as the `Server` says that it should."""

    server: Http

    def do_GET(self) -> None:
        if self.welcome():
            dashboard = self.server.grafana.dashboard
            self.answer(dashboard, {"message": "Dashboard not found", "dashboard": {}})

    def do_POST(self) -> None:
        grafana = self.server.grafana
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.welcome():
            return
        if self.path.startswith(ACCOUNTS):
            self.make(body)
            return
        if grafana.whole:
            self.send(*grafana.whole)
            return
        grafana.queries += body["queries"]
        results = {q["refId"]: grafana.result(q) for q in body["queries"]}
        failed = any("error" in result for result in results.values())
        self.answer(400 if failed else 200, {"results": results})

    def do_DELETE(self) -> None:
        if self.welcome():
            self.server.grafana.accounts.pop(self.path.rpartition("/")[2], None)
            self.answer(200, {"message": "Service account deleted"})

    def make(self, body: Json) -> None:
        """Make a service account, or a token of one."""
        grafana = self.server.grafana
        if self.path == ACCOUNTS:
            number = str(len(grafana.paths))
            if grafana.account < 300:
                grafana.accounts[number] = ""
            document = {"id": int(number), "name": body["name"], "role": grafana.role}
            self.answer(grafana.account, document)
            return
        number = self.path.split("/")[-2]
        grafana.accounts[number] = f"glsa_{number}_{TOKEN}"
        self.answer(200, {"id": 1, "name": body["name"], "key": grafana.accounts[number]})

    def welcome(self) -> bool:
        grafana = self.server.grafana
        grafana.paths.append(self.path)
        if grafana.unavailable:
            grafana.unavailable -= 1
            self.send(503, b"no healthy upstream")
            return False
        tokens = {f"Bearer {token}" for token in grafana.accounts.values() if token}
        if self.headers["Authorization"] not in HEADERS | tokens:
            self.answer(401, {"message": "Invalid username or password"})
            return False
        grafana.askers.append((self.headers["Authorization"].split()[0], self.path))
        return True

    def answer(self, status: int, document: Json) -> None:
        self.send(status, json.dumps(document).encode())

    def send(self, status: int, content: bytes) -> None:
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("Location", f"{self.server.grafana.url}/login")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


class Http(ThreadingHTTPServer):
    """A port of its own, which refuses connections until it is activated."""

    daemon_threads = True

    def __init__(self, grafana: Server) -> None:
        super().__init__(("127.0.0.1", 0), Handler, bind_and_activate=False)
        self.grafana = grafana
        self.server_bind()
        grafana.port = self.server_address[1]

    def handle_error(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def playing(
    server: Server, silent: float = 0, tls: ssl.SSLContext | None = None
) -> Iterator[Server]:
    """Run a Grafana, by https or not; for some seconds its port refuses connections."""
    http = Http(server)
    if tls:
        http.socket = tls.wrap_socket(http.socket, server_side=True)
    stopped = threading.Event()
    serving = threading.Event()

    def run() -> None:
        if silent:
            if stopped.wait(silent * 0.9):
                return
            http.server_activate()
            if stopped.wait(silent * 0.1):
                return
        serving.set()
        http.serve_forever(poll_interval=0.02)

    if not silent:
        http.server_activate()
    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield server
    finally:
        stopped.set()
        if serving.is_set():
            http.shutdown()
        thread.join()
        http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    with playing(Server()) as one:
        yield one
