"""`make discover` by a stand-in for kubectl: a running application is asked."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import pytest

from scripts import tools
from scripts.core.yamlfile import Json
from scripts.live.discover import cluster
from scripts.live.preflight import cluster_state
from scripts.model.rendered import Cluster
from tests.programs.live.discover_manifests import (
    API,
    BACKEND,
    FRONTEND,
    answer,
    component,
    part,
    proposed,
    refused,
)

pytest_plugins = ("tests.programs.live.discover_manifests",)
STAND_IN = """#!{python} -IS
import pathlib, sys, time
folder = pathlib.Path({folder!r})
with (folder / "calls").open("a") as calls:
    calls.write(" ".join(sys.argv[1:]) + "\\n")
if "--raw" in sys.argv and (folder / "hangs").exists():
    time.sleep(60)
arguments = [a for a in sys.argv[1:] if not a.startswith("-")]
path = folder / arguments[-1].strip("/").replace("/", "_")
if path.exists():
    sys.stdout.write(path.read_text())
    sys.exit()
sys.exit((folder / "error").read_text())
"""


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of answers, by resource and by path; what has none is refused as in `error`."""
    own = tmp_path / "cluster"
    (own / "bin").mkdir(parents=True)
    program = own / "bin/kubectl"
    program.write_text(STAND_IN.format(python=sys.executable, folder=str(own)))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{own / 'bin'}{os.pathsep}{os.environ['PATH']}")
    (own / "version").write_text(json.dumps({"serverVersion": {"gitVersion": "v1.36.1"}}))
    for resource in cluster.RESOURCES:
        put(own, resource)
    (own / "error").write_text("Error from server (ServiceUnavailable): no endpoints available\n")
    return own


def put(kubectl: Path, resource: str, *items: Json) -> None:
    (kubectl / resource).write_text(json.dumps({"kind": "List", "items": items}))


def install(kubectl: Path, *documents: Json) -> None:
    kinds = {"Deployment": "deployments", "Service": "services", "Component": "components.dapr.io"}
    for kind, resource in kinds.items():
        put(kubectl, resource, *(one for one in documents if one["kind"] == kind))


def test_a_running_application_is_asked(root: Path, kubectl: Path) -> None:
    install(kubectl, *BACKEND, *FRONTEND, component("reminder-cron"))
    answer(kubectl, "todo/backend:8000", "openapi.json", API)
    answer(kubectl, "todo/backend:8000", "metrics", '{"requests": 1}')
    made, _ = proposed(root)
    assert made.values == {
        "NAMESPACES": "todo",
        "FRONTEND_URL": "http://frontend.todo.svc:3000/",
        "BACKEND_URL": "http://backend.todo.svc:8000/api/health",
        "REMINDER_BINDING": "reminder-cron",
        "ROUTES": "/api/{user_id}/tasks\n",
    }
    assert [one.name for one in made.risks] == ["metrics-json"]
    calls = (kubectl / "calls").read_text().splitlines()
    verbs = {next(w for w in call.split() if not w.startswith("-")) for call in calls}
    assert verbs == {"get", "version"}
    assert not any("secret" in call for call in calls)


@pytest.mark.parametrize("path", ["health", "api/health"])
def test_health_paths_are_tried(root: Path, kubectl: Path, path: str) -> None:
    install(kubectl, *BACKEND, *FRONTEND)
    answer(kubectl, "todo/backend:8000", path.replace("/", "_"), "ok")
    answer(kubectl, "todo/backend:8000", "metrics", "requests_total 1\n")
    answer(kubectl, "todo/backend:8000", "openapi.json", "<!doctype html>")
    made, _ = proposed(root)
    assert made.values["BACKEND_URL"] == f"http://backend.todo.svc:8000/{path}"
    assert made.risks == ()
    assert any("no OpenAPI document was found" in text for text in made.notices)


def test_an_application_that_does_not_answer_holds_nothing_up(
    root: Path, kubectl: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(kubectl, *BACKEND, *FRONTEND)
    (kubectl / "hangs").touch()
    monkeypatch.setattr(cluster_state, "PROXY_TIMEOUT", 0.2)
    made, _ = proposed(root)
    assert [one.name for one in made.risks] == ["health-path-assumed"]


def test_one_of_two_applications_by_its_namespace(root: Path, kubectl: Path) -> None:
    install(kubectl, *BACKEND, *FRONTEND, *part("backend", "todo-b"), *part("web", "todo-b", 3000))
    assert "2 Services may be the backend: todo-b/backend, todo/backend" in refused(root)
    made, _ = proposed(root, "--namespace=todo-b")
    assert made.values["FRONTEND_URL"] == "http://web.todo-b.svc:3000/"
    says = "no Deployment and no StatefulSet is in the namespace todo-c"
    assert says in refused(root, "--namespace=todo-c")


@pytest.mark.parametrize(("cpu", "full"), [("100m", True), ("64", False)])
def test_room_is_that_of_the_cluster_s_own_nodes(
    kubectl: Path, rendered: list[Cluster], cpu: str, full: bool
) -> None:
    assert rendered
    install(kubectl, *BACKEND, *FRONTEND)
    answer(kubectl, "todo/backend:8000", "health", "ok")
    allocatable = {"cpu": cpu, "memory": "64Gi", "pods": "110"}
    node = {"metadata": {"name": "a"}, "spec": {}, "status": {"allocatable": allocatable}}
    put(kubectl, "nodes", node)
    # What the stack needs is read of a whole repository.
    made, _ = proposed(tools.ROOT)
    assert [one.name for one in made.risks] == (["no-room"] if full else [])


def test_a_kind_that_is_not_installed_and_one_that_may_not_be_read(
    root: Path, kubectl: Path
) -> None:
    install(kubectl, *BACKEND, *FRONTEND)
    (kubectl / "components.dapr.io").unlink()
    (kubectl / "error").write_text('error: the server doesn\'t have a resource type "components"\n')
    made, _ = proposed(root)
    assert not any("not looked at" in text for text in made.notices)
    (kubectl / "error").write_text("Error from server (Forbidden): nobody may\n")
    made, _ = proposed(root)
    assert "not looked at, as they may not be read: components.dapr.io" in made.notices
    (kubectl / "services").unlink()
    assert re.search(r"services may not be read in all .*role `view`", refused(root))


def test_a_cluster_that_kubectl_cannot_reach(root: Path, kubectl: Path) -> None:
    (kubectl / "version").unlink()
    text = (
        "The connection to the server localhost:8080 was refused - did you specify the right host?"
    )
    (kubectl / "error").write_text(f"{text}\n")
    says = refused(root)
    assert f"kubectl version: {text}" in says
    assert "choose a context that reaches the cluster" in says
    assert "kubectl: is not on PATH" in refused(root, PATH=str(root))
