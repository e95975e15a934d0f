"""What the order of a sync must be, for either engine."""

from __future__ import annotations

import pytest

from scripts.checks.static import sync_order
from scripts.model.manifests import Repository
from tests.programs.cluster_syncs import ARGOCD, FLUX, Edit, assert_says, edited, holding, named

FLUX_FILE = r"clusters/oke-free/flux/monitoring.yaml:\d+: Kustomization"
BASE = r"base/releases/.+.yaml:\d+: HelmRelease"
ARGOCD_FILE = r"(base|clusters)/.+.yaml:\d+: (Application|AppProject)"


@pytest.mark.parametrize(
    ("kind", "name", "edit", "says"),
    [
        (
            "Kustomization",
            "monitoring-config",
            lambda o: o["spec"]["dependsOn"].append({"name": "databases"}),
            [f"{FLUX_FILE} monitoring-config: depends on databases, which does not exist"],
        ),
        (
            "HelmRelease",
            "loki",
            lambda o: o["spec"].update(dependsOn=[{"name": "minio"}]),
            [f"{BASE} loki: depends on minio, which does not exist"],
        ),
        (
            "HelmRelease",
            "prometheus-operator-crds",
            lambda o: o["spec"].update(dependsOn=[{"name": "kube-prometheus-stack"}]),
            [f"{BASE} .+: dependsOn is a cycle"],
        ),
        (
            "HelmRelease",
            "kube-prometheus-stack",
            lambda o: o["spec"].pop("dependsOn"),
            [f"{BASE} kube-prometheus-stack: does not depend on prometheus-operator-crds"],
        ),
        (
            "HelmRelease",
            "grafana",
            lambda o: o["spec"].update(dependsOn=[{"name": "loki"}]),
            [f"{BASE} grafana: waits for loki"],
        ),
        (
            "Kustomization",
            "monitoring-releases",
            lambda o: o["spec"].pop("prune"),
            [f"{FLUX_FILE} monitoring-releases: does not prune"],
        ),
        (
            "Kustomization",
            "monitoring-releases",
            lambda o: o["spec"].update(path="./base/releases"),
            [f"{FLUX_FILE} monitoring-releases: builds ./base/releases, which is no folder of"],
        ),
        (
            "Kustomization",
            "monitoring-config",
            lambda o: o["spec"].update(path="./overlays/oke/config"),
            [f"{FLUX_FILE} monitoring-config: builds ./overlays/oke/config"],
        ),
        (
            "Kustomization",
            "monitoring-config",
            lambda o: o["spec"]["sourceRef"].update(name="fork"),
            [f"{FLUX_FILE} monitoring-\\w+: syncs from another source than the others"],
        ),
        (
            "Kustomization",
            "monitoring-releases",
            lambda o: o["spec"]["healthChecks"].append(
                {"kind": "Deployment", "name": "grafana", "namespace": "monitoring"}
            ),
            [f"{FLUX_FILE} monitoring-releases: waits for Deployment grafana, which it does not"],
        ),
        (
            "Kustomization",
            "monitoring-config",
            lambda o: o["spec"].update(
                healthChecks=[{"kind": "HelmRelease", "name": "loki", "namespace": "monitoring"}]
            ),
            [f"{FLUX_FILE} monitoring-config: waits for HelmRelease loki, which it does not"],
        ),
        (
            "Kustomization",
            "monitoring-releases",
            lambda o: o["spec"].pop("healthChecks"),
            [f"{FLUX_FILE} monitoring-config: applies .*PodMonitor.*, perhaps before their CRDs"],
        ),
    ],
)
def test_flux_would_not_sync_in_order(
    repository: Repository, kind: str, name: str, edit: Edit, says: list[str]
) -> None:
    broken = edited(named(repository, FLUX), kind, name, edit)
    assert_says(sync_order.check(holding(repository, broken)), *says)


def test_waiting_for_all_that_is_applied_is_waiting_for_the_crds(repository: Repository) -> None:
    def wait(item: dict[str, dict[str, object]]) -> None:
        del item["spec"]["healthChecks"]
        item["spec"]["wait"] = True

    sync = edited(named(repository, FLUX), "Kustomization", "monitoring-releases", wait)
    assert sync_order.check(holding(repository, sync)) == []


def test_grafana_waits_for_no_other_sync(repository: Repository) -> None:
    sync = named(repository, FLUX)
    *before, releases, config = sync.units
    late = type(releases)(releases.name, releases.path, releases.objects, ("databases",))
    sync = type(sync)(sync.cluster, sync.engine, [*before, late, config], sync.releases)
    says = f"{FLUX_FILE} monitoring-releases: brings Grafana and waits for databases"
    assert_says(sync_order.check(holding(repository, sync)), says)


def _drop(option: str) -> Edit:
    return lambda item: item["spec"]["syncPolicy"]["syncOptions"].remove(option)


@pytest.mark.parametrize(
    ("kind", "name", "edit", "says"),
    [
        (
            "Application",
            "prometheus-operator-crds",
            lambda o: o["metadata"]["annotations"].pop(sync_order.WAVE),
            [
                f"{ARGOCD_FILE} {name}: is created no later than prometheus-operator-crds"
                for name in ("kube-prometheus-stack", "monitoring-config")
            ],
        ),
        (
            "Application",
            "prometheus-operator-crds",
            lambda o: o["metadata"].update(name="crds"),
            [
                f"{ARGOCD_FILE} {name}: is created no later than prometheus-operator-crds"
                for name in ("kube-prometheus-stack", "monitoring-config")
            ],
        ),
        (
            "Application",
            "monitoring-config",
            lambda o: o["spec"]["syncPolicy"].pop("retry"),
            [
                f"{ARGOCD_FILE} monitoring-config: gives up",
                f"{ARGOCD_FILE} monitoring-config: retries what failed",
            ],
        ),
        (
            "Application",
            "loki",
            lambda o: o["spec"]["syncPolicy"]["retry"].update(limit=10),
            [f"{ARGOCD_FILE} loki: gives up"],
        ),
        (
            "Application",
            "monitoring",
            lambda o: o["spec"]["syncPolicy"]["retry"].update(refresh=False),
            [f"{ARGOCD_FILE} monitoring: retries what failed"],
        ),
        (
            "Application",
            "monitoring-config",
            lambda o: o["spec"]["syncPolicy"]["syncOptions"].append(
                "SkipDryRunOnMissingResource=true"
            ),
            [f"{ARGOCD_FILE} monitoring-config: may run the operator before its CRDs"],
        ),
        (
            "Application",
            "monitoring",
            lambda o: o["spec"]["source"].pop("kustomize"),
            [f"{ARGOCD_FILE} monitoring: manages itself, so that its deletion waits for itself"],
        ),
        (
            "Application",
            "prometheus-operator-crds",
            _drop("ServerSideApply=true"),
            [f"{ARGOCD_FILE} prometheus-operator-crds: applies on the client's side"],
        ),
        (
            "Application",
            "grafana",
            lambda o: o["spec"]["syncPolicy"]["syncOptions"].append("Replace=true"),
            [f"{ARGOCD_FILE} grafana: replaces objects"],
        ),
        (
            "AppProject",
            "monitoring",
            lambda o: o["metadata"]["annotations"].update({sync_order.WAVE: "-1"}),
            [f"{ARGOCD_FILE} monitoring: is created no later than Application prometheus-operator"],
        ),
    ],
)
def test_argocd_would_not_sync_in_order(
    repository: Repository, kind: str, name: str, edit: Edit, says: list[str]
) -> None:
    broken = edited(named(repository, ARGOCD), kind, name, edit)
    assert_says(sync_order.check(holding(repository, broken)), *says)
