"""`make discover` by a real kubectl, in a real API server that holds each public layout in turn."""

from __future__ import annotations

import http.server
import json
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from scripts import tools
from scripts.core.findings import RepositoryError
from scripts.core.yamlfile import Json
from scripts.live.discover import __main__ as command
from scripts.live.discover import manifests
from scripts.model.files import INVENTORY
from scripts.servers.kubernetes import control_plane
from scripts.servers.kubernetes.client import Client, KubernetesError, Object
from scripts.servers.processes import Processes
from tests.programs.live import layouts
from tests.programs.live.layouts import Layout

pytestmark = pytest.mark.e2e
# Of Dapr's CRD, what lets an API server take any Component.
COMPONENTS: Object = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "components.dapr.io"},
    "spec": {
        "group": "dapr.io",
        "names": {"kind": "Component", "plural": "components"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1alpha1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "x-kubernetes-preserve-unknown-fields": True,
                    }
                },
            }
        ],
    },
}


@dataclass(frozen=True)
class Server:
    """An API server, and how kubectl reaches it."""

    client: Client
    config: Path


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Processes() as processes:
        client = control_plane.api_server(processes)
        client.apply(COMPONENTS, "test")
        yield Server(client, control_plane.kubeconfig(processes, client))


@pytest.fixture
def root(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tools.path("kubectl").parent
    monkeypatch.setenv("KUBECONFIG", str(server.config))
    monkeypatch.setenv("PATH", f"{program}{os.pathsep}{os.environ['PATH']}")
    return layouts.root(tmp_path)


def installed(server: Server, layout: Layout) -> Iterator[None]:
    """Install a layout; take it away again, but for its namespaces."""
    given = command.options(layout.options)
    space = next(iter(given.namespace), "")
    objects = [
        dict(i.manifest) for i in manifests.read(given.sources, space, (), given.release).items
    ]
    for name in {str(item["metadata"]["namespace"]) for item in objects} - {"", "default"}:
        item: Json = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        server.client.apply(item, "test")
    objects = [item for item in objects if item["kind"] != "Namespace"]
    for item in objects:
        server.client.apply(item, "test")
    yield
    for item in objects:
        server.client.delete(item)


@pytest.mark.parametrize("name", layouts.NAMES)
def test_a_layout_is_proposed_by_its_cluster(name: str, root: Path, server: Server) -> None:
    layout = Layout.of(name)
    text = (root / INVENTORY).read_text()
    for _ in installed(server, layout):
        given = command.options([*layout.document, f"--root={root}"])
        made, _ = command.proposed(given, text)
    assert made.values == layout.application
    assert sorted(risk.name for risk in made.risks) == layout.warnings


def test_who_may_not_read_services_is_told(root: Path, server: Server) -> None:
    with Processes() as processes:
        server.client.apply(
            {
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": {"name": "nobody", "namespace": "default"},
            },
            "test",
        )
        config = control_plane.service_account_kubeconfig(
            processes, server.client, "default", "nobody"
        )
        os.environ["KUBECONFIG"] = str(config)  # Put back with what `root` sets.
        with pytest.raises(RepositoryError, match=r"deployments and services may not be read"):
            command.proposed(command.options([f"--root={root}"]), (root / INVENTORY).read_text())


def test_an_empty_cluster_has_no_application(root: Path, server: Server) -> None:
    with pytest.raises(RepositoryError, match=r"no Service is recognised as the backend"):
        command.proposed(command.options([f"--root={root}"]), (root / INVENTORY).read_text())


def test_the_api_server_takes_what_layouts_are_made_of(server: Server) -> None:
    """Strictly: a field that Kubernetes does not know is refused."""
    wrong: Object = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "wrong", "namespace": "default"},
        "spec": {"ports": [{"port": 80}], "selectors": {}},
    }
    with pytest.raises(KubernetesError, match="selectors"):
        server.client.apply(wrong, "test")


class Handler(http.server.BaseHTTPRequestHandler):
    """An API with a document, and with metrics of JSON."""

    answers: ClassVar[dict[str, str]] = {
        "/openapi.json": json.dumps({"openapi": "3.1.0", "paths": {"/api/{user_id}/tasks": {}}}),
        "/api/health": '{"status": "ok"}',
        "/metrics": '{"requests": 1}',
    }

    def do_GET(self) -> None:
        found = self.answers.get(self.path)
        self.send_response(404 if found is None else 200)
        self.end_headers()
        self.wfile.write((found or "").encode())

    def log_message(self, *_: object) -> None:
        pass


def address() -> str:
    """Return an address of this machine that is not loopback, to which no proxy leads."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Nothing is sent: it asks which address a packet would leave from.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no address but loopback")
        return str(probe.getsockname()[0])


def test_a_running_backend_is_asked_through_the_api_server(root: Path, server: Server) -> None:
    layout = Layout.of("port-of-a-space")
    place = address()
    with http.server.ThreadingHTTPServer((place, 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        pod: Object = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "todo-api-0", "namespace": "default"},
            "spec": {"containers": [{"name": "api", "image": "api"}]},
        }
        status = {"phase": "Running", "podIP": place, "podIPs": [{"ip": place}]}
        # The API server leads to addresses of pods only.
        target = {"kind": "Pod", "name": "todo-api-0", "namespace": "default"}
        endpoints: Object = {
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": {"name": "todo-api", "namespace": "default"},
            "subsets": [
                {
                    "addresses": [{"ip": place, "targetRef": target}],
                    "ports": [{"port": running.server_port}],
                }
            ],
        }
        for _ in installed(server, layout):
            server.client.apply(pod, "test")
            server.client.apply({**pod, "status": status}, "test", part="status")
            server.client.apply(endpoints, "test")
            given = command.options([f"--root={root}"])
            made, _ = command.proposed(given, (root / INVENTORY).read_text())
            server.client.delete(endpoints)
            server.client.delete(pod)
        running.shutdown()
    assert made.values["BACKEND_URL"] == "http://todo-api.default.svc:7860/api/health"
    assert made.values["ROUTES"] == "/api/{user_id}/tasks\n"
    assert [risk.name for risk in made.risks] == ["metrics-json"]
