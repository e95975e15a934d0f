"""Which pods may not be on one node."""

from __future__ import annotations

from scripts.model.rendered import Pod
from scripts.model.scraping import matches

HOST = "kubernetes.io/hostname"


def kept_apart(pod: Pod) -> bool:
    """Say whether no two pods of a workload may share a node, by an anti-affinity that is required.

    https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#inter-pod-affinity-and-anti-affinity
    """
    affinity = (pod.spec.get("affinity") or {}).get("podAntiAffinity") or {}
    return any(
        term["topologyKey"] == HOST and matches(term.get("labelSelector") or {}, pod.labels)
        for term in affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
    )
