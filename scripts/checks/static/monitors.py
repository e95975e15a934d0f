"""Monitors have a sample limit and keep series distinct; rules are named by the convention."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from scripts.checks.static.queries import dashboard_queries, recorded_metrics
from scripts.core.findings import Finding, Violation
from scripts.core.yamlfile import Json, maps
from scripts.model import dashboards
from scripts.model.manifests import ClusterSync, Repository, in_values
from scripts.model.scraping import ENDPOINTS, MONITORS

# A copy of a label of the target: without it, series stay distinct.
DROPPABLE = frozenset({"exported_namespace"})
# Prometheus's regular expressions are RE2, which has neither of these.
NOT_RE2 = re.compile(r"\(\?(=|!|<=|<!|>)|\\[1-9]")
# https://prometheus.io/docs/practices/rules/#naming
RECORD = re.compile(r"[a-z_]+:[a-z][a-z0-9_]*:[a-z0-9_]+|sloth_slo_info")
_RECORDED = re.compile(r"\b(?:slo|todo):[a-z_:0-9]+")


def check(repository: Repository) -> list[Finding]:
    """Check every monitor and every recording rule of every cluster sync."""
    findings: list[Finding] = []
    used = recorded_names(query.expr for query in dashboard_queries(repository))
    for sync in repository.syncs:
        for item in sync.objects():
            if item["kind"] in MONITORS:
                findings += repository.locate(sync, monitor(item))
        findings += repository.locate(sync, chart_relabelings(sync))
        findings += repository.locate(sync, rules(sync))
        findings += [
            Finding(dashboards.FOLDER, None, f"no rule records {name}", "correct it, or record it")
            for name in sorted(used - recorded_metrics(sync.objects()))
        ]
    return findings


def monitor(item: Mapping[str, Json]) -> Iterator[Violation]:
    """A monitor has a sample limit, names its job and ports, and keeps series distinct."""
    kind, name, spec = item["kind"], item["metadata"]["name"], item["spec"]
    if not spec.get("sampleLimit"):
        text = "has no sampleLimit, so the series budget is no bound"
        fix = "set spec.sampleLimit to about twice what a target exposes"
        yield Violation(kind, name, ("spec",), text, fix)
    key = ENDPOINTS.get(kind)
    endpoints = spec.get(key, []) if key else [spec]
    for index, endpoint in enumerate(endpoints):
        at = ("spec", key, str(index)) if key else ("spec",)
        renamed = [r.get("targetLabel") for r in endpoint.get("relabelings", [])]
        if not (spec.get("jobLabel") or spec.get("jobName") or "job" in renamed):
            text = "has no job of its own: it would be the monitor's name or the Service's"
            yield Violation(kind, name, at, text, "set jobLabel, jobName, or relabel job")
        if key and not endpoint.get("port"):
            text = "names no port"
            yield Violation(kind, name, at, text, "set port to the name of the container's port")
    for keys, text, fix in relabelings(item):
        yield Violation(kind, name, keys, text, fix)


def chart_relabelings(sync: ClusterSync) -> Iterator[Violation]:
    """The relabelings that values set for the monitors of charts keep series distinct as well."""
    for release in sync.releases:
        for keys, text, fix in relabelings(release.values):
            yield in_values(release, keys, text, fix)


def relabelings(value: Json) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Check every list of relabelings in a value.

    Yields:
        Keys that lead to the rule, what is wrong, what to do.
    """
    for keys, rule in maps(value):
        place = next((key for key in reversed(keys) if not key.isdigit()), "").lower()
        if not place.endswith("relabelings") or not keys[-1].isdigit():
            continue
        action, regex = str(rule.get("action", "replace")).lower(), str(rule.get("regex", "(.*)"))
        try:
            re.compile(regex)
            wrong = "RE2 has no such group" if NOT_RE2.search(regex) else ""
        except re.error as error:
            wrong = str(error)
        if wrong:
            yield keys, f"{regex!r} is no regular expression of Prometheus: {wrong}", "correct it"
        if not place.endswith("metricrelabelings"):
            continue  # Targets stay distinct by their addresses.
        if action in {"labeldrop", "labelkeep"} and regex not in DROPPABLE:
            text = f"{action} {regex} can make two series one, and counters wrong"
            yield keys, text, "drop the series instead"
        if action not in {"drop", "keep", "dropequal", "keepequal", "labeldrop", "labelkeep"}:
            text = f"{action} of {rule.get('targetLabel', regex)} can make two series one"
            yield keys, text, "drop the series instead"


def rules(sync: ClusterSync) -> Iterator[Violation]:
    """Rules are named by the convention, recorded once, and read only what rules record."""
    seen: Counter[tuple[str, ...]] = Counter()
    records = recorded_metrics(sync.objects())
    for item in sync.objects():
        if item["kind"] != "PrometheusRule":
            continue
        name = item["metadata"]["name"]
        for index, group in enumerate(item["spec"].get("groups", [])):
            at = ("spec", "groups", str(index))
            seen["group", group["name"]] += 1
            if seen["group", group["name"]] == 2:
                text = f"group {group['name']} is declared a second time"
                yield Violation("PrometheusRule", name, at, text, "rename one of them")
            for number, rule in enumerate(group.get("rules") or []):
                keys = (*at, "rules", str(number))
                record = rule.get("record")
                if record and not RECORD.fullmatch(record):
                    text = f"{record} is not named level:metric:operations"
                    yield Violation("PrometheusRule", name, keys, text, "rename it")
                labels = [f"{key}={value}" for key, value in sorted(rule.get("labels", {}).items())]
                if record:
                    seen[record, *labels] += 1
                    if seen[record, *labels] == 2:
                        text = f"{' '.join((record, *labels))} is recorded a second time"
                        fix = "give one of them a label that tells them apart"
                        yield Violation("PrometheusRule", name, keys, text, fix)
                for missing in sorted(recorded_names([str(rule["expr"])]) - records):
                    text = f"reads {missing}, which no rule records"
                    fix = f"use one of {', '.join(sorted(records))}"
                    yield Violation("PrometheusRule", name, keys, text, fix)


def recorded_names(expressions: Iterable[str]) -> set[str]:
    """Return the recorded metrics that expressions read."""
    return {name for text in expressions for name in _RECORDED.findall(text)}
