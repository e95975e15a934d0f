"""What Prometheus, its operator and Alertmanager expose."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scripts.core.quantities import quantity
from scripts.simulation.model import Array, Exposed, cumulative
from scripts.simulation.state import FAULTS, Simulation

CHART = "kube-prometheus-stack"
# What the application's monitoring has in Prometheus' head on such a cluster.
_SERIES = 16_000
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


def _problems(sim: Simulation) -> Array:
    """How many faults last."""
    lasting = np.sum([sim.during(fault.name) for fault in FAULTS], axis=0)
    return np.asarray(lasting, dtype=np.float64)


def prometheus(sim: Simulation) -> Iterator[Exposed]:
    """Yield Prometheus' own metrics."""
    yield from _head(sim)
    yield from _evaluating(sim)
    yield from _notifying(sim)
    clock, noise = sim.clock, sim.noise
    queries = noise.counts("queries", clock.constant(1.5))
    yield "prometheus_engine_queries", {}, np.round(noise.around("engine queries", 0.4, 1.0))
    yield "prometheus_engine_queries_concurrent_max", {}, clock.constant(20)
    name = "prometheus_engine_query_duration_seconds"
    for part, mean in (("inner_eval", 0.004), ("prepare_time", 0.001), ("queue_time", 1e-5)):
        labels = {"slice": part}
        yield f"{name}_sum", labels, cumulative(queries * mean)
        yield f"{name}_count", labels, cumulative(queries)
        for quantile, factor in (("0.5", 0.5), ("0.9", 2.0), ("0.99", 8.0)):
            yield name, {**labels, "quantile": quantile}, noise.around(part, mean * factor)


def _head(sim: Simulation) -> Iterator[Exposed]:
    """The storage: what is in memory, what is on disk."""
    clock, noise = sim.clock, sim.noise
    series = np.round(noise.around("head series", _SERIES * len(sim.nodes) / 2, 0.01))
    appended = cumulative(series)
    spec = sim.cluster.of("Prometheus")[0].spec
    size = quantity(str(spec.get("retentionSize") or "0").removesuffix("B"))
    for kind, values in (("float", appended), ("histogram", clock.constant(0))):
        yield "prometheus_tsdb_head_samples_appended_total", {"type": kind}, values
    for name, values in (
        ("head_series", series),
        ("storage_blocks_bytes", 2.1e9 + appended * 1.4),
        ("wal_storage_size_bytes", noise.around("wal", 9e7, 0.2)),
        ("head_chunks_storage_size_bytes", noise.around("chunks", 4e7, 0.2)),
        ("retention_limit_bytes", clock.constant(size)),
    ):
        yield f"prometheus_tsdb_{name}", {}, values


def _evaluating(sim: Simulation) -> Iterator[Exposed]:
    """Each rule group, as Prometheus names it."""
    clock, noise = sim.clock, sim.noise
    folder = f"/etc/prometheus/rules/prometheus-{CHART}-rulefiles-0"
    for item in sim.cluster.of("PrometheusRule"):
        for group in item.spec.get("groups") or ():
            name = f"{folder}/{item.namespace}-{item.name}.yaml;{group['name']}"
            labels, rules = {"rule_group": name}, len(group["rules"])
            prefix = "prometheus_rule_group"
            yield "prometheus_rule_evaluation_failures_total", labels, clock.constant(0)
            yield f"{prefix}_interval_seconds", labels, clock.constant(30)
            took = noise.around(name, 0.001 * rules, 0.2)
            yield f"{prefix}_last_duration_seconds", labels, took


def _notifying(sim: Simulation) -> Iterator[Exposed]:
    url = {"alertmanager": "http://10.244.0.40:9093/api/v2/alerts"}
    # What fires is sent again every minute; Watchdog always fires.
    sent = sim.every(60) * (1 + _problems(sim))
    yield "prometheus_notifications_sent_total", url, cumulative(sent)
    for name in ("errors_total", "dropped_total", "queue_length"):
        yield f"prometheus_notifications_{name}", url, sim.clock.constant(0)
    yield "prometheus_notifications_queue_capacity", {}, sim.clock.constant(10000)


def alertmanager(sim: Simulation) -> Iterator[Exposed]:
    """Yield Alertmanager's metrics: what fires, and what it sent."""
    clock = sim.clock
    firing = 1 + _problems(sim)
    for state in ("active", "suppressed", "unprocessed"):
        yield "alertmanager_alerts", {"state": state}, firing * (state == "active")
    for state in ("active", "expired", "pending"):
        yield "alertmanager_silences", {"state": state}, clock.constant(0)
    begun = np.maximum(0, np.diff(firing, prepend=firing[0]))
    # Watchdog goes out every five minutes; everything else when it begins, and every four hours.
    notified = sim.every(300) + begun + sim.every(14400) * _problems(sim)
    for integration in _INTEGRATIONS:
        labels = {"integration": integration}
        count = cumulative(notified * (integration == "webhook"))
        yield "alertmanager_notifications_total", labels, count
        for reason in _REASONS:
            own = {**labels, "reason": reason}
            yield "alertmanager_notifications_failed_total", own, clock.constant(0)


def operator(sim: Simulation) -> Iterator[Exposed]:
    """Yield the Prometheus operator's metrics: what it reconciles, and what it selects."""
    prefix = "prometheus_operator"
    # Two objects, each reconciled with every change of what it selects.
    for controller in ("alertmanager", "prometheus"):
        labels = {"controller": controller}
        count = cumulative(sim.noise.counts(f"reconciled {controller}", sim.clock.constant(0.01)))
        yield f"{prefix}_reconcile_operations_total", labels, count
        yield f"{prefix}_reconcile_errors_total", labels, sim.clock.constant(0)
    for kind in ("PodMonitor", "Probe", "PrometheusRule", "ScrapeConfig", "ServiceMonitor"):
        number = len(sim.cluster.of(kind))
        for state, value in (("selected", number), ("rejected", 0)):
            labels = {"controller": "prometheus", "resource": kind, "state": state}
            yield f"{prefix}_managed_resources", labels, sim.clock.constant(value)
