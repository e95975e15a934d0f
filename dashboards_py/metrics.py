"""Each metric that a dashboard reads, once: its type, its labels and who exports it.

Names and labels are those of kube-state-metrics' `docs/metrics/`, cAdvisor's
`docs/storage/prometheus.md`, the blackbox exporter's `probe_*` and Prometheus' own `ALERTS`;
`todo_*` is counted by the log pipeline and `todo:*` is recorded by this repository's rules.
The metric filters of the releases must keep what is listed here.
"""

from __future__ import annotations

from dashboards_py.promql import Kind, Metric
from dashboards_py.query import Source, not_equal

KUBE_STATE = Source(
    "kube-state-metrics", "no data from kube-state-metrics", {"job": "kube-state-metrics"}
)
# container!="": each pod has a second, pod-level series with the same usage, so sums would double.
CADVISOR = Source(
    "cAdvisor in the kubelet",
    "no data from the kubelet",
    {"job": "kubelet", "metrics_path": "/metrics/cadvisor", "container": not_equal("")},
)
PROBES = Source("blackbox exporter", "no probe result yet")
RULES = Source("Prometheus rules", "no rule evaluated yet")
REQUESTS = Source("recorded request counters", "no request seen from this source")
PIPELINE = Source("Alloy's log pipeline", "no log pipeline seen")

_DECLARED: list[Metric] = []


def _declare(kind: Kind, name: str, labels: str, source: Source) -> Metric:
    metric = Metric(name, kind, frozenset(labels.split()), source)
    _DECLARED.append(metric)
    return metric


def _gauge(name: str, labels: str, source: Source) -> Metric:
    return _declare(Kind.GAUGE, name, labels, source)


def _counter(name: str, labels: str, source: Source) -> Metric:
    return _declare(Kind.COUNTER, name, labels, source)


_POD = "namespace pod"
_CONTAINER = f"{_POD} container"
_RESOURCE = f"{_CONTAINER} node resource unit"

POD_INFO = _gauge("kube_pod_info", f"{_POD} node created_by_kind created_by_name", KUBE_STATE)
POD_PHASE = _gauge("kube_pod_status_phase", f"{_POD} phase", KUBE_STATE)
POD_READY = _gauge("kube_pod_status_ready", f"{_POD} condition", KUBE_STATE)
CONTAINER_READY = _gauge("kube_pod_container_status_ready", _CONTAINER, KUBE_STATE)
CONTAINER_RESTARTS = _counter("kube_pod_container_status_restarts_total", _CONTAINER, KUBE_STATE)
CONTAINER_WAITING = _gauge(
    "kube_pod_container_status_waiting_reason", f"{_CONTAINER} reason", KUBE_STATE
)
CONTAINER_LAST_END = _gauge(
    "kube_pod_container_status_last_terminated_reason", f"{_CONTAINER} reason", KUBE_STATE
)
RESOURCE_REQUESTS = _gauge("kube_pod_container_resource_requests", _RESOURCE, KUBE_STATE)
RESOURCE_LIMITS = _gauge("kube_pod_container_resource_limits", _RESOURCE, KUBE_STATE)
NODE_ALLOCATABLE = _gauge("kube_node_status_allocatable", "node resource unit", KUBE_STATE)
DEPLOYMENT_WANTED = _gauge("kube_deployment_spec_replicas", "namespace deployment", KUBE_STATE)
DEPLOYMENT_CREATED = _gauge("kube_deployment_status_replicas", "namespace deployment", KUBE_STATE)
DEPLOYMENT_GENERATION = _gauge(
    "kube_deployment_status_observed_generation", "namespace deployment", KUBE_STATE
)

CPU_USAGE = _counter("container_cpu_usage_seconds_total", f"{_CONTAINER} node", CADVISOR)
MEMORY_WORKING_SET = _gauge("container_memory_working_set_bytes", f"{_CONTAINER} node", CADVISOR)

PROBE_SUCCESS = _gauge("probe_success", "job instance", PROBES)

ALERTS = _gauge("ALERTS", "alertname alertstate severity namespace pod", RULES)

HTTP_REQUESTS = _gauge(
    "todo:http_requests:rate5m", "namespace app method route status_class source", REQUESTS
)
HTTP_ERROR_RATIO = _gauge("todo:http_request_errors:ratio_rate5m", "namespace app source", REQUESTS)

LOG_REDACTIONS = _counter("todo_log_redactions_total", "namespace app kind", PIPELINE)

BY_NAME: dict[str, Metric] = {metric.name: metric for metric in _DECLARED}
