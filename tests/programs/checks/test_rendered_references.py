"""Names and addresses that an object refers to exist."""

from __future__ import annotations

from scripts.checks.rendered import references
from scripts.model.rendered import Cluster
from tests.programs.checks.rendered_edits import (
    STACK,
    Broken,
    Check,
    Edit,
    container,
    each,
    messages,
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
