"""Monitors select Services and pods, have limits, and reach ports that there are."""

from __future__ import annotations

import json

import pytest

from scripts.checks.rendered import scrape
from scripts.core.yamlfile import Json
from scripts.model import scraping
from scripts.model.rendered import Cluster
from tests.programs.checks.rendered_edits import (
    KUBELET,
    STACK,
    Broken,
    Check,
    Edit,
    each,
    messages,
    named,
)

BROKEN: list[Broken] = [
    # Scraping.
    (
        "podMonitorSelector does not select everything",
        scrape.monitors_selected,
        "Prometheus",
        STACK,
        lambda m: m["spec"].update(podMonitorSelector={"matchLabels": {"release": STACK}}),
    ),
    (
        "ruleNamespaceSelector does not select everything",
        scrape.monitors_selected,
        "Prometheus",
        STACK,
        lambda m: m["spec"].pop("ruleNamespaceSelector"),
    ),
    (
        "no sampleLimit",
        scrape.sample_limit_set,
        "ServiceMonitor",
        KUBELET,
        lambda m: m["spec"].pop("sampleLimit"),
    ),
    (
        "sampleLimit 300: alertmanager v",
        scrape.sample_limits_leave_room,
        "ServiceMonitor",
        f"{STACK}-alertmanager",
        lambda m: m["spec"].update(sampleLimit=300),
    ),
    (
        "sampleLimit 300: prometheus-operator v",
        scrape.sample_limits_leave_room,
        "ServiceMonitor",
        f"{STACK}-operator",
        lambda m: m["spec"]["endpoints"][0]["metricRelabelings"][0].update(regex="go_.+"),
    ),
    (
        "no pod with a port http is selected",
        scrape.targets_found,
        "PodMonitor",
        "loki",
        lambda m: m["spec"]["podMetricsEndpoints"][0].update(port="http"),
    ),
    (
        "no pod with a port http-metrics is selected",
        scrape.targets_found,
        "PodMonitor",
        "loki",
        lambda m: m["spec"]["selector"]["matchLabels"].update(
            {"app.kubernetes.io/name": "enterprise-logs"}
        ),
    ),
    (
        "no pod with a port http-metrics is selected",
        scrape.targets_found,
        "PodMonitor",
        "alloy",
        lambda m: m["spec"]["namespaceSelector"].update(matchNames=["logging"]),
    ),
    (
        "no Service with a port http-web is selected",
        scrape.targets_found,
        "Service",
        f"{STACK}-alertmanager",
        lambda m: m["metadata"]["labels"].pop("self-monitor"),
    ),
]


@each(BROKEN)
def test_a_fault_is_found(
    rendered: list[Cluster], expected: str, check: Check, kind: str, name: str, edit: Edit
) -> None:
    found = messages(rendered, check, kind, name, edit)
    assert any(expected in message for message in found), found


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ({}, True),
        ({"matchLabels": {"app": "loki"}}, True),
        ({"matchLabels": {"app": "loki", "tier": "log"}}, False),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["loki"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["loki"]}]}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}, True),
    ],
)
def test_selectors_match_as_kubernetes_does(selector: Json, expected: bool) -> None:
    assert scraping.matches(selector, {"app": "loki"}) is expected


def test_the_operator_s_pods_are_counted(rendered: list[Cluster]) -> None:
    owners = {str(p.owner): p for p in named(rendered).pods}
    prometheus = owners[f"StatefulSet monitoring/prometheus-{STACK}"]
    names = [c["name"] for c in prometheus.containers]
    assert names == ["init-config-reloader", "prometheus", "config-reloader"]
    assert prometheus.ports == {"http-web": 9090, "reloader-web": 8080}
    assert json.dumps(prometheus.claims).count("50Gi") == 1
