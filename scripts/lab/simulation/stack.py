"""What the monitoring's own programs and the GitOps engines expose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from scripts.core.quantities import quantity
from scripts.lab.simulation import logs, programs
from scripts.lab.simulation.model import Array, Exposed, Pod, cumulative, histogram
from scripts.lab.simulation.world import FAULTS, World

CHART = "kube-prometheus-stack"
NAMESPACE = "monitoring"
# What the application's monitoring has in Prometheus' head on such a cluster.
_SERIES = 16_000
_RECONCILE = (
    *(0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8),
    *(0.9, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5, 6, 7, 8, 9, 10, 15, 20, 25, 30),
    *(40, 50, 60),
)
# fluxcd/pkg/runtime/metrics: ExponentialBucketsRange(10e-3, 1800, 10).
_GOTK = tuple(10e-3 * (1800 / 10e-3) ** (n / 9) for n in range(10))
_LOKI = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100)
# All of them are counted from the start: notify/metrics.go and notify/util.go of Alertmanager 0.34.
_INTEGRATIONS = (
    *("discord", "email", "incidentio", "jira", "mattermost", "msteams", "msteamsv2", "opsgenie"),
    *("pagerduty", "pushover", "rocketchat", "slack", "sns", "telegram", "victorops", "webex"),
    *("webhook", "wechat"),
)
_REASONS = (
    *("authError", "clientError", "contextCanceled", "contextDeadlineExceeded", "other"),
    *("rateLimited", "serverError"),
)


def _every(world: World, seconds: float) -> Array:
    """1 in each step in which something happens that happens every so many seconds."""
    due = np.floor(np.arange(1, world.clock.steps + 1) * world.clock.step / seconds)
    return np.asarray(np.diff(due, prepend=0.0), dtype=np.float64)


def _problems(world: World) -> Array:
    """How many faults last."""
    lasting = np.sum([world.during(fault.name) for fault in FAULTS], axis=0)
    return np.asarray(lasting, dtype=np.float64)


def _info(world: World, program: str, version: str) -> Exposed:
    labels = {
        "branch": "HEAD",
        "goarch": "arm64",
        "goos": "linux",
        "goversion": "go1.25.3",
        "revision": "unknown",
        "tags": "unknown",
        "version": version,
    }
    return f"{program}_build_info", labels, world.clock.constant(1)


def prometheus(world: World) -> Iterator[Exposed]:
    """Yield Prometheus' own metrics."""
    pod = programs.of_one(world, f"prometheus-{CHART}")
    yield from programs.while_there(pod, _prometheus(world, pod))


def _prometheus(world: World, pod: Pod) -> Iterator[Exposed]:
    clock, noise = world.clock, world.noise
    yield _info(world, "prometheus", programs.version(pod, "prometheus"))
    yield "prometheus_ready", {}, clock.constant(1)
    yield "prometheus_config_last_reload_successful", {}, clock.constant(1)
    reloaded = clock.constant(clock.start - 7200)
    yield "prometheus_config_last_reload_success_timestamp_seconds", {}, reloaded
    yield from _head(world)
    yield from _scraping(world)
    yield from _evaluating(world)
    yield from _notifying(world)
    queries = noise.counts("queries", clock.constant(1.5))
    yield "prometheus_engine_queries", {}, np.round(noise.around("engine queries", 0.4, 1.0))
    yield "prometheus_engine_queries_concurrent_max", {}, clock.constant(20)
    yield "prometheus_engine_query_samples_total", {}, cumulative(queries * 2400)
    for part, mean in (("inner_eval", 0.004), ("prepare_time", 0.001), ("queue_time", 1e-5)):
        name, labels = "prometheus_engine_query_duration_seconds", {"slice": part}
        yield from programs.sum_and_count(name, labels, queries, mean)
        for quantile, factor in (("0.5", 0.5), ("0.9", 2.0), ("0.99", 8.0)):
            yield name, {**labels, "quantile": quantile}, noise.around(part, mean * factor)
    for handler in ("/metrics", "/api/v1/query", "/api/v1/query_range", "/-/ready"):
        labels = {"code": "200", "handler": handler}
        count = noise.counts(f"prometheus {handler}", clock.constant(0.2))
        yield "prometheus_http_requests_total", labels, cumulative(count)
    yield from programs.counters(
        world,
        (
            "prometheus_engine_query_log_failures_total",
            "prometheus_sd_kubernetes_failures_total",
            "prometheus_sd_file_read_errors_total",
            "prometheus_sd_http_failures_total",
            "prometheus_template_text_expansion_failures_total",
            "prometheus_web_federation_errors_total",
        ),
    )
    for role in ("endpointslice", "pod", "service"):
        for event in ("add", "delete", "update"):
            labels = {"event": event, "role": role}
            count = noise.counts(f"sd {role} {event}", clock.constant(0.05))
            yield "prometheus_sd_kubernetes_events_total", labels, cumulative(count)
    yield from programs.process(world, pod, "prometheus")
    yield from programs.go(world, pod, "prometheus")


def _head(world: World) -> Iterator[Exposed]:
    """The storage: what is in memory, what is on disk."""
    clock, noise = world.clock, world.noise
    series = np.round(noise.around("head series", _SERIES * len(world.nodes) / 2, 0.01))
    created = cumulative(np.maximum(0, np.diff(series, prepend=0.0)))
    yield "prometheus_tsdb_head_series", {}, series
    yield "prometheus_tsdb_head_series_created_total", {}, created
    yield "prometheus_tsdb_head_series_removed_total", {}, created - series
    yield "prometheus_tsdb_head_stale_series", {}, np.round(series * 0.02)
    yield "prometheus_tsdb_head_chunks", {}, np.round(series * 2.4)
    yield "prometheus_tsdb_head_chunks_created_total", {}, np.round(created * 2.4)
    yield "prometheus_tsdb_head_active_appenders", {}, clock.constant(1)
    yield "prometheus_tsdb_data_replay_duration_seconds", {}, clock.constant(4.2)
    yield "prometheus_tsdb_clean_start", {}, clock.constant(1)
    appended = cumulative(series)
    for kind, values in (("float", appended), ("histogram", clock.constant(0))):
        yield "prometheus_tsdb_head_samples_appended_total", {"type": kind}, values
    for name in ("out_of_order_samples", "out_of_bound_samples", "too_old_samples"):
        yield f"prometheus_tsdb_{name}_total", {"type": "float"}, clock.constant(0)
    compacted = _every(world, 7200)
    for name, mean in (
        ("compaction_duration", 1.4),
        ("head_gc_duration", 0.02),
        ("wal_truncate_duration", 0.6),
    ):
        yield from programs.sum_and_count(f"prometheus_tsdb_{name}_seconds", {}, compacted, mean)
    name = "prometheus_tsdb_wal_fsync_duration_seconds"
    yield from programs.sum_and_count(name, {}, compacted, 0.004)
    for quantile, seconds in (("0.5", 0.003), ("0.9", 0.006), ("0.99", 0.01)):
        yield name, {"quantile": quantile}, clock.constant(seconds)
    yield "prometheus_tsdb_compactions_total", {}, cumulative(compacted)
    yield "prometheus_tsdb_compactions_triggered_total", {}, cumulative(_every(world, 60))
    yield "prometheus_tsdb_head_truncations_total", {}, cumulative(compacted)
    yield "prometheus_tsdb_checkpoint_creations_total", {}, cumulative(compacted)
    yield "prometheus_tsdb_wal_truncations_total", {}, cumulative(compacted)
    yield "prometheus_tsdb_reloads_total", {}, cumulative(_every(world, 60))
    yield "prometheus_tsdb_blocks_loaded", {}, 30 + np.floor(clock.hours / 2)
    yield "prometheus_tsdb_storage_blocks_bytes", {}, 2.1e9 + appended * 1.4
    yield "prometheus_tsdb_wal_storage_size_bytes", {}, noise.around("wal", 9e7, 0.2)
    yield "prometheus_tsdb_head_chunks_storage_size_bytes", {}, noise.around("chunks", 4e7, 0.2)
    yield "prometheus_tsdb_symbol_table_size_bytes", {}, clock.constant(18000)
    yield "prometheus_tsdb_lowest_timestamp_seconds", {}, clock.time - 30 * 86400
    yield "prometheus_tsdb_head_min_time_seconds", {}, clock.time - 7200
    yield "prometheus_tsdb_head_max_time_seconds", {}, clock.time
    yield "prometheus_tsdb_retention_limit_seconds", {}, clock.constant(30 * 86400)
    spec = world.cluster.of("Prometheus")[0].spec
    size = quantity(str(spec.get("retentionSize") or "0").removesuffix("B"))
    yield "prometheus_tsdb_retention_limit_bytes", {}, clock.constant(size)
    yield from programs.counters(
        world,
        (
            "prometheus_tsdb_compactions_failed_total",
            "prometheus_tsdb_head_truncations_failed_total",
            "prometheus_tsdb_checkpoint_creations_failed_total",
            "prometheus_tsdb_checkpoint_deletions_failed_total",
            "prometheus_tsdb_reloads_failures_total",
            "prometheus_tsdb_wal_corruptions_total",
            "prometheus_tsdb_wal_truncations_failed_total",
            "prometheus_tsdb_wal_writes_failed_total",
            "prometheus_tsdb_size_retentions_total",
            "prometheus_tsdb_time_retentions_total",
            "prometheus_tsdb_mmap_chunk_corruptions_total",
        ),
    )


def _jobs(world: World) -> Iterator[str]:
    """Yield the scrape jobs, as the operator names them."""
    kinds = {"ServiceMonitor": "serviceMonitor", "PodMonitor": "podMonitor"}
    for item in world.cluster.of(*kinds):
        endpoints = item.spec.get("endpoints") or item.spec.get("podMetricsEndpoints") or ()
        for number, _ in enumerate(endpoints):
            yield f"{kinds[item.kind]}/{item.namespace}/{item.name}/{number}"
    for item in world.cluster.of("Probe"):
        yield f"probe/{item.namespace}/{item.name}"
    for item in world.cluster.of("ScrapeConfig"):
        yield f"scrapeConfig/{item.namespace}/{item.name}"


def _scraping(world: World) -> Iterator[Exposed]:
    clock, noise = world.clock, world.noise
    jobs = list(_jobs(world))
    for job in jobs:
        labels = {"scrape_job": job}
        targets = clock.constant(len(world.nodes) if "kubelet" in job else 1)
        prefix = "prometheus_target_scrape_pool"
        yield f"{prefix}_targets", labels, targets
        yield f"{prefix}_sync_total", labels, cumulative(_every(world, 300))
        yield f"{prefix}_target_limit", labels, clock.constant(0)
        yield "prometheus_target_sync_failed_total", labels, clock.constant(0)
        name = "prometheus_target_sync_length_seconds"
        yield from programs.sum_and_count(name, labels, _every(world, 300), 0.0005)
        yield "prometheus_target_metadata_cache_entries", labels, targets * 160
        yield "prometheus_target_metadata_cache_bytes", labels, targets * 9000
        discovered = {"config": job, "name": "scrape"}
        yield "prometheus_sd_discovered_targets", discovered, targets * 40
    for interval in ("15s", "30s"):
        labels = {"interval": interval}
        name, seconds = "prometheus_target_interval_length_seconds", float(interval[:-1])
        count = clock.constant(len(jobs) * clock.step / seconds)
        yield from programs.sum_and_count(name, labels, count, seconds)
        for quantile in ("0.01", "0.05", "0.5", "0.9", "0.99"):
            around = noise.around(f"interval {quantile}", seconds, 0.0005)
            yield name, {**labels, "quantile": quantile}, around
    yield "prometheus_target_scrape_pools_total", {}, clock.constant(len(jobs))
    yield "prometheus_sd_updates_total", {"name": "scrape"}, cumulative(_every(world, 60))
    yield "prometheus_sd_received_updates_total", {"name": "scrape"}, cumulative(_every(world, 5))
    yield from programs.counters(
        world,
        (
            "prometheus_target_scrape_pools_failed_total",
            "prometheus_target_scrape_pool_reloads_total",
            "prometheus_target_scrape_pool_reloads_failed_total",
            "prometheus_target_scrape_pool_exceeded_target_limit_total",
            "prometheus_target_scrape_pool_exceeded_label_limits_total",
            "prometheus_target_scrapes_exceeded_sample_limit_total",
            "prometheus_target_scrapes_exceeded_body_size_limit_total",
            "prometheus_target_scrapes_sample_duplicate_timestamp_total",
            "prometheus_target_scrapes_sample_out_of_bounds_total",
            "prometheus_target_scrapes_sample_out_of_order_total",
        ),
    )


def _groups(world: World) -> Iterator[tuple[str, int]]:
    """Yield each rule group as Prometheus names it, with how many rules it has."""
    folder = f"/etc/prometheus/rules/prometheus-{CHART}-rulefiles-0"
    for item in world.cluster.of("PrometheusRule"):
        for group in item.spec.get("groups") or ():
            yield f"{folder}/{item.namespace}-{item.name}.yaml;{group['name']}", len(group["rules"])


def _evaluating(world: World) -> Iterator[Exposed]:
    clock, noise = world.clock, world.noise
    groups = list(_groups(world))
    evaluated = clock.constant(1)
    for group, rules in groups:
        labels = {"rule_group": group}
        prefix = "prometheus_rule_group"
        yield "prometheus_rule_evaluations_total", labels, cumulative(evaluated * rules)
        yield "prometheus_rule_evaluation_failures_total", labels, clock.constant(0)
        yield f"{prefix}_rules", labels, clock.constant(rules)
        yield f"{prefix}_interval_seconds", labels, clock.constant(30)
        yield f"{prefix}_iterations_total", labels, cumulative(evaluated)
        yield f"{prefix}_iterations_missed_total", labels, clock.constant(0)
        yield f"{prefix}_last_duration_seconds", labels, noise.around(group, 0.001 * rules, 0.2)
        yield f"{prefix}_last_evaluation_timestamp_seconds", labels, clock.time - 4
        yield f"{prefix}_last_evaluation_samples", labels, clock.constant(rules * 6)
    total = sum(rules for _, rules in groups)
    name = "prometheus_rule_evaluation_duration_seconds"
    yield from programs.sum_and_count(name, {}, evaluated * total, 0.001)
    name = "prometheus_rule_group_duration_seconds"
    yield from programs.sum_and_count(name, {}, evaluated * len(groups), 0.005)
    for quantile, value in (("0.5", 0.002), ("0.9", 0.008), ("0.99", 0.03)):
        yield name, {"quantile": quantile}, noise.around(f"groups {quantile}", value)


def _notifying(world: World) -> Iterator[Exposed]:
    clock = world.clock
    url = {"alertmanager": "http://10.244.0.40:9093/api/v2/alerts"}
    # What fires is sent again every minute; Watchdog always fires.
    sent = _every(world, 60) * (1 + _problems(world))
    yield "prometheus_notifications_sent_total", url, cumulative(sent)
    yield "prometheus_notifications_errors_total", url, clock.constant(0)
    yield "prometheus_notifications_dropped_total", url, clock.constant(0)
    yield "prometheus_notifications_queue_length", url, clock.constant(0)
    yield "prometheus_notifications_queue_capacity", {}, clock.constant(10000)
    yield "prometheus_notifications_alertmanagers_discovered", {}, clock.constant(1)
    name = "prometheus_notifications_latency_seconds"
    yield from programs.sum_and_count(name, url, (sent > 0).astype(float), 0.004)


def alertmanager(world: World) -> Iterator[Exposed]:
    """Yield Alertmanager's metrics: what fires, and what it sent."""
    clock = world.clock
    pod = programs.of_one(world, f"alertmanager-{CHART}")
    firing = 1 + _problems(world)
    yield _info(world, "alertmanager", programs.version(pod, "alertmanager"))
    for state, count in (
        ("active", firing),
        ("suppressed", 0 * firing),
        ("unprocessed", 0 * firing),
    ):
        yield "alertmanager_alerts", {"state": state}, count
    for state in ("active", "expired", "pending"):
        yield "alertmanager_silences", {"state": state}, clock.constant(0)
    received = _every(world, 60) * firing
    ended = np.maximum(0, -np.diff(firing, prepend=firing[0]))
    for status, count in (("firing", received), ("resolved", ended)):
        labels = {"status": status, "version": "v2"}
        yield "alertmanager_alerts_received_total", labels, cumulative(count)
    yield "alertmanager_alerts_invalid_total", {"version": "v2"}, clock.constant(0)
    begun = np.maximum(0, np.diff(firing, prepend=firing[0]))
    # Watchdog goes out every five minutes; everything else when it begins, and every four hours.
    notified = _every(world, 300) + begun + _every(world, 14400) * _problems(world)
    for integration in _INTEGRATIONS:
        labels = {"integration": integration}
        count = notified if integration == "webhook" else 0 * notified
        yield "alertmanager_notifications_total", labels, cumulative(count)
        yield "alertmanager_notification_requests_total", labels, cumulative(count)
        yield "alertmanager_notification_requests_failed_total", labels, clock.constant(0)
        name = "alertmanager_notification_latency_seconds"
        bounds = (1, 5, 10, 15, 20)
        yield from histogram(name, labels, count, clock.constant(0.3), bounds)
        for reason in _REASONS:
            own = {**labels, "reason": reason}
            yield "alertmanager_notifications_failed_total", own, clock.constant(0)
    yield "alertmanager_config_last_reload_successful", {}, clock.constant(1)
    loaded = clock.constant(clock.start - 5 * 86400)
    yield "alertmanager_config_last_reload_success_timestamp_seconds", {}, loaded
    yield "alertmanager_config_hash", {}, clock.constant(1.15942959555253e14)
    yield "alertmanager_cluster_enabled", {}, clock.constant(0)
    yield "alertmanager_dispatcher_aggregation_groups", {}, firing
    yield "alertmanager_integrations", {}, clock.constant(2)
    yield "alertmanager_receivers", {}, clock.constant(3)
    yield "alertmanager_nflog_snapshot_size_bytes", {}, clock.constant(420)
    yield from programs.counters(
        world,
        (
            "alertmanager_nflog_query_errors_total",
            "alertmanager_nflog_maintenance_errors_total",
            "alertmanager_silences_query_errors_total",
            "alertmanager_silences_maintenance_errors_total",
        ),
    )
    yield from programs.process(world, pod, "alertmanager")
    yield from programs.go(world, pod, "alertmanager")


def reloader(world: World, pod: Pod) -> Iterator[Exposed]:
    """Yield the metrics of the sidecar that reloads a configuration, in front of each server."""
    clock = world.clock
    version = programs.version(pod, "config-reloader")
    yield _info(world, "prometheus_config_reloader", version)
    yield "reloader_last_reload_successful", {}, clock.constant(1)
    reloaded = clock.constant(clock.start - 7200)
    yield "reloader_last_reload_success_timestamp_seconds", {}, reloaded
    yield "reloader_reloads_total", {}, clock.constant(3)
    yield "reloader_config_apply_operations_total", {}, cumulative(_every(world, 180))
    yield "reloader_watch_events_total", {}, clock.constant(9)
    yield "reloader_watches", {}, clock.constant(2)
    yield from programs.counters(
        world,
        (
            "reloader_reloads_failed_total",
            "reloader_config_apply_operations_failed_total",
            "reloader_watch_errors_total",
        ),
    )
    yield from programs.process(world, pod, "config-reloader")
    yield from programs.go(world, pod, "config-reloader")


def operator(world: World) -> Iterator[Exposed]:
    """Yield the Prometheus operator's metrics."""
    clock, noise = world.clock, world.noise
    pod = programs.of_one(world, f"{CHART}-operator")
    prefix = "prometheus_operator"
    yield _info(world, prefix, programs.version(pod))
    # Two objects, each reconciled with every change of what it selects.
    for controller in ("alertmanager", "prometheus"):
        labels = {"controller": controller}
        count = noise.counts(f"reconciled {controller}", clock.constant(0.01))
        yield f"{prefix}_ready", labels, clock.constant(1)
        yield f"{prefix}_reconcile_operations_total", labels, cumulative(count)
        yield f"{prefix}_status_update_operations_total", labels, cumulative(count)
        name = f"{prefix}_reconcile_duration_seconds"
        bounds = (0.1, 0.5, 1, 5, 10)
        yield from histogram(name, labels, count, clock.constant(0.08), bounds)
        for action in ("add", "update", "delete"):
            triggered = {**labels, "action": action, "triggered_by": "PrometheusRule"}
            number = 40 if action == "add" else 0
            yield f"{prefix}_triggered_total", triggered, clock.constant(number)
        owned = {**labels, "name": CHART, "namespace": NAMESPACE}
        yield f"{prefix}_spec_replicas", owned, clock.constant(1)
        for status, number in (("ok", 1), ("failed", 0)):
            yield f"{prefix}_syncs", {**labels, "status": status}, clock.constant(number)
        for name in ("list", "watch"):
            operations = cumulative(_every(world, 480 if name == "watch" else 86400))
            yield f"{prefix}_{name}_operations_total", labels, operations
            yield f"{prefix}_{name}_operations_failed_total", labels, clock.constant(0)
        for name in (
            "reconcile_errors_total",
            "status_update_errors_total",
            "reconcile_sts_delete_create_total",
        ):
            yield f"{prefix}_{name}", labels, clock.constant(0)
    for kind in ("PodMonitor", "Probe", "PrometheusRule", "ScrapeConfig", "ServiceMonitor"):
        number = len(world.cluster.of(kind))
        for state, value in (("selected", number), ("rejected", 0)):
            labels = {"controller": "prometheus", "resource": kind, "state": state}
            yield f"{prefix}_managed_resources", labels, clock.constant(value)
    yield f"{prefix}_node_syncs_total", {}, cumulative(_every(world, 180))
    yield f"{prefix}_node_syncs_failed_total", {}, clock.constant(0)
    yield f"{prefix}_node_address_lookup_errors_total", {}, clock.constant(0)
    yield from programs.process(world, pod)
    yield from programs.go(world, pod)


def loki(world: World) -> Iterator[Exposed]:
    """Yield Loki's metrics; what it receives is what the containers wrote."""
    clock, noise = world.clock, world.noise
    pod = programs.of_one(world, "loki")
    written = [w for w in logs.written(world) if w.kept]
    lines = np.sum([w.total for w in written], axis=0)
    size = np.sum([w.total * w.size for w in written], axis=0)
    tenant = {"tenant": "fake"}
    yield _info(world, "loki", programs.version(pod, "loki"))
    received = {**tenant, "format": "loki", "is_internal_stream": "false"}
    yield "loki_distributor_lines_received_total", received, cumulative(lines)
    yield "loki_distributor_bytes_received_total", received, cumulative(size)
    streams = clock.constant(len({(w.app, w.container, w.name) for w in written}) * 0.7)
    yield "loki_ingester_memory_streams", tenant, np.round(streams)
    yield "loki_ingester_memory_chunks", {}, np.round(noise.around("chunks", streams * 1.4))
    created = cumulative(_every(world, 120))
    yield "loki_ingester_chunks_created_total", {}, created
    for reason in ("idle", "max_age", "full"):
        flushed = np.floor(created / 4)
        yield "loki_ingester_chunks_flushed_total", {"reason": reason}, flushed
    pushes, refused = np.ceil(lines / 8), logs.refused(world)
    yield "loki_ingester_wal_disk_full_failures_total", {}, cumulative(refused)
    yield "loki_ingester_chunks_flush_failures_total", {}, cumulative(refused)
    yield "loki_panic_total", {}, clock.constant(0)
    if refused.any():
        # Alloy sends again what was refused; some of it is too old for its stream by then.
        behind = {**tenant, "format": "loki", "reason": "too_far_behind", "retention_hours": "168"}
        late = cumulative(refused) * 2
        yield "loki_discarded_samples_total", behind, programs.once_seen(late)
        yield "loki_discarded_bytes_total", behind, programs.once_seen(late * 180)
    for method, route, status, count, median in (
        ("POST", "loki_api_v1_push", "204", pushes, 0.004),
        ("POST", "loki_api_v1_push", "500", refused, 0.004),
        (
            "GET",
            "loki_api_v1_query_range",
            "200",
            noise.counts("ranges", clock.constant(0.1)),
            0.06,
        ),
        ("GET", "loki_api_v1_labels", "200", noise.counts("labels", clock.constant(0.02)), 0.01),
        ("GET", "ready", "200", clock.constant(3), 0.001),
        ("GET", "metrics", "200", clock.constant(1), 0.02),
    ):
        labels = {"method": method, "route": route, "status_code": status, "ws": "false"}
        if count.any():
            name = "loki_request_duration_seconds"
            yield from histogram(name, labels, count, clock.constant(median), _LOKI)
    done = np.where(_every(world, 600) > 0, clock.time, clock.start - 300)
    last = np.maximum.accumulate(done)
    retention, tables = (
        "loki_compactor_apply_retention",
        "loki_boltdb_shipper_compact_tables_operation",
    )
    yield f"{retention}_last_successful_run_timestamp_seconds", {}, last
    yield f"{retention}_operation_duration_seconds", {}, noise.around("retention took", 0.4)
    yield f"{tables}_last_successful_run_timestamp_seconds", {}, last
    yield f"{tables}_duration_seconds", {}, noise.around("compaction took", 0.6)
    yield "loki_compactor_pending_delete_requests_count", {}, clock.constant(0)
    oldest = "loki_compactor_oldest_pending_delete_request_age_seconds"
    yield oldest, {}, clock.constant(0)
    yield from _loki_ruler(world)
    yield from programs.process(world, pod)
    yield from programs.go(world, pod)


def _loki_ruler(world: World) -> Iterator[Exposed]:
    clock, user = world.clock, {"user": "fake"}
    yield "loki_ruler_config_last_reload_successful", user, clock.constant(1)
    yield (
        "loki_ruler_config_last_reload_successful_seconds",
        user,
        clock.constant(clock.start - 9e3),
    )
    yield "loki_ruler_config_updates_total", user, clock.constant(1)
    yield "loki_ruler_managers_total", {}, clock.constant(1)
    yield "loki_ruler_clients", {}, clock.constant(0)
    yield "loki_ruler_ring_check_errors_total", {}, clock.constant(0)
    evaluated = _every(world, 60)
    group = {**user, "rule_group": "/var/loki/rules-temp/fake/rules.yaml;logs"}
    prefix = "loki_prometheus_rule"
    yield f"{prefix}_evaluations_total", group, cumulative(evaluated * 4)
    yield f"{prefix}_evaluation_failures_total", group, clock.constant(0)
    yield f"{prefix}_group_rules", group, clock.constant(4)
    yield f"{prefix}_group_interval_seconds", group, clock.constant(60)
    yield f"{prefix}_group_iterations_total", group, cumulative(evaluated)
    yield f"{prefix}_group_iterations_missed_total", group, clock.constant(0)
    for name in ("evaluation_duration_seconds", "group_duration_seconds"):
        yield from programs.sum_and_count(f"{prefix}_{name}", user, evaluated, 0.02)
    yield "loki_ruler_sync_rules_total", {"reason": "periodic"}, cumulative(_every(world, 60))
    took = world.noise.around("loki rules", 0.02, 0.3)
    yield f"{prefix}_group_last_duration_seconds", group, took
    yield f"{prefix}_group_last_evaluation_timestamp_seconds", group, clock.time - 20


def grafana(world: World) -> Iterator[Exposed]:
    """Yield Grafana's metrics."""
    clock, noise = world.clock, world.noise
    pod = programs.of_one(world, "grafana")
    build = {
        "branch": "HEAD",
        "edition": "oss",
        "goversion": "go1.25.3",
        "revision": "unknown",
        "version": programs.version(pod, "grafana"),
    }
    yield "grafana_build_info", build, clock.constant(1)
    looked = 0.05 + 0.3 * clock.between(8, 22)
    for handler, method, status, share, median in (
        ("/api/ds/query", "POST", "200", 1.0, 0.08),
        ("/api/ds/query", "POST", "400", 0.004, 0.01),
        ("/api/dashboards/uid/:uid", "GET", "200", 0.1, 0.02),
        ("/api/health", "GET", "200", 0.3, 0.002),
        ("/login", "POST", "200", 0.01, 0.15),
    ):
        labels = {"handler": handler, "method": method, "status_code": status}
        count = noise.counts(f"grafana {handler} {status}", looked * share)
        name = "grafana_http_request_duration_seconds"
        bounds = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25)
        yield from histogram(name, labels, count, clock.constant(median), bounds)
    yield "grafana_http_request_in_flight", {}, clock.constant(1)
    for source, share in (("prometheus", 0.8), ("loki", 0.2)):
        for code, part in (("200", 0.995), ("500", 0.005)):
            labels = {"code": code, "datasource": source, "datasource_type": source}
            count = noise.counts(f"datasource {source} {code}", looked * share * part)
            total = cumulative(count)
            name = "grafana_datasource_request_total"
            yield name, {**labels, "method": "POST"}, total
        # Since Grafana 13 both data sources are plugins, and counted as such.
        asked = {"endpoint": "queryData", "plugin_id": source, "target": "local"}
        for status, part in (("ok", 0.995), ("error", 0.005)):
            outcome = {**asked, "status": status, "status_source": "downstream"}
            count = noise.counts(f"plugin {source} {status}", looked * share * part)
            yield "grafana_plugin_request_total", outcome, cumulative(count)
    for name, value in (
        ("grafana_stat_totals_dashboard", 8),
        ("grafana_stat_totals_folder", 2),
        ("grafana_stat_totals_alert_rules", 0),
        ("grafana_stat_totals_annotations", 0),
        ("grafana_stat_total_orgs", 1),
        ("grafana_stat_total_users", 3),
        ("grafana_stat_active_users", 1),
    ):
        yield name, {}, clock.constant(value)
    for plugin in ("prometheus", "loki", "alertmanager"):
        name = "grafana_stat_totals_datasource"
        yield name, {"plugin_id": plugin}, clock.constant(1)
    yield from programs.process(world, pod)
    yield from programs.go(world, pod)


def alloy(world: World, pod: Pod) -> Iterator[Exposed]:
    """Yield Alloy's metrics: what it read on its node, what it counted in it, what it sent."""
    clock = world.clock
    yield _info(world, "alloy", f"v{programs.version(pod, 'alloy')}")
    yield "alloy_config_last_load_successful", {}, clock.constant(1)
    loaded = clock.constant(clock.start - 86400)
    yield "alloy_config_last_load_success_timestamp_seconds", {}, loaded
    yield "alloy_config_load_failures_total", {}, clock.constant(0)
    controller = {"controller_id": "", "controller_path": "/"}
    events = pod.workload[1] == "alloy-events"
    for health, number in (("healthy", 6 if events else 11), ("unhealthy", 0), ("exited", 0)):
        name = "alloy_component_controller_running_components"
        yield name, {**controller, "health_type": health}, clock.constant(number)
    memory = np.nan_to_num(pod.containers[0].memory)
    yield "alloy_resources_process_resident_memory_bytes", {}, memory * 0.92
    yield from logs.of_alloy(world, pod)
    yield from programs.process(world, pod, "alloy")
    yield from programs.go(world, pod, "alloy")


def blackbox(world: World) -> Iterator[Exposed]:
    """Yield the blackbox exporter's own metrics."""
    clock = world.clock
    pod = programs.of_one(world, "blackbox-exporter")
    yield _info(world, "blackbox_exporter", programs.version(pod))
    yield "blackbox_exporter_config_last_reload_successful", {}, clock.constant(1)
    loaded = clock.constant(clock.start - 5 * 86400)
    yield "blackbox_exporter_config_last_reload_success_timestamp_seconds", {}, loaded
    yield "blackbox_module_unknown_total", {}, clock.constant(0)
    for code, count in (("200", 1), ("500", 0), ("503", 0)):
        name, total = "promhttp_metric_handler_requests_total", cumulative(clock.constant(count))
        yield name, {"code": code}, total
    yield "promhttp_metric_handler_requests_in_flight", {}, clock.constant(1)
    yield from programs.process(world, pod)
    yield from programs.go(world, pod)


# A usual duration of each phase, in seconds, and the job's own factor on what it waits for.
_PHASES = {
    "connect": 0.0008,
    "processing": 0.006,
    "resolve": 0.0015,
    "tls": 0.0,
    "transfer": 0.0004,
}
_SLOWER = {"frontend": 3.0, "backend": 1.0, "grafana": 1.4}


def probe(world: World, job: str) -> Iterator[Exposed]:
    """Yield what one probe of an HTTP address shows."""
    clock = world.clock
    up = world.probes[job]
    yield "probe_success", {}, up
    total = clock.constant(0)
    for phase, seconds in _PHASES.items():
        slower = _SLOWER.get(job, 1.0) if phase == "processing" else 1.0
        took = world.noise.around(f"probe {job} {phase}", seconds * slower, 0.25)
        # What fails waits for the time limit, connected but not answered.
        took = np.where(up > 0, took, took * (phase in {"connect", "resolve"}))
        total = total + took
        yield "probe_http_duration_seconds", {"phase": phase}, took
    yield "probe_duration_seconds", {}, np.where(up > 0, total + 0.001, 5.0)
    yield "probe_dns_lookup_time_seconds", {}, clock.constant(0.0015)
    yield "probe_http_status_code", {}, np.where(up > 0, 200.0, 0.0)
    yield "probe_http_version", {}, np.where(up > 0, 1.1, 0.0)
    yield "probe_http_content_length", {}, np.where(up > 0, 420.0, 0.0)
    yield "probe_http_uncompressed_body_length", {}, np.where(up > 0, 420.0, 0.0)
    for name in ("redirects", "ssl"):
        yield f"probe_http_{name}", {}, clock.constant(0)
    yield "probe_failed_due_to_regex", {}, clock.constant(0)
    yield "probe_ip_protocol", {}, clock.constant(4)
    yield "probe_ip_addr_hash", {}, clock.constant(1.5e9 + len(job))


def kube_state_metrics_self(world: World) -> Iterator[Exposed]:
    """Yield the metrics on kube-state-metrics' second port."""
    clock = world.clock
    pod = programs.of_one(world, f"{CHART}-kube-state-metrics")
    yield _info(world, "kube_state_metrics", f"v{programs.version(pod)}")
    kinds = (
        *("CronJob", "DaemonSet", "Deployment", "HorizontalPodAutoscaler", "Job", "Namespace"),
        *("Node", "PersistentVolume", "PersistentVolumeClaim", "Pod", "PodDisruptionBudget"),
        *("ReplicaSet", "ResourceQuota", "StatefulSet"),
    )
    for kind in kinds:
        labels = {"resource": f"*v1.{kind}", "result": "success"}
        yield "kube_state_metrics_watch_total", labels, cumulative(_every(world, 480))
    yield "kube_state_metrics_shard_ordinal", {"shard_ordinal": "0"}, clock.constant(0)
    yield "kube_state_metrics_total_shards", {}, clock.constant(1)
    yield from programs.process(world, pod)
    yield from programs.go(world, pod)


def _objects(world: World, pod: Pod) -> dict[str, list[tuple[str, str]]]:
    """Return namespace and name of what a Flux controller reconciles, by kind."""
    kinds = {
        "source-controller": ("GitRepository", "OCIRepository", "HelmRepository", "HelmChart"),
        "kustomize-controller": ("Kustomization",),
        "helm-controller": ("HelmRelease",),
        "notification-controller": ("Provider", "Alert", "Receiver"),
    }[pod.workload[1]]
    found: dict[str, list[tuple[str, str]]] = {kind: [] for kind in kinds}
    for item in world.synced:
        if item["kind"] in found:
            metadata = item["metadata"]
            found[item["kind"]].append((metadata.get("namespace", NAMESPACE), metadata["name"]))
    return found


def flux(world: World, pod: Pod) -> Iterator[Exposed]:
    """Yield a Flux controller's metrics.

    A release that fails is tried again and again, so its reconciliations become more, and errors.
    """
    clock, noise = world.clock, world.noise
    for kind, objects in _objects(world, pod).items():
        controller = kind.lower()
        good, bad = clock.constant(0), clock.constant(0)
        usual = 0.05 if kind.endswith("Repository") else 1.6
        median = clock.constant(usual)
        for namespace, name in objects:
            failing = world.during("sync fails") * (kind == "HelmRelease" and name == "grafana")
            regular = np.roll(_every(world, 600), len(name)) * (1 - failing)
            retried = _every(world, 120) * failing
            labels = {"kind": kind, "name": name, "namespace": namespace}
            yield from histogram(
                "gotk_reconcile_duration_seconds",
                labels,
                regular + retried,
                np.where(failing > 0, 300 * usual, median),
                _GOTK,
            )
            good, bad = good + regular, bad + retried
        yield from _controller(world, controller, good, bad, median)
    leader = {"name": f"{pod.workload[1]}-leader-election"}
    yield "leader_election_master_status", leader, clock.constant(1)
    for method, code in (("GET", "200"), ("PATCH", "200"), ("PUT", "200")):
        labels = {"code": code, "host": "10.96.0.1:443", "method": method}
        count = noise.counts(f"{pod.name} {method}", clock.constant(0.4))
        yield "rest_client_requests_total", labels, cumulative(count)
    yield from programs.process(world, pod)
    yield from programs.go(world, pod)


def _controller(
    world: World, controller: str, good: Array, bad: Array, median: Array
) -> Iterator[Exposed]:
    """Yield what controller-runtime exposes of one controller."""
    clock, labels = world.clock, {"controller": controller}
    prefix = "controller_runtime"
    requeued = good if good.any() else 0 * good
    for result, count in (
        ("success", 0 * good),
        ("requeue_after", requeued),
        ("requeue", 0 * good),
        ("error", bad),
    ):
        yield f"{prefix}_reconcile_total", {**labels, "result": result}, cumulative(count)
    yield f"{prefix}_reconcile_errors_total", labels, cumulative(bad)
    for name in ("reconcile_panics_total", "reconcile_timeouts_total"):
        yield f"{prefix}_{name}", labels, clock.constant(0)
    yield f"{prefix}_terminal_reconcile_errors_total", labels, clock.constant(0)
    name = f"{prefix}_reconcile_time_seconds"
    yield from histogram(name, labels, good + bad, median, _RECONCILE)
    yield f"{prefix}_max_concurrent_reconciles", labels, clock.constant(4)
    yield f"{prefix}_active_workers", labels, (bad > 0).astype(float)
    queue: Mapping[str, str] = {**labels, "name": controller}
    yield "workqueue_adds_total", queue, cumulative(good + bad)
    yield "workqueue_retries_total", queue, cumulative(bad)
    yield "workqueue_unfinished_work_seconds", queue, clock.constant(0)
    yield "workqueue_longest_running_processor_seconds", queue, clock.constant(0)


def argocd(world: World, pod: Pod) -> Iterator[Exposed]:
    """Yield what a component of Argo CD exposes."""
    part = pod.workload[1].removeprefix("argocd-")
    if part == "application-controller":
        yield from _applications(world)
    elif part == "repo-server":
        yield from _repositories(world)
    yield from programs.process(world, pod)
    yield from programs.go(world, pod)


def _applications(world: World) -> Iterator[Exposed]:
    """One Application for each release, and one for the repository's own objects."""
    clock = world.clock
    server = {"dest_server": "https://kubernetes.default.svc"}
    apps = [(r.name, r.namespace, r.repository) for r in world.cluster.sync.releases]
    repository = "https://github.com/example/todo-monitoring"
    for name, destination, repo in (*apps, ("monitoring-config", NAMESPACE, repository)):
        app = {"name": name, "namespace": "argocd", "project": "default"}
        failing = world.during("sync fails") * (name == "grafana")
        states = (("Synced", "Healthy", 1 - failing), ("OutOfSync", "Degraded", failing))
        for sync, health, holds in states:
            if not holds.any():
                continue
            labels = {
                **app,
                **server,
                "autosync_enabled": "true",
                "dest_namespace": destination,
                "health_status": health,
                "operation": "",
                "repo": repo,
                "sync_status": sync,
            }
            yield "argocd_app_info", labels, np.where(holds > 0, 1.0, np.nan)
        failed = cumulative(_every(world, 180) * failing)
        for phase, count in (("Succeeded", clock.constant(1)), ("Failed", failed)):
            if count.any():
                labels = {**app, **server, "phase": phase}
                yield "argocd_app_sync_total", labels, programs.once_seen(count)
    reconciled = clock.constant(len(apps) / 6)
    labels = {**server, "namespace": "argocd"}
    bounds = (0.25, 0.5, 1, 2, 4, 8, 16)
    name = "argocd_app_reconcile"
    yield from histogram(name, labels, np.floor(reconciled) + 1, clock.constant(0.4), bounds)
    cluster = {"server": server["dest_server"]}
    for name, value in (("api_resource_objects", 900), ("api_resources", 110)):
        yield f"argocd_cluster_{name}", cluster, clock.constant(value)
    yield "argocd_cluster_cache_age_seconds", cluster, np.mod(clock.time, 86400)
    version = {**cluster, "k8s_version": "1.34"}
    yield "argocd_cluster_connection_status", version, clock.constant(1)
    yield "argocd_cluster_info", {**version, "name": "in-cluster"}, clock.constant(1)


def _repositories(world: World) -> Iterator[Exposed]:
    repo = {"repo": "https://github.com/example/todo-monitoring"}
    for kind, seconds in (("ls-remote", 180.0), ("fetch", 3600.0)):
        labels = {**repo, "request_type": kind}
        count = _every(world, seconds)
        yield "argocd_git_request_total", labels, cumulative(count)
        name = "argocd_git_request_duration_seconds"
        bounds = (0.1, 0.25, 0.5, 1, 2, 4, 10, 20)
        yield from histogram(name, labels, count, world.clock.constant(0.6), bounds)
    yield "argocd_repo_pending_request_total", repo, world.clock.constant(0)
