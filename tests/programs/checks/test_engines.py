"""Flux and Argo CD are told the same."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import pytest

from scripts.checks.static import engines
from scripts.model.manifests import ClusterSync, Repository
from tests.programs.cluster_syncs import (
    ARGOCD,
    CLUSTERS,
    FLUX,
    Edit,
    added,
    assert_says,
    edited,
    holding,
    named,
)

SKELETON = r"base/argocd/applications/applications.yaml:\d+: Application"


@pytest.fixture
def flux(repository: Repository) -> ClusterSync:
    return named(repository, FLUX)


@pytest.fixture
def argocd(repository: Repository) -> ClusterSync:
    return named(repository, ARGOCD)


@pytest.mark.parametrize("cluster", sorted({name.split("/")[0] for name in CLUSTERS}))
def test_both_engines_of_a_cluster_do_the_same(repository: Repository, cluster: str) -> None:
    pair = [named(repository, f"{cluster}/{engine}") for engine in ("flux", "argocd")]
    assert engines.check(holding(repository, *pair)) == []


def without(sync: ClusterSync, name: str) -> ClusterSync:
    return dataclasses.replace(sync, releases=[r for r in sync.releases if r.name != name])


def changed(sync: ClusterSync, owner: str, /, **fields: Any) -> ClusterSync:
    releases = [
        dataclasses.replace(r, **fields) if r.owner[1] == owner else r for r in sync.releases
    ]
    return dataclasses.replace(sync, releases=releases)


def test_a_release_that_only_flux_has(
    repository: Repository, flux: ClusterSync, argocd: ClusterSync
) -> None:
    findings = engines.check(holding(repository, flux, without(argocd, "loki")))
    assert_says(findings, r"base/releases/loki.yaml:\d+: HelmRelease loki: has no Application")


def test_a_release_that_only_argocd_has(
    repository: Repository, flux: ClusterSync, argocd: ClusterSync
) -> None:
    findings = engines.check(holding(repository, without(flux, "loki"), argocd))
    assert_says(findings, f"{SKELETON} loki: has no HelmRelease")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("chart", "loki-distributed"),
        ("version", "18.11.1"),
        ("repository", "ghcr.io/grafana/helm-charts"),
        ("name", "logs"),
        ("namespace", "logs"),
    ],
)
def test_a_release_that_differs(
    repository: Repository, flux: ClusterSync, argocd: ClusterSync, field: str, value: str
) -> None:
    findings = engines.check(holding(repository, flux, changed(argocd, "loki", **{field: value})))
    assert_says(findings, f'{SKELETON} loki: {field} is .+ for Flux and "{value}" for Argo CD')


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda v: v["loki"].update(auth_enabled=0), "values.loki.auth_enabled is false .+ and 0"),
        (
            lambda v: v["loki"]["limits_config"].update(ingestion_rate_mb="2"),
            'ingestion_rate_mb is 2 .+ and "2"',
        ),
        (lambda v: v["loki"]["limits_config"].pop("max_line_size"), ".max_line_size is .+ absent"),
        (lambda v: v["loki"].update(extra=None), "values.loki.extra is absent .+ and null"),
        (
            lambda v: v["loki"]["schemaConfig"]["configs"][0].update(schema="v12"),
            r"configs.0.schema is \"v13\" .+ and \"v12\"",
        ),
    ],
)
def test_a_value_that_differs_is_named_with_both(
    repository: Repository, flux: ClusterSync, argocd: ClusterSync, edit: Edit, says: str
) -> None:
    values = copy.deepcopy(next(r.values for r in argocd.releases if r.name == "loki"))
    edit(values)
    findings = engines.check(holding(repository, flux, changed(argocd, "loki", values=values)))
    assert_says(findings, f"{SKELETON} loki: .*{says}")


def test_an_object_that_differs(
    repository: Repository, flux: ClusterSync, argocd: ClusterSync
) -> None:
    def edit(item: dict[str, Any]) -> None:
        item["spec"]["sampleLimit"] = 900

    broken = edited(argocd, "PodMonitor", "dapr-sidecars", edit)
    says = r"monitors/dapr.yaml:\d+: PodMonitor dapr-sidecars: spec.sampleLimit is 800 .+ and 900"
    assert_says(engines.check(holding(repository, flux, broken)), says)


def test_an_object_that_one_engine_lacks(
    repository: Repository, flux: ClusterSync, argocd: ClusterSync
) -> None:
    more = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": "y"}}
    says = "ConfigMap x: it is absent for Flux and .+ for Argo CD"
    found = engines.check(holding(repository, flux, added(argocd, more)))
    assert_says(found, says)
    assert f"let clusters/{flux.cluster}/flux sync" in found[0].fix
    found = engines.check(holding(repository, added(flux, more), argocd))
    assert f"let clusters/{flux.cluster}/argocd sync" in found[0].fix


@pytest.mark.parametrize("left_over", ["copied", "copied from base/application"])
def test_a_placeholder_that_nothing_filled(
    repository: Repository, flux: ClusterSync, left_over: str
) -> None:
    def edit(item: dict[str, Any]) -> None:
        item["spec"]["targets"]["staticConfig"]["static"][0] = left_over

    broken = edited(flux, "Probe", "backend", edit)
    says = r"monitors/probes.yaml:\d+: Probe backend: spec.targets.+ is still"
    assert_says(engines.check(holding(repository, broken)), says)
