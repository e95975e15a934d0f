"""No relabeling drops a metric that rules or dashboards read, and its collector is enabled."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from scripts.checks.static import queries
from scripts.core.findings import Finding
from scripts.core.yamlfile import Json
from scripts.model import scraping
from scripts.model.dashboards import DashboardQuery
from scripts.model.exporters import BY_EVERY_PROGRAM, BY_PROMETHEUS, collector, monitors
from scripts.model.rendered import Cluster, Item, Pod


@dataclass(frozen=True)
class MetricsEndpoint:
    """An endpoint that exposes a metric.

    Attributes:
        monitor: The monitor.
        endpoint: The field with its metricRelabelings.
    """

    cluster: Cluster
    monitor: Item
    endpoint: Mapping[str, Json]

    @property
    def pods(self) -> Iterator[Pod]:
        """The pods behind it, where this repository declares them."""
        if self.monitor.kind not in {"Probe", "ScrapeConfig"}:
            for target in scraping.targets(self.cluster, self.monitor, self.endpoint):
                yield from target.pods


def read_metrics_kept(cluster: Cluster) -> Iterator[Finding]:
    """Every metric that is read is recorded by a rule, or exposed and kept by a monitor."""
    rules = queries.rule_queries(item.manifest for item in cluster.of("PrometheusRule"))
    # Dashboards may show metrics of opt-ins, so they are checked where all opt-ins are enabled.
    panels = [] if cluster.sync.synced else queries.dashboard_queries(cluster.repository)
    recorded = queries.recorded_metrics(item.manifest for item in cluster.of("PrometheusRule"))
    by_name = {str(item): item for item in cluster.of("PrometheusRule")}
    # Most metrics are read by several queries.
    reasons = functools.cache(functools.partial(reasons_lost, cluster))
    for query, metrics in metrics_read([*rules, *panels]).items():
        item = by_name.get(query.where.partition(": ")[0])
        for metric in sorted(metrics - recorded):
            for text, fix in reasons(metric):
                if item:
                    place = query.where.partition(": ")[2]
                    yield cluster.finding(item, f"{place} reads {metric}: {text}", fix)
                else:
                    yield Finding(query.where, None, f"reads {metric}: {text}", fix)


def metrics_read(expressions: Iterable[DashboardQuery]) -> dict[DashboardQuery, frozenset[str]]:
    """Return the metrics that each PromQL query reads, by Prometheus's own parser."""
    promql = [query for query in expressions if query.lang == "promql"]
    return {query: parsed.metrics for query, parsed in queries.parse(promql).items()}


def reasons_lost(cluster: Cluster, metric: str) -> list[tuple[str, str]]:
    """Return why no monitor scrapes a metric, and what to do; nothing where one does."""
    if BY_PROMETHEUS.fullmatch(metric) or BY_EVERY_PROGRAM.fullmatch(metric):
        return []
    if ":" in metric:
        return [("no rule records it", "add the recording rule, or correct the name")]
    found = list(endpoints(cluster, metric))
    if not found:
        return [("no monitor scrapes it", "correct the name, or add its exporter to EXPORTERS")]
    reasons = [_reason(source, metric) for source in found]
    return [] if None in reasons else [reason for reason in reasons[:1] if reason]


def endpoints(cluster: Cluster, metric: str) -> Iterator[MetricsEndpoint]:
    """Yield every endpoint of the cluster's monitors that exposes a metric."""
    for monitor, place in monitors(metric):
        for item in cluster.of(*scraping.MONITORS):
            if item.name != monitor:
                continue
            if item.kind in {"Probe", "ScrapeConfig"}:
                if not place:
                    yield MetricsEndpoint(cluster, item, item.spec)
                continue
            for endpoint in scraping.endpoints(item):
                if place in {endpoint.get("port"), endpoint.get("path", "/metrics")}:
                    yield MetricsEndpoint(cluster, item, endpoint)


def keeps(relabelings: Iterable[Mapping[str, Json]], metric: str) -> bool:
    """Say whether metricRelabelings keep a metric, by its name alone.

    Rules that look at more than the name count as keeping it: they drop some of its series only.
    """
    for rule in relabelings:
        if rule.get("sourceLabels") != ["__name__"]:
            continue
        matched = re.fullmatch(str(rule.get("regex", ".*")), metric) is not None
        action = str(rule.get("action", "replace")).lower()
        if (action == "keep" and not matched) or (action == "drop" and matched):
            return False
    return True


def _reason(source: MetricsEndpoint, metric: str) -> tuple[str, str] | None:
    """Return why an endpoint does not provide a metric, and what to do."""
    if not keeps(source.endpoint.get("metricRelabelings") or [], metric):
        text = f"{source.monitor.kind} {source.monitor.name} drops it"
        return text, "keep it in metricRelabelings, or turn the rule off"
    if not metric.startswith(("node_", "kube_")):
        return None
    flags = [a for pod in source.pods for c in pod.containers for a in c.get("args") or []]
    if metric.startswith("node_"):
        needed = collector(metric)
        if needed and f"--collector.{needed}" not in flags:
            text = f"node-exporter's collector {needed} is off"
            return text, f"add --collector.{needed}, or turn the rule off"
    if metric.startswith("kube_") and not metric.startswith("kube_state_metrics_"):
        return _state_metrics(flags, metric)
    return None


def _state_metrics(flags: Iterable[str], metric: str) -> tuple[str, str] | None:
    values = dict(flag.split("=", 1) for flag in flags if "=" in flag)
    kind = metric.split("_")[1]
    collected = values.get("--resources", "").split(",")
    if not {kind, f"{kind}s", f"{kind}es"} & set(collected):
        return f"kube-state-metrics does not collect {kind}s", "add it to collectors"
    for pattern in filter(None, values.get("--metric-denylist", "").split(",")):
        if re.fullmatch(pattern, metric):
            return f"the metricDenylist item {pattern[:60]} drops it", "take it out"
    return None
