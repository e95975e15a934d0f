"""The questions that dashboards ask, each a function with a name, each written once.

Every function returns a `Query` that reads the dashboard's variables; nothing else in this package
contains PromQL or LogQL.
"""

from __future__ import annotations

from dashboards_py import logql
from dashboards_py import metrics as m
from dashboards_py.promql import Metric, Vector
from dashboards_py.query import Matcher, Query, not_equal, regex

NAMESPACE = regex("$namespace")
APP = regex("$app")
SOURCE = "$source"
LEVEL = regex("$level")

# Levels as the log pipeline writes them.
ERROR_LEVELS = "error|fatal"
WARNING_LEVEL = "warn"
EVENTS_APP = "kubernetes-events"
# Probe.spec.jobName of the addresses that decide whether a person can use the application.
PROBE_JOBS = "frontend|backend|grafana"


# Pods


def _pods_in(phases: str) -> Vector:
    """Pods in one of the phases; kube_pod_status_phase is 0 or 1 for each phase of each pod."""
    phase = m.POD_PHASE(namespace=NAMESPACE, phase=regex(phases))
    return phase.value().max("namespace", "pod").where("== 1")


def _kube_state() -> Vector:
    """Proof that kube-state-metrics is there: the pods of the whole cluster, its own among them."""
    return m.POD_INFO().value().count()


def _ready_pods() -> Vector:
    ready = m.POD_READY(namespace=NAMESPACE, condition="true")
    return ready.value().max("namespace", "pod")


def pods_ready() -> Vector:
    """How many pods are ready; 0 also where nothing could create a pod."""
    return _ready_pods().sum().or_zero_for(_kube_state())


def pods_not_ready() -> Vector:
    """How many pods should be ready and are not; a pod that waits for a node counts too."""
    waiting = _pods_in("Pending|Running|Failed|Unknown").unless(_ready_pods().where("== 1"))
    return waiting.count().or_zero_for(_kube_state())


def replicas_not_created() -> Vector:
    """How many replicas Deployments want that have no pod: refused by quota, policy, account."""
    keys = ("namespace", "deployment")
    wanted = m.DEPLOYMENT_WANTED(namespace=NAMESPACE).value().max(*keys)
    created = m.DEPLOYMENT_CREATED(namespace=NAMESPACE).value().max(*keys)
    return wanted.minus(created).at_least(0).sum().or_zero_for(_kube_state())


def pod_readiness() -> Vector:
    """1 for a ready pod, 0 for one that is not, scheduled or not; finished pods are left out."""
    unfinished = _ready_pods().unless(_pods_in("Succeeded"))
    return unfinished.or_zero_for(_pods_in("Pending"))


def containers_ready() -> Vector:
    """1 for a ready container, 0 for one that is not."""
    return _by_container(m.CONTAINER_READY(namespace=NAMESPACE).value())


def restarts_so_far() -> Vector:
    """How often containers of the present pods have restarted."""
    return _by_container(m.CONTAINER_RESTARTS(namespace=NAMESPACE).so_far()).sum()


def container_restarts() -> Vector:
    """How often each container of the present pods has restarted."""
    return _by_container(m.CONTAINER_RESTARTS(namespace=NAMESPACE).so_far())


def waiting_reasons() -> Vector:
    """What each waiting container waits for, in label `waiting`."""
    return _reason(m.CONTAINER_WAITING, "waiting")


def last_end_reasons() -> Vector:
    """Why each restarted container ended last, in label `ended`."""
    return _reason(m.CONTAINER_LAST_END, "ended")


def rollouts() -> Vector:
    """Deployments whose specification changed."""
    generation = m.DEPLOYMENT_GENERATION(namespace=NAMESPACE)
    return generation.changes().max("namespace", "deployment").where("> 0")


def _by_container(vector: Vector) -> Vector:
    return vector.max("namespace", "pod", "container")


def _reason(metric: Metric, label: str) -> Vector:
    reason = metric(namespace=NAMESPACE).value().max("namespace", "pod", "container", "reason")
    return reason.where("== 1").rename("reason", label)


# CPU and memory


def cpu_by_pod() -> Vector:
    """CPU use, in cores."""
    return m.CPU_USAGE(namespace=NAMESPACE).rate().sum("namespace", "pod")


def memory_in_use() -> Vector:
    """Memory that the application's containers hold, in bytes."""
    return container_memory().sum()


def memory_by_pod() -> Vector:
    """Memory that each pod holds, in bytes."""
    return container_memory().sum("namespace", "pod")


def container_memory() -> Vector:
    """Memory that each container holds and the kernel cannot take back, in bytes."""
    return _by_container(m.MEMORY_WORKING_SET(namespace=NAMESPACE).value())


def container_memory_limit() -> Vector:
    """Memory limit of each container that has one, in bytes."""
    return _by_container(m.RESOURCE_LIMITS(namespace=NAMESPACE, resource="memory").value())


def memory_of_limit() -> Vector:
    """Share of its memory limit that each container holds; at 1 it is killed."""
    return container_memory().ratio_to(container_memory_limit())


def requested_of_capacity(resource: str) -> Vector:
    """Share of the cluster's allocatable CPU or memory that pods of all namespaces request.

    Args:
        resource: `cpu` or `memory`.
    """
    requests = m.RESOURCE_REQUESTS(resource=resource).value().max("namespace", "pod", "container")
    # Finished pods keep their request in kube-state-metrics, but no longer hold it.
    alive = m.POD_PHASE(phase=regex("Pending|Running")).value().max("namespace", "pod")
    capacity = m.NODE_ALLOCATABLE(resource=resource).value().max("node")
    return requests.only_where(alive.where("== 1")).sum().ratio_to(capacity.sum())


# Requests


def request_rate(*by: str) -> Vector:
    """Requests per second from the chosen source."""
    requests = m.HTTP_REQUESTS(namespace=NAMESPACE, app=APP, source=SOURCE)
    return requests.value().sum(*by)


def error_ratio() -> Vector:
    """Share of requests answered with 5xx, from the chosen source, in the worst namespace."""
    ratio = m.HTTP_ERROR_RATIO(namespace=NAMESPACE, app=APP, source=SOURCE)
    return ratio.value().max("app")


# Probes and alerts


def probes_up() -> Vector:
    """1 for an address that answers, 0 for one that does not."""
    return m.PROBE_SUCCESS(job=regex(PROBE_JOBS)).value().max("job")


def alerts_firing() -> Vector:
    """How many alerts fire; Watchdog and InfoInhibitor, which have no severity, do not count.

    0 needs the proof that rules are evaluated at all: the Watchdog, which always fires.
    """
    watchdog = m.ALERTS(alertname="Watchdog", alertstate="firing").value().count()
    return _alerts().count().or_zero_for(watchdog)


def alerts_by_object() -> Vector:
    """The alerts that fire, by severity, name and what they are about."""
    return _alerts().count("severity", "alertname", "namespace", "pod")


def _alerts() -> Vector:
    return m.ALERTS(alertstate="firing", severity=not_equal("none")).value()


# Logs


def log_volume(*by: str) -> Query:
    """Log lines of the application in each step of the graph."""
    return _app_logs().count(*by)


def log_lines_in_range() -> Query:
    """Log lines of the application in the whole time range."""
    return _app_logs().count(over=logql.WHOLE_RANGE)


def log_errors_in_range() -> Query:
    """Error lines of the application in the whole time range."""
    return _app_logs(ERROR_LEVELS).count(over=logql.WHOLE_RANGE)


def log_error_rate() -> Query:
    """Error lines per second of each app."""
    return _app_logs(ERROR_LEVELS).rate("app")


def top_error_apps(number: int) -> Query:
    """Which apps wrote the most error lines in the whole time range."""
    return _app_logs(ERROR_LEVELS).top(number, "app")


def recent_errors() -> Query:
    """Error lines of the application."""
    return _app_logs(ERROR_LEVELS).lines()


def searched_lines() -> Query:
    """Lines that pass the filters of the dashboard: level, pod, free text."""
    return _app_logs(LEVEL).containing("$search").with_metadata(pod=regex("$pod")).lines()


def events() -> Query:
    """What Kubernetes reports of the application's objects."""
    return _events().lines()


def warnings_in_range() -> Query:
    """Warning events of the application's objects in the whole time range."""
    return _events(WARNING_LEVEL).count(over=logql.WHOLE_RANGE)


def events_by_reason() -> Query:
    """Events of the application's objects in each step of the graph, by reason."""
    return _events().count("reason")


def redactions() -> Vector:
    """Secrets and personal data that the pipeline took out of log lines, by kind."""
    return m.LOG_REDACTIONS(namespace=NAMESPACE, app=APP).increase().sum("app", "kind")


def redactions_so_far() -> Vector:
    """The same since the pipeline started."""
    return m.LOG_REDACTIONS(namespace=NAMESPACE, app=APP).so_far().sum()


def _app_logs(levels: str | Matcher = "") -> logql.Stream:
    """Lines of the application's containers; Kubernetes' events come from no container."""
    return _logs(levels, app=APP, container=regex(".+"))


def _events(levels: str = "") -> logql.Stream:
    return _logs(levels, app=EVENTS_APP)


def _logs(levels: str | Matcher, **matchers: str | Matcher) -> logql.Stream:
    if levels:
        matchers["level"] = regex(levels) if isinstance(levels, str) else levels
    return logql.stream(NAMESPACE, **matchers)
