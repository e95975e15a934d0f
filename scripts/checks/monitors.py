"""What Prometheus is told to scrape and to record: bounded, unambiguous, by the field's names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping

from scripts.checks import dashboards
from scripts.findings import Finding
from scripts.manifests import Repository, identity
from scripts.yamlfile import Json

MONITORS = ("PodMonitor", "Probe", "ScrapeConfig", "ServiceMonitor")
# The sidecar's own copy of a label that its target has: dropping it cannot make two series one.
DROPPABLE = frozenset({"exported_namespace"})
# https://prometheus.io/docs/practices/rules/#naming
RECORD = re.compile(r"[a-z_]+:[a-z_]+:[a-z0-9_]+")
_RECORDED = re.compile(r"\btodo:[a-z_]+:[a-z0-9_]+")


def check(repository: Repository) -> list[Finding]:
    """Check every monitor and every recording rule."""
    findings: list[Finding] = []
    records: set[str] = set()
    for entry in repository.entries:
        seen: Counter[tuple[str, ...]] = Counter()
        for item in entry.objects():
            place = repository.where(item["kind"], item["metadata"]["name"])
            if item["kind"] in MONITORS:
                findings += [Finding(*place, text, fix) for text, fix in monitor(item)]
            if item["kind"] == "PrometheusRule":
                findings += [Finding(*place, text, fix) for text, fix in rules(item)]
                seen.update(_identities(item))
                records |= {rule["record"] for rule in _rules(item) if "record" in rule}
        for key, count in seen.items():
            if count > 1:
                text = f"{entry.name}: {' '.join(key)} is declared {count} times"
                fix = "rename one: both would write the same series, or one group hide the other"
                findings.append(Finding("base/config/rules", None, text, fix))
    for name, dashboard in dashboards.load(repository.root).items():
        for query in dashboards.queries(dashboard):
            for record in sorted(set(_RECORDED.findall(query.expr)) - records):
                text = f"no rule records {record}"
                fix = f"correct the name, or record it; there are {', '.join(sorted(records))}"
                findings.append(Finding(f"{dashboards.FOLDER}/{name}", None, text, fix))
    return findings


def monitor(item: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    """Check one monitor.

    Yields:
        What is wrong, what to do.
    """
    name, spec = identity(dict(item)), item["spec"]
    if not spec.get("sampleLimit"):
        text = f"{name} has no sampleLimit, so the series budget is no bound"
        yield text, "set spec.sampleLimit to about twice what a target exposes"
    endpoints = [*spec.get("podMetricsEndpoints", []), *spec.get("endpoints", []), spec]
    for rule in [rule for e in endpoints for rule in e.get("metricRelabelings", [])]:
        action, regex = rule.get("action", "replace"), str(rule.get("regex", "(.*)"))
        try:
            re.compile(regex)
        except re.error as error:
            yield f"{name}: the regular expression {regex!r} is not one: {error}", "correct it"
        if action in {"labeldrop", "labelkeep"} and regex not in DROPPABLE:
            text = f"{name}: {action} {regex} can make two series one, and counters wrong"
            yield text, "drop the series instead"
        if action == "replace" and rule.get("targetLabel") != "__name__":
            text = f"{name}: rewriting {rule.get('targetLabel')} can make two series one"
            yield text, "drop the series instead"


def rules(item: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    """Check the names of one PrometheusRule."""
    for rule in _rules(item):
        record = rule.get("record")
        if record and not RECORD.fullmatch(record):
            yield f"{record} is not named level:metric:operations", "rename it"


def _rules(item: Mapping[str, Json]) -> list[dict[str, Json]]:
    return [rule for group in item["spec"].get("groups", []) for rule in group.get("rules") or []]


def _identities(item: Mapping[str, Json]) -> Iterator[tuple[str, ...]]:
    """What must be unique over all rules: groups by name, records by name and labels."""
    for group in item["spec"].get("groups", []):
        yield "group", group["name"]
    for rule in _rules(item):
        if "record" in rule:
            labels = [f"{key}={value}" for key, value in sorted(rule.get("labels", {}).items())]
            yield "record", rule["record"], *labels
