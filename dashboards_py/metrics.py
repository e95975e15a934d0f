"""Each metric that a dashboard reads: its type, its labels and what exports it.

Names and labels are those of kube-state-metrics' `docs/metrics/`, cAdvisor's
`docs/storage/prometheus.md`, the blackbox exporter's `probe_*` and Prometheus' own `ALERTS`;
`todo_*` is counted by the log pipeline, `todo:*` and `slo:*` are recorded by this repository's
rules, the latter under sloth's names.
The metric filters of the releases must keep what is listed here.
"""

from __future__ import annotations

from dashboards_py.promql import Kind, Metric
from dashboards_py.query import Source, not_equal, regex

KUBE_STATE = Source(
    "kube-state-metrics", "no data from kube-state-metrics", {"job": "kube-state-metrics"}
)
# container!="": cAdvisor has series of the whole pod, too, which would double sums.
CADVISOR = Source(
    "cAdvisor in the kubelet",
    "no data from the kubelet",
    {"job": "kubelet", "metrics_path": "/metrics/cadvisor", "container": not_equal("")},
)
DAPR = Source("Dapr's sidecars", "no data from a Dapr sidecar", {"job": "dapr"})
CONTROL_PLANE = Source(
    "Dapr's control plane", "no data from Dapr's control plane", {"namespace": "dapr-system"}
)
REDPANDA = Source(
    "Redpanda", "no data from Redpanda (opt-in base/optional/redpanda)", {"job": "redpanda"}
)
DOOR = Source("the door's Traefik", "base/optional/public/traefik/metrics is not taken in")
PROBES = Source("blackbox exporter", "no probe result yet")
RULES = Source("Prometheus rules", "no rule evaluated yet")
BUDGETS = Source("budget.yaml of the environment", "not in this environment's budget.yaml")
REQUESTS = Source("recorded request counters", "no request seen from this source")
EVENTS = Source("recorded event counters", "no event published and consumed yet")
# sloth's label for what base/config/slos calls `service`.
OBJECTIVES = Source("recorded objectives", "no objective evaluated yet", {"sloth_service": "todo"})
PIPELINE = Source("Alloy's log pipeline", "no log pipeline seen")

_DECLARED: list[Metric] = []


def _declare(kind: Kind, name: str, labels: str, source: Source) -> Metric:
    if any(metric.name == name for metric in _DECLARED):
        raise ValueError(f"metric {name} is declared twice")
    metric = Metric(name, kind, frozenset(labels.split()), source)
    _DECLARED.append(metric)
    return metric


def _gauge(name: str, labels: str, source: Source) -> Metric:
    return _declare(Kind.GAUGE, name, labels, source)


def _counter(name: str, labels: str, source: Source) -> Metric:
    return _declare(Kind.COUNTER, name, labels, source)


def _histogram(name: str, labels: str, source: Source) -> Metric:
    return _declare(Kind.HISTOGRAM, name, labels, source)


_POD = "namespace pod"
_CONTAINER = f"{_POD} container"
_RESOURCE = f"{_CONTAINER} node resource unit"

POD_INFO = _gauge(
    "kube_pod_info", f"{_POD} node host_network created_by_kind created_by_name", KUBE_STATE
)
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
TRAEFIK_REQUESTS = _counter(
    "traefik_service_requests_total", "namespace pod code method protocol service", DOOR
)

DEPLOYMENT_GENERATION = _gauge(
    "kube_deployment_status_observed_generation", "namespace deployment", KUBE_STATE
)

CPU_USAGE = _counter("container_cpu_usage_seconds_total", f"{_CONTAINER} node", CADVISOR)
MEMORY_WORKING_SET = _gauge("container_memory_working_set_bytes", f"{_CONTAINER} node", CADVISOR)

PROBE_SUCCESS = _gauge("probe_success", "job instance", PROBES)
PROBE_CERTIFICATE_END = _gauge("probe_ssl_earliest_cert_expiry", "job instance", PROBES)

ALERTS = _gauge("ALERTS", "alertname alertstate severity namespace pod", RULES)

POD_CPU = _gauge(
    "namespace_node_pod:container_cpu_usage_seconds_total:rate5m", "namespace node pod", RULES
)
NAMESPACE_CPU = _gauge(
    "namespace_node:container_cpu_usage_seconds_total:rate5m", "namespace node", RULES
)
NAMESPACE_MEMORY = _gauge(
    "namespace_node:container_memory_working_set_bytes:sum", "namespace node", RULES
)
NAMESPACE_REQUESTS = _gauge(
    "namespace_node_resource:kube_pod_container_resource_requests:sum",
    "namespace node resource",
    RULES,
)
NODE_REQUESTS = _gauge(
    "node_resource:kube_pod_container_resource_requests:sum", "node resource", RULES
)
NODE_CPU = _gauge("node:node_cpu_seconds_total:busy_rate5m", "node", RULES)
CLUSTER_USED = {
    "cpu": _gauge("cluster:node_cpu_seconds_total:busy_rate5m", "", RULES),
    "memory": _gauge("cluster:node_memory_used_bytes:sum", "", RULES),
}
CLUSTER_REQUESTS = _gauge("resource:kube_pod_container_resource_requests:sum", "resource", RULES)
CLUSTER_ALLOCATABLE = _gauge("resource:kube_node_status_allocatable:sum", "resource", RULES)
NAMESPACE_LIMITS = _gauge(
    "namespace_node_resource:kube_pod_container_resource_limits:sum",
    "namespace node resource",
    RULES,
)
NAMESPACE_TRAFFIC = _gauge(
    "namespace_node:container_network_bytes_total:rate5m", "namespace node", RULES
)

# A resource is named by the keys that lead to it in budget.yaml, such as tier.cpu.
BUDGET = _gauge("todo:budget:limit", "resource", BUDGETS)

HTTP_REQUESTS = _gauge(
    "todo:http_requests:rate5m", "namespace app method route status_class source", REQUESTS
)
HTTP_ERROR_RATIO = _gauge("todo:http_request_errors:ratio_rate5m", "namespace app source", REQUESTS)
HTTP_DURATION_P95 = _gauge(
    "todo:http_request_duration_seconds:p95_5m", "namespace app source", REQUESTS
)

# Dapr counts without the suffix _total, and in milliseconds: pkg/diagnostics of its repository.
_COMPONENT = f"{_CONTAINER} app_id component"
EVENTS_PUBLISHED = _counter(
    "dapr_component_pubsub_egress_count", f"{_COMPONENT} topic success", DAPR
)
_CONSUMED = f"{_COMPONENT} topic process_status status"
EVENTS_CONSUMED = _counter("dapr_component_pubsub_ingress_count", _CONSUMED, DAPR)
EVENT_PROCESSING = _histogram("dapr_component_pubsub_ingress_latencies", _CONSUMED, DAPR)
BINDING_EVENTS = _counter("dapr_component_input_binding_count", f"{_COMPONENT} success", DAPR)
COMPONENTS_LOADED = _counter("dapr_runtime_component_loaded", f"{_CONTAINER} app_id", DAPR)
COMPONENTS_STARTED = _counter("dapr_runtime_component_init_total", _COMPONENT, DAPR)
COMPONENTS_FAILED = _counter(
    "dapr_runtime_component_init_fail_total", f"{_COMPONENT} componentName reason", DAPR
)
_POLICY = f"{_CONTAINER} app_id name policy flow_direction target status"
POLICY_ACTIVATIONS = _counter("dapr_resiliency_activations_total", _POLICY, DAPR)
CIRCUIT_BREAKER = _gauge("dapr_resiliency_cb_state", _POLICY, DAPR)
_CALL = f"{_CONTAINER} app_id src_app_id status"
CALLS = _counter("dapr_runtime_service_invocation_res_recv_total", f"{_CALL} type", DAPR)
CALL_DURATION = _histogram("dapr_runtime_service_invocation_res_recv_latency_ms", _CALL, DAPR)
JOBS_TRIGGERED = _counter("dapr_scheduler_jobs_triggered_total", f"{_POD} type", CONTROL_PLANE)
JOBS_FAILED = _counter("dapr_scheduler_jobs_failed_total", f"{_POD} type", CONTROL_PLANE)
JOBS_UNDELIVERED = _counter("dapr_scheduler_jobs_undelivered_total", f"{_POD} type", CONTROL_PLANE)
SCHEDULER_SIDECARS = _gauge("dapr_scheduler_sidecars_connected", _POD, CONTROL_PLANE)
ISSUER_EXPIRY = _gauge("dapr_sentry_issuercert_expiry_timestamp", _POD, CONTROL_PLANE)

EVENTS_BACKLOG = _gauge(
    "todo:events_backlog:increase30m", "namespace app_id component topic", EVENTS
)
CONSUMER_LAG = _gauge("redpanda_kafka_consumer_group_lag_sum", "redpanda_group", REDPANDA)

_OBJECTIVE = "sloth_id sloth_slo"
SLO_OBJECTIVE = _gauge("slo:objective:ratio", _OBJECTIVE, OBJECTIVES)
SLO_BUDGET = _gauge("slo:error_budget:ratio", _OBJECTIVE, OBJECTIVES)
SLO_BUDGET_LEFT = _gauge("slo:period_error_budget_remaining:ratio", _OBJECTIVE, OBJECTIVES)
SLO_BURN_RATE = _gauge("slo:current_burn_rate:ratio", _OBJECTIVE, OBJECTIVES)
SLO_ERRORS = {
    window: _gauge(f"slo:sli_error:ratio_rate{window}", f"{_OBJECTIVE} sloth_window", OBJECTIVES)
    for window in ("5m", "1h", "6h", "1d", "3d", "30d")
}

LOG_REDACTIONS = _counter("todo_log_redactions_total", "namespace app kind", PIPELINE)

# Nodes and volumes.
# https://github.com/kubernetes/kubernetes/blob/v1.34.3/test/instrumentation/documentation/documentation-list.yaml,
# node_exporter's collector/fixtures/e2e-output.txt.

KUBELET = Source("kubelet", "no data from the kubelet", {"job": "kubelet"})
NODE_EXPORTER = Source("node-exporter", "no data from node-exporter", {"job": "node-exporter"})

_CLAIM = "namespace persistentvolumeclaim node"
_FILESYSTEM = "node device fstype mountpoint"

NODE_INFO = _gauge("kube_node_info", "node", KUBE_STATE)
NODE_CONDITION = _gauge("kube_node_status_condition", "node condition status", KUBE_STATE)
NODE_CAPACITY = _gauge("kube_node_status_capacity", "node resource unit", KUBE_STATE)
POD_UNSCHEDULABLE = _gauge("kube_pod_status_unschedulable", _POD, KUBE_STATE)
DEPLOYMENT_AVAILABLE = _gauge(
    "kube_deployment_status_replicas_available", "namespace deployment", KUBE_STATE
)
VOLUME_SIZE = _gauge("kube_persistentvolume_capacity_bytes", "persistentvolume", KUBE_STATE)

RUNNING_PODS = _gauge("kubelet_running_pods", "node", KUBELET)
VOLUME_CAPACITY = _gauge("kubelet_volume_stats_capacity_bytes", _CLAIM, KUBELET)
VOLUME_AVAILABLE = _gauge("kubelet_volume_stats_available_bytes", _CLAIM, KUBELET)
VOLUME_INODES = _gauge("kubelet_volume_stats_inodes", _CLAIM, KUBELET)
VOLUME_INODES_USED = _gauge("kubelet_volume_stats_inodes_used", _CLAIM, KUBELET)

CPU_PERIODS = _counter("container_cpu_cfs_periods_total", f"{_CONTAINER} node", CADVISOR)
CPU_THROTTLED = _counter(
    "container_cpu_cfs_throttled_periods_total", f"{_CONTAINER} node", CADVISOR
)

NODE_MEMORY = _gauge("node_memory_MemTotal_bytes", "node", NODE_EXPORTER)
NODE_MEMORY_AVAILABLE = _gauge("node_memory_MemAvailable_bytes", "node", NODE_EXPORTER)
FILESYSTEM_SIZE = _gauge("node_filesystem_size_bytes", _FILESYSTEM, NODE_EXPORTER)
FILESYSTEM_AVAILABLE = _gauge("node_filesystem_avail_bytes", _FILESYSTEM, NODE_EXPORTER)
OOM_KILLS = _counter("node_vmstat_oom_kill", "node", NODE_EXPORTER)
WAITING_FOR_CPU = _counter("node_pressure_cpu_waiting_seconds_total", "node", NODE_EXPORTER)
WAITING_FOR_MEMORY = _counter("node_pressure_memory_waiting_seconds_total", "node", NODE_EXPORTER)
WAITING_FOR_DISK = _counter("node_pressure_io_waiting_seconds_total", "node", NODE_EXPORTER)
NODE_RECEIVED = _counter("node_network_receive_bytes_total", "node device", NODE_EXPORTER)
NODE_SENT = _counter("node_network_transmit_bytes_total", "node device", NODE_EXPORTER)
NODE_RECEIVE_DROPPED = _counter("node_network_receive_drop_total", "node device", NODE_EXPORTER)
NODE_SEND_DROPPED = _counter("node_network_transmit_drop_total", "node device", NODE_EXPORTER)

# The monitoring itself; from each program's source at the version of its chart.

SCRAPES = Source("Prometheus' scrapes", "nothing is scraped")
PROMETHEUS = Source(
    "Prometheus", "Prometheus does not scrape itself", {"job": "kube-prometheus-stack-prometheus"}
)
ALERTMANAGER = Source(
    "Alertmanager", "no data from Alertmanager", {"job": "kube-prometheus-stack-alertmanager"}
)
OPERATOR = Source(
    "Prometheus operator", "no data from the operator", {"job": "kube-prometheus-stack-operator"}
)
# Sidecars of Prometheus and Alertmanager.
RELOADER = Source("config reloaders", "no config reloader", {"namespace": "monitoring"})
LOKI = Source("Loki's own metrics", "no data from Loki", {"job": "loki"})
ALLOY = Source("Alloy's own metrics", "no data from Alloy", {"job": "alloy"})
GRAFANA = Source("Grafana's own metrics", "no data from Grafana", {"job": "grafana"})
FLUX_STATE = Source(
    "Flux by kube-state-metrics", "no object of Flux", {"job": "kube-state-metrics"}
)
FLUX = Source(
    "Flux",
    "no data from Flux",
    {"job": regex("(source|kustomize|helm|notification)-controller")},
)
ARGOCD = Source("Argo CD", "no data from Argo CD", {"job": regex("argocd-.+")})

_TARGET = "job namespace pod instance"
_OBJECT = "kind name namespace job"

UP = _gauge("up", _TARGET, SCRAPES)
SCRAPE_SECONDS = _gauge("scrape_duration_seconds", _TARGET, SCRAPES)
SCRAPE_SAMPLES = _gauge("scrape_samples_post_metric_relabeling", _TARGET, SCRAPES)

HEAD_SERIES = _gauge("prometheus_tsdb_head_series", "pod", PROMETHEUS)
HEAD_SAMPLES = _counter("prometheus_tsdb_head_samples_appended_total", "pod type", PROMETHEUS)
BLOCK_BYTES = _gauge("prometheus_tsdb_storage_blocks_bytes", "pod", PROMETHEUS)
WAL_BYTES = _gauge("prometheus_tsdb_wal_storage_size_bytes", "pod", PROMETHEUS)
HEAD_CHUNK_BYTES = _gauge("prometheus_tsdb_head_chunks_storage_size_bytes", "pod", PROMETHEUS)
RETENTION_BYTES = _gauge("prometheus_tsdb_retention_limit_bytes", "pod", PROMETHEUS)
COMPACTIONS_FAILED = _counter("prometheus_tsdb_compactions_failed_total", "pod", PROMETHEUS)
RELOADS_FAILED = _counter("prometheus_tsdb_reloads_failures_total", "pod", PROMETHEUS)
WAL_WRITES_FAILED = _counter("prometheus_tsdb_wal_writes_failed_total", "pod", PROMETHEUS)
WAL_CORRUPTIONS = _counter("prometheus_tsdb_wal_corruptions_total", "pod", PROMETHEUS)
RULE_GROUP_SECONDS = _gauge(
    "prometheus_rule_group_last_duration_seconds", "pod rule_group", PROMETHEUS
)
RULE_GROUP_INTERVAL = _gauge("prometheus_rule_group_interval_seconds", "pod rule_group", PROMETHEUS)
RULE_FAILURES = _counter("prometheus_rule_evaluation_failures_total", "pod rule_group", PROMETHEUS)
QUERY_SECONDS = _counter("prometheus_engine_query_duration_seconds_sum", "pod slice", PROMETHEUS)
QUERIES = _counter("prometheus_engine_query_duration_seconds_count", "pod slice", PROMETHEUS)
SAMPLE_LIMIT_HITS = _counter(
    "prometheus_target_scrapes_exceeded_sample_limit_total", "pod", PROMETHEUS
)
DUPLICATE_SAMPLES = _counter(
    "prometheus_target_scrapes_sample_duplicate_timestamp_total", "pod", PROMETHEUS
)
OUT_OF_ORDER_SAMPLES = _counter(
    "prometheus_target_scrapes_sample_out_of_order_total", "pod", PROMETHEUS
)
ALERTS_SENT = _counter("prometheus_notifications_sent_total", "pod alertmanager", PROMETHEUS)
ALERT_SEND_ERRORS = _counter(
    "prometheus_notifications_errors_total", "pod alertmanager", PROMETHEUS
)
ALERTS_DROPPED = _counter("prometheus_notifications_dropped_total", "pod alertmanager", PROMETHEUS)
PROMETHEUS_RELOADED = _gauge("prometheus_config_last_reload_successful", "pod", PROMETHEUS)

ALERTMANAGER_ALERTS = _gauge("alertmanager_alerts", "pod state", ALERTMANAGER)
SILENCES = _gauge("alertmanager_silences", "pod state", ALERTMANAGER)
NOTIFICATIONS = _counter("alertmanager_notifications_total", "pod integration", ALERTMANAGER)
NOTIFICATIONS_FAILED = _counter(
    "alertmanager_notifications_failed_total", "pod integration reason", ALERTMANAGER
)
ALERTMANAGER_RELOADED = _gauge("alertmanager_config_last_reload_successful", "pod", ALERTMANAGER)

OPERATOR_RECONCILES = _counter("prometheus_operator_reconcile_operations_total", "pod", OPERATOR)
OPERATOR_ERRORS = _counter("prometheus_operator_reconcile_errors_total", "pod", OPERATOR)
OPERATOR_RESOURCES = _gauge("prometheus_operator_managed_resources", "pod resource state", OPERATOR)
RELOADER_SUCCESS = _gauge("reloader_last_reload_successful", "namespace pod", RELOADER)

LOKI_LINES = _counter("loki_distributor_lines_received_total", "pod tenant", LOKI)
LOKI_BYTES = _counter("loki_distributor_bytes_received_total", "pod tenant", LOKI)
LOKI_DISCARDED = _counter("loki_discarded_samples_total", "pod tenant reason", LOKI)
LOKI_FLUSHED = _counter("loki_ingester_chunks_flushed_total", "pod reason", LOKI)
LOKI_FLUSH_FAILURES = _counter("loki_ingester_chunks_flush_failures_total", "pod", LOKI)
LOKI_DISK_FULL = _counter("loki_ingester_wal_disk_full_failures_total", "pod", LOKI)
LOKI_STREAMS = _gauge("loki_ingester_memory_streams", "pod tenant", LOKI)
LOKI_CHUNKS = _gauge("loki_ingester_memory_chunks", "pod", LOKI)
LOKI_REQUESTS = _counter(
    "loki_request_duration_seconds_count", "pod method route status_code", LOKI
)
LOKI_REQUEST_SECONDS = _counter(
    "loki_request_duration_seconds_sum", "pod method route status_code", LOKI
)

ALLOY_LINES_READ = _counter("loki_source_file_read_lines_total", "pod path", ALLOY)
ALLOY_LINES_SENT = _counter("loki_write_sent_entries_total", "pod host", ALLOY)
ALLOY_LINES_LOST = _counter("loki_write_dropped_entries_total", "pod host reason", ALLOY)
ALLOY_RETRIES = _counter("loki_write_batch_retries_total", "pod host", ALLOY)
ALLOY_LINES_DROPPED = _counter("loki_process_dropped_lines_total", "pod reason", ALLOY)
ALLOY_COMPONENTS = _gauge("alloy_component_controller_running_components", "pod health_type", ALLOY)
ALLOY_LOADED = _gauge("alloy_config_last_load_successful", "pod", ALLOY)

GRAFANA_REQUESTS = _counter(
    "grafana_http_request_duration_seconds_count", "pod handler method status_code", GRAFANA
)
GRAFANA_REQUEST_SECONDS = _counter(
    "grafana_http_request_duration_seconds_sum", "pod handler method status_code", GRAFANA
)
# Grafana's data sources are plugins, whose requests grafana_datasource_request_* does not count.
# `exported_endpoint`: the label `endpoint` is the scrape target's port.
GRAFANA_QUERIES = _counter(
    "grafana_plugin_request_total", "pod plugin_id exported_endpoint status", GRAFANA
)

FLUX_OBJECTS = _gauge(
    "gotk_resource_info",
    "customresource_kind exported_namespace name ready suspended type",
    FLUX_STATE,
)
FLUX_SECONDS = _counter("gotk_reconcile_duration_seconds_sum", _OBJECT, FLUX)
FLUX_RECONCILES = _counter("gotk_reconcile_duration_seconds_count", _OBJECT, FLUX)
FLUX_ERRORS = _counter("controller_runtime_reconcile_errors_total", "controller job", FLUX)
ARGOCD_APPLICATIONS = _gauge(
    "argocd_app_info", "exported_namespace name project sync_status health_status", ARGOCD
)
ARGOCD_SECONDS = _counter("argocd_app_reconcile_sum", "dest_server job", ARGOCD)
ARGOCD_RECONCILES = _counter("argocd_app_reconcile_count", "dest_server job", ARGOCD)
ARGOCD_SYNCS = _counter("argocd_app_sync_total", "name project phase job", ARGOCD)

BY_NAME: dict[str, Metric] = {metric.name: metric for metric in _DECLARED}
