"""What `make diff` says of replicas, restarts and scrape targets."""

from __future__ import annotations

from scripts.diff.readers import (
    scale,
    targets,
)
from tests.diff_pairs import (
    DEPLOYMENT,
    manifest,
    put,
    said,
)


def test_replicas_and_restarts() -> None:
    assert said(scale.stopped, DEPLOYMENT, put("spec/replicas", 0)) == [
        "scaled-to-zero: Deployment n/a"
    ]
    assert said(scale.stopped, DEPLOYMENT, put("spec/replicas", 1)) == []
    assert said(scale.stopped, DEPLOYMENT, None) == []
    assert said(scale.restarted, DEPLOYMENT, put("spec/template/metadata/labels/b", "b")) == [
        "Deployment n/a: its pods are replaced"
    ]
    assert said(scale.restarted, DEPLOYMENT, put("spec/replicas", 1)) == []


def test_scrape_targets() -> None:
    monitor = manifest(
        "PodMonitor",
        api="monitoring.coreos.com/v1",
        spec={"sampleLimit": 5, "podMetricsEndpoints": [{"port": "p"}]},
    )
    assert said(targets.read, monitor, None) == ["PodMonitor n/a: removed"]
    assert said(targets.read, monitor, put("spec/podMetricsEndpoints/0/interval", "5s")) == [
        "PodMonitor n/a: podMetricsEndpoints[port=p].interval none → 5s"
    ]
    assert said(targets.read, monitor, put("metadata/labels", {"helm.sh/chart": "b"})) == []
    assert said(targets.read, manifest("ConfigMap"), put("data", {"a": "b"})) == []
