"""Names and addresses that an object refers to exist."""

from __future__ import annotations

import dataclasses

import pytest

from scripts.checks.rendered import references
from scripts.core.yamlfile import Json
from scripts.model.rendered import Cluster
from tests.programs.checks.rendered_edits import (
    STACK,
    Broken,
    Check,
    Edit,
    container,
    each,
    edited,
    messages,
    named,
    pod,
    text,
)

BROKEN: list[Broken] = [
    # What is named exists.
    (
        "there is no Service prometheus in monitoring",
        references.service_addresses,
        "ConfigMap",
        "grafana",
        text("datasources.yaml", "//prometheus-operated.", "//prometheus."),
    ),
    (
        "the Service loki has no port 80",
        references.service_addresses,
        "ConfigMap",
        "grafana",
        text("datasources.yaml", "loki.monitoring.svc:3100", "loki.monitoring.svc"),
    ),
    (
        "the Service alertmanager-operated has no port 9094",
        references.service_addresses,
        "ConfigMap",
        "loki",
        text("config.yaml", "operated.monitoring.svc:9093", "operated.monitoring.svc:9094"),
    ),
    (
        "the Service loki has no port 3101",
        references.service_addresses,
        "ConfigMap",
        "alloy-logs",
        text("shared.alloy", "svc:3100", "svc:3101"),
    ),
    (
        "there is no Service blackbox in monitoring",
        references.service_addresses,
        "Probe",
        "backend",
        lambda m: m["spec"]["prober"].update(url="blackbox.monitoring.svc:9115"),
    ),
    (
        "there is no Service graphana",
        references.service_addresses,
        "Probe",
        "grafana",
        lambda m: m["spec"]["targets"]["staticConfig"].update(
            static=["http://graphana.monitoring.svc/api/health"]
        ),
    ),
    (
        f"there is no Service {STACK}-alertmanager with a port web",
        references.alertmanager_service,
        "Prometheus",
        STACK,
        lambda m: m["spec"]["alerting"]["alertmanagers"][0].update(port="web"),
    ),
    (
        "sends its alerts nowhere",
        references.alertmanager_service,
        "Prometheus",
        STACK,
        lambda m: m["spec"].pop("alerting"),
    ),
    (
        "there is no ServiceAccount lokki",
        references.accounts_and_roles,
        "StatefulSet",
        "loki",
        lambda m: pod(m).update(serviceAccountName="lokki"),
    ),
    (
        "there is no ServiceAccount other",
        references.accounts_and_roles,
        "Prometheus",
        STACK,
        lambda m: m["spec"].update(serviceAccountName="other"),
    ),
    (
        "there is no ClusterRole other",
        references.accounts_and_roles,
        "ClusterRoleBinding",
        "alloy",
        lambda m: m["roleRef"].update(name="other"),
    ),
    (
        "there is no ServiceAccount alloy in monitoring",
        references.accounts_and_roles,
        "ClusterRoleBinding",
        "alloy",
        lambda m: m["subjects"][0].update(namespace="monitoring"),
    ),
    (
        "there is no ConfigMap grafana-dashboards-todo",
        references.configmaps_and_secrets,
        "ConfigMap",
        "grafana-dashboards-todo",
        lambda m: m["metadata"].update(name="grafana-dashboards-tasks"),
    ),
    (
        "has no key datasources.yaml",
        references.configmaps_and_secrets,
        "ConfigMap",
        "grafana",
        lambda m: m["data"].pop("datasources.yaml"),
    ),
    (
        "has no key config.yaml",
        references.configmaps_and_secrets,
        "ConfigMap",
        "loki",
        lambda m: m["data"].pop("config.yaml"),
    ),
    (
        "there is no Secret alertmanager in monitoring",
        references.configmaps_and_secrets,
        "Alertmanager",
        STACK,
        lambda m: m["spec"].update(configSecret="alertmanager"),
    ),
    (
        "does not start without the ConfigMap loki, and the release loki makes it, perhaps later",
        references.configmaps_before_pods,
        "Deployment",
        "grafana",
        lambda m: pod(m)["volumes"].append({"name": "more", "configMap": {"name": "loki"}}),
    ),
    (
        "the Secret grafana-admin has no key admin-name",
        references.configmaps_and_secrets,
        "Deployment",
        "grafana",
        lambda m: container(m)["env"].append(
            {
                "name": "A",
                "valueFrom": {"secretKeyRef": {"name": "grafana-admin", "key": "admin-name"}},
            }
        ),
    ),
]


@each(BROKEN)
def test_a_fault_is_found(
    rendered: list[Cluster], expected: str, check: Check, kind: str, name: str, edit: Edit
) -> None:
    found = messages(rendered, check, kind, name, edit)
    assert any(expected in message for message in found), found


def applied_by(cluster: Cluster, name: str, unit: str) -> Cluster:
    """The cluster with a ConfigMap applied by another unit."""
    (moved,) = (i.manifest for i in cluster.items if (i.kind, i.name) == ("ConfigMap", name))
    units = [
        dataclasses.replace(
            one,
            objects=[
                *(
                    i
                    for i in one.objects
                    if (i["kind"], i["metadata"]["name"]) != ("ConfigMap", name)
                ),
                *([dict(moved)] if one.name == unit else []),
            ],
        )
        for one in cluster.sync.units
    ]
    sync = dataclasses.replace(cluster.sync, units=units)
    return dataclasses.replace(cluster, sync=sync)


RELEASES = "monitoring-releases"
DASHBOARDS = "grafana-dashboards-todo"
WAITS = f"does not start without the ConfigMap {DASHBOARDS}, and"


@pytest.mark.parametrize(("engine", "own"), [("flux", RELEASES), ("argocd", "monitoring")])
def test_a_configmap_that_comes_after_its_pods_is_found(
    rendered: list[Cluster], engine: str, own: str
) -> None:
    cluster = named(rendered, f"oke-free/{engine}")
    assert list(references.configmaps_before_pods(cluster)) == []
    late = applied_by(cluster, DASHBOARDS, "monitoring-config")
    (found,) = references.configmaps_before_pods(late)
    assert f"{WAITS} monitoring-config applies it, which {own} does not wait for" in found.message
    assert found.path == "base/releases/grafana.yaml"
    line = (cluster.repository.root / found.path).read_text().splitlines()[(found.line or 0) - 1]
    assert DASHBOARDS in line


def test_an_optional_configmap_may_come_later(rendered: list[Cluster]) -> None:
    late = applied_by(named(rendered), DASHBOARDS, "monitoring-config")

    def optional(manifest: Json) -> None:
        for volume in pod(manifest)["volumes"]:
            if volume.get("configMap", {}).get("name") == DASHBOARDS:
                volume["configMap"]["optional"] = True

    later = edited(late, "Deployment", "grafana", optional)
    assert list(references.configmaps_before_pods(later)) == []


def test_a_configmap_of_a_unit_before_is_in_time(rendered: list[Cluster]) -> None:
    cluster = named(rendered)
    # As somebody does it who has the dashboards in a Kustomization of their own.
    before = dataclasses.replace(cluster.sync.units[-1], name="dashboards", depends_on=())
    waiting = [
        dataclasses.replace(one, depends_on=("dashboards",)) if one.name == RELEASES else one
        for one in cluster.sync.units
    ]
    for units, count in ((waiting, 0), (cluster.sync.units, 1)):
        sync = dataclasses.replace(cluster.sync, units=[*units, before])
        moved = applied_by(dataclasses.replace(cluster, sync=sync), DASHBOARDS, "dashboards")
        assert len(list(references.configmaps_before_pods(moved))) == count
