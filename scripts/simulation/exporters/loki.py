"""What Loki exposes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scripts.simulation import logs
from scripts.simulation.exporters.series import histogram, once_seen
from scripts.simulation.model import Array, Exposed, cumulative
from scripts.simulation.state import Simulation

_REQUESTS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100)


def loki(sim: Simulation) -> Iterator[Exposed]:
    """Yield Loki's metrics; what it receives is what the containers wrote."""
    clock, noise = sim.clock, sim.noise
    written = [w for w in logs.written(sim) if w.kept]
    lines = np.sum([w.total for w in written], axis=0)
    size = np.sum([w.total * w.size for w in written], axis=0)
    tenant = {"tenant": "fake"}
    received = {**tenant, "format": "loki", "is_internal_stream": "false"}
    yield "loki_distributor_lines_received_total", received, cumulative(lines)
    yield "loki_distributor_bytes_received_total", received, cumulative(size)
    streams = clock.constant(len({(w.app, w.container, w.name) for w in written}) * 0.7)
    yield "loki_ingester_memory_streams", tenant, np.round(streams)
    yield "loki_ingester_memory_chunks", {}, np.round(noise.around("chunks", streams * 1.4))
    for reason in ("idle", "max_age", "full"):
        flushed = np.floor(cumulative(sim.every(120)) / 4)
        yield "loki_ingester_chunks_flushed_total", {"reason": reason}, flushed
    refused = refused_batches(sim)
    yield "loki_ingester_wal_disk_full_failures_total", {}, cumulative(refused)
    yield "loki_ingester_chunks_flush_failures_total", {}, cumulative(refused)
    if refused.any():
        # Alloy sends again what was refused; some of it is too old for its stream by then.
        behind = {**tenant, "format": "loki", "reason": "too_far_behind", "retention_hours": "168"}
        yield "loki_discarded_samples_total", behind, once_seen(cumulative(refused) * 2)
    for method, route, status, count, median in (
        ("POST", "loki_api_v1_push", "204", np.ceil(lines / 8), 0.004),
        ("POST", "loki_api_v1_push", "500", refused, 0.004),
        ("GET", "loki_api_v1_query_range", "200", noise.counts("ranges", 0.1 + 0 * lines), 0.06),
        ("GET", "loki_api_v1_labels", "200", noise.counts("labels", 0.02 + 0 * lines), 0.01),
        ("GET", "ready", "200", clock.constant(3), 0.001),
        ("GET", "metrics", "200", clock.constant(1), 0.02),
    ):
        labels = {"method": method, "route": route, "status_code": status, "ws": "false"}
        if count.any():
            name = "loki_request_duration_seconds"
            yield from histogram(name, labels, [(count, clock.constant(median))], _REQUESTS)
    group = {"user": "fake", "rule_group": "/var/loki/rules-temp/fake/rules.yaml;logs"}
    yield "loki_prometheus_rule_evaluation_failures_total", group, clock.constant(0)
    yield "loki_prometheus_rule_group_rules", group, clock.constant(4)


def refused_batches(sim: Simulation) -> Array:
    """Return how many batches Loki refuses in each step, while its volume is all but full."""
    shares = [v.used / v.capacity for v in sim.volumes if v.namespace == "monitoring"]
    full = np.max(shares, axis=0) > 0.97
    return sim.noise.counts("refused batches", full * 0.02)
