"""Volumes that get lost, smaller, or do not follow what is declared."""

from __future__ import annotations

from collections.abc import Mapping

from scripts.core.quantities import quantity
from scripts.core.yamlfile import Json, get
from scripts.diff.analyzers.wording import transition
from scripts.diff.model import Analysis, Danger, Flag
from scripts.diff.objects import ClusterPair, Manifest
from scripts.model.rendered import OPERATED, Cluster

# Each claim by whose it is and its name; of a StatefulSet, as a template.
Claims = dict[tuple[str, str], Mapping[str, Json]]
# Of persistentVolumeClaimRetentionPolicy, what `Delete` does.
POLICY: Mapping[str, str] = {
    "whenDeleted": "Whatever deletes it, if only to make it anew, deletes what it stores.",
    "whenScaled": "A pod that is scaled away takes along what it stores.",
}


def analyze(pair: ClusterPair) -> Analysis:
    """Compare the claims of workloads that are at both revisions, the operator's included."""
    before, after = _claims(pair.before), _claims(pair.after)
    owners = {str(item) for item in pair.after.all}
    # The API server refuses any change of these; `immutable` says so.
    applied = {str(item) for item in pair.after.items}
    # The operator deletes what it cannot change (pkg/k8s/statefulset.go, ForceUpdateStatefulSet).
    emptied = {
        f"StatefulSet {item.namespace}/{OPERATED[item.kind][0]}-{item.name}"
        if item.kind in OPERATED
        else str(item)
        for item in pair.before.of("StatefulSet", *OPERATED)
        if deletes_claims(item.manifest)
    }
    for (owner, name), old in before.items():
        if owner not in owners:
            continue  # `removal` has a flag for it.
        where = f"{owner}, {name}"
        new = after.get((owner, name))
        same = new is not None and (owner in applied or canonical(new) == canonical(old))
        if owner in emptied and not same:
            why = "To change it, the StatefulSet is made anew, and what it stores is deleted first."
            fix = "Set whenDeleted: Retain first, in a change of its own."
            yield Flag(Danger.VOLUME_REMOVED, where, why, fix)
            continue
        if new is None:
            why = "What it stores is out of reach from the sync on; the claim stays, and costs."
            fix = "Keep the volume, or export what it holds and delete the claim by hand."
            yield Flag(Danger.VOLUME_REMOVED, where, why, fix)
            continue
        sizes = [claim["resources"]["requests"]["storage"] for claim in (old, new)]
        if quantity(sizes[1]) < quantity(sizes[0]):
            why = f"{transition('Size', *sizes)}: a volume cannot shrink; it stays, or is refused."
            fix = "Keep the size, or make a new volume and move what the old one holds."
            yield Flag(Danger.VOLUME_SHRUNK, where, why, fix)
        elif quantity(sizes[1]) > quantity(sizes[0]) and owner not in applied:
            why = f"{transition('Size', *sizes)}: the claims that there are keep their size."
            fix = "Set spec.resources.requests.storage of each claim by hand, too."
            yield Flag(Danger.VOLUME_GROWN, where, why, fix)
        classes = [claim.get("storageClassName") for claim in (old, new)]
        if classes[0] != classes[1] and owner not in applied:
            why = f"{transition('Storage class', *classes)}: the claims that there are keep theirs."
            fix = "Keep the class, or make a new volume and move what the old one holds."
            yield Flag(Danger.VOLUME_CLASS, where, why, fix)
    yield from _policies(pair)


def canonical(claim: Mapping[str, Json]) -> dict[str, Json]:
    """Return a PersistentVolumeClaimSpec as the API server compares it."""
    resources = {
        bound: {name: quantity(size) for name, size in sizes.items()}
        for bound, sizes in (claim.get("resources") or {}).items()
    }
    return {"volumeMode": "Filesystem", **claim, "resources": resources}


def deletes_claims(manifest: Manifest, when: str = "whenDeleted") -> bool:
    """Say whether the claims of a StatefulSet, the operator's included, go when it goes.

    Args:
        manifest: The StatefulSet, or the operator's resource.
        when: Or, with `whenScaled`, whether those of pods that are scaled away go.
    """
    return bool(get(manifest, "spec", "persistentVolumeClaimRetentionPolicy", when) == "Delete")


def _policies(pair: ClusterPair) -> Analysis:
    for key, before, after in pair.changed:
        for when, why in POLICY.items():
            if deletes_claims(after, when) and not deletes_claims(before, when):
                fix = f"Leave {when}: Retain, and delete by hand the claims that nobody needs."
                yield Flag(Danger.VOLUME_DELETION, str(key), why, fix)


def _claims(cluster: Cluster) -> Claims:
    found: Claims = {}
    for item in cluster.all:
        for template in item.spec.get("volumeClaimTemplates") or ():
            name = get(template, "metadata", "name")
            found[str(item), f"volume {name}" if name else "its volume"] = template["spec"]
    for item in cluster.of("PersistentVolumeClaim"):
        found[str(item), "its volume"] = item.spec
    return found
