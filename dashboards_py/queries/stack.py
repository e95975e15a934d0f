"""The monitoring itself, and the engine that syncs it."""

from __future__ import annotations

from dashboards_py import metrics as m
from dashboards_py.promql import Series, Vector
from dashboards_py.queries import workloads
from dashboards_py.queries.variables import JOB
from dashboards_py.query import regex
from scripts.model.manifests import ENGINE_NAMESPACES, NAMESPACES

OURS = regex("|".join(sorted(NAMESPACES)))
STACK = regex("|".join(sorted(NAMESPACES | ENGINE_NAMESPACES)))
# Scrape jobs without which something is not seen; the chart puts its name before some.
PARTS = regex(
    "kube-prometheus-stack-(prometheus|alertmanager|operator)"
    "|loki|alloy|grafana|kube-state-metrics|node-exporter|kubelet|prometheus-blackbox-exporter"
)
PART = "(?:kube-prometheus-stack-|prometheus-)?(.+)"
# A query's own work, without the wait for its turn.
EVALUATION = "inner_eval"

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
    """How many targets are not."""
    return _up().count().minus(targets_up())


def series_of_budget() -> Vector:
    """Share of the series budget that is in memory."""
    return series().ratio_to(series_budget())


def storage_of_limit() -> Vector:
    """Share of retentionSize that is stored; at 1 the oldest day goes."""
    return storage().ratio_to(storage_limit())


def faults_in_range(counter: Series) -> Vector:
    """How often something failed in the whole time range."""
    return counter.increase_in_range().sum()


def rule_failures_in_range() -> Vector:
    """Rules that could not be evaluated."""
    return faults_in_range(m.RULE_FAILURES())


def sample_limit_hits_in_range() -> Vector:
    """Scrapes that were thrown away whole, as they had more samples than their monitor allows."""
    return faults_in_range(m.SAMPLE_LIMIT_HITS())


def notifications_failed_in_range() -> Vector:
    """Notifications that reached nobody."""
    return faults_in_range(m.NOTIFICATIONS_FAILED())


def lines_lost_in_range() -> Vector:
    """Log lines that Alloy gave up sending."""
    return faults_in_range(m.ALLOY_LINES_LOST())


def objects_not_ready() -> Vector:
    """How many objects of Flux, or Applications of Argo CD, are not as they should be."""
    return gitops_faults().sum()


# Prometheus


def target_faults() -> Vector:
    """1 for a target that is not scraped, 0 for one that is."""
    return m.UP(job=JOB).value().max(*_TARGET).is_zero()


def target_samples() -> Vector:
    """Samples that a target delivers and the monitor keeps."""
    return m.SCRAPE_SAMPLES(job=JOB).value().max(*_TARGET)


def target_seconds() -> Vector:
    """How long a target takes to answer."""
    return m.SCRAPE_SECONDS(job=JOB).value().max(*_TARGET)


def samples_by_job() -> Vector:
    """Samples in one scrape of all targets of a job."""
    return m.SCRAPE_SAMPLES(job=JOB).value().sum("job")


def series() -> Vector:
    """Series in memory."""
    return m.HEAD_SERIES().value().max()


def series_budget() -> Vector:
    """The most series that Prometheus may hold."""
    return budget("series.limit")


def samples_per_second() -> Vector:
    """Samples stored per second, recorded ones among them."""
    return m.HEAD_SAMPLES().rate().sum()


def rules_duration() -> Vector:
    """Seconds that one evaluation of all rules takes."""
    return _rule_groups().sum()


def slowest_rules_duration() -> Vector:
    """Seconds that the slowest group takes."""
    return _rule_groups().max()


def rules_interval() -> Vector:
    """Seconds between two evaluations of the same group, which none may take."""
    return m.RULE_GROUP_INTERVAL().value().min()


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
    """Samples whose time is there already, in each step of the graph."""
    return m.DUPLICATE_SAMPLES().increase().sum()


def out_of_order_samples() -> Vector:
    """Samples that came too late, in each step of the graph."""
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
    chunks = m.HEAD_CHUNK_BYTES().value().max()
    return blocks().plus(m.WAL_BYTES().value().max()).plus(chunks)


def blocks() -> Vector:
    """Bytes of finished blocks."""
    return m.BLOCK_BYTES().value().max()


def storage_limit() -> Vector:
    """RetentionSize, in bytes; nothing where none is set, which Prometheus says as 0."""
    return m.RETENTION_BYTES().value().max().where("> 0")


def _up() -> Vector:
    return m.UP(job=regex(".+")).value()


def _rule_groups() -> Vector:
    return m.RULE_GROUP_SECONDS().value()


def _mean(seconds: Series, events: Series, *by: str) -> Vector:
    """Seconds that one event takes; nothing without events."""
    return seconds.rate().sum(*by).ratio_to(events.rate().sum(*by).where("> 0"))


# Alertmanager


def alerts_held() -> Vector:
    """Alerts that Alertmanager holds, by state."""
    return m.ALERTMANAGER_ALERTS().value().max("state")


def silences() -> Vector:
    """Silences that are in force."""
    return m.SILENCES(state="active").value().max()


def notifications_sent() -> Vector:
    """Notifications tried, in each step of the graph."""
    return m.NOTIFICATIONS().increase().sum()


def notifications_failed() -> Vector:
    """Notifications that reached nobody, in each step of the graph."""
    return m.NOTIFICATIONS_FAILED().increase().sum()


def alerts_sent() -> Vector:
    """Alerts per second that Prometheus hands to Alertmanager."""
    return m.ALERTS_SENT().rate().sum()


def alerts_not_sent() -> Vector:
    """Alerts per second that Prometheus could not hand over."""
    return m.ALERT_SEND_ERRORS().rate().sum().plus(m.ALERTS_DROPPED().rate().sum())


# Loki


def loki_lines() -> Vector:
    """Lines per second that Loki receives."""
    return m.LOKI_LINES().rate().sum()


def loki_bytes() -> Vector:
    """Bytes per second that Loki receives."""
    return m.LOKI_BYTES().rate().sum()


def loki_discarded() -> Vector:
    """Lines that Loki refused, in each step of the graph."""
    lines = m.LOKI_LINES().increase().sum()
    return m.LOKI_DISCARDED().increase().sum().or_zero_for(lines)


def loki_discarded_by_reason() -> Vector:
    """The same, by reason; Loki counts a reason from its first line on."""
    return m.LOKI_DISCARDED().increase().sum("reason")


def loki_flush_failures() -> Vector:
    """Chunks that Loki could not write, in each step of the graph."""
    return m.LOKI_FLUSH_FAILURES().increase().sum()


def loki_disk_full() -> Vector:
    """Lines that Loki took without writing them down, as the disk was full."""
    return m.LOKI_DISK_FULL().increase().sum()


def loki_flushed() -> Vector:
    """Chunks that Loki wrote, in each step of the graph."""
    return m.LOKI_FLUSHED().increase().sum()


def loki_streams() -> Vector:
    """Streams in memory, against the limit in base/releases/loki.yaml."""
    return m.LOKI_STREAMS().value().sum()


def loki_chunks() -> Vector:
    """Chunks in memory."""
    return m.LOKI_CHUNKS().value().sum()


def loki_requests() -> Vector:
    """Requests per second, by status."""
    return m.LOKI_REQUESTS().rate().sum("status_code")


def loki_request_duration() -> Vector:
    """Mean seconds of a query or a push; streams of tailed lines are left out."""
    route = regex("loki_api_v1_(push|query|query_range)")
    return _mean(m.LOKI_REQUEST_SECONDS(route=route), m.LOKI_REQUESTS(route=route), "route")


# Alloy


def alloy_lines_read() -> Vector:
    """Lines per second that Alloy reads from files."""
    return m.ALLOY_LINES_READ().rate().sum()


def alloy_lines_sent() -> Vector:
    """Lines per second that Loki took from Alloy, events of Kubernetes among them."""
    return m.ALLOY_LINES_SENT().rate().sum()


def alloy_lines_sent_by_pod() -> Vector:
    """Lines per second that Loki took from each Alloy."""
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


# Grafana, the operator, and what they are told


def grafana_requests() -> Vector:
    """Requests per second to Grafana, by status."""
    return m.GRAFANA_REQUESTS().rate().sum("status_code")


def grafana_request_duration() -> Vector:
    """Mean seconds that Grafana takes for an answer."""
    return _mean(m.GRAFANA_REQUEST_SECONDS(), m.GRAFANA_REQUESTS())


def grafana_queries() -> Vector:
    """Queries per second to each data source, by outcome."""
    return m.GRAFANA_QUERIES(exported_endpoint="queryData").rate().sum("plugin_id", "status")


def operator_reconciles() -> Vector:
    """Objects that the operator went through, in each step of the graph."""
    return m.OPERATOR_RECONCILES().increase().sum()


def operator_errors() -> Vector:
    """Of these, in how many it failed."""
    return m.OPERATOR_ERRORS().increase().sum()


def rejected_resources() -> Vector:
    """Rules, monitors and probes that the operator refuses to give to Prometheus."""
    return m.OPERATOR_RESOURCES(state="rejected").value().sum()


def prometheus_loaded() -> Vector:
    """1 where Prometheus runs with its newest configuration."""
    return m.PROMETHEUS_RELOADED().value().max("pod")


def alertmanager_loaded() -> Vector:
    """1 where Alertmanager does."""
    return m.ALERTMANAGER_RELOADED().value().max("pod")


def alloy_loaded() -> Vector:
    """1 where Alloy does."""
    return m.ALLOY_LOADED().value().max("pod")


def reloaders_succeeded() -> Vector:
    """1 where the last change of a configuration reached the process."""
    return m.RELOADER_SUCCESS().value().min("pod")


# The engine: Flux or Argo CD, in the same terms


def gitops_faults() -> Vector:
    """1 for each object that is not as it should be, 0 for the others.

    Of Flux: not ready. Of Argo CD: not synced, or not healthy.
    """
    flux = _flux_objects(ready="True").times(0).otherwise(_flux_objects())
    well = _applications(sync_status="Synced", health_status="Healthy")
    return flux.otherwise(well.times(0).otherwise(_applications()))


def reconcile_duration() -> Vector:
    """Mean seconds that a controller needs for one object."""
    flux = _mean(m.FLUX_SECONDS(), m.FLUX_RECONCILES(), "job")
    return flux.otherwise(_mean(m.ARGOCD_SECONDS(), m.ARGOCD_RECONCILES(), "job"))


def reconcile_errors() -> Vector:
    """Objects in which a controller failed, in each step of the graph."""
    flux = m.FLUX_ERRORS().increase().sum("job")
    failed = m.ARGOCD_SYNCS(phase=regex("Error|Failed")).increase().sum("job")
    return flux.otherwise(failed)


def _flux_objects(**where: str) -> Vector:
    found = m.FLUX_OBJECTS(**where).value()
    named = found.joined("kind", "customresource_kind").joined("state", "ready")
    return named.max(*_OBJECT)


def _applications(**where: str) -> Vector:
    found = m.ARGOCD_APPLICATIONS(**where).value()
    named = found.labelled("kind", "Application").joined("state", "sync_status", "health_status")
    return named.max(*_OBJECT)


# What the stack itself takes


def budget(resource: str) -> Vector:
    """What the environment's budget.yaml says under these keys; nothing where it does not.

    Args:
        resource: The keys, such as `tier.cpu`.
    """
    return m.BUDGET(resource=resource).value().max()


def requests_of_budget(resource: str) -> Vector:
    """Share of its budget of CPU or memory that the stack requests."""
    requested = m.NAMESPACE_REQUESTS(namespace=OURS, resource=resource).value().sum()
    return requested.ratio_to(budget(f"requests.{resource}"))


def memory_of_limit() -> Vector:
    """Share of its memory limit that each kind of container holds, in the worst pod."""
    keys = ("namespace", "pod", "container")
    used = m.MEMORY_WORKING_SET(namespace=STACK).value().max(*keys)
    limits = m.RESOURCE_LIMITS(namespace=STACK, resource="memory").value().max(*keys)
    return used.ratio_to(limits).max("namespace", "container")


def memory() -> Vector:
    """Memory that each kind of container of the stack holds in all pods, in bytes."""
    return m.MEMORY_WORKING_SET(namespace=STACK).value().sum("namespace", "container")


def cpu() -> Vector:
    """CPU that each kind of container of the stack uses in all pods, in cores."""
    return m.CPU_USAGE(namespace=STACK).rate().sum("namespace", "container")


def restarts() -> Vector:
    """How often each container of the stack's present pods has restarted."""
    keys = ("namespace", "pod", "container")
    return m.CONTAINER_RESTARTS(namespace=STACK).so_far().max(*keys)


def rollouts() -> Vector:
    """Deployments of the stack whose specification changed."""
    return workloads.rollouts(STACK)
