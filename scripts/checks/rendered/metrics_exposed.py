"""No rule of a chart and no panel reads a metric or label that its exporter does not expose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from scripts.checks.static import catalogue, queries
from scripts.core.findings import Finding
from scripts.model import clusters
from scripts.model.rendered import Cluster

# Names in rules of charts that the catalogue rightly lacks, with the reason.
METRICS: Mapping[str, str] = {
    "kube_state_metrics_list_total": "counts lists, where an API server cannot stream them",
    "prometheus_remote_storage_failed_samples_total": "of an older Prometheus, behind an `or`",
    "prometheus_remote_storage_succeeded_samples_total": "of an older Prometheus, behind an `or`",
    "prometheus_sd_refresh_failures_total": "of discoveries that the pinned build leaves out",
}
LABELS: Mapping[str, str] = {
    "cluster": "kubernetes-mixin is written for several clusters in one Prometheus",
    "label_excluded_from_alerts": "opts a volume out, where labels are exported",
}


def metrics_and_labels_exist(cluster: Cluster) -> Iterator[Finding]:
    """Every metric and label in rules and dashboards exists, by what the rendered monitors add."""
    rules = {str(item): item for item in cluster.of("PrometheusRule")}
    names = catalogue.Names(item.manifest for item in cluster.all)
    of_rules = queries.rule_queries(item.manifest for item in rules.values())
    for query, text, fix in catalogue.unknown_names(names, of_rules):
        item = rules[query.where.partition(": ")[0]]
        if item.release is None or not is_excepted(text):
            yield cluster.finding(item, f"{query.where.partition(': ')[2]}: {text}", fix)
    if cluster.sync.has_opt_ins:
        panels = queries.dashboard_queries(cluster.repository)
        for query, text, fix in catalogue.unknown_names(names, panels, {clusters.LABEL}):
            yield Finding(query.where, None, text, fix)


def is_excepted(text: str) -> bool:
    """Say whether a finding of a chart's rule is a known exception."""
    return any(text.endswith(f" exposes {name}") for name in METRICS) or any(
        f" has no label {name!r}" in text for name in LABELS
    )
