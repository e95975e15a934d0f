"""Relabelings keep the metrics that rules and dashboards read."""

from __future__ import annotations

import pytest

from scripts.checks.rendered import relabelings
from scripts.core.yamlfile import Json
from scripts.model import relabeling
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
        "metricRelabelings keep by __name__, which loses what is read: container_memory_rss",
        relabelings.read_metrics_kept,
        "ServiceMonitor",
        KUBELET,
        lambda m: relabelings_of(m, 1)[0].update(
            regex=relabelings_of(m, 1)[0]["regex"].replace("|rss", "")
        ),
    ),
    (
        "metricRelabelings drop by __name__, which loses what is read: kubelet_running_",
        relabelings.read_metrics_kept,
        "ServiceMonitor",
        KUBELET,
        drop("kubelet_running_.+", 0),
    ),
    (
        "prometheus_sd_",
        relabelings.read_metrics_kept,
        "ServiceMonitor",
        f"{STACK}-prometheus",
        drop("prometheus_sd_.+", 0),
    ),
    (
        "todo_http_",
        relabelings.read_metrics_kept,
        "PodMonitor",
        "alloy",
        drop("todo_http_.+"),
    ),
    (
        "node_filesystem_avail_bytes and ",
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


NAME: list[str] = ["__name__"]
UNKNOWN: dict[str, tuple[str, ...]] = {"__name__": ("metric_total",)}


@pytest.mark.parametrize(
    ("rules", "kept"),
    [
        ([], True),
        ([{"sourceLabels": NAME, "action": "keep", "regex": "a|b"}], False),
        ([{"sourceLabels": NAME, "action": "keep", "regex": "metric.*"}], True),
        ([{"sourceLabels": NAME, "action": "drop", "regex": "metric"}], True),
        ([{"sourceLabels": NAME, "action": "Drop", "regex": "metric_.+"}], False),
        ([{"sourceLabels": [*NAME, "le"], "action": "drop", "regex": ".+"}], False),
        ([{"sourceLabels": [*NAME, "le"], "action": "drop", "regex": "metric_total;5|"}], True),
        ([{"sourceLabels": [*NAME, "le"], "action": "keep", "regex": "metric_total;5"}], True),
        ([{"sourceLabels": [*NAME, "le"], "action": "keep", "regex": "other;5"}], False),
        ([{"sourceLabels": ["le"], "action": "dropequal", "targetLabel": "ge"}], True),
        ([{"sourceLabels": ["le"], "action": "keepequal", "targetLabel": "le"}], True),
        ([{"sourceLabels": NAME, "separator": "", "action": "keep", "regex": "x"}], False),
        ([{"sourceLabels": NAME, "action": "drop", "regex": "not(python"}], True),
        ([{"sourceLabels": NAME, "targetLabel": "x", "regex": ".+"}], True),
        (
            [
                {"sourceLabels": ["le"], "action": "keep", "regex": "5"},
                {"sourceLabels": ["le"], "action": "drop", "regex": "5"},
            ],
            False,
        ),
    ],
)
def test_relabelings_keep_as_prometheus_does(rules: list[Json], kept: bool) -> None:
    found = relabeling.loss(relabeling.read(rules), UNKNOWN, ())
    assert (found is None) is kept


def test_an_absent_label_is_empty() -> None:
    rule = relabeling.read(
        [{"sourceLabels": ["__name__", "pod"], "action": "drop", "regex": "metric_.+;"}]
    )
    assert relabeling.loss(rule, UNKNOWN, {"pod"}) == rule[0]
    assert relabeling.loss(rule, {**UNKNOWN, "pod": ("a",)}, ()) is None


def last(regex: str, *labels: str, endpoint: int = 1) -> Edit:
    rule = {"sourceLabels": ["__name__", *labels], "action": "drop", "regex": regex}
    return lambda manifest: relabelings_of(manifest, endpoint).append(rule)


def of_target(**rule: Json) -> Edit:
    def edit(manifest: Json) -> None:
        relabelings_of(manifest)
        endpoint = (manifest["spec"].get("podMetricsEndpoints") or manifest["spec"]["endpoints"])[0]
        endpoint.setdefault("relabelings", []).append(rule)

    return edit


LOST: list[Broken] = [
    (
        "metricRelabelings drop by __name__ and pod, which loses what is read: container_",
        relabelings.read_metrics_kept,
        "ServiceMonitor",
        KUBELET,
        last("container_.+;.+", "pod"),
    ),
    (
        "metricRelabelings drop by __name__ and interface",
        relabelings.read_metrics_kept,
        "ServiceMonitor",
        KUBELET,
        last("container_network_.*;(e|lo).*", "interface"),
    ),
    (
        "metricRelabelings drop by __name__ and le, which loses what is read: dapr_runtime_",
        relabelings.read_metrics_kept,
        "PodMonitor",
        "dapr-sidecars",
        last("dapr_.+_bucket;500(\\.0)?", "le", endpoint=0),
    ),
    (
        "has no endpoint http-metrics, and misses what is there: loki_",
        relabelings.read_metrics_kept,
        "PodMonitor",
        "loki",
        lambda m: m["spec"]["podMetricsEndpoints"][0].update(port="grpc"),
    ),
    (
        "metricAllowlist takes what is read",
        relabelings.read_metrics_kept,
        "Deployment",
        STATE,
        argument("--metric-denylist=", "--metric-allowlist="),
    ),
    (
        "relabelings keep by __name__, which drops every target",
        relabelings.targets_kept,
        "PodMonitor",
        "loki",
        of_target(sourceLabels=["__name__"], action="keep", regex="loki_.+"),
    ),
    (
        "relabelings keep by __meta_kubernetes_pod_label_app_kubernetes_io_name",
        relabelings.targets_kept,
        "PodMonitor",
        "loki",
        of_target(
            sourceLabels=["__meta_kubernetes_pod_label_app_kubernetes_io_name"],
            action="keep",
            regex="enterprise-logs",
        ),
    ),
]
HARMLESS: list[Broken] = [
    (
        "",
        relabelings.read_metrics_kept,
        "ServiceMonitor",
        KUBELET,
        last("container_.+;(lo|tunl.*)", "device"),
    ),
    (
        "",
        relabelings.read_metrics_kept,
        "PodMonitor",
        "dapr-sidecars",
        last("dapr_.+_bucket;(7|9)", "le", endpoint=0),
    ),
    (
        "",
        relabelings.targets_kept,
        "PodMonitor",
        "loki",
        of_target(sourceLabels=["__meta_kubernetes_pod_phase"], action="keep", regex="Running"),
    ),
    (
        "",
        relabelings.targets_kept,
        "PodMonitor",
        "dapr-sidecars",
        of_target(sourceLabels=["namespace"], action="keep", regex="todo|default"),
    ),
]


@each(LOST)
def test_what_is_lost_is_told_once(
    rendered: list[Cluster], expected: str, check: Check, kind: str, name: str, edit: Edit
) -> None:
    found = messages(rendered, check, kind, name, edit)
    assert len(found) == 1 or "Allowlist takes" in expected, found
    assert any(expected in message for message in found), found


@each(HARMLESS)
def test_what_nobody_reads_may_go(
    rendered: list[Cluster], expected: str, check: Check, kind: str, name: str, edit: Edit
) -> None:
    assert messages(rendered, check, kind, name, edit) == []
