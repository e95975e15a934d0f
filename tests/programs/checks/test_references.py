"""What one object names, another one is."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from scripts.checks.static import references
from scripts.model.files import INVENTORY
from scripts.model.manifests import Repository, Unit
from tests.programs.cluster_syncs import (
    ARGOCD,
    FLUX,
    Edit,
    added,
    assert_says,
    edited,
    holding,
    named,
)


@pytest.mark.parametrize(
    ("kind", "name", "edit", "says"),
    [
        (
            "OCIRepository",
            "loki",
            lambda o: o["metadata"].update(namespace="flux-system"),
            [
                r"releases/loki.yaml:\d+: HelmRelease loki: its OCIRepository loki is not in the",
                r"releases/loki.yaml:\d+: OCIRepository loki: no release comes from it",
            ],
        ),
        (
            "HelmRelease",
            "grafana",
            lambda o: o["spec"]["values"]["dashboardsConfigMaps"].update(todo="dashboards"),
            [r"releases/grafana.yaml:\d+: .+: no ConfigMap dashboards is built in .+ monitoring$"],
        ),
        (
            "HelmRelease",
            "alloy",
            lambda o: o["spec"]["values"]["alloy"]["configMap"].update(key="config.alloy"),
            [r"releases/alloy.yaml:\d+: .+: ConfigMap alloy-logs has no key config.alloy"],
        ),
        (
            "HelmRelease",
            "alloy",
            lambda o: o["spec"]["values"]["alloy"]["configMap"].update(name="alloy-events"),
            [r"releases/alloy.yaml:\d+: .+: no ConfigMap alloy-events is built in .+-node$"],
        ),
        (
            "HelmRelease",
            "loki",
            lambda o: o["spec"]["values"]["singleBinary"].update(
                extraVolumes=[{"name": "rules", "configMap": {"name": "rules"}}]
            ),
            [r"loki.yaml:\d+: .+: no ConfigMap rules is built in the namespace monitoring"],
        ),
        (
            "HelmRelease",
            "loki",
            lambda o: o["spec"].update(targetNamespace="loki", releaseName="loki"),
            [r"loki.yaml:\d+: .+: installs into the namespace loki, which nothing declares"],
        ),
        (
            "PodMonitor",
            "loki",
            lambda o: o["metadata"].update(namespace="logs"),
            [r"stack.yaml:\d+: .+: is in the namespace logs, which nothing declares"],
        ),
        (
            "Probe",
            "grafana",
            lambda o: o["spec"]["prober"].update(url="blackbox.monitor.svc:9115"),
            [r"probes.yaml:\d+: .+: blackbox.monitor.svc is in a namespace that nobody knows"],
        ),
    ],
)
def test_a_reference_that_leads_nowhere(
    repository: Repository, kind: str, name: str, edit: Edit, says: list[str]
) -> None:
    broken = edited(named(repository, FLUX), kind, name, edit)
    assert_says(references.check(holding(repository, broken)), *says)


def test_what_is_mounted_only_if_it_is_there(repository: Repository) -> None:
    def edit(item: dict[str, Any]) -> None:
        volume = {"name": "rules", "configMap": {"name": "rules", "optional": True}}
        item["spec"]["values"]["singleBinary"]["extraVolumes"] = [volume]

    sync = edited(named(repository, FLUX), "HelmRelease", "loki", edit)
    assert references.check(holding(repository, sync)) == []


@pytest.mark.parametrize(
    ("kind", "name", "edit", "says"),
    [
        (
            "Application",
            "loki",
            lambda o: o["spec"].update(project="logs"),
            [r"applications.yaml:\d+: Application loki: is in the project logs, which does not"],
        ),
        (
            "Application",
            "loki",
            lambda o: o["spec"]["source"].update(repoURL="ghcr.io/grafana/charts"),
            [r"project.yaml:\d+: .+: sourceRepos does not admit ghcr.io/grafana/charts"],
        ),
        (
            "AppProject",
            "monitoring",
            lambda o: o["spec"]["sourceRepos"].append("https://charts.example.com"),
            [r"project.yaml:\d+: .+: sourceRepos admits, though nothing uses it, https://charts"],
        ),
        (
            "AppProject",
            "monitoring",
            lambda o: o["spec"]["destinations"].pop(),
            [r"project.yaml:\d+: .+: destinations does not admit .+ monitoring-node"],
        ),
        (
            "Application",
            "alloy",
            lambda o: o["spec"]["destination"].update(namespace="monitoring"),
            [r"project.yaml:\d+: .+: destinations admits, though nothing uses it, .+-node"],
        ),
    ],
)
def test_a_project_that_admits_too_little_or_too_much(
    repository: Repository, kind: str, name: str, edit: Edit, says: list[str]
) -> None:
    broken = edited(named(repository, ARGOCD), kind, name, edit)
    assert_says(references.check(holding(repository, broken)), *says)


def test_an_object_of_ours_where_its_project_may_not_create_it(repository: Repository) -> None:
    def edit(item: dict[str, Any]) -> None:
        item["metadata"]["namespace"] = "argocd"

    broken = edited(named(repository, ARGOCD), "PodMonitor", "loki", edit)
    says = r"project.yaml:\d+: .+: destinations does not admit https://\S+ argocd"
    assert_says(references.check(holding(repository, broken)), says)


def test_the_application_s_services_are_known_by_its_namespaces(repository: Repository) -> None:
    sync = named(repository, FLUX)
    assert not list(references.addresses(sync, "default"))
    unknown = {violation.name for violation in references.addresses(sync, "todo-.+")}
    assert unknown == {"frontend", "backend"}


def test_the_api_server_is_no_service_of_the_application(repository: Repository) -> None:
    """Argo CD's destinations name it, and it is in the namespace `default` of every cluster."""
    destination = {"server": "https://kubernetes.default.svc", "other": "http://web.default.svc/"}
    project = {"kind": "AppProject", "metadata": {"name": "stray"}, "spec": destination}
    sync = dataclasses.replace(named(repository, ARGOCD), units=[Unit("root", ".", [project])])
    assert_says(
        repository.locate(sync, references.addresses(sync, "todo-app")),
        r"AppProject stray: web.default.svc is in a namespace that nobody knows",
    )


def test_a_fact_about_the_application_that_nothing_copies(copy: Repository) -> None:
    path = copy.root / INVENTORY
    path.write_text(f"{path.read_text()}  TOPICS: task-events\n")
    assert_says(references.check(holding(copy)), rf"{INVENTORY}:\d+: nothing copies TOPICS")


def test_a_source_that_nothing_uses(repository: Repository) -> None:
    idle = {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "HelmRepository",
        "metadata": {"name": "bitnami", "namespace": "monitoring"},
    }
    sync = added(named(repository, FLUX), idle)
    says = "oke-free/flux HelmRepository bitnami:None: .+: no release comes from it"
    assert_says(references.check(holding(repository, sync)), says)
