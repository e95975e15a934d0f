"""Why a query returned nothing: which of its selectors matched nothing, and because of what."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from scripts import tools
from scripts.grafana.evaluation import QueryResult
from scripts.grafana.timing import TimeRange
from scripts.model.dashboards import LOGQL
from scripts.servers.api import ApiError
from scripts.servers.monitoring import Servers

# Finds the label sets that a selector matches.
Search = Callable[[str], list[Mapping[str, str]]]

# Values of a label that a message lists.
_LISTED = 6


@dataclass(frozen=True)
class Selector:
    """A vector or stream selector of a query.

    Attributes:
        metric: Empty for a stream.
        matchers: Label, operator and value.
    """

    metric: str
    matchers: tuple[tuple[str, str, str], ...]

    def __str__(self) -> str:
        """Return it as it would be written."""
        inner = ", ".join(f"{label}{op}{json.dumps(value)}" for label, op, value in self.matchers)
        return f"{self.metric}{{{inner}}}" if inner or not self.metric else self.metric


def selectors(expr: str, language: str) -> list[Selector]:
    """Return the selectors of a query without variables, by the servers' own parsers; each once."""
    asked = [{"id": "0", "lang": language, "expr": expr}]
    run = tools.run("obscheck", "queries", stdin=json.dumps(asked))
    if run.returncode:
        return []
    found = [
        Selector(
            s["metric"], tuple((m["label"], m["type"], m["value"]) for m in s["matchers"] or [])
        )
        for s in json.loads(run.stdout)[0]["selectors"]
    ]
    return list(dict.fromkeys(found))


def explain(servers: Servers, result: QueryResult, time_range: TimeRange) -> str:
    """Return what to look at, in a sentence or more.

    Args:
        servers: Those that answered.
        result: An answer without data.
        time_range: The dashboard's.
    """
    language = result.target.language
    search = _search(servers, language, time_range)
    try:
        parts = selectors(result.expr, language)
        empty = [text for one in parts for text in _why_nothing(one, search)]
    except ApiError as error:
        return f"no further: {error}"
    if empty:
        return "; ".join(empty)
    if not parts:
        return "it selects nothing"
    if language == LOGQL:
        return "its streams exist: look at the filters after the selector"
    counts = (f"{len(search(str(one)))} series of {one}" for one in parts)
    return (
        f"each selector alone finds some ({', '.join(counts)}): "
        "look at comparisons, joins and the labels that they match on"
    )


def _search(servers: Servers, language: str, time_range: TimeRange) -> Search:
    def search(selector: str) -> list[Mapping[str, str]]:
        match = {"match[]": selector}
        if language == LOGQL:
            answer = servers.loki.get("/loki/api/v1/series", time_range.loki | match)
        else:
            answer = servers.prometheus.form("/api/v1/series", time_range.prometheus | match)
        return list(answer.get("data") or [])

    return search


def _why_nothing(selector: Selector, search: Search) -> Iterator[str]:
    """Say of a selector that matches nothing which of its matchers is to blame."""
    if search(str(selector)):
        return
    alone = Selector(selector.metric, ())
    known = search(alone.metric or '{cluster=~".+"}')
    what = alone.metric or "a stream"
    if not known:
        yield f"nothing has the name {what}"
        return
    blamed = []
    for matcher in selector.matchers:
        single = Selector(selector.metric, (matcher,))
        if search(str(single)):
            continue
        label = matcher[0]
        values = sorted({labels[label] for labels in known if label in labels})
        if values:
            more = ", …" if len(values) > _LISTED else ""
            blamed.append(f"label {label} has values {', '.join(values[:_LISTED])}{more}")
        else:
            blamed.append(f"none has a label {label}")
    reason = " and ".join(blamed) or "each matcher alone finds some, all together none"
    yield f"{selector} has no series; {what} alone has {len(known)}: {reason}"
