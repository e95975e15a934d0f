"""The opt-in mirror: charts come from another host, for both engines, and nothing else changes."""

from __future__ import annotations

from typing import Any

import pytest

from scripts.checks.static import engines
from scripts.cluster.e2e.environment import set_mirror
from scripts.model.manifests import Repository
from tests.programs.cluster_syncs import take

HOST = "registry.internal/proxy"


@pytest.fixture
def mirrored(copy: Repository) -> Repository:
    set_mirror(copy.root, HOST)
    take(copy.root / "overlays/local/releases/kustomization.yaml", "mirror")
    take(copy.root / "clusters/local/argocd/kustomization.yaml", "mirror/argocd")
    return Repository(copy.root)


def objects(repository: Repository, engine: str) -> list[dict[str, Any]]:
    (sync,) = (e for e in repository.syncs if e.name == f"local/{engine}")
    return list(sync.objects())


def moved(address: str) -> str:
    """Return an address with the mirror in place of the scheme and the host."""
    return f"{HOST}/{address.rpartition('://')[2].partition('/')[2]}"


def test_flux_has_another_host_and_nothing_else(
    repository: Repository, mirrored: Repository
) -> None:
    pairs = zip(objects(repository, "flux"), objects(mirrored, "flux"), strict=True)
    changed = [(old, new) for old, new in pairs if old != new]
    assert {new["kind"] for _, new in changed} == {"OCIRepository", "HelmRepository"}
    for old, new in changed:
        kind = {"type": "oci"} if old["kind"] == "HelmRepository" else {}
        url = f"oci://{moved(old['spec']['url'])}"
        assert new == {**old, "spec": {**old["spec"], **kind, "url": url}}


def test_argo_cd_has_another_host_and_nothing_else(
    repository: Repository, mirrored: Repository
) -> None:
    pairs = zip(objects(repository, "argocd"), objects(mirrored, "argocd"), strict=True)
    changed = [(old, new) for old, new in pairs if old != new]
    assert {new["kind"] for _, new in changed} == {"Application", "AppProject"}
    for old, new in changed:
        if old["kind"] == "AppProject":
            git, *charts = old["spec"]["sourceRepos"]
            old["spec"]["sourceRepos"] = [git, *map(moved, charts)]
        else:
            old["spec"]["source"]["repoURL"] = moved(old["spec"]["source"]["repoURL"])
        assert new == old


def test_both_engines_take_the_same_charts(mirrored: Repository) -> None:
    assert [f for f in engines.check(mirrored) if "clusters/local" in f.path] == []
    pair = {e.engine: e.releases for e in mirrored.syncs if e.cluster == "local"}
    assert {r.repository.startswith(f"{HOST}/") for r in (*pair["flux"], *pair["argocd"])} == {True}
