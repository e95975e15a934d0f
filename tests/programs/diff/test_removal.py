"""What `make diff` says of what is removed, renamed, pruned or made anew."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import pytest

from scripts.core.yamlfile import Json
from scripts.diff.analyzers import removal
from scripts.diff.model import Flag
from scripts.model.manifests import Release
from scripts.model.rendered import Cluster, Item
from tests.programs.diff.diff_pairs import STATEFUL, analyzed, cluster, manifest, pair, put

ARGO_CD = "argocd.argoproj.io/sync-options"
FLUX = "kustomize.toolkit.fluxcd.io/prune"
HELM = "helm.sh/resource-policy"
DELETING = {"persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete"}}
EMPTIED = {**STATEFUL, "spec": {**STATEFUL["spec"], **DELETING}}
KUSTOMIZATION = manifest(
    "Kustomization", api="kustomize.toolkit.fluxcd.io/v1", metadata={"name": "u"}, spec={}
)

PRUNING = {**KUSTOMIZATION, "spec": {"prune": True, "path": "path"}}


def annotated(kind: str, **annotations: str) -> Json:
    return manifest(kind, metadata={"annotations": annotations})


def under(engine: str, *manifests: Json, release: str = "", unit: str = "unit") -> Cluster:
    """A cluster under an engine; with a release, that brings the objects."""
    own = Release(release, "n", f"chart of {release}", "1", "r", {}, ("HelmRelease", release))
    found = cluster(*(() if release else manifests), unit=unit)
    items = tuple(Item(m, release or None) for m in manifests)
    other = Release("other", "n", "other", "1", "r", {}, ("HelmRelease", "other"))
    sync = dataclasses.replace(
        found.sync, engine=engine, releases=[own, other] if release else [other]
    )
    return dataclasses.replace(found, sync=sync, items=items)


def flags(before: Cluster, after: Cluster) -> list[Flag]:
    return [one for one in removal.analyze(pair(before, after)) if isinstance(one, Flag)]


def test_what_is_removed() -> None:
    assert analyzed(removal.analyze, STATEFUL, None) == ["object-removed: StatefulSet n/a"]
    assert analyzed(removal.analyze, manifest("Namespace"), None) == [
        "object-removed: Namespace n/a"
    ]
    assert analyzed(removal.analyze, manifest("ConfigMap"), None) == []
    without = {key: value for key, value in STATEFUL["spec"].items() if "Templates" not in key}
    assert analyzed(removal.analyze, {**STATEFUL, "spec": without}, None) == []


@pytest.mark.parametrize(
    ("engine", "release", "kind", "annotation", "gone", "stays"),
    [
        ("flux", "", "Namespace", (FLUX, "disabled"), False, True),
        ("flux", "", "Namespace", (FLUX, "disabled"), True, True),
        ("flux", "", "Namespace", (HELM, "keep"), False, False),
        ("flux", "", "Namespace", (ARGO_CD, "Prune=false"), False, False),
        ("flux", "a", "Namespace", (HELM, "keep"), False, True),
        ("flux", "a", "Namespace", (FLUX, "disabled"), False, False),
        ("argocd", "", "Namespace", (ARGO_CD, "Delete=false, Prune=false"), False, True),
        ("argocd", "", "Namespace", (ARGO_CD, "Delete=false"), False, False),
        ("argocd", "", "Namespace", (ARGO_CD, "Delete=false"), True, True),
        ("argocd", "", "Namespace", (ARGO_CD, "Prune=false"), True, False),
        ("argocd", "", "Namespace", (FLUX, "disabled"), False, False),
        ("argocd", "a", "Namespace", (HELM, "keep"), False, False),
        ("argocd", "a", "Namespace", (HELM, "keep"), True, True),
        ("argocd", "a", "CustomResourceDefinition", (FLUX, "disabled"), True, True),
        ("argocd", "a", "CustomResourceDefinition", (FLUX, "disabled"), False, False),
    ],
)
def test_each_engine_keeps_what_its_own_annotation_says(
    engine: str, release: str, kind: str, annotation: tuple[str, str], gone: bool, stays: bool
) -> None:
    item = annotated(kind, **dict([annotation]))
    names = {"release": "" if gone else release, "unit": "else" if gone else "unit"}
    found = flags(under(engine, item, release=release), under(engine, **names))
    (flag,) = (one for one in found if one.name == "object-removed")
    lost = removal.WHY[kind][1:]
    # Whoever deletes by hand what stays is told the same.
    assert flag.why.startswith("It stays") is stays
    assert lost in (flag.fix if stays else flag.why)
    removed = [one.why for one in found if one.name == "release-removed"]
    count = "0 objects" if stays else "1 object"
    assert removed == ([f"The engine uninstalls it, and deletes {count}."] * bool(release and gone))


@pytest.mark.parametrize(
    ("engine", "release", "annotation", "lost"),
    [
        ("flux", "", FLUX, "it or its unit"),
        ("flux", "", HELM, None),
        ("flux", "", ARGO_CD, None),
        ("flux", "a", HELM, "it or its release"),
        ("flux", "a", FLUX, None),
        ("argocd", "", ARGO_CD, "it"),
        ("argocd", "", FLUX, None),
        ("argocd", "a", HELM, "its release"),
    ],
)
def test_protection_is_removed_where_the_engine_heeds_it(
    engine: str, release: str, annotation: str, lost: str | None
) -> None:
    values = {ARGO_CD: "Prune=false", FLUX: "disabled", HELM: "keep"}
    before = annotated("Namespace", **values)
    after = annotated("Namespace", **{k: v for k, v in values.items() if k != annotation})
    found = flags(under(engine, before, release=release), under(engine, after, release=release))
    why = f"Nothing keeps it any more when {lost} is removed or renamed."
    assert [(one.name, one.why) for one in found] == ([("protection-removed", why)] * bool(lost))


@pytest.mark.parametrize(("annotations", "count"), [({}, 1), ({FLUX: "disabled"}, 0)])
def test_what_is_kept_may_move_to_another_unit(annotations: dict[str, str], count: int) -> None:
    item = annotated("Namespace", **annotations)
    found = flags(under("flux", item), under("flux", item, unit="other"))
    assert [one.name for one in found] == ["moved"] * count


def test_what_is_stored_is_deleted_where_the_policy_for_claims_says_so() -> None:
    for before, deleted in ((STATEFUL, False), (EMPTIED, True)):
        removed, uninstalled = flags(under("flux", before, release="a"), under("flux"))
        assert ("its volumes with what is stored" in removed.why) is deleted
        assert ("what its volumes hold" in uninstalled.why) is deleted
        assert uninstalled.fix.endswith("claims stay.") is not deleted
    claim = manifest("PersistentVolumeClaim", spec={})
    (uninstalled,) = (
        one
        for one in flags(under("flux", claim, release="a"), under("flux"))
        if one.name == "release-removed"
    )
    assert "what its volumes hold" in uninstalled.why


@pytest.mark.parametrize(
    ("before", "path", "value", "names"),
    [
        (KUSTOMIZATION, "spec/prune", True, ["pruning"]),
        (KUSTOMIZATION, "spec/force", True, ["forcing"]),
        (KUSTOMIZATION, "spec/force", False, []),
        (PRUNING, "spec/path", "other", []),
        (manifest("Other"), "spec/force", True, []),
    ],
)
def test_switches_that_delete(before: Json, path: str, value: Any, names: list[str]) -> None:
    after = copy.deepcopy(before)
    put(path, value)(after)
    assert [one.name for one in flags(cluster(before), cluster(after))] == names
    assert flags(cluster(after), cluster(before)) == []


def test_a_unit_that_is_gone_deletes_all_but_what_is_kept() -> None:
    kept = annotated("ConfigMap", **{FLUX: "disabled"})
    before = cluster(PRUNING, kept, manifest("Secret"), unit="u")
    (flag,) = (one for one in flags(before, cluster(unit="other")) if one.name == "pruning")
    # The Kustomization itself and the Secret.
    assert flag.why.endswith(": 2 objects.")


def test_a_release_in_another_namespace_and_one_by_another_name() -> None:
    def release(name: str, namespace: str = "n", chart: str = "c") -> Cluster:
        own = Release(name, namespace, chart, "1", "r", {}, ("HelmRelease", name))
        return cluster(releases=(own,))

    def names(before: Cluster, after: Cluster) -> list[str]:
        return [one.name for one in flags(before, after)]

    assert names(release("a"), release("a", "other")) == ["release-renamed"]
    assert names(release("a"), release("b")) == ["release-renamed"]
    assert names(release("a"), release("b", chart="other")) == ["release-removed"]
    assert names(release("a"), release("a")) == []
    own = cluster(manifest("ConfigMap"), releases=release("a").sync.releases)
    brought = dataclasses.replace(own, items=(Item(manifest("ConfigMap"), "a"), *own.items))
    (flag,) = flags(brought, dataclasses.replace(release("b"), items=own.items))
    assert "(1 object)" in flag.why
