"""The template of Alertmanager's configuration: routes and messages."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from scripts import tools
from scripts.checks.static import alerts
from scripts.core.yamlfile import Json
from scripts.model.manifests import Repository
from tests.programs.lab.alerting_day import CONFIG


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ({"alertname": "TodoBackendDown", "severity": "critical"}, "team"),
        ({"alertname": "PodNotReady", "severity": "warning"}, "team"),
        ({"alertname": "KubeQuotaAlmostFull", "severity": "info"}, "team"),
        ({"alertname": "Watchdog", "severity": "none"}, "watchdog"),
        ({"alertname": "InfoInhibitor", "severity": "none"}, "nobody"),
        # Whatever somebody forgot reaches somebody.
        ({"alertname": "Anything"}, "team"),
    ],
    ids=lambda value: value if isinstance(value, str) else value["alertname"],
)
def test_amtool_routes_each_severity(labels: Mapping[str, str], receiver: str) -> None:
    pairs = [f"{name}={value}" for name, value in labels.items()]
    run = tools.run("amtool", "config", "routes", "test", f"--config.file={CONFIG}", *pairs)
    assert (run.returncode, run.stdout.strip()) == (0, receiver)


def test_every_severity_of_an_alert_has_a_route(repository: Repository) -> None:
    declared = {
        alert.rule["labels"]["severity"]
        for sync in repository.syncs
        for alert in alerts.alerts_of(sync)
    }
    text = CONFIG.read_text()
    assert declared == {"critical", "warning", "none"}
    assert all(severity in text for severity in declared - {"none"})


def test_every_file_that_the_template_reads_is_of_the_secret() -> None:
    config = yaml.safe_load(CONFIG.read_text())
    paths = re.findall(r"_file: (\S+)", CONFIG.read_text())
    assert len(paths) == 6
    assert {str(Path(path).parent) for path in [*paths, *config["templates"]]} == {
        "/etc/alertmanager/config"
    }


def render(template: str, alerts_: list[Json], folder: Path, status: str = "firing") -> str:
    common = {
        key: alerts_[0]["annotations"][key]
        for key in alerts_[0]["annotations"]
        if all(a["annotations"].get(key) == alerts_[0]["annotations"][key] for a in alerts_)
    }
    data = {
        "receiver": "team",
        "status": status,
        "alerts": alerts_,
        "groupLabels": {"alertname": "PodNotReady"},
        "commonLabels": {
            "alertname": "PodNotReady",
            "severity": "warning",
            **{k: v for k, v in alerts_[0]["labels"].items() if k == "cluster"},
        },
        "commonAnnotations": common,
    }
    path = folder / "data.json"
    path.write_text(json.dumps(data))
    run = tools.run(
        "amtool",
        *("template", "render", f"--template.glob={CONFIG.parent}/*.tmpl"),
        *(f"--template.data={path}", f'--template.text={{{{ template "{template}" . }}}}'),
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


def pod(name: str, status: str = "firing") -> Json:
    return {
        "status": status,
        "labels": {"alertname": "PodNotReady", "severity": "warning", "pod": name},
        "annotations": {
            "summary": "A pod is not ready.",
            "description": f"{name} is not ready.",
            "runbook_url": "https://example.org/PodNotReady.md",
            "dashboard_url": f"https://example.org/d/x?var-pod={name}",
        },
    }


def test_a_message_says_what_is_wrong_and_where_to_go_on(tmp_path: Path) -> None:
    assert render("todo.message", [pod("a"), pod("b")], tmp_path) == (
        "Warning: A pod is not ready.\n\n"
        "a is not ready.\nb is not ready.\n"
        "Runbook: https://example.org/PodNotReady.md\n"
        "Dashboard: https://example.org/d/x?var-pod=a"
    )


def test_a_message_names_the_cluster_where_alerts_do(tmp_path: Path) -> None:
    ours = pod("a")
    ours["labels"]["cluster"] = "blue"
    assert render("todo.title", [ours], tmp_path) == "Warning in blue: A pod is not ready."
    text = render("todo.title", [ours], tmp_path, "resolved")
    assert text == "Resolved in blue: A pod is not ready."


@pytest.mark.parametrize(
    ("url", "opened"),
    [
        ("https://example.org/d/x?var-pod=a", "https://example.org/d/x?var-pod=a&var-cluster=b+c"),
        ("https://example.org/d/x", "https://example.org/d/x?var-cluster=b+c"),
    ],
)
def test_a_link_opens_the_dashboard_of_the_alerts_cluster(
    tmp_path: Path, url: str, opened: str
) -> None:
    ours = pod("a")
    ours["labels"]["cluster"], ours["annotations"]["dashboard_url"] = "b c", url
    text = render("todo.text", [ours], tmp_path)
    assert text.splitlines()[-1] == f"Dashboard: {opened}"
    del ours["annotations"]["dashboard_url"]
    assert "Dashboard" not in render("todo.text", [ours], tmp_path)


def test_a_message_says_what_is_over(tmp_path: Path) -> None:
    text = render("todo.message", [pod("a", "resolved")], tmp_path, "resolved")
    assert text.startswith("Resolved: A pod is not ready.\n\nResolved: a is not ready.\n")


def test_a_message_of_an_alert_without_texts_names_it(tmp_path: Path) -> None:
    bare = {"status": "firing", "labels": {"alertname": "X"}, "annotations": {}}
    assert render("todo.title", [bare], tmp_path) == "Warning: PodNotReady"
