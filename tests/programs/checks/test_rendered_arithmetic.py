"""Numbers are compared with what they depend on."""

from __future__ import annotations

import pytest

from scripts.checks.rendered import arithmetic
from scripts.core.yamlfile import Json
from scripts.model.rendered import Cluster
from tests.programs.checks.rendered_edits import (
    KUBELET,
    STACK,
    Broken,
    Check,
    Edit,
    container,
    each,
    edited,
    messages,
    named,
)


def first_rule(expr: str) -> Edit:
    def edit(manifest: Json) -> None:
        manifest["spec"]["groups"][0]["rules"][0]["expr"] = expr

    return edit


def interval(text: str, endpoint: int = 0) -> Edit:
    return lambda manifest: manifest["spec"]["endpoints"][endpoint].update(interval=text)


BROKEN: list[Broken] = [
    (
        "request of cpu is 0.0001",
        arithmetic.requests_within_limits,
        "Deployment",
        "grafana",
        lambda m: container(m)["resources"]["requests"].update(cpu="0.0001"),
    ),
    (
        "container config-reloader: the limit of memory is 48Mi, below its request of 64Mi",
        arithmetic.requests_within_limits,
        "Deployment",
        f"{STACK}-operator",
        lambda m: container(m).update(
            args=[a.replace("request=24Mi", "request=64Mi") for a in container(m)["args"]]
        ),
    ),
    (
        "rates over $__rate_interval are empty",
        arithmetic.time_interval_known,
        "ServiceMonitor",
        KUBELET,
        interval("2m"),
    ),
    (
        "no timeInterval, so 15s",
        arithmetic.time_interval_known,
        "ConfigMap",
        "grafana",
        lambda m: m["data"].update(
            {"datasources.yaml": "datasources:\n  - {name: P, type: prometheus}\n"}
        ),
    ),
    (
        "increase(kubelet_evictions[59s])",
        arithmetic.ranges_hold_two_samples,
        "PrometheusRule",
        "requests",
        first_rule('sum(increase(kubelet_evictions{a="}"}[59s]))'),
    ),
    (
        "reads 35d",
        arithmetic.retention_covers_rules,
        "PrometheusRule",
        "requests",
        first_rule("avg_over_time(x[28d:1h] offset 7d)"),
    ),
    (
        "keeps 1d",
        arithmetic.retention_covers_rules,
        "Prometheus",
        STACK,
        lambda m: (m["spec"].pop("retention"), m["spec"].pop("retentionSize")),
    ),
]
HARMLESS: list[Broken] = [
    # All of a volume until it is full.
    (
        "",
        arithmetic.retention_covers_rules,
        "Prometheus",
        STACK,
        lambda m: m["spec"].pop("retention"),
    ),
    # Nothing outlives the pod.
    (
        "",
        arithmetic.retention_covers_rules,
        "Prometheus",
        STACK,
        lambda m: (m["spec"].pop("storage"), m["spec"].update(retention="1d")),
    ),
    ("", arithmetic.time_interval_known, "ServiceMonitor", KUBELET, interval("60s")),
    (
        "",
        arithmetic.ranges_hold_two_samples,
        "PrometheusRule",
        "requests",
        first_rule("max_over_time(kubelet_evictions[30s]) + rate(kubelet_evictions[60s])"),
    ),
]


@each(BROKEN)
def test_a_fault_is_found(
    rendered: list[Cluster], expected: str, check: Check, kind: str, name: str, edit: Edit
) -> None:
    found = messages(rendered, check, kind, name, edit)
    assert any(expected in message for message in found), found


@each(HARMLESS)
def test_what_fits_is_left_alone(
    rendered: list[Cluster], expected: str, check: Check, kind: str, name: str, edit: Edit
) -> None:
    assert messages(rendered, check, kind, name, edit) == []


@pytest.mark.parametrize("retention", ["120h", "12h"])
def test_one_finding_for_a_retention(rendered: list[Cluster], retention: str) -> None:
    cluster = edited(
        named(rendered), "Alertmanager", STACK, lambda m: m["spec"].update(retention=retention)
    )
    assert len(list(arithmetic.notifications_remembered(cluster))) == (retention == "12h")
