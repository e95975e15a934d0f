"""Alerts are generated from their specifications, actionable, and link to what exists."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from scripts.checks.static import queries
from scripts.core.findings import Finding, RepositoryError
from scripts.core.yamlfile import Json, line_with
from scripts.model import dashboards, rendered
from scripts.model.dashboards import DashboardQuery
from scripts.model.manifests import ClusterSync, Repository
from scripts.model.runbooks import RUNBOOKS
from scripts.rules import RULES, alerts, budgets, rules_of, runbooks, slos
from scripts.rules.facts import THRESHOLDS, Facts, names_used

SEVERITIES = ("critical", "warning", "info", "none")
ANNOTATIONS = ("summary", "description", "runbook_url", "dashboard_url")
_OF_SLOTH = f"{RULES}/{slos.PREFIX}*.yaml"


@dataclass(frozen=True)
class Alert:
    """An alert of this repository, as a server gets it.

    Attributes:
        rule: All of it.
        lang: `promql` or `logql`.
        where: The object that it is in.
    """

    rule: Mapping[str, Json]
    lang: str
    where: str

    @property
    def name(self) -> str:
        """The rule's name."""
        return str(self.rule["alert"])

    @property
    def query(self) -> DashboardQuery:
        """Its expression."""
        return DashboardQuery(f"{self.where}: {self.name}", self.lang, str(self.rule["expr"]))


def check(repository: Repository) -> list[Finding]:
    """Check specifications, thresholds, and every alert of every cluster sync."""
    try:
        findings = [*rules_are_generated(repository.root), *thresholds_are_used(repository.root)]
    except RepositoryError as error:
        return list(error.findings)
    # Cluster syncs share most alerts; an alert may have a rule for each severity.
    distinct = {str(alert.rule): alert for sync in repository.syncs for alert in alerts_of(sync)}
    declared = list(distinct.values())
    variables = {
        str(board["uid"]): {v["name"] for v in board.get("templating", {}).get("list", ())}
        for board in dashboards.load(repository.root).values()
    }
    for alert in declared:
        findings += [
            Finding(alert.where, None, text, fix) for text, fix in actionable(alert, variables)
        ]
    findings += expressions(alert.query for alert in declared if alert.lang == "logql")
    return findings


def alerts_of(sync: ClusterSync) -> Iterator[Alert]:
    """Yield each alert of a cluster sync's own rules, those of Loki included."""
    for item in sync.objects():
        name = item["metadata"]["name"]
        if item["kind"] == "PrometheusRule":
            yield from _alerts(item["spec"], "promql", f"PrometheusRule {name}")
        elif item["kind"] == "ConfigMap" and name == rendered.LOKI_RULES_CONFIGMAP:
            for file, text in (item.get("data") or {}).items():
                yield from _alerts(_parsed(text), "logql", f"{alerts.LOKI_RULES}/{file}")


@functools.cache
def _parsed(text: str) -> dict[str, Json]:
    """Parse a rule file of Loki, which every cluster shares."""
    return dict(yaml.load(text, yaml.CSafeLoader))


def rules_are_generated(root: Path) -> Iterator[Finding]:
    """What `make rules` generates is what is there; rule files that sloth makes are left out."""
    generated = alerts.render(root) | budgets.render(root)
    of_sloth = {path: path.read_text(encoding="utf-8") for path in sorted(root.glob(_OF_SLOTH))}
    generated |= runbooks.render(root, generated | of_sloth)
    for path, text in generated.items():
        committed = root / path
        if not committed.is_file() or committed.read_text(encoding="utf-8") != text:
            message = "is not what its specification makes"
            yield Finding(
                path.as_posix(), None, message, "run `make rules`, and commit what it writes"
            )


def thresholds_are_used(root: Path) -> Iterator[Finding]:
    """Every threshold is used by a rule."""
    used = {*names_used(root), slos.MINIMUM}
    for name in sorted(Facts.of(root).thresholds.keys() - used):
        line = line_with(root / THRESHOLDS, f"{name}:")
        yield Finding(THRESHOLDS.as_posix(), line, f"no rule names {name}", "use it, or delete it")


def actionable(alert: Alert, variables: Mapping[str, set[str]]) -> Iterator[tuple[str, str]]:
    """An alert has a severity, its annotations, its runbook and a dashboard that exists.

    Args:
        alert: The alert.
        variables: The variables of each dashboard, by uid.

    Yields:
        What is wrong, and what to do.
    """
    severity = (alert.rule.get("labels") or {}).get("severity")
    if severity not in SEVERITIES:
        text = f"{alert.name} has the severity {severity}"
        yield text, f"use one of {', '.join(SEVERITIES)}: routes choose by it"
    annotations = alert.rule.get("annotations") or {}
    for key in ANNOTATIONS:
        if not annotations.get(key):
            yield f"{alert.name} has no {key}", "give it one: it is what a person reads first"
    if not annotations.get("runbook_url", "").endswith(f"/{alert.name}.md"):
        yield (
            f"{alert.name} links to another alert's runbook",
            f"link to {RUNBOOKS}/{alert.name}.md",
        )
    if "{{" in annotations.get("summary", ""):
        text = f"the summary of {alert.name} is a template"
        yield text, "put what differs into the description: the summary is a group's title"
    uid, _, query = annotations.get("dashboard_url", "").rpartition("/d/")[2].partition("?")
    if uid not in variables:
        known = ", ".join(sorted(variables))
        yield f"{alert.name} links to the dashboard {uid!r}, which is not there", f"use {known}"
        return
    linked = {part.partition("=")[0].removeprefix("var-") for part in query.split("&") if part}
    for name in sorted(linked - variables[uid]):
        known = ", ".join(sorted(variables[uid]))
        yield f"{alert.name} sets the variable {name}, which {uid} does not have", f"use {known}"


def expressions(asked: Iterable[DashboardQuery]) -> Iterator[Finding]:
    """Yield a finding for each query that its server would refuse."""
    for query, parsed in queries.parse(asked).items():
        yield from queries.query_findings(query, parsed)


def _alerts(content: Mapping[str, Json], lang: str, where: str) -> Iterator[Alert]:
    yield from (Alert(rule, lang, where) for rule in rules_of(content) if "alert" in rule)
