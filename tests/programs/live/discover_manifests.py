"""Manifests of a small application, and `make discover` on a repository that reads them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from scripts.core.yamlfile import Json
from scripts.live.discover import __main__ as command
from scripts.live.discover import recognition, risks
from scripts.live.discover.objects import ObjectSet
from scripts.live.discover.proposal import Proposal
from scripts.model.files import INVENTORY
from scripts.model.rendered import Item
from tests.fixtures import CODE
from tests.programs.live import layouts

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


def objects(*documents: Json) -> ObjectSet:
    return ObjectSet("here", tuple(map(Item, documents)))


def found(*documents: Json, **named: str) -> recognition.Application:
    return recognition.application(objects(*documents), **named)


def told(*documents: Json) -> list[str]:
    app = found(*documents)
    return [one.name for one in risks.of_objects(objects(*documents), app, {"tier": {}})]


def answer(kubectl: Path, service: str, path: str, text: str) -> None:
    namespace, name = service.split("/")
    place = f"api_v1_namespaces_{namespace}_services_{name}_proxy_{path}"
    (kubectl / place).write_text(text)
