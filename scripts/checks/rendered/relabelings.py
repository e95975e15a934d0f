"""No relabelling drops a metric that a rule or a dashboard reads, and no collector of it is off."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from scripts.checks import queries
from scripts.checks.dashboards import Query
from scripts.checks.rendered import scrape
from scripts.findings import Finding
from scripts.rendered import Cluster, Item, Pod
from scripts.yamlfile import Json

# Every Go program has these; which one is meant, only the selector's other labels say.
EVERY = re.compile(r"(process|go)_.+")
# Made by Prometheus itself.
OWN = re.compile(r"ALERTS(_FOR_STATE)?|up|scrape_.+")
KUBELET = "kube-prometheus-stack-kubelet"
# Who exposes a metric: its name, the monitor, and the path or port where a monitor has several.
EXPORTERS: tuple[tuple[str, str, str], ...] = (
    (r"(container|machine)_.+", KUBELET, "/metrics/cadvisor"),
    (r"(kubelet|kubernetes|rest_client|storage_operation|volume_manager)_.+", KUBELET, "/metrics"),
    (r"kube_state_metrics_.+", "kube-state-metrics", "metrics"),
    (r"kube_(?!state_metrics_).+", "kube-prometheus-stack-kube-state-metrics", "http"),
    (r"node_.+", "kube-prometheus-stack-prometheus-node-exporter", "http-metrics"),
    (r"(aggregator|apiserver|etcd|workqueue)_.+", "kube-prometheus-stack-apiserver", "https"),
    (r"alertmanager_.+", "kube-prometheus-stack-alertmanager", "http-web"),
    (r"prometheus_operator_.+", "kube-prometheus-stack-operator", "http"),
    (r"prometheus_(?!operator_).+", "kube-prometheus-stack-prometheus", "http-web"),
    (r"(config_)?reloader_.+", "kube-prometheus-stack-prometheus", "reloader-web"),
    (r"(config_)?reloader_.+", "kube-prometheus-stack-alertmanager", "reloader-web"),
    (r"grafana_.+", "grafana", "grafana"),
    (r"loki_(write|source|process)_.+|alloy_.+|todo_.+", "alloy", "http-metrics"),
    (r"loki_(?!write_|source_|process_).+", "loki", "http-metrics"),
    (r"blackbox_.+", "blackbox-exporter", "http"),
    (r"probe_.+", "frontend", ""),
    (r"probe_.+", "backend", ""),
    (r"probe_.+", "grafana", ""),
    (r"dapr_(placement|scheduler|sentry|injector|operator)_.+", "dapr-control-plane", "metrics"),
    (
        r"dapr_(?!placement_|scheduler_|sentry_|injector_|operator_).+",
        "dapr-sidecars",
        "dapr-metrics",
    ),
    (r"(gotk|controller_runtime)_.+", "flux", "http-prom"),
    (r"argocd_.+", "argocd", "metrics"),
    (r"nginx_ingress_controller_.+", "ingress-nginx", "metrics"),
    (r"traefik_.+", "traefik", "metrics"),
    (r"redpanda_.+", "redpanda", ""),
)
# node_exporter's collectors by metric, where the name does not begin with the collector's.
# https://github.com/prometheus/node_exporter/blob/v1.12.1/README.md#collectors
COLLECTORS: tuple[tuple[str, str], ...] = (
    (r"node_disk_.+", "diskstats"),
    (r"node_load\d+", "loadavg"),
    (r"node_md_.+", "mdadm"),
    (r"node_memory_.+", "meminfo"),
    (r"node_network_(receive|transmit)_.+", "netdev"),
    (r"node_network_.+", "netclass"),
    (r"node_nf_conntrack_.+", "conntrack"),
    (r"node_(boot_time|context_switches|forks|intr|procs)_.+", "stat"),
    (r"node_(exporter|scrape)_.+", ""),
    (r"node_([a-z]+)_.+", r"\1"),
)


@dataclass(frozen=True)
class Source:
    """An endpoint that exposes a metric.

    Attributes:
        monitor: The monitor.
        endpoint: The mapping that holds its metricRelabelings.
        pods: The pods behind it, where they are ours.
    """

    monitor: Item
    endpoint: Mapping[str, Json]
    pods: tuple[Pod, ...]


def kept(cluster: Cluster) -> Iterator[Finding]:
    """Every metric that is read is recorded by a rule, or exposed and kept by a monitor."""
    rules = queries.rule_queries(item.manifest for item in cluster.of("PrometheusRule"))
    # Dashboards may show what only an opt-in component brings: there, all of these are on.
    panels = (
        queries.dashboard_queries(cluster.repository) if cluster.entry.cluster == "options" else []
    )
    recorded = {
        rule["record"]
        for item in cluster.of("PrometheusRule")
        for group in item.spec.get("groups") or []
        for rule in group.get("rules") or []
        if "record" in rule
    }
    by_name = {str(item): item for item in cluster.of("PrometheusRule")}
    for query, metrics in used([*rules, *panels]).items():
        item = by_name.get(query.where.partition(": ")[0])
        for metric in sorted(metrics - recorded):
            for text, fix in lost(cluster, metric):
                if item:
                    place = query.where.partition(": ")[2]
                    yield cluster.finding(item, f"{place} reads {metric}: {text}", fix)
                else:
                    yield Finding(query.where, None, f"reads {metric}: {text}", fix)


def used(asked: Iterable[Query]) -> dict[Query, frozenset[str]]:
    """Return the metrics that each PromQL query reads, by Prometheus's own parser."""
    promql = [query for query in asked if query.lang == "promql"]
    return {query: answer.metrics for query, answer in queries.parse(promql).items()}


def lost(cluster: Cluster, metric: str) -> list[tuple[str, str]]:
    """Return why no monitor delivers a metric, and what to do; nothing where one does."""
    if OWN.fullmatch(metric) or EVERY.fullmatch(metric):
        return []
    if ":" in metric:
        return [("no rule records it", "add the recording rule, or correct the name")]
    found = list(sources(cluster, metric))
    if not found:
        return [("no monitor scrapes it", "correct the name, or add its exporter to EXPORTERS")]
    reasons = [_reason(source, metric) for source in found]
    return [] if None in reasons else [reason for reason in reasons[:1] if reason]


def sources(cluster: Cluster, metric: str) -> Iterator[Source]:
    """Yield every endpoint of the cluster's monitors that exposes a metric."""
    for pattern, monitor, place in EXPORTERS:
        if not re.fullmatch(pattern, metric):
            continue
        for item in cluster.of(*scrape.MONITORS):
            if item.name != monitor:
                continue
            if item.kind in {"Probe", "ScrapeConfig"}:
                if not place:
                    yield Source(item, item.spec, ())
                continue
            for endpoint in scrape.endpoints(item):
                if place in {endpoint.get("port"), endpoint.get("path", "/metrics")}:
                    found = scrape.targets(cluster, item, endpoint)
                    yield Source(item, endpoint, tuple(p for t in found for p in t.pods))


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


def _reason(source: Source, metric: str) -> tuple[str, str] | None:
    """Why this source does not deliver the metric, and what to do."""
    if not keeps(source.endpoint.get("metricRelabelings") or [], metric):
        text = f"{source.monitor.kind} {source.monitor.name} drops it"
        return text, "keep it in metricRelabelings, or turn the rule off"
    flags = [a for pod in source.pods for c in pod.containers for a in c.get("args") or []]
    if metric.startswith("node_"):
        collector = _collector(metric)
        if collector and f"--collector.{collector}" not in flags:
            text = f"node-exporter's collector {collector} is off"
            return text, f"add --collector.{collector}, or turn the rule off"
    if metric.startswith("kube_") and not metric.startswith("kube_state_metrics_"):
        return _state_metrics(flags, metric)
    return None


def _collector(metric: str) -> str:
    for pattern, collector in COLLECTORS:
        if match := re.fullmatch(pattern, metric):
            return match.expand(collector)
    return ""


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
