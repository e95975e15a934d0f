"""Every PromQL and LogQL expression parses, by the parsers of Prometheus and Loki themselves."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from scripts import tools
from scripts.core.findings import Finding
from scripts.core.yamlfile import Json
from scripts.model import dashboards
from scripts.model.dashboards import DashboardQuery
from scripts.model.manifests import Repository, identity
from scripts.rules import rules_of

# The labels that Loki indexes: those that the log pipelines send. All else is structured metadata.
STREAM_LABELS = frozenset({"app", "cluster", "container", "level", "namespace"})


@dataclass(frozen=True)
class LabelReference:
    """A label that a PromQL query names, and that only these metrics can have.

    Attributes:
        label: The label.
        place: What names it: `selector`, `by`, `without`, `on`, `ignoring`, `group_left`, …
        metrics: The metrics behind that part of the query.
    """

    label: str
    place: str
    metrics: frozenset[str]


@dataclass(frozen=True)
class ResultLabels:
    """An upper bound of the labels of a PromQL query's result.

    Attributes:
        labels: Those that the query names.
        metrics: Metrics whose labels the result has as well.
        unknown: Whether there is no upper bound.
    """

    labels: frozenset[str]
    metrics: frozenset[str]
    unknown: bool


@dataclass(frozen=True)
class Selector:
    """Series or streams that a query selects.

    Attributes:
        metric: Its name; empty for a selector without one, as all of LogQL are.
        matchers: What its labels have to be: a label, how it is compared (`=`, `!=`, `=~`, `!~`),
            and with what.
    """

    metric: str
    matchers: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class Clause:
    """Labels by which a query aggregates or matches.

    Attributes:
        keyword: `by`, `without`, `on` or `ignoring`.
        operator: What the clause belongs to, as `sum` or `unless`.
        labels: May be none, as in `on ()`.
    """

    keyword: str
    operator: str
    labels: frozenset[str]

    def __str__(self) -> str:
        """Return it as a query has it, with the labels in order."""
        text = f"{self.keyword} ({', '.join(sorted(self.labels))})"
        return f"{self.operator} {text}"


@dataclass(frozen=True)
class ParsedQuery:
    """What the parser finds in one query.

    Attributes:
        error: Its message; empty where the query is valid.
        metrics: The names of the metrics that it selects (PromQL).
        selectors: All that it selects, each once.
        clauses: The labels by which it aggregates and matches.
        label_references: The labels that it names, with the metrics that must have them (PromQL).
        result: The labels of its result (PromQL).
    """

    error: str
    metrics: frozenset[str]
    selectors: tuple[Selector, ...]
    clauses: tuple[Clause, ...]
    label_references: tuple[LabelReference, ...]
    result: ResultLabels


def parse(queries: Iterable[DashboardQuery]) -> dict[DashboardQuery, ParsedQuery]:
    """Parse queries, all in one process.

    Returns:
        What is found, by query.
    """
    distinct = list(dict.fromkeys(queries))
    new = [k for k in dict.fromkeys((q.lang, q.expr) for q in distinct) if k not in _PARSED]
    if new:
        request = [{"id": str(n), "lang": lang, "expr": expr} for n, (lang, expr) in enumerate(new)]
        run = tools.run("obscheck", "queries", stdin=json.dumps(request))
        if run.returncode:
            raise RuntimeError(run.stderr)
        _PARSED.update({new[int(a["id"])]: _parsed(a) for a in json.loads(run.stdout)})
    return {query: _PARSED[query.lang, query.expr] for query in distinct}


# Cluster syncs share most queries.
_PARSED: dict[tuple[str, str], ParsedQuery] = {}


def rule_queries(objects: Iterable[Mapping[str, Json]]) -> list[DashboardQuery]:
    """Return the expression of every rule of the PrometheusRules among the objects."""
    return [
        DashboardQuery(
            f"{identity(dict(item))}: {rule.get('record') or rule.get('alert')}", "promql", text
        )
        for item in objects
        if item.get("kind") == "PrometheusRule"
        for rule in rules_of(item["spec"])
        if (text := str(rule["expr"]))
    ]


def recorded_metrics(objects: Iterable[Mapping[str, Json]]) -> set[str]:
    """Return the metrics that the PrometheusRules among the objects record."""
    return {
        rule["record"]
        for item in objects
        if item["kind"] == "PrometheusRule"
        for rule in rules_of(item["spec"])
        if "record" in rule
    }


def dashboard_queries(repository: Repository) -> list[DashboardQuery]:
    """Return every query of every committed dashboard."""
    return [q for d in dashboards.load(repository.root).values() for q in dashboards.queries(d)]


def check(repository: Repository) -> list[Finding]:
    """Return a finding for each query that its server would refuse, or that selects no stream."""
    rules = [q for sync in repository.syncs for q in rule_queries(sync.objects())]
    queries = parse([*rules, *dashboard_queries(repository)])
    return [
        finding for query, parsed in queries.items() for finding in query_findings(query, parsed)
    ]


def query_findings(query: DashboardQuery, parsed: ParsedQuery) -> Iterable[Finding]:
    """Yield why a server would refuse a query, or answer it with nothing."""
    if parsed.error:
        message = f"not valid {query.lang}: {parsed.error}: {query.expr[:120]}"
        yield Finding(query.where, None, message, "correct the expression")
    if query.lang == "logql":
        for selector in parsed.selectors:
            for unknown in sorted({label for label, _, _ in selector.matchers} - STREAM_LABELS):
                message = f"streams have no label {unknown!r}, so the query matches nothing"
                yield Finding(
                    query.where, None, message, f"filter after the selector: | {unknown}=…"
                )


def _selector(raw: dict[str, Any]) -> Selector:
    matchers = ((m["label"], m["type"], m["value"]) for m in raw["matchers"] or [])
    return Selector(raw["metric"], tuple(m for m in matchers if m[0] != "__name__"))


def _parsed(raw: dict[str, Any]) -> ParsedQuery:
    matched = [
        LabelReference(m["label"], "selector", frozenset({s["metric"]}))
        for s in raw["selectors"]
        for m in s["matchers"] or []
        if s["metric"] and m["label"] != "__name__"
    ]
    others = [
        LabelReference(d["label"], d["place"], frozenset(d["metrics"])) for d in raw["demands"]
    ]
    output = raw["output"]
    return ParsedQuery(
        raw["error"] or "",
        frozenset(s["metric"] for s in raw["selectors"] if s["metric"]),
        tuple(dict.fromkeys(map(_selector, raw["selectors"]))),
        tuple(Clause(c["keyword"], c["operator"], frozenset(c["labels"])) for c in raw["clauses"]),
        tuple(dict.fromkeys((*matched, *others))),
        ResultLabels(
            frozenset(output["labels"] or ()), frozenset(output["metrics"] or ()), output["any"]
        ),
    )
