"""What `make diff` says of what git has no more and the cluster keeps."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from scripts.core.yamlfile import Json
from scripts.diff.analyzers import pruning, removal
from scripts.diff.model import Flag
from scripts.model import api_groups, charts
from scripts.model.manifests import Release, Unit
from scripts.model.rendered import Cluster, Item
from tests.programs.diff.diff_pairs import cluster, manifest, pair

CONFIG, POLICY = manifest("ConfigMap"), manifest("NetworkPolicy")
AUTOMATED = {"automated": {"prune": True}}
CASCADE = {"name": "u", "finalizers": [f"{pruning.CASCADE}/background"]}


def unit_of(engine: str, **spec: Any) -> Json:
    kind, group = ("Kustomization", api_groups.KUSTOMIZE)
    if engine == "argocd":
        kind, group = ("Application", api_groups.ARGO_CD)
    metadata = spec.pop("metadata", {"name": "u"})
    return manifest(kind, api=f"{group}/v1", metadata=metadata, spec=spec)


def synced(engine: str, owner: Json | None, *objects: Json, kept: bool = True) -> Cluster:
    """A cluster whose root applies a unit u, which applies objects; without an owner, no u."""
    root = [owner] if owner else []
    if engine == "argocd":
        root.append(unit_of(engine, metadata={"name": "root"}, syncPolicy=AUTOMATED))
    units = [Unit("root", "root", root)] + ([Unit("u", "u", list(objects))] if owner else [])
    found = cluster(*objects)
    sync = dataclasses.replace(found.sync, engine=engine, units=units if kept else [])
    return dataclasses.replace(found, sync=sync)


def said(before: Cluster, after: Cluster) -> list[str]:
    return [one.text for one in pruning.analyze(pair(before, after)) if not isinstance(one, Flag)]


@pytest.mark.parametrize(
    ("engine", "spec", "why"),
    [
        ("flux", {"prune": True}, None),
        ("flux", {"prune": False}, "Kustomization u does not prune"),
        ("flux", {}, "Kustomization u does not prune"),
        # It is about the Kustomization's own deletion.
        ("flux", {"prune": True, "deletionPolicy": "Orphan"}, None),
        ("argocd", {"syncPolicy": AUTOMATED}, None),
        (
            "argocd",
            {"syncPolicy": {"automated": {"selfHeal": True}}},
            "Application u does not prune by itself",
        ),
        (
            "argocd",
            {"syncPolicy": {**AUTOMATED, "syncOptions": ["Prune=false"]}},
            "Application u does not prune",
        ),
        (
            "argocd",
            {"syncPolicy": {**AUTOMATED, "syncOptions": ["Prune=confirm"]}},
            "Application u asks somebody to confirm it",
        ),
    ],
)
def test_an_object_less_in_a_unit(engine: str, spec: dict[str, Any], why: str | None) -> None:
    owner = unit_of(engine, **spec)
    found = said(synced(engine, owner, CONFIG, POLICY), synced(engine, owner, CONFIG))
    assert found == ([f"NetworkPolicy n/a, as {why}"] if why else [])
    assert not said(synced(engine, owner, CONFIG), synced(engine, owner, CONFIG, POLICY))


@pytest.mark.parametrize(
    ("engine", "spec"), [("flux", {"prune": True, "suspend": True}), ("argocd", {})]
)
def test_an_object_less_in_a_unit_that_is_held(engine: str, spec: dict[str, Any]) -> None:
    owner = unit_of(engine, **spec)
    before, after = synced(engine, owner, CONFIG, POLICY), synced(engine, owner, CONFIG)
    assert said(before, after) == []  # `suspension` says so.
    (flag,) = removal.analyze(pair(before, after))
    assert isinstance(flag, Flag)
    assert flag.why.startswith("It stays")


def test_what_an_object_says_overrides_its_application() -> None:
    owner = unit_of("argocd", syncPolicy={**AUTOMATED, "syncOptions": ["Prune=confirm"]})
    own = manifest("ConfigMap", metadata={"annotations": {api_groups.SYNC_OPTIONS: "Prune=true"}})
    assert not said(synced("argocd", owner, own), synced("argocd", owner))


@pytest.mark.parametrize(
    ("place", "key", "value", "stays"),
    [
        # As users write it: fluxcd/kustomize-controller#1647
        ("annotations", api_groups.PRUNE, "Disabled", True),
        ("annotations", api_groups.PRUNE, "disabled", True),
        ("annotations", api_groups.PRUNE, "enabled", False),
        ("labels", api_groups.PRUNE, "disabled", True),
        ("annotations", f"{api_groups.KUSTOMIZE}/reconcile", "disabled", True),
        ("annotations", f"{api_groups.KUSTOMIZE}/ssa", "ignore", True),
        ("annotations", f"{api_groups.KUSTOMIZE}/ssa", "IfNotPresent", False),
        ("annotations", f"{api_groups.KUSTOMIZE}/ssa", "Merge", False),
    ],
)
def test_an_object_that_flux_passes_over(place: str, key: str, value: str, stays: bool) -> None:
    owner = unit_of("flux", prune=True)
    own = manifest("ConfigMap", metadata={place: {key: value}})
    found = said(synced("flux", owner, own), synced("flux", owner))
    assert found == ["ConfigMap n/a, as its annotation says"] * stays


@pytest.mark.parametrize(
    ("engine", "spec", "why"),
    [
        ("flux", {"prune": True}, None),
        ("flux", {"prune": False}, "Kustomization u does not prune"),
        ("flux", {"prune": False, "deletionPolicy": "Delete"}, None),
        ("flux", {"prune": True, "deletionPolicy": "Orphan"}, "Kustomization u has deletionPolicy"),
        ("flux", {"prune": True, "suspend": True}, "Kustomization u is suspended while"),
        ("argocd", {"metadata": CASCADE}, None),
        # argoproj/argo-cd#8444
        ("argocd", {}, "Application u has no finalizer"),
        (
            "argocd",
            {"metadata": CASCADE, "syncPolicy": {"syncOptions": ["Delete=false"]}},
            "Application u does not delete",
        ),
    ],
)
def test_a_unit_less(engine: str, spec: dict[str, Any], why: str | None) -> None:
    before = synced(engine, unit_of(engine, **spec), CONFIG)
    after = synced(engine, None)
    (text,) = said(before, after) or [""]
    assert text.startswith(f"ConfigMap n/a, as {why}") if why else not text
    flags = [o.where for o in removal.analyze(pair(before, after)) if isinstance(o, Flag)]
    assert flags == ([] if why else ["unit u"])


def test_an_object_overrides_what_its_application_does_not_delete() -> None:
    spec = {"metadata": CASCADE, "syncPolicy": {"syncOptions": ["Delete=false"]}}
    own = manifest("ConfigMap", metadata={"annotations": {api_groups.SYNC_OPTIONS: "Delete=true"}})
    before = synced("argocd", unit_of("argocd", **spec), own, POLICY)
    (text,) = said(before, synced("argocd", None))
    assert text == "NetworkPolicy n/a, as Application u does not delete"


def test_of_a_cluster_that_is_gone_nobody_knows() -> None:
    before = synced("flux", unit_of("flux", prune=False), CONFIG)
    assert not said(before, synced("flux", None, kept=False))


def released(*owners: Json, items: tuple[Json, ...] = (CONFIG,)) -> Cluster:
    """A cluster whose unit u, which prunes, declares releases."""
    found = synced("flux", unit_of("flux", prune=True), *owners)
    own = [
        Release("a", "n", "c", "1", "r", {}, ("HelmRelease", o["metadata"]["name"]))
        for o in owners
        if o["metadata"]["name"] == "a"
    ]
    other = Release("other", "n", "other", "1", "r", {}, ("HelmRelease", "other"))
    sync = dataclasses.replace(found.sync, releases=[*own, other])
    return dataclasses.replace(
        found, sync=sync, items=tuple(Item(m, "a") for m in items) if own else ()
    )


@pytest.mark.parametrize(
    ("spec", "annotations", "why"),
    [
        ({}, {}, None),
        # fluxcd/helm-controller#568
        ({"suspend": True}, {}, "HelmRelease a is suspended while it is deleted"),
        ({}, {api_groups.PRUNE: "disabled"}, "HelmRelease a stays: its annotation says"),
        ({}, {api_groups.RESOURCE_POLICY: "keep"}, None),
    ],
)
def test_a_release_less(spec: Json, annotations: Json, why: str | None) -> None:
    owner = manifest(
        "HelmRelease",
        api=f"{api_groups.HELM}/v2",
        metadata={"annotations": annotations},
        spec=spec,
    )
    before, after = released(owner), released()
    texts = [text for text in said(before, after) if "release a" in text]
    assert texts == ([f"all of release a, as {why}"] if why else [])
    (flag,) = (o for o in removal.analyze(pair(before, after)) if isinstance(o, Flag))
    assert (flag.name, flag.where) == ("release-removed", "release a")
    assert flag.why.startswith("It stays") is bool(why)


def test_helm_deletes_no_crd_of_the_folder_crds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(charts, "crds", lambda _: frozenset({"a"}))
    crd, other = (
        manifest("CustomResourceDefinition", metadata={"name": name}) for name in ("a", "b")
    )
    owner = manifest("HelmRelease", api=f"{api_groups.HELM}/v2", spec={})
    before, after = released(owner, items=(crd, other)), released(owner, items=())
    found = {
        f.where: f.why.startswith("It stays")
        for f in removal.analyze(pair(before, after))
        if isinstance(f, Flag)
    }
    assert found == {"CustomResourceDefinition n/a": True, "CustomResourceDefinition n/b": False}
    assert said(before, after) == [
        "CustomResourceDefinition n/a, as Helm deletes no CRD of a chart's folder crds"
    ]
