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
from urllib.parse import parse_qs, urlsplit

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
class Accounts:
    """Service accounts and their tokens, as far as Grafana's API tells of them.

    Attributes:
        known: By id: name, role, seconds that its token lives (none without one).
        refuses: Status by method and path, in place of an answer.
        role: What one gets that is made, in place of what is asked for.
        written: Method and path of each request that changes something.
    """

    known: dict[int, Json] = field(default_factory=dict)
    refuses: dict[str, int] = field(default_factory=dict)
    role: str = ""
    written: list[str] = field(default_factory=list)

    def add(self, name: str, seconds: int | None, role: str = "Viewer") -> int:
        number = max(self.known, default=0) + 1
        self.known[number] = {"id": number, "name": name, "role": role, "seconds": seconds}
        return number

    def answer(self, method: str, path: str, body: Json) -> tuple[int, Json]:
        """Return what Grafana answers; tokens with no second left have ended."""
        url = urlsplit(path)
        request = f"{method} {url.path}"
        if status := self.refuses.get(request):
            return status, {"message": "not today"}
        if method != "GET":
            self.written.append(request)
        match method, *url.path.removeprefix(ACCOUNTS).split("/")[1:]:
            case "GET", "search":
                return 200, self._search(parse_qs(url.query))
            case ("POST",):
                role = self.role or body["role"]
                return 201, {"id": self.add(body["name"], None, role), "role": role}
            case "POST", number, "tokens":
                self.known[int(number)]["seconds"] = body["secondsToLive"]
                return 200, {"id": 1, "name": body["name"], "key": f"glsa_{body['name']}"}
            case "DELETE", number:
                return (200, {}) if self.known.pop(int(number), None) else (404, {})
        return 404, {"message": "Not found"}

    def _search(self, query: dict[str, list[str]]) -> Json:
        ended = query.get("expiredTokens") == ["true"]
        found = [
            {"id": a["id"], "name": a["name"], "tokens": int(a["seconds"] is not None)}
            for a in self.known.values()
            if query["query"][0] in a["name"] and (not ended or a["seconds"] == 0)
        ]
        return {"totalCount": len(found), "serviceAccounts": found}


@dataclass
class Server:
    """Grafana's documented API; what it does may be changed while it runs.

    Attributes:
        unavailable: How many requests are still answered with 503.
        dashboard: Status of the home dashboard.
        whole: Status and body of every request for data, in place of results.
        result: Of one query.
        queries: Each that was asked, in order.
        paths: Of each request.
        accounts: What is asked below /api/serviceaccounts.
        askers: Scheme of the credentials of each request that was answered, and its path.
    """

    port: int = 0
    unavailable: int = 0
    dashboard: int = 200
    whole: tuple[int, bytes] | None = None
    result: Callable[[Json], Json] = rows
    queries: list[Json] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    accounts: Accounts = field(default_factory=lambda: Accounts())
    askers: list[tuple[str, str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class Handler(BaseHTTPRequestHandler):
    """Answers as the `Server` says that it should."""

    server: Http

    def do_GET(self) -> None:
        if self.welcome() and not self.account("GET"):
            dashboard = self.server.grafana.dashboard
            self.answer(dashboard, {"message": "Dashboard not found", "dashboard": {}})

    def do_POST(self) -> None:
        grafana = self.server.grafana
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.welcome() or self.account("POST", body):
            return
        if grafana.whole:
            self.send(*grafana.whole)
            return
        grafana.queries += body["queries"]
        results = {q["refId"]: grafana.result(q) for q in body["queries"]}
        failed = any("error" in result for result in results.values())
        self.answer(400 if failed else 200, {"results": results})

    def do_DELETE(self) -> None:
        if self.welcome() and not self.account("DELETE"):
            self.answer(404, {"message": "Not found"})

    def account(self, method: str, body: Json = None) -> bool:
        """Answer what is asked of service accounts; False for all else."""
        if not self.path.startswith(ACCOUNTS):
            return False
        self.answer(*self.server.grafana.accounts.answer(method, self.path, body))
        return True

    def welcome(self) -> bool:
        grafana = self.server.grafana
        grafana.paths.append(self.path)
        if grafana.unavailable:
            grafana.unavailable -= 1
            self.send(503, b"no healthy upstream")
            return False
        tokens = {f"Bearer glsa_{a['name']}" for a in grafana.accounts.known.values()}
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
