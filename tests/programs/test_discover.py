"""What is proposed for application.yaml, by manifests and by a kubectl that answers from files."""

from __future__ import annotations

import http.server
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from scripts import tools
from scripts.checks.static import application
from scripts.checks.static.references import INVENTORY
from scripts.core.findings import RepositoryError
from scripts.core.yamlfile import Json
from scripts.live.discover import __main__ as command
from scripts.live.discover import cluster, folder, inventory, parts, risks, routes
from scripts.live.discover.layout import Layout as Objects
from scripts.live.discover.proposal import Proposal
from scripts.live.preflight import kubectl as preflight
from scripts.model.rendered import Cluster, Item
from tests.fixtures import CODE
from tests.programs import layouts
from tests.programs.layouts import Layout

API = json.dumps({"openapi": "3.1.0", "paths": {"/api/{user_id}/tasks": {}, "/api/health": {}}})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return layouts.root(tmp_path / "repository")


def proposed(root: Path, *arguments: str) -> tuple[Proposal, str]:
    given = command.options([*arguments, f"--root={root}"])
    return command.proposed(given, (root / INVENTORY).read_text())


def run(root: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "scripts.live.discover", *arguments, f"--root={root}"],
        cwd=CODE,
        env=os.environ | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def refused(root: Path, *arguments: str, **variables: str) -> str:
    """The one message that ends it; nothing is written and there is no traceback."""
    before = (root / INVENTORY).read_bytes()
    answer = run(root, *arguments, "--yes", **variables)
    assert answer.returncode == 1
    assert answer.stdout == ""
    assert (root / INVENTORY).read_bytes() == before
    said = [line for line in answer.stderr.splitlines() if not line.startswith("· ")]
    assert len(said) == 2
    assert said[1].startswith("    fix: ")
    return " ".join(said)


# Manifests


def workload(name: str, namespace: str | None = "todo", port: int = 8000, **spec: Json) -> Json:
    container = {"name": name, "image": name, "ports": [{"containerPort": port}], **spec}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, **({} if namespace is None else {"namespace": namespace})},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [container]},
            },
        },
    }


def service(name: str, namespace: str | None = "todo", port: int = 8000, **spec: Json) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, **({} if namespace is None else {"namespace": namespace})},
        "spec": {"selector": {"app": name}, "ports": [{"port": port}], **spec},
    }


def part(name: str, namespace: str | None = "todo", port: int = 8000) -> list[Json]:
    return [workload(name, namespace, port), service(name, namespace, port)]


BACKEND, FRONTEND = part("backend"), part("frontend", port=3000)


def component(name: str, namespace: str = "todo", kind: str = "bindings.cron") -> Json:
    return {
        "apiVersion": "dapr.io/v1alpha1",
        "kind": "Component",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"type": kind, "version": "v1"},
    }


def policy(name: str, selector: Json, **spec: Json) -> Json:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": "todo"},
        "spec": {"podSelector": selector, **spec},
    }


Write = Callable[..., str]


@pytest.fixture
def written(tmp_path: Path) -> Write:
    """Writes manifests, and returns the option that names them."""

    def write(*documents: Json, name: str = "app/app.yaml") -> str:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump_all(documents))
        return f"--from={tmp_path / 'app'}"

    return write


def test_there_are_enough_layouts_and_each_has_something_of_its_own() -> None:
    every = [Layout.of(name) for name in layouts.NAMES]
    assert len(every) >= 10
    spaces = {one.application["NAMESPACES"] for one in every}
    assert spaces >= {"default", "todo-app", "todo-chatbot", "todo-phasev", "todo-prod"}
    told = {name for one in every for name in one.warnings}
    assert told == {
        *("dapr-annotations", "egress-without-dns", "health-path-assumed", "ingress-closed"),
        *("load-balancer-taken", "metrics-json", "no-room"),
    }


@pytest.mark.parametrize("name", layouts.NAMES)
def test_a_layout_is_proposed_by_its_manifests(name: str, root: Path) -> None:
    layout = Layout.of(name)
    made, after = proposed(root, *layout.options, *layout.document)
    assert made.values == layout.application
    assert sorted(one.name for one in made.risks) == layout.warnings
    assert all(one.text and one.fix for one in made.risks)
    values = inventory.values(after)
    assert values == {**inventory.values(layouts.INVENTORY), **layout.application}
    assert not list(application.contradictions(values))


@pytest.mark.parametrize("name", layouts.NAMES)
def test_what_is_written_once_is_proposed_no_more(name: str, root: Path) -> None:
    layout = Layout.of(name)
    path = root / INVENTORY
    path.write_text(proposed(root, *layout.options, *layout.document)[1])
    assert proposed(root, *layout.options, *layout.document)[1] == path.read_text()


def test_comments_order_and_quotes_of_what_stays_are_kept(root: Path) -> None:
    _, after = proposed(root, *Layout.of("several-namespaces").options)
    assert after.splitlines() == [
        *layouts.INVENTORY.splitlines()[:7],
        "  NAMESPACES: todo-api|todo-web|todo-workers  # of before",
        "  FRONTEND_URL: http://web.todo-web.svc:3000/",
        "  BACKEND_URL: http://api.todo-api.svc:80/healthz # and here",
        "  REMINDER_BINDING: reminder-cron",
        *layouts.INVENTORY.splitlines()[11:],
    ]


@pytest.mark.parametrize("ending", ["", "\n", "\n\n"])
@pytest.mark.parametrize("after", ["", "  # of nothing\n  MORE: x\n"])
def test_a_block_is_replaced_up_to_its_last_line(after: str, ending: str) -> None:
    base = layouts.INVENTORY.partition("  ROUTES:")[0]
    links = "  GRAFANA_URL: http://a\n  RUNBOOKS_URL: http://a/b\n"
    text = f"{base}{links}  ROUTES: |\n    /a\n\n    /b\n{after}".rstrip("\n") + ending
    routes_ = {"ROUTES": "/c\n/d\n"}
    assert inventory.edited(text, routes_) == text.replace("/a\n\n    /b", "/c\n    /d") + (
        "" if after or ending else "\n"
    )


@pytest.mark.parametrize("value", ["true", "007", "a: b", "a #b", "* {}"])
def test_a_value_that_yaml_would_read_otherwise_is_quoted(value: str) -> None:
    after = inventory.edited(layouts.INVENTORY, {"REMINDER_BINDING": value})
    assert inventory.values(after)["REMINDER_BINDING"] == value


def test_a_file_in_another_style_is_edited_as_well_or_refused() -> None:
    data = inventory.values(layouts.INVENTORY)
    top = layouts.INVENTORY.split("\ndata:\n")[0]
    flow = f"{top}\ndata: {json.dumps(data)}\n"
    assert inventory.values(inventory.edited(flow, {"NAMESPACES": "todo"}))["NAMESPACES"] == "todo"
    with pytest.raises(RepositoryError, match="cannot be edited in place"):
        inventory.edited(flow, {"ROUTES": "/a\n/b\n"})


def test_what_is_no_manifest_is_left_out_and_told(root: Path, written: Write) -> None:
    source = Path(written(*BACKEND, *FRONTEND).partition("=")[2])
    (source / "template.yaml").write_text("{{- if .Values.on }}\nkind: Service\n{{- end }}\n")
    (source / "broken.yaml").write_text("a: [\n")
    (source / "latin.yaml").write_bytes(b"a: \xe9\n")
    (source / "values.yaml").write_text("image: todo\n")
    (source / "list.yaml").write_text("- a\n- b\n")
    (source / "notes.txt").write_text("kind: Deployment\n")
    patch = {**workload("backend"), "spec": {"replicas": 2}}
    written(patch, name="app/patch.yaml")
    (source / "secret.yaml").write_text("apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n")
    for name in ("chart/Chart.yaml", "overlay/kustomization.yaml", "node_modules/a.yaml"):
        (source / name).parent.mkdir()
        (source / name).write_text("name: a\n")
    made, _ = proposed(root, f"--from={source}")
    assert set(made.notices) >= {
        "left out, a Deployment without containers, such as a patch: patch.yaml",
        "left out, a chart of its own: chart",
        "left out, a kustomization of its own: overlay",
        "left out, not Kubernetes: list.yaml, values.yaml",
        "left out, not valid YAML: broken.yaml, latin.yaml",
        "left out, templates: template.yaml",
    }


def test_charts_and_folders_are_read_as_one_application(root: Path, written: Write) -> None:
    written(*BACKEND, component("a"))
    source = written(component("a", kind="bindings.http"), name="app/other.yaml")
    written(*FRONTEND, name="pages/pages.yaml")
    chart = layouts.FOLDER / "one-chart-in-default/app"
    made, _ = proposed(root, source, source.replace("/app", "/pages"))
    assert made.values["FRONTEND_URL"] == "http://frontend.todo.svc:3000/"
    more, _ = proposed(root, source, f"--from={chart}", "--backend=todo/backend")
    assert more.values["NAMESPACES"] == "default|todo"


def test_one_file_is_read_as_well(root: Path, written: Write) -> None:
    source = written(*BACKEND, *FRONTEND)
    assert proposed(root, f"{source}/app.yaml")[0].values == proposed(root, source)[0].values


# Which Service is which


def objects(*documents: Json) -> Objects:
    return Objects("here", tuple(map(Item, documents)))


def found(*documents: Json, **named: str) -> parts.Application:
    return parts.application(objects(*documents), **named)


@pytest.mark.parametrize(
    ("backend", "frontend"),
    [
        ("todo-api", "todo-web"),
        ("prod-todo-chatbot-backend", "prod-todo-chatbot-frontend"),
        ("server", "client"),
        ("todo-fastapi", "todo-nextjs"),
        ("web-backend", "web-api-client"),
        ("one", "two"),  # By their ports.
    ],
)
def test_names_and_ports_say_what_is_what(backend: str, frontend: str) -> None:
    workers = [*part("audit-api", port=8001), *part("recurring-backend", port=8002)]
    broker = [*part("kafka-ui", port=8080), *part("postgres-web", port=5432)]
    app = found(*part(backend), *part(frontend, port=3000), *workers, *broker)
    assert (str(app.backend), str(app.frontend)) == (f"todo/{backend}", f"todo/{frontend}")


def test_labels_and_containers_say_it_where_names_do_not() -> None:
    tier, image = part("one", port=8080), part("two", port=8081)
    tier[0]["spec"]["template"]["metadata"]["labels"]["tier"] = "backend"
    image[0]["spec"]["template"]["spec"]["containers"][0]["image"] = "me/todo-frontend:1.0"
    app = found(*tier, *image)
    assert (str(app.backend), str(app.frontend)) == ("todo/one", "todo/two")


def test_what_is_called_todo_goes_before_others() -> None:
    app = found(*BACKEND, *FRONTEND, *part("shop-backend", "shop"), *part("shop-web", "shop"))
    assert app.namespaces == ("todo",)


def test_a_headless_service_is_not_probed_where_there_is_another() -> None:
    headless = {**service("b"), "spec": {**service("backend")["spec"], "clusterIP": "None"}}
    assert str(found(*BACKEND, *FRONTEND, headless).backend) == "todo/backend"


def test_the_service_that_dapr_makes_of_a_sidecar_is_not_the_application_s() -> None:
    sidecar = {**service("backend-dapr"), "spec": service("backend")["spec"]}
    with pytest.raises(RepositoryError, match="no Service is recognised as the backend"):
        found(BACKEND[0], sidecar, *FRONTEND)


def test_a_port_is_the_one_that_leads_to_the_container() -> None:
    ports = [
        {"name": "metrics", "port": 9000, "targetPort": 9000},
        {"name": "dns", "port": 8000, "targetPort": "web", "protocol": "UDP"},
        {"name": "http", "port": 80, "targetPort": "web"},
    ]
    pod = workload("backend")
    pod["spec"]["template"]["spec"]["containers"].insert(0, {"name": "daprd", "image": "daprd"})
    pod["spec"]["template"]["spec"]["containers"][1]["ports"][0]["name"] = "web"
    app = found(pod, service("backend", ports=ports), *FRONTEND)
    assert app.backend.address == "http://backend.todo.svc:80"


def test_another_application_s_namespace_is_not_this_one_s() -> None:
    other = [*part("todo-backend", "todo-two"), *part("todo-frontend", "todo-two", 3000)]
    mine = workload("todo-worker", "todo-workers", 8001)
    app = found(*BACKEND, *FRONTEND, *other, mine, backend="todo/backend", frontend="todo/frontend")
    assert app.namespaces == ("todo", "todo-workers")


def test_pages_may_be_elsewhere(root: Path, written: Write) -> None:
    url = "https://todo.example.app/"
    made, _ = proposed(root, written(*BACKEND), f"--frontend={url}")
    assert made.values["FRONTEND_URL"] == url


@pytest.mark.parametrize(
    ("documents", "options", "says"),
    [
        (
            [*BACKEND, *FRONTEND, *part("api")],
            [],
            r"app: 2 Services may be the backend: todo/api, todo/backend .*--backend=todo/api",
        ),
        (
            [*BACKEND, *FRONTEND, *part("web", port=3000)],
            [],
            r"app: 2 Services may be the frontend: todo/frontend, todo/web .*--frontend=todo/",
        ),
        (
            [*BACKEND, *FRONTEND],
            ["--backend=todo/api"],
            r"no Service todo/api leads .*todo/backend",
        ),
        (
            FRONTEND,
            [],
            r"no Service is recognised as the backend .*--backend: one of todo/frontend",
        ),
        (BACKEND, [], r"no Service is recognised as the frontend .*the URL of pages"),
        ([BACKEND[0], FRONTEND[0]], [], r"recognised as the backend .*no Service leads to pods"),
        (
            [BACKEND[0], service("backend", "api"), *FRONTEND],
            [],
            r"Service api/backend selects no pods of its namespace; such pods are in todo .*one",
        ),
        (
            [*BACKEND, *FRONTEND, component("a"), component("b")],
            [],
            r"2 cron bindings may send reminders: a, b .*--reminders=a",
        ),
        ([*BACKEND, *FRONTEND], ["--reminders=a"], r"no cron binding a is in todo"),
        (
            [*BACKEND, *FRONTEND, workload("backend", env=[])],
            [],
            r"app.yaml: Deployment todo/backend is in app.yaml, too, and is another one there",
        ),
        (
            [*BACKEND, *FRONTEND],
            ["--frontend=http://web.shop.svc/"],
            r"FRONTEND_URL is in the namespace shop, which is outside of NAMESPACES \(todo\)",
        ),
        (
            [*BACKEND, *FRONTEND],
            ["--frontend=http://frontend:3000/"],
            r"FRONTEND_URL names the Service frontend without its namespace",
        ),
        (
            [*part("backend", ""), *FRONTEND],
            [],
            r"app.yaml: Deployment backend is in an empty namespace .*leave the key out",
        ),
        (
            [*part("backend", "Todo_App"), *part("frontend", "Todo_App", 3000)],
            [],
            r"names no namespace that can exist: Todo_App",
        ),
        (
            [
                {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "todo"}},
                *part("backend", None),
                *part("frontend", None, 3000),
            ],
            [],
            r"declares todo, and nothing runs in it .*--namespace=todo",
        ),
        ([service("backend")], [], r"holds no Deployment and no StatefulSet"),
        (
            [workload("backend", resources={"requests": {"cpu": "lots"}}), BACKEND[1], *FRONTEND],
            [],
            r"a request: 'lots' is no quantity",
        ),
        ([*BACKEND, *FRONTEND], ["--cluster=eks"], r"there is no cluster eks .*oke-free"),
        ([*BACKEND, *FRONTEND], ["--namespace=a", "--namespace=b"], r"applied to one namespace"),
    ],
)
def test_what_contradicts_itself_or_is_not_clear_is_one_message(
    root: Path, written: Write, documents: list[Json], options: list[str], says: str
) -> None:
    assert re.search(says, refused(root, written(*documents), *options))


def test_an_option_settles_what_is_not_clear(root: Path, written: Write) -> None:
    source = written(*BACKEND, *FRONTEND, *part("api"), component("a"), component("b"))
    made, _ = proposed(root, source, "--backend=todo/api", "--reminders=b")
    assert made.values["BACKEND_URL"] == "http://api.todo.svc:8000/health"
    assert made.values["REMINDER_BINDING"] == "b"


def test_a_chart_or_a_kustomization_that_does_not_render(root: Path, tmp_path: Path) -> None:
    chart = tmp_path / "chart"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: todo\nversion: 1.0.0\n")
    (chart / "templates/a.yaml").write_text("{{ .Values.a.b }}\n")
    assert re.search(r"does not render: .*nil pointer.* --values", refused(root, f"--from={chart}"))
    (chart / "Chart.yaml").write_text("[]\n")
    assert "names no chart" in refused(root, f"--from={chart}")
    (tmp_path / "kustomization.yaml").write_text("resources: [nowhere.yaml]\n")
    assert "does not render: " in refused(root, f"--from={tmp_path}")
    assert "is not there" in refused(root, f"--from={tmp_path / 'nowhere'}")


def test_a_chart_takes_values_a_release_and_a_namespace(root: Path, tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text("reminders: remind-me\n")
    made, _ = proposed(
        root,
        f"--from={layouts.FOLDER / 'one-chart-in-default/app'}",
        "--release=mine",
        "--namespace=todo-app",
        f"--values={tmp_path / 'values.yaml'}",
    )
    assert made.values["BACKEND_URL"] == "http://mine-backend.todo-app.svc:8000/health"
    assert made.values["REMINDER_BINDING"] == "remind-me"


def test_an_inventory_that_cannot_be_read_is_told(root: Path, written: Write) -> None:
    source, path = written(*BACKEND, *FRONTEND), root / INVENTORY
    path.write_text("data: {NAMESPACES: 1}\n")
    assert re.search(rf"{INVENTORY}: .* git checkout", refused(root, source).replace("`", ""))
    path.write_text("a: [\n")
    assert "not valid YAML" in refused(root, source)


# Warnings


def told(*documents: Json) -> list[str]:
    app = found(*documents)
    return [one.name for one in risks.of_objects(objects(*documents), app, {"tier": {}})]


DENY = policy("deny", {}, policyTypes=["Egress", "Ingress"])
DNS = [{"protocol": "UDP", "port": 53}]


@pytest.mark.parametrize(
    ("egress", "blind"),
    [
        ([], True),
        ([{}], False),
        ([{"ports": DNS}], False),
        ([{"ports": [{"port": 53}]}], True),  # TCP alone.
        ([{"ports": [{"protocol": "UDP", "port": 50, "endPort": 60}]}], False),
        ([{"ports": [{"protocol": "UDP", "port": 54}]}], True),
        ([{"ports": [{"protocol": "UDP", "port": "dns"}]}], False),
        ([{"ports": DNS, "to": [{"podSelector": {}}]}], True),
        ([{"ports": DNS, "to": [{"namespaceSelector": {}}]}], False),
        ([{"ports": DNS, "to": [{"ipBlock": {"cidr": "10.96.0.10/32"}}]}], False),
        ([{"ports": [{"port": 443}]}, {"ports": DNS}], False),
    ],
)
def test_egress_without_dns(egress: list[Json], blind: bool) -> None:
    one = policy(
        "egress", {"matchLabels": {"app": "backend"}}, egress=egress, policyTypes=["Egress"]
    )
    assert told(*BACKEND, *FRONTEND, one) == (["egress-without-dns"] if blind else [])


def test_policies_of_one_pod_are_summed_and_others_do_not_count() -> None:
    opened = policy("dns", {}, egress=[{"ports": DNS}], ingress=[{}])
    assert told(*BACKEND, *FRONTEND, DENY, opened) == []
    assert told(*BACKEND, *FRONTEND, DENY) == ["egress-without-dns", "ingress-closed"]
    elsewhere = {**DENY, "metadata": {"name": "deny", "namespace": "shop"}}
    assert told(*BACKEND, *FRONTEND, elsewhere) == []


@pytest.mark.parametrize(
    ("peer", "closed"),
    [
        ({"podSelector": {}}, True),
        ({"namespaceSelector": {}}, False),
        ({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}}}, True),
        (
            {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}},
            False,
        ),
    ],
)
def test_ingress_that_does_not_admit_monitoring(peer: Json, closed: bool) -> None:
    one = policy("ingress", {}, ingress=[{"from": [peer]}])
    assert told(*BACKEND, *FRONTEND, one) == (["ingress-closed"] if closed else [])


def test_annotations_of_dapr_on_the_pods_are_right() -> None:
    right, wrong = workload("backend"), workload("frontend", port=3000)
    annotations = {"dapr.io/enabled": "true", "dapr.io/app-id": "a"}
    right["metadata"]["annotations"] = annotations
    right["spec"]["template"]["metadata"]["annotations"] = annotations
    assert told(right, BACKEND[1], *FRONTEND) == []
    wrong["metadata"]["annotations"] = annotations
    assert told(*BACKEND, wrong, FRONTEND[1]) == ["dapr-annotations"]


def test_a_load_balancer_counts_where_a_tier_has_one() -> None:
    balanced = service("frontend", port=3000, type="LoadBalancer")
    documents = [*BACKEND, FRONTEND[0], balanced]
    assert told(*documents) == ["load-balancer-taken"]
    assert not list(risks.of_objects(objects(*documents), found(*documents), {}))


@pytest.mark.parametrize(
    ("cpu", "memory", "replicas", "full"),
    [
        ("320m", "1Gi", 1, False),
        ("321m", "1Gi", 1, True),
        ("200m", "1Gi", 2, True),
        ("1m", "7Gi", 1, True),
        ("2", "9Gi", 0, False),
    ],
)
def test_requests_that_leave_no_room(cpu: str, memory: str, replicas: int, full: bool) -> None:
    one = workload("backend", resources={"requests": {"cpu": cpu, "memory": memory}})
    one["spec"]["replicas"] = replicas
    limits = yaml.safe_load(layouts.BUDGET)
    assert bool(list(risks.without_room(objects(one), limits))) == full
    assert not list(risks.without_room(objects(one), {}))


# OpenAPI


def document(**paths: Json) -> routes.Document:
    return routes.parsed(json.dumps({"openapi": "3.1.0", "paths": paths}), "openapi.json")


def test_routes_of_before_keep_their_order_and_what_is_not_of_the_api_is_left_out() -> None:
    names = ["/health", "/api/readyz", "/metrics", "/docs", "/openapi.json"]
    names += [
        "/api/{user_id}/tasks/{task_id}",
        "/files/{path:path}",
        "/a(b)",
        "/b",
        "/api/{u}/tasks",
    ]
    one = document(**{name: {} for name in names})
    assert one.templates(["/gone", "/b", "/api/{user_id}/tasks"]) == (
        ["/b", "/api/{user_id}/tasks", "/api/{user_id}/tasks/{id}"],
        ["/files/{path:path}", "/a(b)"],
    )
    assert one.health == "/health"


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ({"responses": {"200": {"content": {"application/json": {}}}}}, True),
        ({"responses": {"200": {"content": {"text/plain": {}}}}}, False),
        ({"responses": {"200": {"content": {"application/json": {}, "text/plain": {}}}}}, False),
        ({"responses": {"200": {}}}, False),
        ({"responses": []}, False),
        ([], False),
    ],
)
def test_metrics_of_json(operation: Json, expected: bool) -> None:
    assert document(**{"/metrics": {"get": operation}}).metrics_are_json is expected
    assert not document(**{"/other": {}}).metrics_are_json


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("<!doctype html>", "is no JSON: "),
        ('{"message": "ok"}', "is no OpenAPI document: it has no `openapi`"),
        ("[1]", "is no OpenAPI document: it has no `openapi`"),
        ('{"openapi": "3.1.0"}', "is no OpenAPI document: `paths`"),
        ('{"openapi": "3.1.0", "paths": {"tasks": {}}}', "is no OpenAPI document: `paths`"),
        ('{"openapi": "3.1.0", "paths": {}}', "has no paths"),
    ],
)
def test_a_document_that_is_none(root: Path, written: Write, text: str, says: str) -> None:
    source = written(*BACKEND, *FRONTEND)
    path = root / "openapi.json"
    path.write_text(text)
    assert f"{path}: {says}" in refused(root, source, f"--openapi={path}")


def test_a_document_that_cannot_be_read(root: Path, written: Write) -> None:
    source = written(*BACKEND, *FRONTEND)
    assert "nowhere.json: is not there" in refused(root, source, "--openapi=nowhere.json")
    nobody = "http://127.0.0.1:1/openapi.json"
    assert f"{nobody}: cannot be read: " in refused(root, source, f"--openapi={nobody}")


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        found = self.path == "/openapi.json"
        self.send_response(200 if found else 404)
        self.end_headers()
        self.wfile.write(API.encode() if found else b"")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_a_document_by_its_url(root: Path, written: Write, server: str) -> None:
    source = written(*BACKEND, *FRONTEND)
    made, _ = proposed(root, source, f"--openapi={server}/openapi.json")
    assert made.values["ROUTES"] == "/api/{user_id}/tasks\n"
    assert made.values["BACKEND_URL"].endswith("/api/health")
    assert "cannot be read: HTTP Error 404" in refused(root, source, f"--openapi={server}/docs")


# A cluster, by a kubectl that answers from files

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


def answer(kubectl: Path, service: str, path: str, text: str) -> None:
    namespace, name = service.split("/")
    place = f"api_v1_namespaces_{namespace}_services_{name}_proxy_{path}"
    (kubectl / place).write_text(text)


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
    assert {call.split()[0] for call in calls} == {"get", "version"}
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
    monkeypatch.setattr(preflight, "ASKED_TIMEOUT", 0.2)
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


# Asking, and writing


def test_without_a_terminal_nothing_is_written(root: Path, written: Write) -> None:
    before = (root / INVENTORY).read_bytes()
    source = written(*BACKEND, *FRONTEND)
    answer = run(root, source)
    assert answer.returncode == 1
    assert answer.stdout.endswith(
        "there is no terminal to ask on: add --yes to write it\nnothing was written\n"
    )
    assert "+  NAMESPACES: todo" in answer.stdout
    assert '-  NAMESPACES: "old"  # of before' in answer.stdout
    assert "warning health-path-assumed: " in answer.stdout
    assert "note: no OpenAPI document was found" in answer.stdout
    assert (root / INVENTORY).read_bytes() == before
    assert "\x1b" not in answer.stdout


def test_yes_writes_it_and_says_what_comes_next(root: Path, written: Write) -> None:
    source = written(*BACKEND, *FRONTEND)
    answer = run(root, source, "--yes")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "is written; `make dashboards rules`" in answer.stdout
    assert inventory.values((root / INVENTORY).read_text())["NAMESPACES"] == "todo"
    again = run(root, source)
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout.endswith(f"{INVENTORY} is as it should be\n")


@pytest.mark.parametrize(
    ("typed", "agreed"), [("y", True), ("YES ", True), ("", False), ("n", False)]
)
def test_a_person_is_asked(
    root: Path, written: Write, monkeypatch: pytest.MonkeyPatch, typed: str, agreed: bool
) -> None:
    asked: list[str] = []

    def person(text: str) -> str:
        asked.append(text)
        return typed

    source = written(*BACKEND, *FRONTEND)
    monkeypatch.setattr(sys, "argv", ["discover", source, f"--root={root}"])
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr("builtins.input", person)
    assert command.main() == (0 if agreed else 1)
    assert asked == [f"Write {INVENTORY}? [y/N] "]
    assert ("NAMESPACES: todo " in (root / INVENTORY).read_text()) == agreed


def test_no_secret_is_kept(tmp_path: Path, written: Write) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "data": {"a": "b"}}
    written(*BACKEND, secret)
    assert all(item.kind != "Secret" for item in folder.read([tmp_path / "app"]).items)
