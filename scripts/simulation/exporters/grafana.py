"""What Grafana exposes."""

from __future__ import annotations

from collections.abc import Iterator

from scripts.simulation.exporters.series import histogram
from scripts.simulation.model import Exposed, cumulative
from scripts.simulation.state import Simulation


def grafana(sim: Simulation) -> Iterator[Exposed]:
    """Yield Grafana's metrics: its requests, and those of its data sources."""
    clock, noise = sim.clock, sim.noise
    looked = 0.05 + 0.3 * clock.between(8, 22)
    name = "grafana_http_request_duration_seconds"
    bounds = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25)
    for handler, method, status, share, median in (
        ("/api/ds/query", "POST", "200", 1.0, 0.08),
        ("/api/ds/query", "POST", "400", 0.004, 0.01),
        ("/api/dashboards/uid/:uid", "GET", "200", 0.1, 0.02),
        ("/api/health", "GET", "200", 0.3, 0.002),
        ("/login", "POST", "200", 0.01, 0.15),
        ("/login", "POST", "401", 0.001, 0.15),
    ):
        labels = {"handler": handler, "method": method, "status_code": status}
        count = noise.counts(f"grafana {handler} {status}", looked * share)
        yield from histogram(name, labels, [(count, clock.constant(median))], bounds)
    # Since Grafana 13 both data sources are plugins, and counted as such.
    for source, share in (("prometheus", 0.8), ("loki", 0.2)):
        asked = {"endpoint": "queryData", "plugin_id": source, "target": "local"}
        for status, part in (("ok", 0.995), ("error", 0.005)):
            outcome = {**asked, "status": status, "status_source": "downstream"}
            count = noise.counts(f"plugin {source} {status}", looked * share * part)
            yield "grafana_plugin_request_total", outcome, cumulative(count)
