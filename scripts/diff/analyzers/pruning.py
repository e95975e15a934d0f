"""What git has no more and the cluster keeps: pruning that is off, and deletion that leaves it.

As the engines decide it: kustomize-controller (finalizerShouldDeleteResources in
internal/controller/kustomization_controller.go), helm-controller (reconcileDelete in
internal/controller/helmrelease_controller.go), and Argo CD (CascadedDeletion in
pkg/apis/application/v1alpha1/types.go, docs/user-guide/sync-options.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from scripts.core.yamlfile import Json, get
from scripts.diff.analyzers import suspension
from scripts.diff.analyzers.wording import listed
from scripts.diff.model import Analysis, Sentence
from scripts.diff.objects import ClusterPair, Manifest, ObjectKey
from scripts.model import api_groups, bootstrap, charts
from scripts.model.manifests import CRD, group
from scripts.model.rendered import Cluster

TOPIC = "Not deleted"
# What kustomize-controller passes over when it prunes, and when a Kustomization is deleted.
KEPT = (
    (api_groups.PRUNE, "disabled"),
    (f"{api_groups.KUSTOMIZE}/reconcile", "disabled"),
    (f"{api_groups.KUSTOMIZE}/ssa", "Ignore"),
)
# What an Application with the sync option Delete=false does.
NO_DELETION = "does not delete"
# With this finalizer, or one of its forms, what an Application applied is deleted with it.
CASCADE = f"resources-finalizer.argocd.{api_groups.ARGO_CD}"


class Owner(NamedTuple):
    """The Kustomization, HelmRelease or Application that applies objects.

    Attributes:
        manifest: As git has it.
        unit: The unit that applies it; empty for one of `flux bootstrap`.
    """

    manifest: Manifest
    unit: str

    def __str__(self) -> str:
        """Return its kind and name."""
        return f"{self.manifest['kind']} {self.manifest['metadata']['name']}"


def analyze(pair: ClusterPair) -> Analysis:
    """Name what is removed from git and stays in the cluster, by the reason for it."""
    added = {key[2:] for key, before, _ in pair.differing if before is None}
    found: dict[str, dict[str, None]] = {}
    declared = {release.name for release in pair.after.sync.releases}
    held = dict(suspension.held(pair.after))
    for key, before, after in pair.differing:
        if before is None or after is not None or key[2:] in added:
            continue
        if (key.unit, key.release) in held:
            continue  # `suspension` counts it among the changes that are in git alone.
        if reason := stays(pair, key, before):
            whole = key.release and key.unit not in declared and remains(pair, key.unit)
            name = f"all of release {key.unit}" if whole else str(key)
            found.setdefault(reason, {})[name] = None
    for reason, names in found.items():
        yield Sentence(TOPIC, f"{listed(names)}, as {reason}")


def is_kept(engine: str, manifest: Manifest, *, released: bool, gone: bool) -> bool:
    """Say whether an annotation keeps an object that is not declared any more.

    Args:
        engine: Each heeds its own annotation, and Argo CD Helm's in part.
        manifest: The object.
        released: Whether a release brings it.
        gone: Whether all of its release or unit is not declared any more either.
    """
    annotations = manifest["metadata"].get("annotations") or {}
    keep = annotations.get(api_groups.RESOURCE_POLICY) == "keep"
    if engine == "flux":
        own = any(suspension.marked(manifest, *one) for one in KEPT)
        return keep if released else own
    options = _options(manifest)
    if not gone:
        return "Prune=false" in options
    # With an Application go all but these (v3.5.7, controller/appcontroller.go, shouldBeDeleted);
    # pruning does not ask for Helm's annotation.
    return "Delete=false" in options or keep or manifest["kind"] == CRD


def helm_leaves(cluster: Cluster, release: str, manifest: Manifest) -> bool:
    """Say whether Helm deletes an object neither in an upgrade nor with the release."""
    if cluster.sync.engine != "flux" or manifest["kind"] != CRD:
        return False
    own = (one for one in cluster.sync.releases if one.name == release)
    return any(manifest["metadata"]["name"] in charts.crds(one) for one in own)


def stays(pair: ClusterPair, key: ObjectKey, before: Manifest) -> str:
    """Say why an object that git has no more stays in the cluster; empty where it is deleted.

    Args:
        pair: Its cluster.
        key: The object's.
        before: The object as it was declared.
    """
    engine = pair.before.sync.engine
    gone = key.unit not in _names(pair.after, released=key.release)
    if is_kept(engine, before, released=key.release, gone=gone):
        argo_cd_alone = gone and engine == "argocd" and before["kind"] == CRD
        return "Argo CD deletes no CRD with it" if argo_cd_alone else "its annotation says"
    if not pair.after.sync.units:
        return ""  # Nothing syncs the cluster any more.
    if held := dict(suspension.held(pair.after)).get((key.unit, key.release)):
        return held
    if key.release and helm_leaves(pair.before, key.unit, before):
        return "Helm deletes no CRD of a chart's folder crds"
    if gone:
        reason = remains(pair, key.unit) if key.release else unit_remains(pair, key.unit)
        # What the object says overrides what its Application does.
        overridden = reason.endswith(NO_DELETION) and "Delete=true" in _options(before)
        return "" if overridden else reason
    if engine == "flux" and key.release:
        return ""
    owner = _owner(pair.after, key.unit, released=key.release)
    return _unpruned(owner, before) if owner else ""


def remains(pair: ClusterPair, release: str) -> str:
    """Say why a release that git has no more is not uninstalled; empty where it is."""
    return _left_behind(pair, _owner(pair.before, release, released=True))


def unit_remains(pair: ClusterPair, unit: str) -> str:
    """Say why what a unit applied stays when git has no such unit; empty where it is deleted."""
    return _left_behind(pair, _owner(pair.before, unit, released=False))


def deletes(cluster: Cluster, unit: str) -> bool:
    """Say whether a Kustomization or an Application takes along what it applied."""
    owner = _owner(cluster, unit, released=False)
    return owner is not None and not _spares(owner)


def _left_behind(pair: ClusterPair, owner: Owner | None) -> str:
    """Say why what an owner applied stays, when git has no such owner any more."""
    if owner is None:
        return ""
    kind, metadata = str(owner.manifest["kind"]), owner.manifest["metadata"]
    name = str(metadata["name"])
    if owner.unit and owner.unit != name:
        place = str(metadata.get("namespace") or "")
        key = ObjectKey(owner.unit, False, group(dict(owner.manifest)), kind, place, name)
        if reason := stays(pair, key, owner.manifest):
            return reason if reason.startswith(kind) else f"{owner} stays: {reason}"
    return _spares(owner)


def _spares(owner: Owner) -> str:
    """Say why what an owner applied stays when it is deleted itself; empty where it goes, too."""
    spec = owner.manifest.get("spec") or {}
    kind = owner.manifest["kind"]
    if kind == "Application":
        finalizers = owner.manifest["metadata"].get("finalizers") or ()
        cascades = any(str(one).startswith(CASCADE) for one in finalizers)
        if not cascades:
            return f"{owner} has no finalizer that deletes what it applied"
        options = get(dict(spec), "syncPolicy", "syncOptions") or ()
        return f"{owner} {NO_DELETION}" if "Delete=false" in options else ""
    if spec.get("suspend") is True:
        return f"{owner} is suspended while it is deleted"
    policy = spec.get("deletionPolicy") or "MirrorPrune"
    if kind == "Kustomization" and policy == "Orphan":
        return f"{owner} has deletionPolicy Orphan"
    if kind == "Kustomization" and policy == "MirrorPrune" and spec.get("prune") is not True:
        return f"{owner} does not prune"
    return ""


def _unpruned(owner: Owner, manifest: Manifest) -> str:
    """Say why an owner that is still declared does not delete what git has no more."""
    item = dict(owner.manifest)
    if item["kind"] == "Kustomization":
        return "" if get(item, "spec", "prune") is True else f"{owner} does not prune"
    if get(item, "spec", "syncPolicy", "automated", "prune") is not True:
        return f"{owner} does not prune by itself"
    # What the object says overrides what its Application does.
    own = [one for one in _options(manifest) if one.startswith("Prune=")]
    options = own or get(item, "spec", "syncPolicy", "syncOptions") or ()
    if "Prune=confirm" in options:
        return f"{owner} asks somebody to confirm it"
    return f"{owner} does not prune" if "Prune=false" in options else ""


def _options(manifest: Manifest) -> set[str]:
    text = str((manifest["metadata"].get("annotations") or {}).get(api_groups.SYNC_OPTIONS, ""))
    return {option.strip() for option in text.split(",")}


def _names(cluster: Cluster, *, released: bool) -> set[str]:
    declared = cluster.sync.releases if released else cluster.sync.units
    return {one.name for one in declared}


def _owner(cluster: Cluster, name: str, *, released: bool) -> Owner | None:
    """Return what applies a unit, or what declares a release."""
    sync = cluster.sync
    if released:
        wanted = next((r.owner for r in sync.releases if r.name == name), None)
    else:
        wanted = ("Kustomization" if sync.engine == "flux" else "Application", name)
    for unit, item in _applied(cluster):
        if (item["kind"], item["metadata"]["name"]) == wanted and group(item) != "":
            return Owner(item, unit)
    return None


def _applied(cluster: Cluster) -> Iterator[tuple[str, dict[str, Json]]]:
    for unit in cluster.sync.units:
        yield from ((unit.name, item) for item in unit.objects)
    if cluster.sync.engine == "flux":
        root = cluster.repository.root
        yield from (("", item) for _, item in bootstrap.objects(root, cluster.sync.cluster))
