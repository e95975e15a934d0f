"""Relabelings keep the metrics that rules and dashboards read."""

from __future__ import annotations

import pytest

from scripts.checks.rendered import relabelings
from scripts.core.yamlfile import Json
from scripts.model.rendered import Cluster
from tests.programs.checks.rendered_edits import (
    KUBELET,
    STACK,
    STATE,
    Broken,
    Check,
    Edit,
    argument,
    each,
    messages,
)


def relabelings_of(manifest: Json, endpoint: int = 0) -> list[Json]:
    spec = manifest["spec"]
    endpoints = spec.get("podMetricsEndpoints") or spec["endpoints"]
    found: list[Json] = endpoints[endpoint].setdefault("metricRelabelings", [])
    return found


def drop(regex: str, endpoint: int = 0) -> Edit:
    rule = {"sourceLabels": ["__name__"], "action": "drop", "regex": regex}
    return lambda manifest: relabelings_of(manifest, endpoint).append(rule)


NODE = f"{STACK}-prometheus-node-exporter"
BROKEN: list[Broken] = [
    # Metrics that are read.
    (
        f"container_memory_rss: ServiceMonitor {KUBELET} drops it",
        relabelings.read_metrics_kept,
        "ServiceMonitor",
        KUBELET,
        lambda m: relabelings_of(m, 1)[0].update(
            regex=relabelings_of(m, 1)[0]["regex"].replace("|rss", "")
        ),
    ),
    (
        f"kubelet_running_pods: ServiceMonitor {KUBELET} drops it",
        relabelings.read_metrics_kept,
        "ServiceMonitor",
        KUBELET,
        drop("kubelet_running_.+", 0),
    ),
    (
        "prometheus_sd_refresh_failures_total",
        relabelings.read_metrics_kept,
        "ServiceMonitor",
        f"{STACK}-prometheus",
        drop("prometheus_sd_.+", 0),
    ),
    (
        "todo_http_requests_total",
        relabelings.read_metrics_kept,
        "PodMonitor",
        "alloy",
        drop("todo_http_.+"),
    ),
    (
        "node_filesystem_avail_bytes",
        relabelings.read_metrics_kept,
        "ServiceMonitor",
        NODE,
        drop("node_filesystem_.+"),
    ),
    (
        "collector vmstat is off",
        relabelings.read_metrics_kept,
        "DaemonSet",
        NODE,
        argument("--collector.vmstat", "--collector.zfs"),
    ),
    (
        "does not collect persistentvolumeclaims",
        relabelings.read_metrics_kept,
        "Deployment",
        STATE,
        argument("persistentvolumeclaims,", ""),
    ),
    (
        "metricDenylist item",
        relabelings.read_metrics_kept,
        "Deployment",
        STATE,
        argument("kube_pod_init_container_.+", "kube_pod_(init_container|status)_.+"),
    ),
    (
        "no monitor scrapes it",
        relabelings.read_metrics_kept,
        "PodMonitor",
        "dapr-sidecars",
        lambda m: m["metadata"].update(name="sidecars"),
    ),
    (
        "no rule records it",
        relabelings.read_metrics_kept,
        "PrometheusRule",
        "requests",
        lambda m: m["spec"].update(
            groups=[
                {
                    "name": "g",
                    "rules": [{"record": "todo:x:y", "expr": "todo:http_requests:rate9m"}],
                }
            ]
        ),
    ),
]


@each(BROKEN)
def test_a_fault_is_found(
    rendered: list[Cluster], expected: str, check: Check, kind: str, name: str, edit: Edit
) -> None:
    found = messages(rendered, check, kind, name, edit)
    assert any(expected in message for message in found), found


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([], True),
        ([{"sourceLabels": ["__name__"], "action": "keep", "regex": "a|b"}], False),
        ([{"sourceLabels": ["__name__"], "action": "keep", "regex": "metric.*"}], True),
        ([{"sourceLabels": ["__name__"], "action": "drop", "regex": "metric"}], True),
        ([{"sourceLabels": ["__name__"], "action": "Drop", "regex": "metric_.+"}], False),
        ([{"sourceLabels": ["__name__", "le"], "action": "drop", "regex": ".+"}], True),
        ([{"sourceLabels": ["__name__"], "targetLabel": "x", "regex": ".+"}], True),
    ],
)
def test_relabelings_keep_as_prometheus_does(rules: list[Json], expected: bool) -> None:
    assert relabelings.keeps(rules, "metric_total") is expected
