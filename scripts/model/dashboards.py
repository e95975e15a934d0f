"""Dashboards as they are committed: their panels, and their queries with variables filled in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.core.findings import Finding, RepositoryError
from scripts.core.yamlfile import Json

FOLDER = "base/dashboards"
# What Grafana puts in for its own variables, to a parser as good as any other value.
BUILT_IN = {
    "__auto": "5m",
    "__interval": "1m",
    "__range": "1h",
    "__rate_interval": "2m",
}
_VARIABLE = re.compile(r"\$(?:(?P<name>[A-Za-z_]\w*)|\{(?P<braced>\w+)(?:[.:][^}]*)?\})")


@dataclass(frozen=True)
class Query:
    """A query of a dashboard, ready for a parser.

    Attributes:
        where: File and panel.
        lang: `promql` or `logql`.
        expr: The text with every Grafana variable replaced by a value.
    """

    where: str
    lang: str
    expr: str


def load(root: Path) -> dict[str, Json]:
    """Return the committed dashboards below a root, by file name.

    Raises:
        RepositoryError: If a file is not JSON; names the line.
    """
    found = {}
    for path in sorted((root / FOLDER).glob("*.json")):
        try:
            found[path.name] = json.loads(path.read_text(encoding="utf-8"))
        except json.JSONDecodeError as error:
            place = f"{FOLDER}/{path.name}"
            message = f"not JSON: {error.msg}"
            raise RepositoryError(
                Finding(place, error.lineno, message, "run `make dashboards`")
            ) from error
    return found


def datasources(values: Json) -> list[Json]:
    """Return the data sources that values of Grafana's chart provision."""
    files = (values.get("datasources") or {}).values()
    return [source for file in files for source in file.get("datasources", [])]


def queries(dashboard: Json) -> list[Query]:
    """Return every query with its variables filled in: panels, annotations and variables."""
    values = BUILT_IN | {v["name"]: _value(v) for v in dashboard["templating"]["list"]}
    where = f"{FOLDER}/{dashboard['uid']}.json"
    found = [
        Query(f"{where}: {place}", lang, _interpolate(expr, values))
        for place, lang, expr, _ in _expressions(dashboard)
    ]
    for variable in dashboard["templating"]["list"]:
        query = variable["query"]
        if variable["type"] != "query":
            continue
        place = f"{where}: variable {variable['name']!r}"
        if "stream" in query:
            found.append(Query(place, "logql", _interpolate(query["stream"], values)))
        else:
            series = re.fullmatch(r"label_values\((.*), \w+\)", query["query"])
            text = series.group(1) if series else query["query"]
            found.append(Query(place, "promql", _interpolate(text, values)))
    return found


def panels(dashboard: Json, *, rows: bool = False) -> Iterator[Json]:
    """Yield panels, also those inside collapsed rows; the rows themselves only on request."""
    for panel in dashboard["panels"]:
        if panel["type"] != "row" or rows:
            yield panel
        if panel["type"] == "row":
            yield from panel["panels"]


def _expressions(dashboard: Json) -> Iterator[tuple[str, str, str, bool]]:
    """Yield place, language, text, and whether it is evaluated once, for every query."""
    languages = {"prometheus": "promql", "loki": "logql"}
    for panel in panels(dashboard):
        for target in panel["targets"]:
            once = target.get("instant", False) or target.get("queryType") == "instant"
            place = f"panel {panel['title']!r}, query {target['refId']}"
            yield place, languages[target["datasource"]["type"]], target["expr"], once
    for annotation in dashboard["annotations"]["list"]:
        lang = languages[annotation["datasource"]["type"]]
        yield f"annotation {annotation['name']!r}", lang, annotation["target"]["expr"], False


def _value(variable: Json) -> str:
    current = variable["current"]["value"]
    return str(variable.get("allValue") or (current if isinstance(current, str) else current[0]))


def _interpolate(text: str, values: Mapping[str, str]) -> str:
    def replace(match: re.Match[str]) -> str:
        return values.get(match["name"] or match["braced"], match[0])

    return _VARIABLE.sub(replace, text)
