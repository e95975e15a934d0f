"""Routes are read from an OpenAPI document."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.core.yamlfile import Json
from scripts.live.discover import routes
from tests.programs.live.discover_manifests import API, BACKEND, FRONTEND, Write, proposed, refused

pytest_plugins = ("tests.programs.live.discover_manifests",)


def document(**paths: Json) -> routes.OpenApiDocument:
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
