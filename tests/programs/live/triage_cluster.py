"""A stand-in for kubectl, and for the servers that it forwards ports to."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from scripts.core.yamlfile import Json

KUBECTL = '''#!{python} -IS
"""Plays kubectl: state.json says which Services there are, and where their ports lead."""
import json, os, pathlib, sys, time

folder = pathlib.Path(__file__).parent
state = json.loads((folder / "state.json").read_text())
arguments = [a for a in sys.argv[1:] if not a.startswith("-")]
with (folder / "calls").open("a") as calls:
    print(" ".join(sys.argv[1:]), file=calls)
if state["fails"]:
    sys.exit(state["fails"])
if arguments[:2] == ["config", "current-context"]:
    print("a-context")
elif arguments[:2] == ["get", "service"]:
    if arguments[2] in state["ports"]:
        print(f"service/{{arguments[2]}}")
elif arguments[0] == "port-forward":
    port = state["ports"][arguments[1].partition("/")[2]]
    if isinstance(port, str):
        sys.exit(port)
    with (folder / "forwards").open("a") as file:
        print(os.getpid(), file=file)
    print(f"Forwarding from 127.0.0.1:{{port}} -> 1", flush=True)
    time.sleep(60)
else:
    sys.exit(f"error: not one of the commands that only read: {{arguments}}")
'''
SERVICES = ("prometheus-operated", "loki", "alertmanager-operated")


@dataclass
class Servers:
    """All three of them on one port.

    Attributes:
        alerts: What Alertmanager answers.
        rows: What Prometheus answers to a query that holds the key.
        lines: What Loki answers, likewise: lines where the query is one of lines.
        asked: Every query, in order.
        late: Seconds that an answer to a query takes, by its language.
        refuses: What Prometheus says of a query that holds the key.
    """

    port: int = 0
    alerts: list[Json] = field(default_factory=list)
    rows: dict[str, list[Json]] = field(default_factory=dict)
    lines: dict[str, list[Json]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    late: dict[str, float] = field(default_factory=dict)
    refuses: dict[str, str] = field(default_factory=dict)

    def answer(self, path: str, form: dict[str, list[str]]) -> tuple[int, Json]:
        if path == "/api/v2/alerts":
            return 200, self.alerts
        language = "logql" if path.startswith("/loki/") else "promql"
        query = form["query"][0]
        self.asked.append((language, query))
        time.sleep(self.late.get(language, 0))
        for key, message in self.refuses.items():
            if key in query:
                return 400, {"status": "error", "error": message}
        known = self.lines if language == "logql" else self.rows
        found = next((rows for key, rows in known.items() if key in query), [])
        kind = "streams" if path.endswith("query_range") else "vector"
        return 200, {"data": {"resultType": kind, "result": found}}


def alert(name: str, key: str, severity: str = "warning", held_by: str = "", **labels: str) -> Json:
    """An alert as Alertmanager's API has it."""
    return {
        "labels": {"alertname": name, "severity": severity, **labels},
        "annotations": {},
        "startsAt": "2026-01-31T20:00:00.123456789Z",
        "fingerprint": key,
        "status": {"inhibitedBy": [held_by] if held_by else [], "silencedBy": []},
    }


def row(value: float, **labels: str) -> Json:
    return {"metric": labels, "value": [0, str(value)]}


def stream(*lines: str, **labels: str) -> Json:
    return {"stream": labels, "values": [[str(10**18 - n), line] for n, line in enumerate(lines)]}


@pytest.fixture
def servers() -> Iterator[Servers]:
    played = Servers()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def respond(self) -> None:
            url = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            status, document = played.answer(url.path, parse_qs(url.query or body))
            content = json.dumps(document).encode()
            try:
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
            except BrokenPipeError:
                pass  # Whoever asked waits no longer.

        def do_GET(self) -> None:
            self.respond()

        def do_POST(self) -> None:
            self.respond()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        played.port = server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield played
        server.shutdown()


@dataclass
class Cluster:
    """What the stand-in for kubectl reads and writes."""

    folder: Path

    def set(self, **changes: Json) -> None:
        path = self.folder / "state.json"
        state = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps(state | changes))

    def lines(self, name: str) -> list[str]:
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []


# Not `cluster`: fixtures of plugins are known to all tests, and that is one of `make verify`.
@pytest.fixture
def asked_cluster(tmp_path: Path, servers: Servers, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """A cluster with all three servers; no other program is on PATH."""
    return played(tmp_path, dict.fromkeys(SERVICES, servers.port), monkeypatch)


def played(folder: Path, ports: Mapping[str, int], monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """Put a stand-in for kubectl on PATH, alone."""
    script = folder / "kubectl"
    script.write_text(KUBECTL.format(python=sys.executable))
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    found = Cluster(folder)
    found.set(ports=dict(ports), fails="")
    return found
