"""Manifests, charts and kustomizations are read from a folder or a file."""

from __future__ import annotations

import re
from pathlib import Path

from scripts.live.discover import manifests
from tests.fixtures import LAYOUTS
from tests.programs.live.discover_manifests import (
    BACKEND,
    FRONTEND,
    Write,
    component,
    proposed,
    refused,
    workload,
)

pytest_plugins = ("tests.programs.live.discover_manifests",)


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
    chart = LAYOUTS / "one-chart-in-default/app"
    made, _ = proposed(root, source, source.replace("/app", "/pages"))
    assert made.values["FRONTEND_URL"] == "http://frontend.todo.svc:3000/"
    more, _ = proposed(root, source, f"--from={chart}", "--backend=todo/backend")
    assert more.values["NAMESPACES"] == "default|todo"


def test_one_file_is_read_as_well(root: Path, written: Write) -> None:
    source = written(*BACKEND, *FRONTEND)
    assert proposed(root, f"{source}/app.yaml")[0].values == proposed(root, source)[0].values


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
        f"--from={LAYOUTS / 'one-chart-in-default/app'}",
        "--release=mine",
        "--namespace=todo-app",
        f"--values={tmp_path / 'values.yaml'}",
    )
    assert made.values["BACKEND_URL"] == "http://mine-backend.todo-app.svc:8000/health"
    assert made.values["REMINDER_BINDING"] == "remind-me"


def test_no_secret_is_kept(tmp_path: Path, written: Write) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "data": {"a": "b"}}
    written(*BACKEND, secret)
    assert all(item.kind != "Secret" for item in manifests.read([tmp_path / "app"]).items)
