"""What Loki gets of the log lines of each case, and what it never gets."""

from __future__ import annotations

import datetime
import json
import re

import pytest
import yaml

from scripts.live.discover import routes
from tests.repository.log_pipeline import (
    CASES,
    ENVIRONMENT,
    LOGS,
    SECRETS,
    TARGETS,
    Run,
    alloy,
    check,
    leaks,
    run,
)

STREAM_LABELS = {"cluster", "namespace", "app", "container", "level"}


def names() -> list[str]:
    files = sorted(CASES.glob("*.yaml"))
    return [f"{f.stem}: {case['name']}" for f in files for case in yaml.safe_load(f.read_text())]


@pytest.fixture(scope="module")
def runs() -> list[Run]:
    return run(LOGS)


@pytest.mark.parametrize("name", names())
def test_case(name: str, runs: list[Run]) -> None:
    check(next(r for r in runs if r.name == name))


def test_no_planted_secret_survives_anywhere(runs: list[Run]) -> None:
    assert {s for r in runs for s in r.planted} == set(SECRETS.values())
    for r in runs:
        assert all(any(secret in line for line in r.written) for secret in r.planted)
    assert leaks(runs) == []


def test_counters_carry_no_other_label_and_no_id(runs: list[Run]) -> None:
    of_alloy = {"component_id", "component_path"}
    wanted = {
        "todo_http_requests_total": {"namespace", "app", "method", "route", "status_class"},
        "todo_log_redactions_total": {"namespace", "app", "kind"},
    }
    seen = set()
    for r in runs:
        for name, pairs in re.findall(r"^(todo_\w+)\{(.*)\} \S+$", r.metrics, re.MULTILINE):
            labels = dict(re.findall(r'(\w+)="([^"]*)"', pairs))
            assert set(labels) - of_alloy == wanted[name]
            assert "user-" not in pairs
            seen.add(name)
            if name == "todo_http_requests_total":
                assert labels["route"] in {"other", *ENVIRONMENT["APP_ROUTES"].split()}
    assert seen == set(wanted)


def test_only_listed_labels_reach_loki(runs: list[Run]) -> None:
    for r in runs:
        for entry in r.entries:
            assert set(entry["labels"]) <= STREAM_LABELS


def test_targets_are_named_by_the_most_specific_label_and_read_from_their_directory() -> None:
    uid = TARGETS["backend"]["__meta_kubernetes_pod_uid"]
    static = TARGETS["other"] | {
        "__meta_kubernetes_pod_annotation_kubernetes_io_config_hash": "ab1"
    }
    targets = {**TARGETS, "static": static}
    file = str(LOGS / "pods.alloy")
    cases = [{"id": name, "file": file, "target": t, "lines": []} for name, t in targets.items()]
    answer = alloy("pipeline", stdin=json.dumps(cases))
    found = {r["id"]: r["target"] for r in json.loads(answer.stdout)}
    assert {name: t["app"] for name, t in found.items()} == {
        "backend": "todo-ai-chatbot-backend",
        "daprd": "todo-ai-chatbot-backend",
        "frontend": "todo-ai-chatbot-frontend",
        "other": "shop",
        "postgres": "postgres",
        "kafka": "kafka",
        "coredns": "kube-dns",
        "static": "shop",
    }
    assert found["daprd"]["__path__"].endswith(f"/pods/*{uid}/daprd/*.log")
    assert found["static"]["__path__"].endswith("/pods/*ab1/shop/*.log")


def test_routes_that_make_discover_proposes_are_those_that_are_counted() -> None:
    """What FastAPI's document calls a parameter says nothing; its place in the path does."""
    templates = [
        "/api/{user_id}/tasks",
        "/api/{owner}/tasks/{task_id}/complete",
        "/api/v1/tasks/{user_id}",
        "/api/tasks/{id}",
        "/api/users/{user_id}/tasks",
        "/api/{account}/profile",
        "/api/chat/conversations/{conversation_id}",
        "/users/me",
        "/ws/{user}",
        "/tasks/{task_id}/",
        "/api/v1/auth/login",
        "/",
    ]
    proposed = {routes.normalised(template) for template in templates}
    value = "7d0f0a52-0c5e-4d8e-a3f6-0c7a9f1b2c3d"
    time = datetime.datetime.now(datetime.UTC).isoformat()
    cases = []
    for template in templates:
        path = re.sub(r"\{\w+\}", value, template)
        line = f'{time} stdout F INFO:     10.0.0.1:5000 - "GET {path} HTTP/1.1" 200 OK'
        lines = [{"timestamp": time, "line": line}]
        case = {"id": template, "file": str(LOGS / "pods.alloy"), "lines": lines}
        cases.append({**case, "target": TARGETS["backend"]})
    environment = {"APP_ROUTES": "".join(f"{route}\n" for route in sorted(proposed))}
    answer = alloy("pipeline", stdin=json.dumps(cases), **environment)
    assert answer.returncode == 0, answer.stderr
    counted = {
        one["id"]: re.findall(r'route="([^"]*)"', one["metrics"])
        for one in json.loads(answer.stdout)
    }
    assert counted == {template: [routes.normalised(template)] for template in templates}
