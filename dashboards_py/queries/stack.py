"""The monitoring itself, and the GitOps engine that syncs it."""

from __future__ import annotations

from dashboards_py import metrics as m
from dashboards_py import namespaces
from dashboards_py.promql import Series, Vector
from dashboards_py.queries import workloads
from dashboards_py.query import CLUSTER, Matcher, not_equal, regex

# The scrape jobs of the stack; kube-prometheus-stack puts its name before some of them.
PARTS = regex(
    "kube-prometheus-stack-(prometheus|alertmanager|operator)"
    "|loki|alloy|grafana|kube-state-metrics|node-exporter|kubelet|prometheus-blackbox-exporter"
)
PART = "(?:kube-prometheus-stack-|prometheus-)?(.+?)(?:-metrics)?"
# The evaluation of a query, without the time in the queue.
EVALUATION = "inner_eval"

EVERY_JOB = regex(".+")

_TARGET = ("job", "namespace", "pod", "instance")
_OBJECT = ("kind", "exported_namespace", "name", "state")


# At a glance


def parts_up() -> Vector:
    """1 for a part of the stack of which every scrape succeeds, else 0."""
    return m.UP(job=PARTS).value().min("job").extract("job", "part", PART)


def targets_up() -> Vector:
    """How many targets are scraped."""
    return _up().sum()


def targets_down() -> Vector:
    """How many targets cannot be scraped."""
    return _up().count().minus(targets_up())


def series_of_budget() -> Vector:
    """Series in memory, as a share of the series budget; of several clusters, the largest."""
    return series().ratio_to(series_budget()).max()


def storage_of_limit() -> Vector:
    """Stored bytes, as a share of retentionSize; of several clusters, the largest.

    At 1 the oldest block is deleted.
    """
    return storage().ratio_to(storage_limit()).max()


def failures_in_range(counter: Series) -> Vector:
    """How often something failed in the whole time range."""
    return counter.increase_in_range().sum()


def rule_failures_in_range() -> Vector:
    """Rules that could not be evaluated."""
    return failures_in_range(m.RULE_FAILURES())


def sample_limit_hits_in_range() -> Vector:
    """Scrapes that were refused, as they had more samples than their sampleLimit."""
    return failures_in_range(m.SAMPLE_LIMIT_HITS())


def notifications_failed_in_range() -> Vector:
    """Notifications that failed."""
    return failures_in_range(m.NOTIFICATIONS_FAILED())


def lines_lost_in_range() -> Vector:
    """Log lines that Alloy gave up sending."""
    return failures_in_range(m.ALLOY_LINES_LOST())


def objects_not_ready() -> Vector:
    """How many objects of Flux are not ready, or Applications of Argo CD not synced or healthy."""
    return gitops_faults().sum()


# Prometheus


def target_faults() -> Vector:
    """1 for a target that cannot be scraped, 0 for one that can."""
    return m.UP(job=EVERY_JOB).value().max(*_TARGET).is_zero()


def target_samples() -> Vector:
    """Samples of a target's last scrape that relabeling keeps."""
    return m.SCRAPE_SAMPLES(job=EVERY_JOB).value().max(*_TARGET)


def target_seconds() -> Vector:
    """Duration of a target's last scrape, in seconds."""
    return m.SCRAPE_SECONDS(job=EVERY_JOB).value().max(*_TARGET)


def samples_by_job() -> Vector:
    """Samples in one scrape of all targets of a job."""
    return m.SCRAPE_SAMPLES(job=EVERY_JOB).value().sum("job")


def series() -> Vector:
    """Series in memory, in each cluster."""
    return m.HEAD_SERIES().value().max(CLUSTER)


def series_budget() -> Vector:
    """The most series that a cluster's Prometheus may hold."""
    return budget("series.limit")


def samples_per_second() -> Vector:
    """Samples stored per second, recorded ones among them."""
    return m.HEAD_SAMPLES().rate().sum()


def rules_duration() -> Vector:
    """Seconds that one evaluation of all rules takes, in each cluster."""
    return _rule_groups().sum(CLUSTER)


def slowest_rules_duration() -> Vector:
    """Seconds that the slowest group takes, in each cluster."""
    return _rule_groups().max(CLUSTER)


def rules_interval() -> Vector:
    """Seconds between two evaluations of the same group, the most that a group may take."""
    return m.RULE_GROUP_INTERVAL().value().min(CLUSTER)


def query_duration() -> Vector:
    """Mean seconds that the evaluation of one query takes, of rules and dashboards alike."""
    where = {"slice": EVALUATION}
    return _mean(m.QUERY_SECONDS(**where), m.QUERIES(**where))


def rule_failures() -> Vector:
    """Rules that could not be evaluated, in each step of the graph."""
    return m.RULE_FAILURES().increase().sum()


def sample_limit_hits() -> Vector:
    """Scrapes above their sampleLimit, in each step of the graph."""
    return m.SAMPLE_LIMIT_HITS().increase().sum()


def duplicate_samples() -> Vector:
    """Samples whose timestamp the series already has, in each step of the graph."""
    return m.DUPLICATE_SAMPLES().increase().sum()


def out_of_order_samples() -> Vector:
    """Samples older than the newest of their series, in each step of the graph."""
    return m.OUT_OF_ORDER_SAMPLES().increase().sum()


def compactions_failed() -> Vector:
    """Blocks that could not be written, in each step of the graph."""
    return m.COMPACTIONS_FAILED().increase().sum()


def reloads_failed() -> Vector:
    """Blocks that could not be read, in each step of the graph."""
    return m.RELOADS_FAILED().increase().sum()


def wal_faults() -> Vector:
    """Writes to the write-ahead log that failed, and corruptions, in each step of the graph."""
    return m.WAL_WRITES_FAILED().increase().sum().plus(m.WAL_CORRUPTIONS().increase().sum())


def storage() -> Vector:
    """Bytes that count against retentionSize: blocks, write-ahead log, chunks of the head."""
    chunks = m.HEAD_CHUNK_BYTES().value().max(CLUSTER)
    return blocks().plus(m.WAL_BYTES().value().max(CLUSTER)).plus(chunks)


def blocks() -> Vector:
    """Bytes of finished blocks, in each cluster."""
    return m.BLOCK_BYTES().value().max(CLUSTER)


def storage_limit() -> Vector:
    """RetentionSize, in bytes; no result where it is not set, which Prometheus exports as 0."""
    return m.RETENTION_BYTES().value().max(CLUSTER).where("> 0")


def _up() -> Vector:
    return m.UP(job=EVERY_JOB).value()


def _rule_groups() -> Vector:
    return m.RULE_GROUP_SECONDS().value()


def _mean(seconds: Series, events: Series, *by: str) -> Vector:
    """Mean seconds of an event; no result without events."""
    return seconds.rate().sum(*by).ratio_to(events.rate().sum(*by).where("> 0"))


# Alertmanager


def alerts_held() -> Vector:
    """Alerts that Alertmanager holds, by state."""
    return m.ALERTMANAGER_ALERTS().value().max("state")


def silences() -> Vector:
    """Active silences, in each cluster."""
    return m.SILENCES(state="active").value().max(CLUSTER)


def notifications_sent() -> Vector:
    """Notifications that Alertmanager tried to send, in each step of the graph."""
    return m.NOTIFICATIONS().increase().sum()


def notifications_failed() -> Vector:
    """Notifications that failed, in each step of the graph."""
    return m.NOTIFICATIONS_FAILED().increase().sum()


def alerts_sent() -> Vector:
    """Alerts per second that Prometheus sends to Alertmanager."""
    return m.ALERTS_SENT().rate().sum()


def alerts_not_sent() -> Vector:
    """Alerts per second that Prometheus could not send."""
    return m.ALERT_SEND_ERRORS().rate().sum().plus(m.ALERTS_DROPPED().rate().sum())


# Loki


def loki_lines() -> Vector:
    """Lines per second that Loki receives."""
    return m.LOKI_LINES().rate().sum()


def loki_bytes() -> Vector:
    """Bytes per second that Loki receives."""
    return m.LOKI_BYTES().rate().sum()


def loki_discarded_by_reason() -> Vector:
    """Lines that Loki refused, in each step, by reason; one that never occurred has no series."""
    return m.LOKI_DISCARDED().increase().sum("reason")


def loki_flush_failures() -> Vector:
    """Chunks that Loki could not flush, in each step of the graph."""
    return m.LOKI_FLUSH_FAILURES().increase().sum()


def loki_disk_full() -> Vector:
    """Writes to the write-ahead log that failed as the disk was full, in each step of the graph."""
    return m.LOKI_DISK_FULL().increase().sum()


def loki_flushed() -> Vector:
    """Chunks that Loki flushed, in each step of the graph."""
    return m.LOKI_FLUSHED().increase().sum()


def loki_streams() -> Vector:
    """Streams in memory; base/releases/loki.yaml limits them."""
    return m.LOKI_STREAMS().value().sum()


def loki_chunks() -> Vector:
    """Chunks in memory."""
    return m.LOKI_CHUNKS().value().sum()


def loki_requests() -> Vector:
    """Requests per second, by status."""
    return m.LOKI_REQUESTS().rate().sum("status_code")


def loki_request_duration() -> Vector:
    """Mean seconds of a query or a push; without requests that tail logs."""
    route = regex("loki_api_v1_(push|query|query_range)")
    return _mean(m.LOKI_REQUEST_SECONDS(route=route), m.LOKI_REQUESTS(route=route), "route")


# Alloy


def alloy_lines_read() -> Vector:
    """Lines per second that Alloy reads from files."""
    return m.ALLOY_LINES_READ().rate().sum()


def alloy_lines_sent() -> Vector:
    """Lines per second that Alloy sent to Loki, Kubernetes events included."""
    return m.ALLOY_LINES_SENT().rate().sum()


def alloy_lines_sent_by_pod() -> Vector:
    """Lines per second that each pod of Alloy sent to Loki."""
    return m.ALLOY_LINES_SENT().rate().sum("pod")


def alloy_lines_lost() -> Vector:
    """Lines that Alloy gave up sending, in each step of the graph, by reason."""
    return m.ALLOY_LINES_LOST().increase().sum("reason")


def alloy_retries() -> Vector:
    """Batches that Alloy sent again, in each step of the graph."""
    return m.ALLOY_RETRIES().increase().sum()


def alloy_lines_dropped() -> Vector:
    """Lines that the pipeline drops on purpose, in each step of the graph."""
    dropped = m.ALLOY_LINES_DROPPED().increase().sum()
    return dropped.or_zero_for(m.ALLOY_LINES_READ().increase().sum())


def alloy_components() -> Vector:
    """How many components of each Alloy are not healthy."""
    every = m.ALLOY_COMPONENTS().value().sum("pod")
    healthy = m.ALLOY_COMPONENTS(health_type="healthy").value().sum("pod")
    return every.minus(healthy)


# Grafana, the operator, and configurations


def grafana_requests() -> Vector:
    """Requests per second to Grafana, by status."""
    return m.GRAFANA_REQUESTS().rate().sum("status_code")


def grafana_request_duration() -> Vector:
    """Mean seconds of a request to Grafana."""
    return _mean(m.GRAFANA_REQUEST_SECONDS(), m.GRAFANA_REQUESTS())


def grafana_queries() -> Vector:
    """Queries per second to each data source, by outcome."""
    return m.GRAFANA_QUERIES(exported_endpoint="queryData").rate().sum("plugin_id", "status")


def operator_reconciles() -> Vector:
    """Objects that the operator reconciled, in each step of the graph."""
    return m.OPERATOR_RECONCILES().increase().sum()


def operator_errors() -> Vector:
    """Reconciliations of the operator that failed, in each step of the graph."""
    return m.OPERATOR_ERRORS().increase().sum()


def rejected_resources() -> Vector:
    """Rules, monitors and probes that the operator rejects as invalid."""
    return m.OPERATOR_RESOURCES(state="rejected").value().sum()


def prometheus_loaded() -> Vector:
    """1 where Prometheus could load its newest configuration."""
    return m.PROMETHEUS_RELOADED().value().max("pod")


def alertmanager_loaded() -> Vector:
    """1 where Alertmanager could load its newest configuration."""
    return m.ALERTMANAGER_RELOADED().value().max("pod")


def alloy_loaded() -> Vector:
    """1 where Alloy could load its newest configuration."""
    return m.ALLOY_LOADED().value().max("pod")


def reloaders_succeeded() -> Vector:
    """1 where the last reload that a config reloader triggered succeeded."""
    return m.RELOADER_SUCCESS().value().min("pod")


# The engine: Flux, or else Argo CD


def gitops_faults() -> Vector:
    """1 for each object of Flux that is not ready, or Application that is not synced or healthy.

    0 for all others.
    """
    flux = _flux_objects(ready="True").times(0).or_(_flux_objects())
    synced = _applications(sync_status="Synced", health_status="Healthy")
    return flux.or_(synced.times(0).or_(_applications()))


def reconcile_duration() -> Vector:
    """Mean seconds of a reconciliation, by controller."""
    flux = _mean(m.FLUX_SECONDS(), m.FLUX_RECONCILES(), "job")
    return flux.or_(_mean(m.ARGOCD_SECONDS(), m.ARGOCD_RECONCILES(), "job"))


def reconcile_errors() -> Vector:
    """Reconciliations or syncs that failed, by controller, in each step of the graph."""
    flux = m.FLUX_ERRORS().increase().sum("job")
    failed = m.ARGOCD_SYNCS(phase=regex("Error|Failed")).increase().sum("job")
    return flux.or_(failed)


def _flux_objects(**where: str) -> Vector:
    # Flux gives a HelmRepository of the type oci no condition: it is neither ready nor not.
    found = m.FLUX_OBJECTS(type=not_equal("oci"), **where).value()
    named = found.label_join("kind", "customresource_kind").label_join("state", "ready")
    return named.max(*_OBJECT)


def _applications(**where: str) -> Vector:
    found = m.ARGOCD_APPLICATIONS(**where).value()
    named = found.with_label("kind", "Application").label_join(
        "state", "sync_status", "health_status"
    )
    return named.max(*_OBJECT)


# Resources of the stack itself


def budget(resource: str) -> Vector:
    """A value of the budget.yaml of each cluster's environment; no result where it has none.

    Args:
        resource: The keys that lead to it, such as `tier.cpu`.
    """
    return m.BUDGET(resource=resource).value().max(CLUSTER)


def requests_of_budget(resource: str) -> Vector:
    """Share of its budget of CPU or memory that the stack requests; of several, the largest."""
    requests = m.NAMESPACE_REQUESTS(namespace=_monitoring(), resource=resource)
    return requests.value().sum(CLUSTER).ratio_to(budget(f"requests.{resource}")).max()


def memory_of_limit() -> Vector:
    """Share of its memory limit that each container uses, in the worst pod."""
    keys = ("namespace", "pod", "container")
    used = m.MEMORY_WORKING_SET(namespace=_stack()).value().max(*keys)
    limits = m.RESOURCE_LIMITS(namespace=_stack(), resource="memory").value().max(*keys)
    return used.ratio_to(limits).max("namespace", "container")


def memory() -> Vector:
    """Working set of each container of the stack, of all its pods, in bytes."""
    return m.MEMORY_WORKING_SET(namespace=_stack()).value().sum("namespace", "container")


def cpu() -> Vector:
    """CPU use of each container of the stack, of all its pods, in cores."""
    return m.CPU_USAGE(namespace=_stack()).rate().sum("namespace", "container")


def restarts() -> Vector:
    """How often each container of the stack restarted in the whole time range."""
    keys = ("namespace", "pod", "container")
    return m.CONTAINER_RESTARTS(namespace=_stack()).increase_in_range().max(*keys)


def rollouts() -> Vector:
    """Deployments of the stack whose specification changed."""
    return workloads.rollouts(_stack())


def _monitoring() -> Matcher:
    return regex(namespaces.monitoring())


def _stack() -> Matcher:
    """Match the namespaces of the monitoring and of the engine."""
    return regex(namespaces.monitoring(engines=True))
