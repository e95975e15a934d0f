"""What is deleted, or would be made anew beside what it was."""

from __future__ import annotations

from collections.abc import Mapping

from scripts.checks.settings import get
from scripts.diff.model import Flag
from scripts.diff.objects import Key, Manifest, Pair
from scripts.diff.readers.words import Said
from scripts.findings import counted
from scripts.rendered import Cluster
from scripts.yamlfile import Json

# Kinds whose removal takes more along than itself.
WHY: Mapping[str, str] = {
    "Alertmanager": "The operator deletes Alertmanager with it: nobody is told of anything.",
    "CustomResourceDefinition": "Every object of its kind in the cluster is deleted with it.",
    "Namespace": "Everything in it is deleted with it, volumes included.",
    "NetworkPolicy": "Who may reach its pods changes: anybody, where no other policy chooses them.",
    "PersistentVolumeClaim": "Its volume is deleted with it, and what is stored there.",
    "Prometheus": "The operator deletes Prometheus with it; its volume stays, unused.",
    "StatefulSet": "Its pods are deleted; its volumes stay, unused and paid for.",
}
# An object with one of these stays when what declares it is gone.
KEPT: Mapping[str, str] = {
    "argocd.argoproj.io/sync-options": "Prune=false",
    "helm.sh/resource-policy": "keep",
    "kustomize.toolkit.fluxcd.io/prune": "disabled",
}
PRUNE = ("spec", "prune"), ("spec", "syncPolicy", "automated", "prune")


def read(pair: Pair) -> Said:
    """Find objects, releases and units that are removed, renamed or moved."""
    added = {key[2:]: key for key, before, _ in pair.differing if before is None}
    releases = {release.name for release in pair.after.entry.releases}
    for key, before, after in pair.differing:
        if before is None:
            continue
        if after is not None:
            yield from _protection(key, before, after)
            yield from _pruned(key, before, after)
        elif (other := added.get(key[2:])) is not None:
            if key.release and key.unit not in releases:
                continue  # That the release is gone is said of itself.
            why = f"{key.unit} prunes what {other.unit} applies, perhaps after it was made."
            fix = f"First keep {key.unit} from pruning it, then move it in a second change."
            yield Flag("moved", str(key), why, fix)
        elif key.kind in WHY:
            if _kept(before):
                why, fix = "It stays, and nothing looks after it any more.", "Delete it by hand."
            else:
                why, fix = WHY[key.kind], "Keep it, or be sure that nobody needs it."
            yield Flag("object-removed", str(key), why, fix)
    yield from _releases(pair.before, pair.after)
    yield from _units(pair.before, pair.after)


def _kept(manifest: Manifest) -> bool:
    annotations = manifest["metadata"].get("annotations") or {}
    return any(value in str(annotations.get(key, "")).split(",") for key, value in KEPT.items())


def _protection(key: Key, before: Manifest, after: Manifest) -> Said:
    if _kept(before) and not _kept(after):
        why = "Nothing keeps it any more when its release or unit is removed or renamed."
        yield Flag("protection-removed", str(key), why, "Keep the annotations that say so.")


def _pruned(key: Key, before: Manifest, after: Manifest) -> Said:
    for keys in PRUNE:
        if get(after, *keys) is True and not get(before, *keys):
            why = "What it does not declare any more is deleted at the next sync."
            yield Flag("pruning", str(key), why, "Look what it left behind: that goes, too.")


def _releases(before: Cluster, after: Cluster) -> Said:
    old, new = ({r.name: r for r in c.entry.releases} for c in (before, after))
    if not new:
        return  # The cluster is gone, as its units say.
    for name, release in old.items():
        count = counted(sum(item.release == name for item in before.items), "object")
        twin = next(
            (r.name for r in new.values() if r.name not in old and r.chart == release.chart), None
        )
        if name in new and new[name].namespace != release.namespace:
            why = f"It is uninstalled from {release.namespace}, {count}, and installed anew."
            fix = "Leave its namespace, or move what its volumes hold first."
            yield Flag("release-renamed", f"release {name}", why, fix)
        elif name not in new and twin:
            why = f"{name} is uninstalled ({count}), and {twin} installed: its volumes start empty."
            fix = f"Set releaseName: {name}, or move what its volumes hold first."
            yield Flag("release-renamed", f"release {name}", why, fix)
        elif name not in new:
            why = f"The engine uninstalls it: {count} are deleted."
            fix = "Be sure that nothing reads what it stored; its volumes stay."
            yield Flag("release-removed", f"release {name}", why, fix)


def _units(before: Cluster, after: Cluster) -> Said:
    kept = {unit.name for unit in after.entry.units}
    for unit in before.entry.units:
        if unit.name not in kept and _prunes(before, unit.name):
            count = counted(len(unit.objects), "object")
            why = f"The engine deletes what it applied: {count}."
            fix = "Turn pruning off first if they are to stay."
            yield Flag("pruning", f"unit {unit.name}", why, fix)


def _prunes(cluster: Cluster, name: str) -> Json:
    own = (o for o in cluster.entry.units[0].objects if o["metadata"]["name"] == name)
    return any(get(item, *keys) is True for item in own for keys in PRUNE)
