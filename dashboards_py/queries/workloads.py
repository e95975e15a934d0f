"""The application's pods and containers: their state, CPU and memory."""

from __future__ import annotations

from dashboards_py import metrics as m
from dashboards_py.promql import Metric, Vector
from dashboards_py.queries.matchers import NAMESPACE
from dashboards_py.query import CLUSTER, Matcher, regex

ANY = regex(".+")


def _pods_in(phases: str) -> Vector:
    """Pods in one of the phases; kube_pod_status_phase is 0 or 1 for each phase of each pod."""
    phase = m.POD_PHASE(namespace=NAMESPACE, phase=regex(phases))
    return phase.value().max("namespace", "pod").where("== 1")


def _kube_state() -> Vector:
    """How many pods the cluster has; no result while kube-state-metrics is down."""
    return m.POD_INFO().value().count()


def _ready_pods() -> Vector:
    ready = m.POD_READY(namespace=NAMESPACE, condition="true")
    return ready.value().max("namespace", "pod")


def pods_ready() -> Vector:
    """How many pods are ready; 0 where there is no pod."""
    return _ready_pods().sum().or_zero_for(_kube_state())


def pods_not_ready() -> Vector:
    """How many pods should be ready and are not, those that are not scheduled included."""
    waiting = _pods_in("Pending|Running|Failed|Unknown").unless(_ready_pods().where("== 1"))
    return waiting.count().or_zero_for(_kube_state())


def replicas_not_created() -> Vector:
    """How many replicas of Deployments have no pod, refused by a quota or an admission policy."""
    keys = ("namespace", "deployment")
    wanted = m.DEPLOYMENT_WANTED(namespace=NAMESPACE).value().max(*keys)
    created = m.DEPLOYMENT_CREATED(namespace=NAMESPACE).value().max(*keys)
    return wanted.minus(created).clamp_min(0).sum().or_zero_for(_kube_state())


def pod_readiness() -> Vector:
    """1 for a ready pod, 0 for one that is not, scheduled or not; without finished pods."""
    unfinished = _ready_pods().unless(_pods_in("Succeeded"))
    return unfinished.or_zero_for(_pods_in("Pending"))


def containers_ready() -> Vector:
    """1 for a ready container, 0 for one that is not; without those of finished pods."""
    return _unfinished(_by_container(m.CONTAINER_READY(namespace=NAMESPACE).value()))


def restarts_in_range() -> Vector:
    """How often containers restarted in the whole time range."""
    return m.CONTAINER_RESTARTS(namespace=NAMESPACE).increase_in_range().sum()


def container_restarts() -> Vector:
    """How often each container restarted in the whole time range."""
    restarts = m.CONTAINER_RESTARTS(namespace=NAMESPACE).increase_in_range()
    return _unfinished(_by_container(restarts))


def waiting_reasons() -> Vector:
    """Why each waiting container waits, in label `waiting`."""
    return _reason(m.CONTAINER_WAITING, "waiting")


def last_end_reasons() -> Vector:
    """Why each restarted container was last terminated, in label `ended`."""
    return _reason(m.CONTAINER_LAST_END, "ended")


def rollouts(namespace: Matcher = NAMESPACE) -> Vector:
    """Deployments whose specification changed."""
    generation = m.DEPLOYMENT_GENERATION(namespace=namespace)
    return generation.changes().max("namespace", "deployment").where("> 0")


def changes_in_range() -> Vector:
    """How often the specification of each Deployment changed in the whole time range, if at all."""
    generation = m.DEPLOYMENT_GENERATION(namespace=NAMESPACE)
    return generation.changes_in_range().max("namespace", "deployment").where("> 0")


def _unfinished(containers: Vector) -> Vector:
    return containers.unless(_pods_in("Succeeded"))


def _by_container(vector: Vector) -> Vector:
    return vector.max("namespace", "pod", "container")


def _reason(metric: Metric, label: str) -> Vector:
    reason = metric(namespace=NAMESPACE).value().max("namespace", "pod", "container", "reason")
    return reason.where("== 1").rename("reason", label)


def cpu_by_pod() -> Vector:
    """CPU use, in cores, as the mean of five minutes."""
    return m.POD_CPU(namespace=NAMESPACE).value().sum("namespace", "pod")


def memory_in_use() -> Vector:
    """Working set of all containers of the application, in bytes."""
    return container_memory().sum()


def memory_by_pod() -> Vector:
    """Working set of each pod, in bytes."""
    return container_memory().sum("namespace", "pod")


def container_memory() -> Vector:
    """Working set of each container, in bytes."""
    return _by_container(m.MEMORY_WORKING_SET(namespace=NAMESPACE).value())


def container_memory_limit() -> Vector:
    """Memory limit of each container that has one, in bytes."""
    limits = m.RESOURCE_LIMITS(namespace=NAMESPACE, resource="memory").value()
    return _unfinished(_by_container(limits))


def use_of_request(resource: str) -> Vector:
    """Share of its request that each container uses, in the worst pod.

    Args:
        resource: `cpu` or `memory`.
    """
    return _use_of(m.RESOURCE_REQUESTS, resource)


def use_of_limit(resource: str) -> Vector:
    """Share of its limit that each container uses, in the worst pod.

    Args:
        resource: `cpu` or `memory`.
    """
    return _use_of(m.RESOURCE_LIMITS, resource)


def throttled() -> Vector:
    """Share of CFS periods in which a container was throttled, in the worst pod."""
    throttled_periods = (
        m.CPU_THROTTLED(namespace=NAMESPACE).rate().sum("namespace", "pod", "container")
    )
    periods = m.CPU_PERIODS(namespace=NAMESPACE).rate().sum("namespace", "pod", "container")
    return throttled_periods.ratio_to(periods.where("> 0")).max("container")


def _use_of(bound: Metric, resource: str) -> Vector:
    used = {
        "cpu": m.CPU_USAGE(namespace=NAMESPACE).rate().sum("namespace", "pod", "container"),
        "memory": container_memory(),
    }
    granted = _by_container(bound(namespace=NAMESPACE, resource=resource).value())
    return used[resource].ratio_to(granted).max("container")


def requested_of_capacity(resource: str) -> Vector:
    """Share of a cluster's allocatable CPU or memory that pods of all namespaces request.

    Of several clusters, the fullest's.

    Args:
        resource: `cpu` or `memory`.
    """
    capacity = m.NODE_ALLOCATABLE(resource=resource).value().max("node")
    # Not the recorded sums: the home page must show it before rules are evaluated.
    asked = reserved(m.RESOURCE_REQUESTS, resource).sum(CLUSTER)
    return asked.ratio_to(capacity.sum(CLUSTER)).max()


def reserved(
    metric: Metric, resource: str, namespace: Matcher = ANY, node: Matcher = ANY
) -> Vector:
    """CPU or memory requests or limits of the containers of unfinished pods, on their nodes.

    kube-state-metrics still exports those of finished pods, which reserve nothing. A pod that is
    not scheduled has no node, and reserves nothing yet.
    """
    alive = m.POD_PHASE(namespace=namespace, phase=regex("Pending|Running")).value()
    containers = metric(resource=resource, namespace=namespace, node=node).value()
    each = containers.max("namespace", "pod", "container", "node")
    return each.and_(alive.max("namespace", "pod").where("== 1"))
