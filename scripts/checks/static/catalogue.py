"""Every metric and label that a query names exists, in what its exporter really exposes.

A metric has the labels of its exporter (`scripts/model/catalogue`) and those of the target, which
our monitors add. A recorded metric has the labels of its expression. Both are upper bounds: a name
that is refused cannot exist, and a query with it returns nothing or aggregates too much. The
cluster of a series is known to dashboards alone, through Thanos; rules are evaluated before that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Set
from functools import cached_property

from scripts.checks.static import queries
from scripts.checks.static.queries import ParsedQuery
from scripts.core.findings import Finding
from scripts.core.yamlfile import Json
from scripts.model import catalogue, clusters
from scripts.model.dashboards import DashboardQuery
from scripts.model.exporters import BY_EVERY_PROGRAM, BY_PROMETHEUS, KUBELET, monitors
from scripts.model.manifests import Repository
from scripts.model.scraping import ENDPOINTS, MONITORS
from scripts.rules import rules_of

# What Prometheus and its operator add to each target, by the kind of the monitor: pkg/prometheus/
# promcfg.go of the operator at the version of `scripts/schemas.yaml`.
_EVERY_TARGET = frozenset({"instance", "job"})
_POD = _EVERY_TARGET | {"container", "endpoint", "namespace", "pod"}
TARGET_LABELS: Mapping[str, frozenset[str]] = {
    "PodMonitor": _POD,
    "Probe": _EVERY_TARGET | {"namespace"},
    "ScrapeConfig": _EVERY_TARGET,
    "ServiceMonitor": _POD | {"service"},
}
# The targets behind these Services are nodes or API servers, not pods.
_NO_POD = _EVERY_TARGET | {"endpoint", "namespace", "service"}
_KUBELET = _NO_POD | {"metrics_path", "node"}
# What the monitors of charts may add; only the rendered checks know what they do add.
_OF_CHARTS = TARGET_LABELS["ServiceMonitor"] | _KUBELET


def check(repository: Repository) -> list[Finding]:
    """Check the queries of each cluster's rules, and of dashboards with all opt-ins enabled."""
    findings = []
    for sync in repository.syncs:
        objects = list(sync.objects())
        names, rules = Names(objects), _rules_of(objects)
        for query, text, fix in unknown_names(names, rules):
            name, keys = rules[query]
            path, line = repository.where("PrometheusRule", name, *keys, sync=sync)
            findings.append(Finding(path, line, f"{query.where}: {text}", fix))
        if sync.has_opt_ins:
            panels = queries.dashboard_queries(repository)
            findings += [
                Finding(query.where, None, text, fix)
                for query, text, fix in unknown_names(names, panels, {clusters.LABEL})
            ]
    return findings


def _rules_of(
    objects: Iterable[Mapping[str, Json]],
) -> dict[DashboardQuery, tuple[str, tuple[str, ...]]]:
    """Return the query of each rule with the object's name and the keys that lead to it."""
    return {
        DashboardQuery(str(rule.get("record") or rule.get("alert")), "promql", str(rule["expr"])): (
            item["metadata"]["name"],
            ("spec", "groups", str(number), "rules", str(index), "expr"),
        )
        for item in objects
        if item["kind"] == "PrometheusRule"
        for number, group in enumerate(item["spec"].get("groups") or ())
        for index, rule in enumerate(group.get("rules") or ())
    }


def unknown_names(
    names: Names, expressions: Iterable[DashboardQuery], added: Set[str] = frozenset()
) -> Iterator[tuple[DashboardQuery, str, str]]:
    """Yield each query with a metric or label that does not exist, what is wrong and what to do.

    Args:
        names: What is scraped and recorded.
        expressions: Queries of rules or dashboards; those in LogQL are skipped, and so are names
            of recorded metrics, whose rules other checks look for.
        added: Labels that each series has where these queries are asked.
    """
    promql = [query for query in expressions if query.lang == "promql"]
    for query, parsed in queries.parse(promql).items():
        for metric in sorted(parsed.metrics):
            if ":" not in metric and not names.known(metric):
                near = catalogue.nearest(metric)
                fix = f"write {near}" if near else "correct it, or add its exporter to the capture"
                yield query, f"no exporter exposes {metric}", fix
        for reference in parsed.label_references:
            known = names.labels(reference.metrics)
            if known is None or reference.label in known | added:
                continue
            operand = " and ".join(sorted(reference.metrics)) or "what it is applied to"
            where = "" if reference.place == "selector" else f", which {reference.place} names"
            text = f"{operand} has no label {reference.label!r}{where}"
            fix = (
                f"use one of {', '.join(sorted(known))}" if known else "keep it in the aggregation"
            )
            yield query, text, fix


class Names:
    """The metrics of one cluster sync: scraped through its monitors and recorded by its rules."""

    def __init__(self, objects: Iterable[Mapping[str, Json]]) -> None:
        """Take the cluster sync's objects."""
        self._objects = list(objects)

    def known(self, metric: str) -> bool:
        """Whether an exporter of the catalogue exposes a metric, or a rule records it."""
        return (
            metric in catalogue.series()
            or metric in self._recorded
            or BY_PROMETHEUS.fullmatch(metric) is not None
        )

    def labels(self, metrics: Iterable[str]) -> frozenset[str] | None:
        """Return every label that some of these metrics can have; None if not all are known."""
        found: frozenset[str] = frozenset()
        for metric in metrics:
            own = self._labels_of(metric)
            if own is None:
                return None
            found |= own
        return found

    def _labels_of(self, metric: str) -> frozenset[str] | None:
        if metric not in self._cache:
            self._cache[metric] = None  # A rule that reads itself cannot be resolved.
            self._cache[metric] = self._resolve(metric)
        return self._cache[metric]

    def _resolve(self, metric: str) -> frozenset[str] | None:
        if metric in self._recorded:
            found: frozenset[str] = frozenset()
            for labels, parsed in self._recorded[metric]:
                inner = self.labels(parsed.result.metrics)
                if inner is None or parsed.result.unknown:
                    return None
                found |= labels | parsed.result.labels | inner
            return found - {"__name__"}
        if BY_PROMETHEUS.fullmatch(metric):
            return None if metric.startswith("ALERTS") else _OF_CHARTS  # Alerts set labels.
        if metric not in catalogue.series():
            return None
        exposed = frozenset().union(*(labels for _, labels in catalogue.series()[metric]))
        if BY_EVERY_PROGRAM.fullmatch(metric):
            return exposed | _OF_CHARTS
        return exposed.union(*self._targets(metric, exposed)) - self._dropped(metric)

    @cached_property
    def _cache(self) -> dict[str, frozenset[str] | None]:
        return {}

    @cached_property
    def _recorded(self) -> dict[str, list[tuple[frozenset[str], ParsedQuery]]]:
        rules = [
            (rule, DashboardQuery("", "promql", str(rule["expr"])))
            for item in self._objects
            if item["kind"] == "PrometheusRule"
            for rule in rules_of(item["spec"])
            if "record" in rule
        ]
        parsed = queries.parse([query for _, query in rules])
        found: dict[str, list[tuple[frozenset[str], ParsedQuery]]] = {}
        for rule, query in rules:
            labels = frozenset(rule.get("labels") or {})
            found.setdefault(rule["record"], []).append((labels, parsed[query]))
        return found

    @cached_property
    def _monitors(self) -> dict[str, list[Mapping[str, Json]]]:
        found: dict[str, list[Mapping[str, Json]]] = {}
        for item in self._objects:
            if item["kind"] in MONITORS:
                found.setdefault(item["metadata"]["name"], []).append(item)
        return found

    def _endpoints(self, metric: str) -> Iterator[tuple[Mapping[str, Json], Mapping[str, Json]]]:
        """Yield each monitor of ours that scrapes a metric, with its endpoint."""
        for name, place in monitors(metric):
            for item in self._monitors.get(name, ()):
                key = ENDPOINTS.get(item["kind"])
                for endpoint in item["spec"].get(key) or () if key else (item["spec"],):
                    port, path = endpoint.get("port"), endpoint.get("path", "/metrics")
                    if place in ({port, path} if key else {""}):
                        yield item, endpoint

    def _targets(self, metric: str, exposed: frozenset[str]) -> Iterator[frozenset[str]]:
        """Yield the labels that the target adds, for each of the monitors."""
        found = list(self._endpoints(metric))
        if not found:
            yield _OF_CHARTS | {f"exported_{label}" for label in exposed & _OF_CHARTS}
        for item, endpoint in found:
            spec = item["spec"]
            added = set(self._of_target(item))
            added |= {str(r["targetLabel"]) for r in _rules(endpoint) if "targetLabel" in r}
            for key in ("targetLabels", "podTargetLabels"):
                added |= {re.sub(r"\W", "_", label) for label in spec.get(key) or ()}
            for target in spec.get("staticConfigs") or ():
                added |= set(target.get("labels") or ())
            if not endpoint.get("honorLabels"):
                added |= {f"exported_{label}" for label in exposed & added}
            yield frozenset(added)

    def _of_target(self, item: Mapping[str, Json]) -> frozenset[str]:
        if item["metadata"]["name"] == KUBELET:
            return _KUBELET
        selected = (item["spec"].get("selector") or {}).get("matchLabels") or {}
        if selected.get("provider") == "kubernetes":
            return _NO_POD
        return TARGET_LABELS[item["kind"]]

    def _dropped(self, metric: str) -> frozenset[str]:
        """Return the labels that every monitor of a metric drops."""
        dropped = [
            frozenset(str(rule["regex"]) for rule in _rules(endpoint) if _drops(rule))
            for _, endpoint in self._endpoints(metric)
        ]
        return frozenset.intersection(*dropped) if dropped else frozenset()


def _rules(endpoint: Mapping[str, Json]) -> list[Mapping[str, Json]]:
    return [*(endpoint.get("relabelings") or ()), *(endpoint.get("metricRelabelings") or ())]


def _drops(rule: Mapping[str, Json]) -> bool:
    return str(rule.get("action", "")).lower() == "labeldrop"
