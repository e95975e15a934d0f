"""Numbers that only make sense together: requests and limits, intervals, ranges and retentions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from scripts.checks.rendered import relabelings
from scripts.core import yamlfile
from scripts.core.findings import Finding
from scripts.core.quantities import duration, duration_text, quantity
from scripts.core.yamlfile import Json
from scripts.model import alertmanager
from scripts.model.rendered import Cluster, Item, Written, declared
from scripts.model.scraping import MONITORS, endpoints

MEBIBYTE = 2**20
# What is less does not start anything; of a volume, what is less holds nothing.
LEAST: Mapping[str, float] = {
    "cpu": 0.001,
    "memory": 4 * MEBIBYTE,
    "ephemeral-storage": MEBIBYTE,
    "storage": MEBIBYTE,
}
# https://github.com/prometheus-operator/prometheus-operator/blob/main/Documentation/api-reference/api.md
SCRAPE_INTERVAL = "30s"
ALERTMANAGER_RETENTION = "120h"
# What Grafana takes for the scrape interval where a data source has no `timeInterval`.
TIME_INTERVAL = "15s"
# For so long Prometheus shows a series' last sample.
LOOKBACK = 300.0
# https://prometheus.io/docs/alerting/latest/configuration/#route
GROUP_INTERVAL, REPEAT_INTERVAL = "5m", "4h"

_RANGE = re.compile(r"\[\s*([0-9][0-9a-z]*)\s*(?::[^\]]*)?\](?:\s*offset\s+([0-9][0-9a-z]*))?")
# Functions that make nothing of fewer than two samples.
_OF_TWO = re.compile(
    r"\b(?P<function>rate|irate|increase|delta|idelta|deriv|predict_linear)\(\s*"
    r"(?P<metric>[a-zA-Z_][a-zA-Z0-9_]*)\s*"
    r"(?:\{(?:\"(?:[^\"\\]|\\.)*\"|[^}\"])*\})?\s*\[\s*(?P<range>[0-9][0-9a-z]*)\s*\]"
)


class Rule(NamedTuple):
    """A rule that Prometheus evaluates, and the object that brings it."""

    item: Item
    name: str
    expr: str


def requests_within_limits(cluster: Cluster) -> Iterator[Finding]:
    """Amounts are some, and no limit is below what is requested."""
    for pod in cluster.pods:
        owner = declared(cluster, pod.owner)
        for container in pod.containers:
            has = container.get("resources") or {}
            amounts: dict[tuple[str, str], float] = {}
            for bound in ("requests", "limits"):
                for resource, text in (has.get(bound) or {}).items():
                    what = f"container {container['name']}: {bound[:-1]} of {resource}"
                    at: Written = ((bound, resource), text)
                    if wrong := _amount(text, resource):
                        yield cluster.finding(owner, f"{what} {wrong[0]}", wrong[1], at)
                    else:
                        amounts[bound, resource] = quantity(text)
            for (bound, resource), limit in amounts.items():
                request = amounts.get(("requests", resource), 0)
                if bound == "limits" and limit < request:
                    low, high = has["limits"][resource], has["requests"][resource]
                    text = f"container {container['name']}: the limit of {resource} is {low}"
                    yield cluster.finding(
                        owner,
                        f"{text}, below its request of {high}: the API server refuses the pod",
                        "raise the limit, or lower the request",
                        (("limits", resource), low),
                        (("requests", resource), high),
                    )
        for claim in pod.claims:
            size = ((claim.get("resources") or {}).get("requests") or {}).get("storage", "0")
            if wrong := _amount(size, "storage"):
                keys: list[Written] = [(("storage",), size), (("size",), size)]
                yield cluster.finding(owner, f"a volume {wrong[0]}", wrong[1], *keys)


def scrapes_often(cluster: Cluster) -> Iterator[Finding]:
    """A scrape comes before the series of the last one are stale, and as often as all others."""
    for item in cluster.of(*MONITORS):
        for endpoint in endpoints(item) or [item.spec]:
            interval = interval_of(cluster, endpoint)
            own = endpoint.get("interval") or endpoint.get("scrapeInterval")
            default = item.release and own and not cluster.written(item, *_interval(own))
            if default and interval < scrape_interval(cluster):
                every = duration_text(scrape_interval(cluster))
                text = f"is scraped every {own} by the chart's default, all else every {every}"
                yield cluster.finding(item, text, f"set its interval, such as {every}")
            if own and interval >= LOOKBACK:
                text = f"is scraped every {own}, but Prometheus forgets a sample after 5m"
                fix = "scrape every 2m at least, so that one scrape may fail"
                yield cluster.finding(item, text, fix, *_interval(own))


def time_interval_known(cluster: Cluster) -> Iterator[Finding]:
    """Grafana's data source knows the longest scrape interval: `$__rate_interval` is made of it."""
    for item in cluster.of("ConfigMap", "Secret"):
        for key, text in item.data.items():
            if "datasources:" not in str(text) or item.release is None:
                continue
            content = yamlfile.load_all(str(text), f"{item}: {key}")[0]
            for source in content.get("datasources") or []:
                if source.get("type") == "prometheus":
                    yield from _time_interval(item, source, cluster)


def ranges_hold_two_samples(cluster: Cluster) -> Iterator[Finding]:
    """A range over a counter holds at least two samples of it."""
    for rule in _rules(cluster):
        for match in _OF_TWO.finditer(rule.expr):
            metric, span = match["metric"], match["range"]
            sources = list(relabelings.endpoints(cluster, metric))
            interval = min((interval_of(cluster, s.endpoint) for s in sources), default=0.0)
            if duration(span) < 2 * interval:
                text = f"{rule.name}: {match['function']}({metric}[{span}]) mostly holds one sample"
                every = duration_text(interval)
                yield cluster.finding(
                    rule.item,
                    f"{text}, as it is scraped every {every}: the result is empty",
                    f"use {duration_text(4 * interval)} or more",
                    (("expr",), rule.expr),
                )


def retention_covers_rules(cluster: Cluster) -> Iterator[Finding]:
    """Prometheus keeps, where it has a volume, what the longest range of a rule asks for.

    Without a volume nothing outlives the pod, so that no retention would be long enough.
    """
    for item in cluster.of("Prometheus"):
        # Without either, the operator sets a day.
        bounded = item.spec.get("retentionSize")
        retention = item.spec.get("retention") or (None if bounded else "1d")
        if not retention or not (item.spec.get("storage") or {}).get("volumeClaimTemplate"):
            continue
        needed, rule = max(
            (
                (duration(match[1]) + duration(match[2] or "0"), rule)
                for rule in _rules(cluster)
                for match in _RANGE.finditer(rule.expr)
            ),
            default=(0.0, None),
            key=lambda found: found[0],
        )
        if rule and needed > duration(retention):
            text = f"keeps {retention}, but {rule.name} reads {duration_text(needed)}"
            fix = f"set retention: {duration_text(needed)}, or shorten the objective's window"
            yield cluster.finding(item, text, fix, (("retention",), retention))


def notifications_remembered(cluster: Cluster) -> Iterator[Finding]:
    """Alertmanager remembers what it has sent until it is to be sent again, and no route waits."""
    root = cluster.repository.root
    path = root / alertmanager.TEMPLATE
    if not path.exists():
        return
    routes = list(_routes(yamlfile.load(path, root)[0].get("route") or {}))
    longest = max(routes, key=lambda route: duration(route.repeat))
    line = yamlfile.line_with(path, f"repeat_interval: {longest.repeat}")
    for item in cluster.of("Alertmanager"):
        retention = item.spec.get("retention") or ALERTMANAGER_RETENTION
        if duration(longest.repeat) < duration(retention):
            continue
        text = f"forgets after {retention} what it has sent, but {longest.name} repeats it"
        found = cluster.finding(
            item,
            f"{text} after {longest.repeat}: it is sent again too early",
            "set retention to more than the longest repeat_interval, or repeat sooner",
            (("retention",), retention),
        )
        if cluster.written(item, (("retention",), retention)):
            yield found
        else:
            yield Finding(alertmanager.TEMPLATE, line, found.message, found.fix)
    for route in routes:
        if duration(route.group) > duration(route.repeat):
            text = f"{route.name} repeats after {route.repeat}, but its group_interval is"
            yield Finding(
                alertmanager.TEMPLATE,
                yamlfile.line_with(path, f"repeat_interval: {route.repeat}"),
                f"{text} {route.group}: nothing is sent in between",
                "set group_interval to at most repeat_interval in this route",
            )


class Route(NamedTuple):
    """A route of Alertmanager with what it inherits."""

    name: str
    group: str
    repeat: str


def scrape_interval(cluster: Cluster) -> float:
    """Return how often Prometheus scrapes what says nothing of its own, in seconds."""
    found = [item.spec.get("scrapeInterval") for item in cluster.of("Prometheus")]
    return duration(str((found and found[0]) or SCRAPE_INTERVAL))


def interval_of(cluster: Cluster, endpoint: Mapping[str, Json]) -> float:
    """Return how often an endpoint of a monitor is scraped, in seconds."""
    own = endpoint.get("interval") or endpoint.get("scrapeInterval")
    return duration(str(own)) if own else scrape_interval(cluster)


def _amount(text: Json, resource: str) -> tuple[str, str] | None:
    """Return what is wrong with an amount, and what to do."""
    try:
        amount = quantity(text)
    except ValueError as error:
        return f"is wrong: {error}", "write it as 100m (of CPU), 64Mi or 1Gi"
    if amount == 0 or amount >= LEAST.get(resource, 0):
        return None
    if resource == "cpu":
        return f"is {text}, {amount:g} cores", "write 100m for a tenth of a core"
    thousandth = str(text).endswith("m")
    fix = "`m` is a thousandth: write Mi" if thousandth else "write Mi or Gi"
    return f"is {text}, {amount:g} bytes", fix


def _interval(text: str) -> tuple[Written, ...]:
    return tuple(((key,), text) for key in ("interval", "scrapeInterval", "cAdvisorInterval"))


def _time_interval(item: Item, source: Mapping[str, Json], cluster: Cluster) -> Iterator[Finding]:
    own = (source.get("jsonData") or {}).get("timeInterval")
    known = duration(str(own or TIME_INTERVAL))
    if known < scrape_interval(cluster):
        said = f"timeInterval {own}" if own else f"no timeInterval, so {TIME_INTERVAL}"
        every = duration_text(scrape_interval(cluster))
        text = f"the data source {source.get('name')} has {said}; Prometheus scrapes every {every}"
        yield cluster.finding(
            item,
            f"{text}: rates over $__rate_interval are empty",
            f"set jsonData.timeInterval: {every}",
            (("timeInterval",), own),
        )
        return
    for monitor in cluster.of(*MONITORS):
        for endpoint in endpoints(monitor) or [monitor.spec]:
            often = endpoint.get("interval") or endpoint.get("scrapeInterval")
            # $__rate_interval is four times `timeInterval`; two samples have to fit.
            if often and 4 * known < 2 * duration(often) < 2 * LOOKBACK:
                text = f"is scraped every {often}, and the data source's timeInterval is"
                yield cluster.finding(
                    monitor,
                    f"{text} {duration_text(known)}: rates over $__rate_interval are empty",
                    f"scrape it every {duration_text(known)}, or raise timeInterval",
                    *_interval(often),
                )


def _rules(cluster: Cluster) -> Iterator[Rule]:
    for item in cluster.of("PrometheusRule"):
        for group in item.spec.get("groups") or []:
            for rule in group.get("rules") or []:
                name = str(rule.get("record") or rule.get("alert"))
                yield Rule(item, name, str(rule["expr"]))


def _routes(
    route: Mapping[str, Json], group: str = GROUP_INTERVAL, repeat: str = REPEAT_INTERVAL
) -> Iterator[Route]:
    group, repeat = route.get("group_interval", group), route.get("repeat_interval", repeat)
    matched = alertmanager.matchers(route.get("matchers") or [])
    name = f"the route {', '.join(map(str, matched))}" if matched else "the first route"
    yield Route(name, group, repeat)
    for child in route.get("routes") or []:
        yield from _routes(child, group, repeat)
