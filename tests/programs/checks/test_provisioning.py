"""Grafana finds every data source, folder and dashboard that it is started with."""

from __future__ import annotations

from typing import Any

import pytest

from scripts.checks.static import provisioning
from scripts.model.manifests import Repository
from tests.fixtures import FROZEN
from tests.programs.cluster_syncs import FLUX, Edit, assert_says, edited, holding, named

HERE = r"base/releases/grafana.yaml:\d+: HelmRelease grafana"
DASHBOARDS = FROZEN / "base/dashboards"
READ_LOKI = [p.name for p in DASHBOARDS.glob("*.json") if '"uid": "loki"' in p.read_text()]


def sources(values: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = values["datasources"]["datasources.yaml"]["datasources"]
    return found


def providers(values: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = values["dashboardProviders"]["dashboardproviders.yaml"][
        "providers"
    ]
    return found


def logs(values: Any) -> dict[str, Any]:
    return next(source for source in sources(values) if source["uid"] == "loki")


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda v: logs(v).update(isDefault=True), ["2 data sources are the default"]),
        (lambda v: sources(v)[0].pop("isDefault"), ["0 data sources are the default: none"]),
        (lambda v: logs(v).update(uid="prometheus"), ["2 data sources have the uid prometheus"]),
        (lambda v: logs(v).pop("uid"), ["a data source has no uid"]),
        (
            lambda v: logs(v).update(type="elasticsearch"),
            [rf"todo/{name} takes loki for loki; it is elasticsearch" for name in READ_LOKI],
        ),
        (
            lambda v: providers(v)[0]["options"].update(path="/var/lib/grafana/dashboards/todos"),
            [
                "provider todo reads /var/lib/grafana/dashboards/todos, where nothing is mounted",
                "no provider reads /var/lib/grafana/dashboards/todo$",
            ],
        ),
        (
            lambda v: v["dashboardsConfigMaps"].update(more="grafana-dashboards-more"),
            ["no provider reads /var/lib/grafana/dashboards/more"],
        ),
        (
            lambda v: v.update(dashboardsConfigMaps={}),
            [
                "provider todo reads .+, where nothing is mounted",
                "provider platform reads .+, where nothing is mounted",
                "default_home_dashboard_path is .+, where no dashboard is mounted",
            ],
        ),
        (
            lambda v: providers(v).append({**providers(v)[0], "name": "again"}),
            ["2 providers have the folder Todo AI Chatbot", "2 providers have the folderUid todo"],
        ),
        (
            lambda v: v["grafana.ini"]["dashboards"].update(
                default_home_dashboard_path="/var/lib/grafana/dashboards/todo/home.json"
            ),
            ["default_home_dashboard_path is /var/\\S+/home.json, where no dashboard is mounted"],
        ),
        (
            lambda v: v["grafana.ini"].pop("dashboards"),
            ["default_home_dashboard_path is not set, where no dashboard is mounted"],
        ),
    ],
)
def test_a_grafana_that_is_not_whole(repository: Repository, edit: Edit, says: list[str]) -> None:
    sync = edited(
        named(repository, FLUX), "HelmRelease", "grafana", lambda o: edit(o["spec"]["values"])
    )
    findings = provisioning.check(holding(repository, sync))
    assert_says(findings, *[f"{HERE}: .*{text}" for text in says])
