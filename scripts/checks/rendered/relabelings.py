"""No relabeling drops a metric that rules or dashboards read, and its collector is enabled."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from scripts.checks.rendered import scrape
from scripts.checks.static import queries
from scripts.checks.static.queries import Selector
from scripts.core.findings import Finding
from scripts.core.yamlfile import Json, load
from scripts.model import catalogue, relabeling, scraping
from scripts.model.dashboards import DashboardQuery
from scripts.model.exporters import BY_EVERY_PROGRAM, BY_PROMETHEUS, collector, monitors
from scripts.model.files import INVENTORY
from scripts.model.relabeling import Relabeling
from scripts.model.rendered import Cluster, Item, Pod, Written, command_line

# What every scrape adds, whatever the exporter exposes.
TARGET = frozenset(
    {"container", "endpoint", "instance", "job", "namespace", "node", "pod", "service"}
)
# Values of labels that must not go: those of the application and of its nodes.
EXAMPLES: Mapping[str, Sequence[str]] = {
    "container": ("backend",),
    "interface": ("eth0",),
    "le": (
        *("0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "25"),
        *("50", "100", "250", "500", "500.0", "1000", "1000.0", "2500", "5000", "10000"),
    ),
    "namespace": ("default", "monitoring", "todo"),
    "path": ("/v1.0/publish/pubsub/task-events", "/v1.0/state/statestore", ""),
    "pod": ("todo-backend-7d9f8c5b4-x2x9k",),
}

# Dapr's metrics whose `path` is what was asked for, ids included, unless it is set up otherwise:
# https://docs.dapr.io/operations/observability/metrics/metrics-overview/#high-cardinality-metrics
WHOLE_PATHS, PATH = re.compile(r"dapr_http_.+"), "path"
# What a sidecar puts before an application's path: where it is asked, and where it asks.
INVOKED = ("/v1.0/invoke/todo-backend/method", "")
ID = "5f0c2d9a"


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


class Loss(NamedTuple):
    """Why a metric does not arrive.

    Attributes:
        item: The object that is to be changed; None where nothing of it is there.
        text: What is wrong with it.
        fix: What to do.
        written: What somebody wrote that makes it so.
    """

    item: Item | None
    text: str
    fix: str
    written: tuple[Written, ...] = ()


def targets_kept(cluster: Cluster) -> Iterator[Finding]:
    """Relabelings of targets, which have no metric's name yet, leave some of them."""
    for item in cluster.of(*scraping.MONITORS):
        for endpoint in scraping.endpoints(item) or [item.spec]:
            rules = relabeling.read(endpoint.get("relabelings") or [])
            if not rules:
                continue
            labels = {label for r in rules for label in (*r.sources, r.target) if label}
            made = {str(r.get("targetLabel")) for r in endpoint["relabelings"]}
            absent = {
                label
                for label in labels - TARGET - made
                if label == "__name__" or not label.startswith("__")
            }
            if lost := relabeling.loss(rules, _of_target(cluster, item, endpoint), absent):
                name = " ".join(lost.sources)
                text = f"relabelings {lost.action} by {name}, which drops every target"
                fix = "correct it"
                if "__name__" in lost.sources:
                    fix = "move it to metricRelabelings: a target has no __name__"
                yield cluster.finding(item, text, fix, (("regex",), lost.regex))


def request_paths_dropped(cluster: Cluster) -> Iterator[Finding]:
    """No series has a whole request path as a label: there would be one for each user and thing."""
    root = cluster.repository.root
    routes = str(load(root / INVENTORY, root)[0]["data"].get("ROUTES", "")).split()
    asked = [re.sub(r"\{\w+\}", ID, route) for route in routes if "{" in route]
    paths = tuple(f"{prefix}{path}" for prefix in INVOKED for path in asked)
    told: set[str] = set()
    for metric, families in sorted(catalogue.series().items()):
        if not WHOLE_PATHS.fullmatch(metric) or not any(PATH in own for _, own in families):
            continue
        for source in endpoints(cluster, metric):
            kept = _kept_path(_rules(source), metric, paths)
            if kept and str(source.monitor) not in told:
                told.add(str(source.monitor))
                text = f"keeps {metric} with the path {kept}: series for each id, until sampleLimit"
                fix = "drop such series by __name__ and path in metricRelabelings"
                written = [
                    (("regex",), rule.regex) for rule in _rules(source) if PATH in rule.sources
                ]
                yield cluster.finding(source.monitor, f"{text} loses them all", fix, *written)


def read_metrics_kept(cluster: Cluster) -> Iterator[Finding]:
    """Every metric that is read is recorded by a rule, or exposed and kept by a monitor."""
    recorded = queries.recorded_metrics(item.manifest for item in cluster.of("PrometheusRule"))
    by_name = {str(item): item for item in cluster.of("PrometheusRule")}
    # Most metrics are read by several queries.
    why = functools.cache(functools.partial(reason_lost, cluster))
    missed: dict[tuple[str, str], tuple[Loss, dict[str, str]]] = {}
    for query, selectors in metrics_read(_queries(cluster)).items():
        item = by_name.get(query.where.partition(": ")[0])
        for selector in sorted(selectors, key=str):
            if selector.metric in recorded or not (loss := why(selector)):
                continue
            if loss.item:
                reader = query.where.partition(": ")[2] if item else query.where
                cause = f"{loss.text} {loss.written}"
                _, metrics = missed.setdefault((str(loss.item), cause), (loss, {}))
                metrics.setdefault(selector.metric, reader)
                continue
            text = f"reads {selector.metric}: {loss.text}"
            if item:
                place = query.where.partition(": ")[2]
                yield cluster.finding(item, f"{place} {text}", loss.fix)
            # Dashboards may show metrics of opt-ins: checked where all opt-ins are enabled.
            elif cluster.sync.has_opt_ins:
                yield Finding(query.where, None, text, loss.fix)
    told = {str(item) for item, _ in scrape.missed(cluster)}
    for (name, _), (loss, metrics) in missed.items():
        if name in told:
            continue  # Whatever is lost, the cause is that nothing is scraped.
        first = min(metrics)
        more = f" and {len(metrics) - 1} more" if metrics.keys() - {first} else ""
        text = f"{loss.text}: {first}{more}, which {metrics[first]} reads"
        yield cluster.finding(loss.item or cluster.items[0], text, loss.fix, *loss.written)


def _queries(cluster: Cluster) -> list[DashboardQuery]:
    rules = queries.rule_queries(item.manifest for item in cluster.of("PrometheusRule"))
    return [*rules, *queries.dashboard_queries(cluster.repository)]


def metrics_read(
    expressions: Iterable[DashboardQuery],
) -> dict[DashboardQuery, frozenset[Selector]]:
    """Return the metrics that each PromQL query selects, by Prometheus's own parser."""
    promql = [query for query in expressions if query.lang == "promql"]
    return {
        query: frozenset(selector for selector in parsed.selectors if selector.metric)
        for query, parsed in queries.parse(promql).items()
    }


def reason_lost(cluster: Cluster, selector: Selector) -> Loss | None:
    """Return why no monitor delivers what is selected, and what to do; None where one does."""
    metric = selector.metric
    if BY_PROMETHEUS.fullmatch(metric) or BY_EVERY_PROGRAM.fullmatch(metric):
        return None
    if ":" in metric:
        return Loss(None, "no rule records it", "add the recording rule, or correct the name")
    found = list(endpoints(cluster, metric))
    if found:
        reasons = [_reason(source, selector) for source in found]
        return None if None in reasons else reasons[0]
    for monitor, place in monitors(metric):
        for item in cluster.of(*scraping.MONITORS):
            if item.name == monitor:
                text = f"has no endpoint {place}, and misses what is there"
                return Loss(item, text, f"name {place} in the endpoint")
    return Loss(None, "no monitor scrapes it", "correct the name, or add its exporter to EXPORTERS")


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


def _reason(source: MetricsEndpoint, selector: Selector) -> Loss | None:
    """Why this source does not deliver the metric, and what to do."""
    rules = _rules(source)
    if rules and (dropping := _dropped(rules, selector)):
        said = " and ".join(dropping.sources)
        return Loss(
            source.monitor,
            f"metricRelabelings {dropping.action} by {said}, which loses what is read",
            "keep it in metricRelabelings, or turn off what reads it",
            ((("regex",), dropping.regex),),
        )
    metric = selector.metric
    if metric.startswith("node_"):
        flags = [a for pod in source.pods for c in pod.containers for a in command_line(c)]
        needed = collector(metric)
        if needed and f"--collector.{needed}" not in flags:
            text = f"node-exporter's collector {needed} is off"
            return Loss(
                source.monitor, text, f"add --collector.{needed}, or turn off what reads it"
            )
    if metric.startswith("kube_") and not metric.startswith("kube_state_metrics_"):
        return next(
            (_uncollected(pod, v, metric) for pod, v in _state_metrics(source.cluster)), None
        )
    return None


def _rules(source: MetricsEndpoint) -> tuple[Relabeling, ...]:
    return relabeling.read(source.endpoint.get("metricRelabelings") or [])


@functools.cache
def _kept_path(rules: tuple[Relabeling, ...], metric: str, paths: tuple[str, ...]) -> str | None:
    """Return the first of these paths that series of a metric are left with; None if none is."""
    known = {"__name__": (metric,)}
    return next((p for p in paths if not relabeling.loss(rules, {**known, PATH: (p,)}, ())), None)


@functools.cache
def _dropped(rules: tuple[Relabeling, ...], selector: Selector) -> Relabeling | None:
    """Return the rule that drops every series of a metric that a query selects; None if one stays.

    The labels of the series are those of the catalogue, and their values those that are asked for,
    or examples of what must not go.
    """
    families = catalogue.series().get(selector.metric, ())
    own = frozenset().union(*(labels for _, labels in families))
    known: dict[str, Sequence[str]] = {"__name__": (selector.metric,)}
    asked = {label for rule in rules for label in (*rule.sources, rule.target) if label}
    for label in asked - {"__name__"}:
        examples = EXAMPLES.get(label)
        if (families and label not in own and label not in TARGET) or not examples:
            examples = ()
        if values := _asked(selector, label, examples):
            known[label] = values
    absent = {label for label in asked if families and label not in own | TARGET}
    return relabeling.loss(rules, known, absent - known.keys())


def _asked(selector: Selector, label: str, examples: Sequence[str]) -> Sequence[str]:
    """Return the values of a label that a selector asks for, of these examples or literally."""
    values = list(examples)
    for name, operator, value in selector.matchers:
        if name != label:
            continue
        if operator == "=":
            return (value,)
        expression = relabeling.compiled(value)
        if operator == "!=":
            values = [v for v in values if v != value]
        elif expression:
            wanted = operator == "=~"
            values = [v for v in values if (expression.fullmatch(v) is not None) == wanted]
    return values


def _of_target(
    cluster: Cluster, item: Item, endpoint: Mapping[str, Json]
) -> dict[str, Sequence[str]]:
    """Return what is known of a monitor's targets before they are relabelled."""
    known: dict[str, Sequence[str]] = {"__name__": ("",)}
    if item.kind not in {"PodMonitor", "ServiceMonitor"} or "port" not in endpoint:
        return known
    found = scraping.targets(cluster, item, endpoint)
    pods = [pod for target in found for pod in target.pods]
    if pods:
        namespaces = tuple(dict.fromkeys(pod.owner.namespace for pod in pods))
        known |= {"namespace": namespaces, "__meta_kubernetes_namespace": namespaces}
        for label in dict.fromkeys(label for pod in pods for label in pod.labels):
            name = re.sub(r"[^a-zA-Z0-9_]", "_", label)
            values = dict.fromkeys(pod.labels.get(label, "") for pod in pods)
            known[f"__meta_kubernetes_pod_label_{name}"] = tuple(values)
    return known


def _state_metrics(cluster: Cluster) -> Iterator[tuple[Pod, dict[str, str]]]:
    """Yield the pods of kube-state-metrics with its flags."""
    for pod in cluster.pods:
        flags = [flag for c in pod.containers for flag in command_line(c)]
        if any("kube-state-metrics" in str(c.get("image")) for c in pod.containers):
            yield pod, dict(flag.split("=", 1) for flag in flags if "=" in flag)


def _uncollected(pod: Pod, values: Mapping[str, str], metric: str) -> Loss | None:
    kind = metric.split("_")[1]
    collected = values.get("--resources", "").split(",")
    if not {kind, f"{kind}s", f"{kind}es"} & set(collected):
        text = f"kube-state-metrics does not collect {kind}s"
        return Loss(pod.owner, text, "add it to collectors")
    # As kube-state-metrics does it (pkg/allowdenylist): an expression may match any part of a name.
    for pattern in filter(None, values.get("--metric-denylist", "").split(",")):
        expression = relabeling.compiled(pattern)
        if expression and expression.search(metric):
            text = f"the metricDenylist item {pattern[:60]} drops what is read"
            fix = "take it out; an expression matches any part of a name unless it has ^ and $"
            return Loss(pod.owner, text, fix, tuple(_listed("metricDenylist", pattern)))
    allowed = [relabeling.compiled(p) for p in values.get("--metric-allowlist", "").split(",") if p]
    if allowed and not any(expression and expression.search(metric) for expression in allowed):
        return Loss(pod.owner, "no item of metricAllowlist takes what is read", "add it there")
    return None


def _listed(key: str, text: str) -> Iterator[Written]:
    return (((key, str(index)), text) for index in range(100))
