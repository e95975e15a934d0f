"""Nodes, namespaces, workloads and volumes: capacity, requests and use."""

from __future__ import annotations

from dashboards_py import metrics as m
from dashboards_py.promql import Metric, Vector
from dashboards_py.queries.matchers import NAMESPACE, NODE
from dashboards_py.queries.stack import budget
from dashboards_py.queries.workloads import reserved
from dashboards_py.query import CLUSTER, Matcher, not_equal, regex

PRESSURE = "MemoryPressure|DiskPressure|PIDPressure|NetworkUnavailable"
# A ReplicaSet's name ends in a hash of these letters (k8s.io/apimachinery, util/rand), a CronJob's
# Job in the minute that it is scheduled for.
WORKLOAD = "(.+?)(?:-[bcdfghjklmnpqrstvwxz2456789]{6,10}|-[0-9]{8,})?"

_POD = ("namespace", "pod")
_CLAIM = ("namespace", "persistentvolumeclaim")
_FILESYSTEM = ("node", "mountpoint")


# Nodes


def nodes_ready() -> Vector:
    """How many nodes are ready."""
    return _ready_nodes().sum()


def nodes_not_ready() -> Vector:
    """How many nodes are not."""
    return _nodes().sum().minus(nodes_ready())


def nodes_under_pressure() -> Vector:
    """How many nodes report pressure of memory, disk or process ids, or no network."""
    return _conditions(regex(PRESSURE), "true").max("node").sum()


def node_readiness() -> Vector:
    """1 for a node that is ready, 0 for one that is not."""
    return _ready_nodes(NODE)


def node_conditions() -> Vector:
    """1 for a condition that is false, which is well, 0 for one that is true or unknown."""
    return _conditions(regex(PRESSURE), "false", NODE)


def node_capacity(resource: str) -> Vector:
    """Allocatable CPU or memory of a node, in cores or bytes; of `pods`, their number."""
    return m.NODE_ALLOCATABLE(resource=resource, node=NODE).value().max("node")


def node_used_share(resource: str) -> Vector:
    """Share of a node's allocatable CPU or memory that is in use, by the system as well."""
    return _node_used(resource).ratio_to(node_capacity(resource))


def node_requested_share(resource: str) -> Vector:
    """Share of a node's allocatable CPU or memory that pods request."""
    requests = m.NODE_REQUESTS(resource=resource, node=NODE).value().max("node")
    return requests.ratio_to(node_capacity(resource))


def node_pods() -> Vector:
    """Pods that run on a node."""
    return m.RUNNING_PODS(node=NODE).value().max("node")


def node_pods_share() -> Vector:
    """Share of the most pods that a node may run."""
    return node_pods().ratio_to(node_capacity("pods"))


def fullest_node() -> Vector:
    """The largest such share of any node."""
    return node_pods_share().max()


def waiting_for_cpu() -> Vector:
    """Share of the time in which something on a node waited for CPU."""
    return m.WAITING_FOR_CPU(node=NODE).rate().max("node")


def waiting_for_memory() -> Vector:
    """Share of the time in which something on a node waited for memory."""
    return m.WAITING_FOR_MEMORY(node=NODE).rate().max("node")


def waiting_for_disk() -> Vector:
    """Share of the time in which something on a node waited for a disk."""
    return m.WAITING_FOR_DISK(node=NODE).rate().max("node")


def _node_used(resource: str) -> Vector:
    """Cores that are busy, or bytes that are not available."""
    if resource == "cpu":
        return m.NODE_CPU(node=NODE).value().max("node")
    total = m.NODE_MEMORY(node=NODE).value().max("node")
    return total.minus(m.NODE_MEMORY_AVAILABLE(node=NODE).value().max("node"))


def _nodes() -> Vector:
    return m.NODE_INFO().value().max("node")


def _ready_nodes(node: Matcher | None = None) -> Vector:
    return _conditions("Ready", "true", node).max("node")


def _conditions(condition: str | Matcher, status: str, node: Matcher | None = None) -> Vector:
    """1 where a condition of a node has this status, else 0."""
    where = {"node": node} if node else {}
    found = m.NODE_CONDITION(condition=condition, status=status, **where)
    return found.value().max("node", "condition")


# The cluster


def used(resource: str) -> Vector:
    """CPU or memory that all nodes use, in cores or bytes."""
    return _node_used(resource).sum()


def requested(resource: str) -> Vector:
    """CPU or memory that unfinished pods request."""
    return m.NODE_REQUESTS(resource=resource, node=NODE).value().sum()


def limited(resource: str) -> Vector:
    """Sum of the CPU or memory limits of containers that have one."""
    return m.NAMESPACE_LIMITS(resource=resource, node=NODE).value().sum()


def allocatable(resource: str) -> Vector:
    """Allocatable CPU or memory of the nodes."""
    return node_capacity(resource).sum()


def used_share(resource: str) -> Vector:
    """Share of a cluster's allocatable CPU or memory that is in use; of several, the fullest's."""
    in_use = m.CLUSTER_USED[resource]().value().max(CLUSTER)
    return in_use.ratio_to(_cluster_allocatable(resource)).max()


def requested_share(resource: str) -> Vector:
    """Share of a cluster's allocatable CPU or memory that pods request; of several, the fullest's.

    A pod is scheduled in its own cluster, whatever room another one has.
    """
    asked = m.CLUSTER_REQUESTS(resource=resource).value().max(CLUSTER)
    return asked.ratio_to(_cluster_allocatable(resource)).max()


def _cluster_allocatable(resource: str) -> Vector:
    return m.CLUSTER_ALLOCATABLE(resource=resource).value().max(CLUSTER)


def free_tier_share(resource: str) -> Vector:
    """Share of the free tier's CPU or memory that the nodes have; no result without a tier."""
    capacity = m.NODE_CAPACITY(resource=resource).value().max("node").sum(CLUSTER)
    return capacity.ratio_to(budget(f"tier.{resource}")).max()


def free_tier_storage_share() -> Vector:
    """Share of the free tier's block storage that volumes take, boot volumes among them."""
    storage = budget("tier.storage")
    smallest = budget("volumes.smallest").or_zero_for(storage)
    sizes = m.VOLUME_SIZE().value().max("persistentvolume").at_least(smallest)
    boot = _nodes().sum(CLUSTER).times(budget("tier.bootVolume"))
    return sizes.sum(CLUSTER).or_zero_for(storage).plus(boot).ratio_to(storage).max()


# Pods


def pods_in(phase: str) -> Vector:
    """How many pods are in a phase."""
    return _phase(phase).sum()


def pods_unschedulable() -> Vector:
    """How many pods fit on no node."""
    return _unschedulable().count().or_zero_for(_nodes().count())


def pods_without_a_node() -> Vector:
    """1 for each pod that fits on no node."""
    return _unschedulable()


def pods_pending() -> Vector:
    """1 for each pending pod."""
    return _phase("Pending").where("== 1")


def replicas_missing() -> Vector:
    """How many replicas each Deployment wants and has not available."""
    keys = ("namespace", "deployment")
    wanted = m.DEPLOYMENT_WANTED(namespace=NAMESPACE).value().max(*keys)
    available = m.DEPLOYMENT_AVAILABLE(namespace=NAMESPACE).value().max(*keys)
    return wanted.minus(available).where("> 0")


def running_pods(*by: str) -> Vector:
    """How many pods run, for each namespace or workload."""
    return _by(_phase("Running"), by)


def pod_nodes() -> Vector:
    """1 for each pod, with the node that it is on."""
    return m.POD_INFO(namespace=NAMESPACE, node=NODE).value().max("namespace", "pod", "node")


def pod_cpu(*by: str) -> Vector:
    """CPU in use, in cores, as the mean of five minutes."""
    metric = m.NAMESPACE_CPU if by == ("namespace",) else m.POD_CPU
    return _by(metric(namespace=NAMESPACE, node=NODE).value(), by)


def pod_memory(*by: str) -> Vector:
    """Working set, in bytes."""
    metric = m.NAMESPACE_MEMORY if by == ("namespace",) else m.MEMORY_WORKING_SET
    return _by(metric(namespace=NAMESPACE, node=NODE).value(), by)


def pod_requests(resource: str, *by: str) -> Vector:
    """CPU or memory that unfinished pods request."""
    if by == ("namespace",):
        recorded = m.NAMESPACE_REQUESTS(resource=resource, namespace=NAMESPACE, node=NODE)
        return recorded.value().sum(*by)
    return _by(reserved(m.RESOURCE_REQUESTS, resource, NAMESPACE, NODE), by)


def pod_limits(resource: str, *by: str) -> Vector:
    """CPU or memory limits of unfinished pods; a container without one does not count."""
    if by == ("namespace",):
        recorded = m.NAMESPACE_LIMITS(resource=resource, namespace=NAMESPACE, node=NODE)
        return recorded.value().sum(*by)
    return _by(reserved(m.RESOURCE_LIMITS, resource, NAMESPACE, NODE), by)


def restarts() -> Vector:
    """Restarts in each step of the graph, of the containers that restarted."""
    increase = m.CONTAINER_RESTARTS(namespace=NAMESPACE).increase()
    return increase.sum("namespace", "container").where("> 0")


def restarted() -> Vector:
    """How often each container restarted in the whole time range, if at all."""
    restarts_in_range = m.CONTAINER_RESTARTS(namespace=NAMESPACE).increase_in_range()
    return restarts_in_range.max(*_POD, "container").where("> 0")


def oom_kills() -> Vector:
    """Processes that the kernel's OOM killer ended, in each step of the graph."""
    return m.OOM_KILLS(node=NODE).increase().max("node")


def throttling() -> Vector:
    """Share of CFS periods in which containers with a CPU limit were throttled."""
    keys = ("namespace", "container")
    throttled = m.CPU_THROTTLED(namespace=NAMESPACE, node=NODE).rate().sum(*keys)
    periods = m.CPU_PERIODS(namespace=NAMESPACE, node=NODE).rate().sum(*keys)
    return throttled.ratio_to(periods.where("> 0"))


def _phase(phase: str) -> Vector:
    return m.POD_PHASE(phase=phase, namespace=NAMESPACE).value().max(*_POD)


def _unschedulable() -> Vector:
    return m.POD_UNSCHEDULABLE(namespace=NAMESPACE).value().max(*_POD)


def _by(found: Vector, by: tuple[str, ...]) -> Vector:
    """Sum a value of pods or their containers by namespace, workload or pod."""
    if "workload" not in by:
        return found.sum(*by)
    return found.sum(*_POD).with_label_of("workload", _workloads()).sum(*by)


def _workloads() -> Vector:
    """1 for each pod, with its workload: its owner's name without a ReplicaSet's hash."""
    owners = m.POD_INFO(namespace=NAMESPACE).value().max(*_POD, "created_by_name")
    return owners.extract("created_by_name", "workload", WORKLOAD).max(*_POD, "workload")


# Volumes and file systems


def volume_use() -> Vector:
    """Share of a volume that is used."""
    return _used_share(m.VOLUME_CAPACITY, m.VOLUME_AVAILABLE, _CLAIM, {"namespace": NAMESPACE})


def volume_capacity() -> Vector:
    """Size of a volume's file system, in bytes."""
    return m.VOLUME_CAPACITY(namespace=NAMESPACE).value().max(*_CLAIM)


def volume_inodes() -> Vector:
    """Share of a volume's inodes that are used."""
    inodes_used = m.VOLUME_INODES_USED(namespace=NAMESPACE).value().max(*_CLAIM)
    return inodes_used.ratio_to(m.VOLUME_INODES(namespace=NAMESPACE).value().max(*_CLAIM))


def fullest_volume() -> Vector:
    """The used share of the fullest volume."""
    return volume_use().max()


def filesystem_use() -> Vector:
    """Share of a node's own file system that is used."""
    return _used_share(m.FILESYSTEM_SIZE, m.FILESYSTEM_AVAILABLE, _FILESYSTEM, {"node": NODE})


def fullest_filesystem() -> Vector:
    """The used share of the fullest of them."""
    return filesystem_use().max()


def _used_share(
    size: Metric, available: Metric, keys: tuple[str, ...], where: dict[str, Matcher]
) -> Vector:
    """Share that is not available; what is reserved for root counts as used, as in `df`."""
    free = available(**where).value().max(*keys).ratio_to(size(**where).value().max(*keys))
    return free.complement()


# Network


def node_received() -> Vector:
    """Bytes per second that a node receives."""
    return m.NODE_RECEIVED(node=NODE, device=not_equal("lo")).rate().sum("node")


def node_sent() -> Vector:
    """Bytes per second that a node sends."""
    return m.NODE_SENT(node=NODE, device=not_equal("lo")).rate().sum("node")


def node_receive_dropped() -> Vector:
    """Packets per second that a node dropped on receipt."""
    return m.NODE_RECEIVE_DROPPED(node=NODE, device=not_equal("lo")).rate().sum("node")


def node_send_dropped() -> Vector:
    """Packets per second that a node dropped on sending."""
    return m.NODE_SEND_DROPPED(node=NODE, device=not_equal("lo")).rate().sum("node")


def namespace_traffic() -> Vector:
    """Bytes per second that pods of a namespace receive and send, as the mean of five minutes."""
    return m.NAMESPACE_TRAFFIC(namespace=NAMESPACE, node=NODE).value().sum("namespace")
