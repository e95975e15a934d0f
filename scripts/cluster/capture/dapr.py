"""daprd with a small application behind it: what a sidecar exposes when its features are used."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import yaml

from scripts import tools
from scripts.cluster.capture import documents
from scripts.cluster.capture.families import Captured, scrape
from scripts.core.findings import progress
from scripts.core.yamlfile import Json
from scripts.servers.http_client import request
from scripts.servers.processes import LOOPBACK, Processes, free_port
from scripts.tools import sources

MODULE = "github.com/dapr/dapr"

# Names of the public application's own components.
PUBSUB, TOPIC, BINDING = "task-pubsub", "task-events", "reminder-cron"
HOW = (
    "run two sidecars in front of one application: they publish, consume, retry, drop, take a cron "
    "binding's calls, keep state, read a secret, schedule a job and invoke each other, all with "
    "retries and circuit breakers"
)


class _Application(BaseHTTPRequestHandler):
    """Subscribes to the topic, takes the cron binding's calls, and fails when it is told to."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Say which topics are consumed; anything else is well."""
        if self.path == "/dapr/subscribe":
            routes = [{"pubsubname": PUBSUB, "topic": TOPIC, "route": "/events"}]
            self._answer(200, routes)
        else:
            self._answer(500 if "fail" in self.path else 200, {})

    def do_POST(self) -> None:
        """Consume an event as its data says, or take a call."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/events":
            self._answer(200, {"status": json.loads(body).get("data", {}).get("status", "SUCCESS")})
        else:
            self._answer(500 if "fail" in self.path else 200, {})

    def do_OPTIONS(self) -> None:
        """Tell that the input binding is wanted."""
        self._answer(200, {})

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing: every request would be a line."""

    def _answer(self, status: int, value: Json) -> None:
        time.sleep(0.005)  # A latency of no whole millisecond is not exposed at all.
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextlib.contextmanager
def _application() -> Iterator[int]:
    server = ThreadingHTTPServer((LOOPBACK, 0), _Application)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()


def _component(name: str, kind: str, *, ignore: bool = False, **metadata: str) -> dict[str, Json]:
    return {
        "apiVersion": "dapr.io/v1alpha1",
        "kind": "Component",
        "metadata": {"name": name},
        "spec": {
            "type": kind,
            "version": "v1",
            "ignoreErrors": ignore,
            "metadata": [{"name": key, "value": value} for key, value in metadata.items()],
        },
    }


def _resources(app_ids: tuple[str, ...]) -> list[dict[str, Json]]:
    policy = {"retry": "once", "circuitBreaker": "open"}
    return [
        _component(PUBSUB, "pubsub.in-memory"),
        _component(BINDING, "bindings.cron", schedule="@every 1s", direction="input"),
        _component("state", "state.in-memory", actorStateStore="true"),
        _component("environment", "secretstores.local.env"),
        # Cannot be initialised: it has no brokers.
        _component("broken", "pubsub.kafka", ignore=True, authType="none"),
        {
            "apiVersion": "dapr.io/v1alpha1",
            "kind": "Resiliency",
            "metadata": {"name": "resiliency"},
            "spec": {
                "policies": {
                    "timeouts": {"short": "2s"},
                    "retries": {
                        "once": {"policy": "constant", "duration": "10ms", "maxRetries": 1}
                    },
                    "circuitBreakers": {
                        "open": {
                            "maxRequests": 1,
                            "timeout": "30s",
                            "trip": "consecutiveFailures >= 3",
                        }
                    },
                },
                "targets": {
                    "apps": {app: {**policy, "timeout": "short"} for app in app_ids},
                    "components": {PUBSUB: {"outbound": policy, "inbound": {"retry": "once"}}},
                },
            },
        },
    ]


def _configuration(addresses: Mapping[str, str]) -> dict[str, Json]:
    # Of the resolvers, this one takes its answers from a template: no multicast, no DNS.
    known = "".join(
        f'{{{{if eq .ID "{app}"}}}}{address}{{{{end}}}}' for app, address in addresses.items()
    )
    return {
        "apiVersion": "dapr.io/v1alpha1",
        "kind": "Configuration",
        "metadata": {"name": "configuration"},
        "spec": {
            "metrics": {"enabled": True, "recordErrorCodes": True},
            "nameResolution": {
                "component": "kubernetes",
                "version": "v1",
                "configuration": {"template": known},
            },
        },
    }


def capture(processes: Processes) -> list[Captured]:
    """Run two sidecars, use them, and scrape both."""
    version = tools.version("daprd")
    found = scrape(*_sidecars(processes, _control_plane(processes)))
    listed = documents.dapr(sources.module(MODULE, version), "pkg/diagnostics")
    how = f"document views in pkg/diagnostics of the Go module {MODULE}, with all their tags"
    return [Captured(f"daprd {version}", HOW, found), Captured(f"daprd {version}", how, listed)]


def control_plane(processes: Processes) -> list[Captured]:
    """Run sentry, placement and scheduler with sidecars that use the latter two."""
    version = tools.version("dapr-scheduler")
    running = _control_plane(processes)
    _sidecars(processes, running)
    found = scrape(*(f"http://{LOOPBACK}:{port}/" for port in running.metrics))
    ours = {name: family for name, family in found.items() if not name.startswith("etcd_")}
    packages = [
        f"pkg/{name}/monitoring" for name in ("operator", "placement", "scheduler", "sentry")
    ]
    listed = documents.dapr(sources.module(MODULE, version), *packages, "pkg/injector/service")
    how = "run sentry, placement and scheduler, with two sidecars and a job"
    return [
        Captured(f"dapr control plane {version}", how, ours),
        Captured(
            f"dapr control plane {version}",
            f"document views in the Go module {MODULE}; operator and injector need a cluster",
            listed,
        ),
    ]


@dataclass(frozen=True)
class _ControlPlane:
    """Ports of the running control plane: of two services, and of everybody's metrics."""

    placement: int
    scheduler: int
    metrics: tuple[int, ...]


def _control_plane(processes: Processes) -> _ControlPlane:
    ports = {name: free_port() for name in ("dapr-sentry", "dapr-placement", "dapr-scheduler")}
    etcd, raft = f"http://{LOOPBACK}:{free_port()}", f"{LOOPBACK}:{free_port()}"
    credentials = processes.folder("credentials")
    (credentials / "system.yaml").write_text(
        yaml.safe_dump(
            {
                "apiVersion": "dapr.io/v1alpha1",
                "kind": "Configuration",
                "metadata": {"name": "daprsystem"},
                "spec": {"mtls": {"enabled": True}},
            }
        )
    )
    own = {
        "dapr-sentry": (
            f"--issuer-credentials={credentials}",
            f"--config={credentials / 'system.yaml'}",
        ),
        "dapr-placement": (f"--initial-cluster=dapr-placement-0={raft}",),
        "dapr-scheduler": (
            f"--etcd-data-dir={processes.folder('scheduler-data')}",
            f"--etcd-client-port={free_port()}",
            f"--etcd-initial-cluster=dapr-scheduler-server-0={etcd}",
        ),
    }
    metrics = []
    for name, port in ports.items():
        metrics.append(free_port())
        health = free_port()
        processes.start(
            name,
            f"--port={port}",
            f"--listen-address={LOOPBACK}",
            f"--metrics-port={metrics[-1]}",
            f"--metrics-listen-address={LOOPBACK}",
            f"--healthz-port={health}",
            f"--healthz-listen-address={LOOPBACK}",
            *own[name],
            environment={"NAMESPACE": "default"},
        )
        processes.wait(name, f"http://{LOOPBACK}:{health}/healthz")
    return _ControlPlane(ports["dapr-placement"], ports["dapr-scheduler"], tuple(metrics))


def _sidecars(processes: Processes, services: _ControlPlane) -> list[str]:
    """Run two sidecars and use them; return where their metrics are."""
    app_ids = ("todo-ai-chatbot-backend", "todo-ai-chatbot-frontend")
    folder = processes.folder("dapr")
    resources = folder / "resources"
    resources.mkdir(exist_ok=True)
    for number, resource in enumerate(_resources(app_ids)):
        (resources / f"{number}.yaml").write_text(yaml.safe_dump(resource))
    internal = {app: free_port() for app in app_ids}
    addresses = {app: f"{LOOPBACK}:{port}" for app, port in internal.items()}
    (folder / "configuration.yaml").write_text(yaml.safe_dump(_configuration(addresses)))
    with _application() as application:
        http, metrics = {}, {}
        for app in app_ids:
            http[app], metrics[app] = free_port(), free_port()
            processes.start(
                app,
                f"--app-id={app}",
                f"--app-port={application}",
                "--enable-app-health-check",
                f"--dapr-http-port={http[app]}",
                f"--dapr-grpc-port={free_port()}",
                f"--dapr-internal-grpc-port={internal[app]}",
                f"--dapr-internal-grpc-listen-address={LOOPBACK}",
                f"--dapr-listen-addresses={LOOPBACK}",
                f"--dapr-public-port={free_port()}",
                f"--dapr-public-listen-address={LOOPBACK}",
                f"--metrics-port={metrics[app]}",
                f"--metrics-listen-address={LOOPBACK}",
                f"--resources-path={resources}",
                f"--config={folder / 'configuration.yaml'}",
                f"--placement-host-address={LOOPBACK}:{services.placement}",
                f"--scheduler-host-address={LOOPBACK}:{services.scheduler}",
                tool="daprd",
                environment={"DAPR_HOST_IP": LOOPBACK, "NAMESPACE": "default"},
            )
        for app in app_ids:
            processes.wait(app, f"http://{LOOPBACK}:{http[app]}/v1.0/healthz", 204)
        progress("using the sidecars")
        for app, other in (app_ids, app_ids[::-1]):
            _use(f"http://{LOOPBACK}:{http[app]}", other)
        time.sleep(3)  # The cron binding fires each second; events are delivered behind our back.
        # What the application's end changes in them does not matter any more.
        return [f"http://{LOOPBACK}:{port}/" for port in metrics.values()]


def _use(api: str, other: str) -> None:
    def send(method: str, path: str, value: Json = None, version: str = "v1.0") -> None:
        body = None if value is None else json.dumps(value).encode()
        headers = {"Content-Type": "application/json"}
        request(f"{api}/{version}/{path}", method=method, body=body, headers=headers)

    for status in ("SUCCESS", "SUCCESS", "RETRY", "DROP"):
        send("POST", f"publish/{PUBSUB}/{TOPIC}", {"status": status})
    bulk = [{"entryId": "1", "event": {"status": "SUCCESS"}, "contentType": "application/json"}]
    send("POST", f"publish/bulk/{PUBSUB}/{TOPIC}", bulk, version="v1.0-alpha1")
    send("POST", f"publish/absent/{TOPIC}", {})
    for path in ("api/tasks", "api/fail", "api/fail", "api/fail", "api/fail"):
        send("GET", f"invoke/{other}/method/{path}")
    send("GET", "invoke/nobody/method/api/tasks")
    send("POST", "state/state", [{"key": "a", "value": 1}])
    send("GET", "state/state/a")
    send("DELETE", "state/state/a")
    send("GET", "secrets/environment/HOME")
    send("POST", "jobs/remind", {"dueTime": "1s", "data": {}}, version="v1.0-alpha1")
