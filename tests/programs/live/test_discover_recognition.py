"""Which Service is the frontend, which the backend, and by which port they answer."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts.core.findings import RepositoryError
from scripts.core.yamlfile import Json
from tests.programs.live.discover_manifests import (
    BACKEND,
    FRONTEND,
    Write,
    component,
    found,
    part,
    proposed,
    refused,
    service,
    workload,
)

pytest_plugins = ("tests.programs.live.discover_manifests",)


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
