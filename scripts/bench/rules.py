"""What evaluating every rule once costs Prometheus, beside the chart's default rules.

Samples are those that Prometheus loads (`stats=all`, totalQueryableSamples): the same in every run.
Seconds are of one evaluation after another, over HTTP, and differ with the machine.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from scripts import simulation
from scripts.bench.dashboards import SCALES
from scripts.core.findings import progress
from scripts.core.yamlfile import Json
from scripts.lab.alerting import firing
from scripts.model.rendered import rule_files
from scripts.rules import rules_of
from scripts.servers import monitoring
from scripts.servers.api import Api

# Names of PrometheusRules begin so; what the chart brings is named after its release.
PARTS = {
    "alerts": "monitoring-alerts-",
    "objectives": "monitoring-slo-",
    "the chart's, as kept here": f"monitoring-{firing.CHART}",
}
OTHERS = "other recordings"


@dataclass
class RuleCost:
    """What some rules cost, evaluated once."""

    rules: int = 0
    series: int = 0
    samples: int = 0
    seconds: float = 0.0

    def add(self, other: RuleCost) -> None:
        """Add up."""
        self.rules += other.rules
        self.series += other.series
        self.samples += other.samples
        self.seconds += other.seconds


def tables() -> Iterator[str]:
    """Yield a table for each scale, as soon as it is measured.

    Raises:
        RepositoryError: Where a chart is missing.
    """
    cluster = simulation.cluster()
    ours = rule_files(cluster)
    defaults = firing.default_rules(cluster)
    for scale in SCALES:
        day = simulation.day("healthy", scale)
        with monitoring.prometheus(cluster, day.tsdb) as api:
            progress(f"evaluating all rules at {scale} x")
            costs: dict[str, RuleCost] = {part: RuleCost() for part in (*PARTS, OTHERS)}
            for name, content in ours.items():
                part = next((p for p, begin in PARTS.items() if name.startswith(begin)), OTHERS)
                costs[part].add(evaluated(api, {name: content}, day.at))
            total = RuleCost()
            for cost in costs.values():
                total.add(cost)
            costs["in all"] = total
            costs["the chart's defaults, all"] = evaluated(api, defaults, day.at)
        yield f"\n{_table(costs, scale)}"


def evaluated(api: Api, rules: Mapping[str, Json], at: float) -> RuleCost:
    """Evaluate each rule once.

    Args:
        api: Prometheus.
        rules: Rule files by name.
        at: When, in seconds since the epoch.
    """
    cost = RuleCost()
    for rule in (rule for content in rules.values() for rule in rules_of(content)):
        parameters = {"query": str(rule["expr"]), "time": str(at), "stats": "all"}
        started = time.perf_counter()
        answer = api.form("/api/v1/query", parameters)["data"]
        cost.seconds += time.perf_counter() - started
        cost.rules += 1
        cost.samples += answer["stats"]["samples"]["totalQueryableSamples"]
        if "record" in rule:
            cost.series += len(answer["result"]) if answer["resultType"] == "vector" else 1
    return cost


def _table(costs: Mapping[str, RuleCost], scale: int) -> str:
    heading = f"all rules evaluated once, {scale} x"
    lines = [f"{heading:<42}{'rules':>7}{'series':>8}{'samples':>10}{'s':>8}"]
    for name, cost in costs.items():
        lines.append(
            f"{name:<42}{cost.rules:>7}{cost.series:>8}{cost.samples:>10}{cost.seconds:>8.2f}"
        )
    return "\n".join(lines)
