"""Whether the stack's pods fit beside what runs: CPU, memory, pods, and a node for each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from scripts.core.findings import counted
from scripts.core.quantities import mebibytes, millicores, quantity
from scripts.core.yamlfile import Json
from scripts.live.preflight.check_result import CheckResult, missing, ok, warning
from scripts.live.preflight.cluster_state import ClusterState
from scripts.model import placement
from scripts.model.budget import effective
from scripts.model.manifests import identity
from scripts.model.rendered import Pod
from scripts.model.requirements import Requirements

# By resource: cores, bytes, pods.
Amount = dict[str, float]
RESOURCES = ("cpu", "memory", "pods")
FIXES: Mapping[str, str] = {
    "cpu": "lower CPU requests of what runs (`kubectl describe nodes` lists them), or add a node",
    "memory": "lower memory requests of what runs (`kubectl describe nodes`), or add a node",
    "pods": "raise the node pool's maximum of pods per node, or add a node",
}
# An update starts the new pod before the old one ends.
SPARE = 0.1
# Sums of fractions of a core are not exact.
EXACT = 1e-9
# https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/#taints-and-tolerations
_ALWAYS_TOLERATED = "node.kubernetes.io/"


@dataclass
class NodeCapacity:
    """A node, and what is left of it.

    Attributes:
        name: Its name.
        labels: Its labels.
        taints: Its taints that keep pods away.
        allocatable: What pods may take.
        free: What they have not taken.
    """

    name: str
    labels: Mapping[str, str]
    taints: list[Mapping[str, str]]
    allocatable: Amount
    free: Amount

    def accepts(self, pod: Pod) -> bool:
        """Say whether its labels and taints let a pod in."""
        selector = pod.spec.get("nodeSelector") or {}
        tolerations = list(pod.spec.get("tolerations") or [])
        if pod.replicas is None:
            tolerations += [
                {"key": taint["key"], "operator": "Exists"}
                for taint in self.taints
                if taint["key"].startswith(_ALWAYS_TOLERATED)
            ]
        chosen = all(self.labels.get(key) == value for key, value in selector.items())
        return chosen and all(
            any(_tolerates(t, taint) for t in tolerations) for taint in self.taints
        )

    def has_room(self, amount: Amount) -> bool:
        """Say whether this much is free."""
        return all(self.free[key] + EXACT >= amount[key] for key in RESOURCES)

    def take(self, amount: Amount) -> None:
        """Take this much of what is free."""
        for key in RESOURCES:
            self.free[key] -= amount[key]


@dataclass(frozen=True)
class ResourceDemand:
    """What the stack asks of a cluster's nodes.

    Attributes:
        nodes: Every node, before the stack.
        schedulable: Those of them that take the stack's ordinary pods.
        daemon_sets: What the DaemonSets take of each node, by its name.
        pods: Each other pod, the largest in memory first.
    """

    nodes: list[NodeCapacity]
    schedulable: list[NodeCapacity]
    daemon_sets: Mapping[str, Amount]
    pods: list[Pod]


def requests(spec: Mapping[str, Json]) -> Amount:
    """Return what a pod of this PodSpec takes, as the scheduler counts it.

    Raises:
        ValueError: If a request is written in a way that is not known here.
    """
    overhead = spec.get("overhead") or {}
    # https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/#pod-level-resource-specification
    of_pod = (spec.get("resources") or {}).get("requests") or {}
    taken = {
        key: quantity(of_pod[key]) if key in of_pod else effective(spec, key, "requests")
        for key in ("cpu", "memory")
    }
    return {key: value + quantity(overhead.get(key, 0)) for key, value in taken.items()} | {
        "pods": 1.0
    }


def resource_demand(required: Requirements, cluster: ClusterState) -> ResourceDemand:
    """Return what is free without the stack, and what it takes."""
    nodes = _nodes(cluster.lists["nodes"], _others(required, cluster.lists["pods"]))
    daemon_sets = {
        node.name: _sum(
            requests(pod.spec)
            for pod in required.pods
            if pod.replicas is None and node.accepts(pod)
        )
        for node in nodes
    }
    pods = [pod for pod in required.pods for _ in range(pod.replicas or 0)]
    pods.sort(key=lambda pod: -requests(pod.spec)["memory"])
    schedulable = [node for node in nodes if all(map(node.accepts, pods))]
    return ResourceDemand(nodes, schedulable, daemon_sets, pods)


def fits(resource: str, required: Requirements, cluster: ClusterState) -> CheckResult:
    """Compare what is free of one resource, in total and for DaemonSets, with what is needed."""
    demand = resource_demand(required, cluster)
    if not demand.schedulable:
        return missing(*_not_schedulable(demand))
    needed = sum(demand.daemon_sets[node.name][resource] for node in demand.schedulable)
    needed += sum(requests(pod.spec)[resource] for pod in demand.pods)
    free = sum(node.free[resource] for node in demand.schedulable)
    whole = sum(node.allocatable[resource] for node in demand.schedulable)
    text = f"{shown(resource, needed)} needed, {shown(resource, free)} free"
    text = f"{text} on {counted(len(demand.schedulable), 'node')}"
    if needed > free + EXACT:
        return missing(f"{text} of {shown(resource, whole)}", FIXES[resource])
    for node in demand.nodes:
        own = demand.daemon_sets[node.name][resource]
        if own > node.free[resource] + EXACT:
            left = shown(resource, node.free[resource])
            text = f"DaemonSets need {shown(resource, own)} of each node, {node.name} has {left}"
            return missing(text, FIXES[resource])
    if free - needed < SPARE * whole:
        text = f"{text}, which leaves {shown(resource, free - needed)} of {shown(resource, whole)}"
        return warning(text, f"keep a tenth free for updates: {FIXES[resource]}")
    return ok(text)


def placed(required: Requirements, cluster: ClusterState) -> CheckResult:
    """Give each pod a node, the largest first: room in total may be in pieces too small."""
    demand = resource_demand(required, cluster)
    if not demand.schedulable:
        return missing(*_not_schedulable(demand))
    for node in demand.nodes:
        node.take(demand.daemon_sets[node.name])
    largest = demand.pods[0]
    roomy = sum(node.has_room(requests(largest.spec)) for node in demand.schedulable)
    for pod in demand.pods:
        amount = requests(pod.spec)
        able = [node for node in demand.schedulable if node.has_room(amount)]
        if not able:
            fix = "free that much on one node, or add a node"
            return missing(f"no node has room for {_with_requests(pod)}", fix)
        max(able, key=lambda node: node.free["memory"]).take(amount)
    nodes = counted(len(demand.schedulable), "node")
    text = f"the largest pod, {_with_requests(largest)}, fits on {roomy} of {nodes}"
    if roomy < 2 <= len(demand.schedulable):
        return warning(text, "free as much on another node, or it waits while this one is gone")
    return ok(text)


def apart(required: Requirements, cluster: ClusterState) -> CheckResult:
    """Compare pods that are never on one node with the nodes that take them."""
    nodes = resource_demand(required, cluster).schedulable
    largest = max(placement.apart(required.pods), key=lambda one: one.size)
    name = largest.pod.owner.name
    text = (
        f"{name}: {largest.size} pods, no two on one node; {counted(len(nodes), 'node')} for them"
    )
    if largest.size > len(nodes):
        return missing(text, f"add nodes, or run {len(nodes)} of it at most")
    return ok(text)


def needs_apart(required: Requirements) -> bool:
    """Say whether there are pods that are never on one node, and more than one of them."""
    return any(one.size > 1 for one in placement.apart(required.pods))


def of_others(required: Requirements, cluster: ClusterState, namespace: str) -> list[str]:
    """Return the names of a namespace's pods that are not the stack's."""
    names = (item["metadata"] for item in _others(required, cluster.lists["pods"]))
    return sorted(str(one["name"]) for one in names if one["namespace"] == namespace)


def shown(resource: str, value: float) -> str:
    """Return an amount as people read it: 475m, 1608Mi, 12; nothing is less than nothing left."""
    value = max(value, 0.0)
    if resource == "cpu":
        return millicores(value)
    return mebibytes(value) if resource == "memory" else f"{value:.0f}"


def _nodes(items: Iterable[Json], pods: Iterable[Json]) -> list[NodeCapacity]:
    nodes = {}
    for item in items:
        allocatable = {key: quantity(item["status"]["allocatable"][key]) for key in RESOURCES}
        taints = [
            taint
            for taint in item["spec"].get("taints") or []
            if taint["effect"] in {"NoSchedule", "NoExecute"}
        ]
        name, labels = item["metadata"]["name"], item["metadata"].get("labels") or {}
        nodes[name] = NodeCapacity(name, labels, taints, allocatable, dict(allocatable))
    for pod in pods:
        if node := nodes.get(pod["spec"].get("nodeName", "")):
            try:
                node.take(requests(pod["spec"]))
            except ValueError as error:
                raise ValueError(f"{identity({'kind': 'Pod', **pod})}: {error}") from error
    return list(nodes.values())


def _others(required: Requirements, pods: Iterable[Json]) -> Iterable[Json]:
    """Yield the pods that hold resources and are not the stack's own, of an earlier install."""
    for pod in pods:
        ended = pod["status"].get("phase") in {"Succeeded", "Failed"}
        if not ended and not any(_is_of(pod, own) for own in required.pods):
            yield pod


def _is_of(item: Json, pod: Pod) -> bool:
    """Say whether a pod in the cluster is one of a workload's."""
    selector = (pod.owner.spec.get("selector") or {}).get("matchLabels") or pod.labels
    labels = item["metadata"].get("labels") or {}
    same = item["metadata"]["namespace"] == pod.owner.namespace
    return same and bool(selector) and selector.items() <= labels.items()


def _tolerates(toleration: Mapping[str, str], taint: Mapping[str, str]) -> bool:
    """https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/."""
    if toleration.get("effect") not in {None, "", taint["effect"]}:
        return False
    if toleration.get("operator") == "Exists":
        return toleration.get("key") in {None, "", taint["key"]}
    same = toleration.get("key") == taint["key"]
    return same and (toleration.get("value") or "") == (taint.get("value") or "")


def _sum(amounts: Iterable[Amount]) -> Amount:
    total = dict.fromkeys(RESOURCES, 0.0)
    for amount in amounts:
        total = {key: total[key] + amount[key] for key in RESOURCES}
    return total


def _not_schedulable(demand: ResourceDemand) -> tuple[str, str]:
    text = f"none of {counted(len(demand.nodes), 'node')} takes ordinary pods"
    return text, "add a node, or remove taints and uncordon: `kubectl describe nodes`"


def _with_requests(pod: Pod) -> str:
    amount = requests(pod.spec)
    return f"{pod.owner.name} ({shown('cpu', amount['cpu'])}, {shown('memory', amount['memory'])})"
