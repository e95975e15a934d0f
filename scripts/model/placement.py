"""Pods that keep away from each other: how many nodes a cluster must have for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from scripts.core.yamlfile import Json
from scripts.model.rendered import Pod
from scripts.model.scraping import matches

HOSTNAME = "kubernetes.io/hostname"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


class Apart(NamedTuple):
    """Pods of which no two are on one node.

    Attributes:
        pod: The first workload of them.
        size: How many pods there are.
    """

    pod: Pod
    size: int


def apart(pods: Iterable[Pod]) -> Iterator[Apart]:
    """Yield pods that need a node each, the pods of several workloads together.

    Args:
        pods: Of a cluster; those of DaemonSets are left out.
    """
    counted = [pod for pod in pods if pod.replicas]
    seen: list[Pod] = []
    for pod in counted:
        group = [
            other
            for other in counted
            if other.owner.namespace == pod.owner.namespace
            and any(matches(term, other.labels) for term in _terms(pod))
            and any(matches(term, pod.labels) for term in _terms(other))
        ]
        if pod in group and pod not in seen:
            seen += group
            yield Apart(pod, sum(other.replicas or 0 for other in group))


def _terms(pod: Pod) -> Iterator[Mapping[str, Json]]:
    """Yield the labels of the pods of its namespace that a pod is never on a node with."""
    rules = ((pod.spec.get("affinity") or {}).get("podAntiAffinity") or {}).get(REQUIRED)
    for term in rules or []:
        spaces = term.get("namespaces") or [pod.owner.namespace]
        selector = term.get("labelSelector")
        # Without one, no pod is meant; an empty one means all.
        own = term.get("topologyKey") == HOSTNAME and pod.owner.namespace in spaces
        if own and selector is not None:
            yield selector
