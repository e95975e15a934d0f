"""Workloads that stop, and pods that are replaced."""

from __future__ import annotations

from scripts.diff.model import Flag, Sentence
from scripts.diff.objects import Pair
from scripts.diff.readers.words import Said, moved
from scripts.rendered import OPERATED, WORKLOADS, Cluster

TOPIC = "Restarts"
# Of what the operator makes pods of, the fields that are arguments of theirs, or in their template.
REPLACING = ("image", "resources", "retention", "retentionSize", "securityContext", "volumes")


def stopped(pair: Pair) -> Said:
    """Find workloads that are scaled to nothing, the operator's included."""
    before, after = _replicas(pair.before), _replicas(pair.after)
    for owner, count in after.items():
        if count == 0 and before.get(owner):
            why = f"{moved('Replicas', before[owner], 0)}: it stops, and nothing says so."
            fix = "Remove what is not to run; scale back what is."
            yield Flag("scaled-to-zero", owner, why, fix)


def restarted(pair: Pair) -> Said:
    """Name the workloads whose pods are replaced, if only for a label or a digest."""
    for key, before, after in pair.differing:
        if key.kind not in WORKLOADS or before is None or after is None:
            continue
        if before["spec"]["template"] != after["spec"]["template"]:
            yield Sentence(TOPIC, f"{key}: its pods are replaced")
    for kind in OPERATED:
        old, new = ({str(i): i.spec for i in c.of(kind)} for c in (pair.before, pair.after))
        for name in old.keys() & new.keys():
            if any(old[name].get(key) != new[name].get(key) for key in REPLACING):
                yield Sentence(TOPIC, f"{name}: the operator replaces its pods")


def _replicas(cluster: Cluster) -> dict[str, int]:
    return {str(pod.owner): pod.replicas for pod in cluster.pods if pod.replicas is not None}
