"""Pods have pinned images, resources, and comply with their namespace's Pod Security Standard."""

from __future__ import annotations

from collections.abc import Iterator

from scripts.checks.static import unique_names
from scripts.core.findings import Finding, counted
from scripts.model import budget
from scripts.model.images import IMAGE_NAME
from scripts.model.manifests import OPTIONAL_NAMESPACES
from scripts.model.placement import apart
from scripts.model.pod_security import violations
from scripts.model.rendered import Cluster, declared

RESTRICTED = frozenset({"monitoring"}) | OPTIONAL_NAMESPACES
# Paths of their node that pods of monitoring-node may mount.
HOST_PATHS = {
    "/": "node-exporter: file systems",
    "/proc": "node-exporter",
    "/sys": "node-exporter",
    "/var/lib/alloy": "Alloy: positions in the log files",
    "/var/log": "Alloy: the pods' logs",
}


def images_pinned(cluster: Cluster) -> Iterator[Finding]:
    """Every image is pinned by a tag other than `latest`, or by its digest."""
    for pod in cluster.pods:
        for container in pod.containers:
            image = str(container.get("image") or "")
            match = IMAGE_NAME.fullmatch(image)
            if not match or (match["tag"] in {None, "latest"} and not match["digest"]):
                text = f"container {container['name']}: the image {image!r} is not pinned"
                yield cluster.finding(pod.owner, text, "set its tag in the values")


def resources_set(cluster: Cluster) -> Iterator[Finding]:
    """Every container requests CPU and memory and has a limit of memory."""
    for pod in cluster.pods:
        for container in pod.containers:
            has = container.get("resources") or {}
            missing = [
                f"{bound[:-1]} of {resource}"
                for bound, resource in (
                    ("requests", "cpu"),
                    ("requests", "memory"),
                    ("limits", "memory"),
                )
                if resource not in (has.get(bound) or {})
            ]
            if missing:
                text = f"container {container['name']} has no {' and no '.join(missing)}"
                yield cluster.finding(pod.owner, text, "set the resources in the values")


def list_names_unique(cluster: Cluster) -> Iterator[Finding]:
    """No two volumes, mounts or variables of a pod have one name: the API server merges by it."""
    for pod in cluster.pods:
        for keys, name in unique_names.repeated(dict(pod.spec)):
            if "ports" not in keys:
                text = f"{'.'.join(keys[:-1])} has {name} a second time"
                fix = "remove it from the values, where the chart has its own"
                yield cluster.finding(pod.owner, text, fix)


def keeps_to_restricted(cluster: Cluster) -> Iterator[Finding]:
    """Pods of a restricted namespace comply with the profile, or are not admitted."""
    for pod in cluster.pods:
        if pod.owner.namespace in RESTRICTED and (found := list(violations(pod.spec))):
            text = f"not `restricted`, so no pod is admitted: {'; '.join(found)}"
            fix = "set the security context in the values; what needs its node goes elsewhere: "
            fix += "namespaceOverride: monitoring-node"
            yield cluster.finding(pod.owner, text, fix)


def enough_nodes(cluster: Cluster) -> Iterator[Finding]:
    """Pods that are never on one node are not more than the nodes of the environment."""
    nodes = int(budget.limits(cluster).get("nodes", 0))
    for pod, size in apart(cluster.pods) if nodes else ():
        if size > nodes:
            place = f"overlays/{budget.environment(cluster)}/{budget.FILE}"
            text = f"{size} pods, each on a node of its own, and {place} has "
            text += f"{counted(nodes, 'node')}: {size - nodes} stay Pending"
            fix = f"run {nodes} at most, or correct `nodes` in {place}"
            at = (("replicas",), pod.replicas)
            yield cluster.finding(declared(cluster, pod.owner), text, fix, at)


def host_paths_allowed(cluster: Cluster) -> Iterator[Finding]:
    """Pods mount no paths of their node but HOST_PATHS."""
    for pod in cluster.pods:
        for volume in pod.spec.get("volumes") or []:
            path = (volume.get("hostPath") or {}).get("path")
            if path and path not in HOST_PATHS:
                text = f"mounts {path} of its node"
                yield cluster.finding(pod.owner, text, "do without, or add it to HOST_PATHS")
