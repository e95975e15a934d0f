"""Volumes that get lost, smaller, or do not follow what is declared."""

from __future__ import annotations

from collections.abc import Mapping

from scripts.budget import quantity
from scripts.checks.settings import get
from scripts.diff.model import Flag
from scripts.diff.objects import Pair
from scripts.diff.readers.words import Said, moved
from scripts.rendered import Cluster
from scripts.yamlfile import Json

# Each claim by whose it is and its name; of a StatefulSet, as a template.
Claims = dict[tuple[str, str], Mapping[str, Json]]


def read(pair: Pair) -> Said:
    """Compare the claims of workloads that are at both revisions, the operator's included."""
    before, after = _claims(pair.before), _claims(pair.after)
    owners = {str(item) for item in pair.after.all}
    # The API server refuses any change of these; `immutable` says so.
    applied = {str(item) for item in pair.after.items}
    for (owner, name), old in before.items():
        if owner not in owners:
            continue  # Its removal is said of itself.
        where = f"{owner}, {name}"
        new = after.get((owner, name))
        if new is None:
            why = "What it stores is out of reach from the sync on; the claim stays, and costs."
            fix = "Keep the volume, or export what it holds and delete the claim by hand."
            yield Flag("volume-removed", where, why, fix)
            continue
        sizes = [claim["resources"]["requests"]["storage"] for claim in (old, new)]
        if quantity(sizes[1]) < quantity(sizes[0]):
            why = f"{moved('Size', *sizes)}: a volume cannot shrink; it stays, or is refused."
            fix = "Keep the size, or make a new volume and move what the old one holds."
            yield Flag("volume-shrunk", where, why, fix)
        elif sizes[0] != sizes[1] and owner not in applied:
            why = f"{moved('Size', *sizes)}: the claims that there are keep their size."
            fix = "Set spec.resources.requests.storage of each claim by hand, too."
            yield Flag("volume-grown", where, why, fix)
        classes = [claim.get("storageClassName") for claim in (old, new)]
        if classes[0] != classes[1] and owner not in applied:
            why = f"{moved('Storage class', *classes)}: the claims that there are keep theirs."
            fix = "Keep the class, or make a new volume and move what the old one holds."
            yield Flag("volume-class", where, why, fix)


def _claims(cluster: Cluster) -> Claims:
    found: Claims = {}
    for item in cluster.all:
        for template in item.spec.get("volumeClaimTemplates") or ():
            name = get(template, "metadata", "name")
            found[str(item), f"volume {name}" if name else "its volume"] = template["spec"]
    for item in cluster.of("PersistentVolumeClaim"):
        found[str(item), "its volume"] = item.spec
    return found
