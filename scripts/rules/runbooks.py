"""Runbooks for programs: `runbooks.json`, made of the pages, and the query in each alert.

Whoever investigates without a person's eyes, such as an agent, reads the same as a person does; the
JSON's shape is `scripts/model/runbooks.schema.json`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from scripts.core.yamlfile import Json
from scripts.model import dashboards, runbooks
from scripts.model.clusters import LABEL as CLUSTER
from scripts.model.files import RUNBOOKS_JSON
from scripts.model.runbooks import RUNBOOKS, Reading, Runbook, RunbookQuery
from scripts.rules import rules_of
from scripts.rules.facts import Facts

OUTPUT = Path(RUNBOOKS_JSON)
# An alert's annotation with the first query of its page, about what the alert is about.
ANNOTATION = "runbook_query"
# Some alerts have a label only sometimes.
_MATCHER = '{{{{ with {0} }}}}={{{{ printf "%q" . }}}}{{{{ else }}}}=~".+"{{{{ end }}}}'
# Of what Prometheus evaluates, the cluster is no label yet.
_OF_CLUSTER = f"or $labels.{CLUSTER} $externalLabels.{CLUSTER}"
_SCHEMA = "../../../scripts/model/runbooks.schema.json"


def render(root: Path, rules: Mapping[Path, str]) -> dict[Path, str]:
    """Return the text of `runbooks.json`, by its path below `root`.

    Args:
        root: Of the tree.
        rules: Every generated rule file, for the severities.

    Raises:
        RepositoryError: For a page that cannot be read.
    """
    alerts = _alerts(rules)
    facts, sources = Facts.of(root), _datasources(root)
    document = {
        "$schema": _SCHEMA,
        "runbooks": [
            _document(book, alerts.get(book.alert, []), facts, sources)
            for book in runbooks.load(root).values()
        ],
    }
    return {OUTPUT: f"{json.dumps(document, indent=2, ensure_ascii=False)}\n"}


def first_query(root: Path, alert: str) -> str:
    """Return the first query of an alert's page as a template of its labels; empty for no page.

    Raises:
        RepositoryError: For a page that cannot be read.
    """
    path = root / RUNBOOKS / f"{alert}.md"
    queries = runbooks.read(path, root).queries if path.is_file() else ()
    return _template(queries[0]) if queries else ""


def _template(query: RunbookQuery) -> str:
    """Return a query with the alert's labels as Prometheus and Loki fill them into annotations."""
    escaped = query.text.replace("{{", '{{ "{{" }}')
    return query.with_matchers(_matcher, escaped)


def _matcher(label: str) -> str:
    return _MATCHER.format(_OF_CLUSTER if label == CLUSTER else f"$labels.{label}")


def _document(
    book: Runbook, rules: list[Mapping[str, Json]], facts: Facts, sources: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "alert": book.alert,
        "severities": sorted({str(rule["labels"]["severity"]) for rule in rules}),
        "summary": next((str(rule["annotations"]["summary"]).strip() for rule in rules), ""),
        "page": book.path,
        "url": facts.runbook(book.alert),
        "meaning": book.meaning,
        "impact": book.impact,
        "queries": [_query(query, sources) for query in book.queries],
        "decisions": [
            {"seen": d.seen, "then": d.then, "query": d.query, "runbooks": list(d.pages)}
            for d in book.decisions
        ],
        "mitigation": [
            {"do": step.text, "commands": list(step.commands)} for step in book.mitigation
        ],
        "never": list(book.never),
    }


def _query(query: RunbookQuery, sources: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "language": query.language,
        "datasource": sources[query.language],
        "query": query.text,
        "labels": list(query.labels),
    }
    if query.firing and query.quiet:
        return found | {"firing": _reading(query.firing), "quiet": _reading(query.quiet)}
    return found | {"context": query.context}


def _reading(reading: Reading) -> dict[str, Any]:
    number = {} if reading.number is None else {"number": reading.number}
    return {"reading": reading.kind} | number | {"text": reading.text}


def _datasources(root: Path) -> dict[str, str]:
    """Return the uid of the data source of each query language."""
    languages = dashboards.LANGUAGES
    return {
        languages[source["type"]]: str(source["uid"])
        for source in dashboards.datasources(dashboards.release_values(root))
        if source["type"] in languages
    }


def _alerts(rules: Mapping[Path, str]) -> dict[str, list[Mapping[str, Json]]]:
    found: dict[str, list[Mapping[str, Json]]] = {}
    for text in rules.values():
        for rule in _rules(yaml.load(text, yaml.CSafeLoader)):
            if "alert" in rule:
                found.setdefault(rule["alert"], []).append(rule)
    return found


def _rules(document: Mapping[str, Json]) -> Iterator[Mapping[str, Json]]:
    return rules_of(document.get("spec") or document)
