"""Every object is one that each supported Kubernetes would accept."""

from __future__ import annotations

import pytest

from scripts.checks.static import object_schemas
from scripts.core.yamlfile import load
from scripts.model import schemas
from scripts.model.manifests import Repository
from scripts.model.rendered import Cluster
from tests.fixtures import CODE
from tests.programs.cluster_syncs import FLUX, Edit, added, assert_says, edited, holding, named


def test_as_many_versions_of_kubernetes_as_it_supports_itself() -> None:
    minors = [tuple(map(int, v.split(".")[:2])) for v in schemas.kubernetes_versions()]
    assert len(minors) == 3
    assert minors == [(1, minors[0][1] + n) for n in range(3)]


@pytest.mark.parametrize(
    ("kind", "name", "edit", "says"),
    [
        (
            "PodMonitor",
            "dapr-sidecars",
            lambda o: o["spec"].update(samplesLimit=1),
            r"dapr.yaml:\d+: PodMonitor dapr-sidecars: additional properties 'samplesLimit' not",
        ),
        (
            "PodMonitor",
            "dapr-sidecars",
            lambda o: o["spec"].update(sampleLimit="800"),
            r"dapr.yaml:\d+: .+: got string, want integer \(at '/spec/sampleLimit'\)$",
        ),
        (
            "PodMonitor",
            "dapr-sidecars",
            lambda o: o["spec"].pop("selector"),
            r"dapr.yaml:\d+: .+: missing property 'selector' \(at '/spec'\)",
        ),
        (
            "HelmRelease",
            "loki",
            lambda o: o["spec"].update(interval="1 hour"),
            r"loki.yaml:\d+: HelmRelease loki: '1 hour' does not match",
        ),
        (
            "Namespace",
            "monitoring",
            lambda o: o["metadata"]["labels"].update(x=True),
            r"namespaces.yaml:\d+: .+: got boolean, want null or string .*/metadata/labels/x",
        ),
        (
            "NetworkPolicy",
            "grafana-from-anywhere",
            lambda o: o["spec"]["ingress"][0]["ports"][0].update(protocols="TCP"),
            r"network-policies.yaml:\d+: .+: additional properties 'protocols' not allowed",
        ),
        (
            "PodMonitor",
            "loki",
            lambda o: o.update(apiVersion="monitoring.coreos.com/v2"),
            r"stack.yaml:\d+: PodMonitor loki: could not find schema for PodMonitor",
        ),
    ],
)
def test_an_object_that_kubernetes_would_refuse(
    repository: Repository, kind: str, name: str, edit: Edit, says: str
) -> None:
    broken = edited(named(repository, FLUX), kind, name, edit)
    assert_says(object_schemas.check(holding(repository, broken)), says)


def test_a_kind_that_nobody_knows(repository: Repository) -> None:
    thing = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "x"}}
    sync = added(named(repository, FLUX), thing)
    findings = object_schemas.check(holding(repository, sync))
    assert_says(findings, "Thing x: could not find schema for Thing")
    assert "scripts/schemas.yaml" in findings[0].fix


def test_the_operators_schemas_are_those_of_the_operator_that_runs(rendered: list[Cluster]) -> None:
    pins = {pin["module"]: pin["version"] for pin in load(schemas.PINS, CODE)[0]}
    images = {c["image"] for cluster in rendered for pod in cluster.pods for c in pod.containers}
    running = {i.rpartition(":")[2] for i in images if "/prometheus-operator:" in i}
    assert running == {pins["github.com/prometheus-operator/prometheus-operator"]}
