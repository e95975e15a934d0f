"""What `make diff` says of replicas, restarts and scrape targets."""

from __future__ import annotations

from typing import Any

import pytest

from scripts.diff.analyzers import targets, workloads
from tests.programs.diff.diff_pairs import DEPLOYMENT, analyzed, manifest, put


def test_replicas_and_restarts() -> None:
    assert analyzed(workloads.stopped, DEPLOYMENT, put("spec/replicas", 0)) == [
        "scaled-to-zero: Deployment n/a"
    ]
    assert analyzed(workloads.stopped, DEPLOYMENT, put("spec/replicas", 1)) == []
    assert analyzed(workloads.stopped, DEPLOYMENT, None) == []
    assert analyzed(
        workloads.restarted, DEPLOYMENT, put("spec/template/metadata/labels/b", "b")
    ) == ["Deployment n/a: its pods are replaced"]
    assert analyzed(workloads.restarted, DEPLOYMENT, put("spec/replicas", 1)) == []


@pytest.mark.parametrize(
    ("kind", "field", "value", "replaced"),
    [
        ("Prometheus", "secrets", ["s"], True),
        ("Prometheus", "tolerations", [{"operator": "Exists"}], True),
        ("Prometheus", "nodeSelector", {"a": "b"}, True),
        ("Prometheus", "podMetadata", {"labels": {"a": "b"}}, True),
        ("Prometheus", "rules", {"alert": {"resendDelay": "1m"}}, True),
        ("Prometheus", "remoteWriteReceiverMessageVersions", ["V1.0"], True),
        ("Prometheus", "storage", {"emptyDir": {}}, True),
        ("Prometheus", "ruleSelector", {}, False),
        ("Prometheus", "scrapeInterval", "1m", False),
        ("Prometheus", "externalLabels", {"a": "b"}, False),
        ("Prometheus", "retention", "1d", False),
        ("Prometheus", "replicas", 2, False),
        ("Alertmanager", "replicas", 2, True),
        ("Alertmanager", "retention", "1d", True),
        ("Alertmanager", "alertmanagerConfiguration", {"name": "a"}, True),
        ("Alertmanager", "alertmanagerConfigSelector", {}, False),
        ("Alertmanager", "configSecret", "s", False),
        ("Alertmanager", "paused", True, False),
    ],
)
def test_restarts_by_the_operator(kind: str, field: str, value: Any, replaced: bool) -> None:
    before = manifest(kind, api="monitoring.coreos.com/v1", spec={"logLevel": "info"})
    expected = [f"{kind} n/a: the operator replaces its pods"] * replaced
    assert analyzed(workloads.restarted, before, put(f"spec/{field}", value)) == expected


def test_scrape_targets() -> None:
    monitor = manifest(
        "PodMonitor",
        api="monitoring.coreos.com/v1",
        spec={"sampleLimit": 5, "podMetricsEndpoints": [{"port": "p"}]},
    )
    assert analyzed(targets.analyze, monitor, None) == ["PodMonitor n/a: removed"]
    assert analyzed(targets.analyze, monitor, put("spec/podMetricsEndpoints/0/interval", "5s")) == [
        "PodMonitor n/a: podMetricsEndpoints[port=p].interval none → 5s"
    ]
    assert analyzed(targets.analyze, monitor, put("metadata/labels", {"helm.sh/chart": "b"})) == []
    assert analyzed(targets.analyze, manifest("ConfigMap"), put("data", {"a": "b"})) == []
