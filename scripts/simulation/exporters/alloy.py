"""What Alloy exposes of the lines that it reads, counts and sends."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from scripts.simulation import logs
from scripts.simulation.exporters.loki import refused_batches
from scripts.simulation.exporters.series import once_seen
from scripts.simulation.logs.lines import Written
from scripts.simulation.model import Array, Exposed, SimulatedPod, cumulative
from scripts.simulation.state import Simulation


def alloy(sim: Simulation, pod: SimulatedPod) -> Iterator[Exposed]:
    """Yield Alloy's metrics: what it read on its node, what it counted in it, what it sent."""
    events = pod.workload[1] == "alloy-events"
    controller = {"controller_id": "", "controller_path": "/"}
    for health, number in (("healthy", 6 if events else 11), ("unhealthy", 0), ("exited", 0)):
        name = "alloy_component_controller_running_components"
        yield name, {**controller, "health_type": health}, sim.clock.constant(number)
    # Each kind of lines with its number in each step, by who writes them.
    read = [
        (kind, writer, counts)
        for kind in logs.written(sim)
        if events == (kind.container == "")
        for writer, counts in zip(kind.pods, kind.counts, strict=True)
        if events or writer.node is pod.node
    ]
    yield from _counted(sim, [(kind, counts) for kind, _, counts in read if kind.kept], events)
    if not events:
        yield from _read(sim, read)
    store = {
        "component_id": "loki.write.loki",
        "component_path": f"/shared.store.{'events' if events else 'pods'}",
        "host": "loki.monitoring.svc:3100",
    }
    none = sim.clock.constant(0)
    sent = np.sum([none, *(counts for kind, _, counts in read if kind.kept)], axis=0)
    yield "loki_write_sent_entries_total", store, cumulative(sent)
    retried = np.floor(refused_batches(sim) / (len(sim.nodes) + 1))
    yield "loki_write_batch_retries_total", store, cumulative(retried)
    for reason in ("ingester_error", "line_too_long", "rate_limited", "stream_limited"):
        # What is refused to the end of all tries is lost: ten lines of a batch in twenty.
        lost = np.floor(cumulative(retried) / 20) * 10 if reason == "ingester_error" else none
        yield "loki_write_dropped_entries_total", {**store, "reason": reason}, lost


def _counted(sim: Simulation, kept: list[tuple[Written, Array]], events: bool) -> Iterator[Exposed]:
    """Yield what the pipeline counts of the lines: requests, and what it takes out of them."""
    none = sim.clock.constant(0)
    requests: defaultdict[tuple[str, str, tuple[str, str, str]], Array] = defaultdict(lambda: none)
    redactions: defaultdict[tuple[str, str, str], Array] = defaultdict(lambda: none)
    for kind, counts in kept:
        if kind.request:
            key = (kind.namespace, kind.app, kind.request)
            requests[key] = requests[key] + counts
        for what in kind.redactions:
            of_kind = (kind.namespace, kind.app, what)
            redactions[of_kind] = redactions[of_kind] + counts
    for (namespace, app, (method, route, status)), counts in requests.items():
        labels = {"namespace": namespace, "app": app, "method": method, "route": route}
        labels |= {"status_class": status}
        labels |= {"component_id": "loki.process.requests", "component_path": "/"}
        yield "todo_http_requests_total", labels, once_seen(cumulative(counts))
    path = f"/shared.redact.{'events' if events else 'pods'}"
    for (namespace, app, what), counts in redactions.items():
        labels = {"namespace": namespace, "app": app, "kind": what}
        labels |= {"component_id": "loki.process.count", "component_path": path}
        yield "todo_log_redactions_total", labels, once_seen(cumulative(counts))


def _read(sim: Simulation, read: list[tuple[Written, SimulatedPod, Array]]) -> Iterator[Exposed]:
    """Yield what is read of each container's file, and what is dropped of it all."""
    none = sim.clock.constant(0)
    files: defaultdict[tuple[SimulatedPod, str], Array] = defaultdict(lambda: none)
    for kind, writer, counts in read:
        file = (writer, kind.container)
        files[file] = files[file] + counts * kind.lines
    for (writer, container), lines in files.items():
        folder = f"/var/log/pods/{writer.namespace}_{writer.name}_{writer.uid}"
        labels = {"component_id": "loki.source.file.pods", "component_path": "/"}
        labels |= {"path": f"{folder}/{container}/0.log"}
        yield "loki_source_file_read_lines_total", labels, once_seen(cumulative(lines))
    dropped = np.sum([none, *(counts for kind, _, counts in read if not kind.kept)], axis=0)
    labels = {"component_id": "loki.process.read", "component_path": "/", "reason": "probe"}
    yield "loki_process_dropped_lines_total", labels, once_seen(cumulative(dropped))
