"""What Prometheus is told to scrape and to record."""

from __future__ import annotations

from typing import Any

import pytest

from scripts.checks.static import monitors
from scripts.model.manifests import Repository
from tests.programs.cluster_syncs import (
    CLUSTERS,
    OPTIONS,
    Edit,
    assert_says,
    edited,
    holding,
    named,
)


def relabel(**rule: object) -> Edit:
    def edit(item: Any) -> None:
        item["spec"]["podMetricsEndpoints"][0]["metricRelabelings"].append(rule)

    return edit


DAPR = "dapr-sidecars"
STACK = "kube-prometheus-stack"


@pytest.mark.parametrize(
    ("kind", "name", "edit", "says"),
    [
        ("PodMonitor", DAPR, lambda o: o["spec"].pop("sampleLimit"), "has no sampleLimit"),
        ("Probe", "frontend", lambda o: o["spec"].pop("sampleLimit"), "has no sampleLimit"),
        ("ScrapeConfig", "redpanda", lambda o: o["spec"].pop("sampleLimit"), "has no sampleLimit"),
        ("ServiceMonitor", "argocd", lambda o: o["spec"].pop("jobLabel"), "has no job of its own"),
        ("Probe", "frontend", lambda o: o["spec"].pop("jobName"), "has no job of its own"),
        ("ScrapeConfig", "redpanda", lambda o: o["spec"].pop("jobName"), "has no job of its own"),
        (
            "PodMonitor",
            DAPR,
            lambda o: o["spec"]["podMetricsEndpoints"][0].pop("relabelings"),
            "has no job of its own",
        ),
        (
            "PodMonitor",
            DAPR,
            lambda o: o["spec"]["podMetricsEndpoints"][0].pop("port"),
            "names no port",
        ),
        (
            "PodMonitor",
            DAPR,
            relabel(sourceLabels=["__name__"], action="drop", regex="go_(.+"),
            "'go_\\(.+' is no regular expression of Prometheus: missing \\)",
        ),
        (
            "PodMonitor",
            DAPR,
            relabel(sourceLabels=["__name__"], action="keep", regex="(?!go_).+"),
            ".+ is no regular expression of Prometheus: RE2 has no such group",
        ),
        (
            "PodMonitor",
            DAPR,
            lambda o: o["spec"]["podMetricsEndpoints"][0]["relabelings"].append({"regex": "("}),
            "'\\(' is no regular expression of Prometheus",
        ),
        ("PodMonitor", DAPR, relabel(action="labeldrop", regex="user"), "labeldrop user can make"),
        ("PodMonitor", DAPR, relabel(action="LabelDrop", regex="user"), "labeldrop user can make"),
        ("PodMonitor", DAPR, relabel(action="labelkeep", regex="le"), "labelkeep le can make two"),
        (
            "PodMonitor",
            DAPR,
            relabel(sourceLabels=["path"], targetLabel="path", replacement="/"),
            "replace of path can make two series one",
        ),
        (
            "PodMonitor",
            DAPR,
            relabel(sourceLabels=["user"], targetLabel="user", action="hashmod", modulus=8),
            "hashmod of user can make two series one",
        ),
        (
            "HelmRelease",
            STACK,
            lambda o: o["spec"]["values"]["kubelet"]["serviceMonitor"][
                "cAdvisorMetricRelabelings"
            ].append({"action": "labeldrop", "regex": "id"}),
            "labeldrop id can make two series one",
        ),
        (
            "PrometheusRule",
            "requests",
            lambda o: o["spec"]["groups"][0]["rules"].append(
                {"record": "todo_error_ratio", "expr": "vector(0)"}
            ),
            "todo_error_ratio is not named level:metric:operations",
        ),
        (
            "PrometheusRule",
            "requests",
            lambda o: o["spec"]["groups"].append({"name": "todo-requests", "rules": []}),
            "group todo-requests is declared a second time",
        ),
        (
            "PrometheusRule",
            "requests",
            lambda o: o["spec"]["groups"][1]["rules"][0].update(labels={"source": "access_log"}),
            "todo:http_requests:rate5m source=access_log is recorded a second time",
        ),
        (
            "PrometheusRule",
            "requests",
            lambda o: o["spec"]["groups"][0]["rules"].append(
                {"alert": "Down", "expr": "todo:http_requests:rate1m == 0"}
            ),
            "reads todo:http_requests:rate1m, which no rule records",
        ),
    ],
)
def test_a_monitor_or_rule_that_is_not_sound(
    repository: Repository, kind: str, name: str, edit: Edit, says: str
) -> None:
    sync = edited(named(repository, OPTIONS), kind, name, edit)
    where = rf"base/\S+.yaml:\d+: {kind} {name}: "
    assert_says(monitors.check(holding(repository, sync)), where + says)


def test_a_name_that_dashboards_read_and_no_rule_records(repository: Repository) -> None:
    def edit(item: Any) -> None:
        rule = item["spec"]["groups"][-1]["rules"][0]
        assert rule["record"] == "todo:http_request_errors:ratio_rate5m"
        rule["record"] = "todo:http_requests_errors:ratio_rate5m"

    sync = edited(named(repository, CLUSTERS[0]), "PrometheusRule", "requests", edit)
    says = "base/dashboards:None: no rule records todo:http_request_errors:ratio_rate5m"
    assert_says(monitors.check(holding(repository, sync)), says)


def test_two_alerts_may_have_the_same_labels(repository: Repository) -> None:
    def edit(item: Any) -> None:
        alerts = [{"alert": name, "expr": "vector(1)"} for name in ("One", "Other")]
        item["spec"]["groups"][0]["rules"] += alerts

    sync = edited(named(repository, OPTIONS), "PrometheusRule", "requests", edit)
    assert monitors.check(holding(repository, sync)) == []


def test_the_dapr_monitor_drops_its_own_copy_of_a_label(repository: Repository) -> None:
    sync = edited(
        named(repository, OPTIONS),
        "PodMonitor",
        DAPR,
        relabel(action="labeldrop", regex="exported_namespace"),
    )
    assert monitors.check(holding(repository, sync)) == []
