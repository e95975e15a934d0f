"""Dashboards as they are committed: their panels, and their queries with variables filled in."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from scripts.core import yamlfile
from scripts.core.findings import Finding, RepositoryError
from scripts.core.yamlfile import Json

FOLDER = "base/dashboards"
# The release that provisions them, and the data sources that they ask.
GRAFANA = "base/releases/grafana.yaml"
PROMQL, LOGQL = "promql", "logql"
# The query language of a data source, by Grafana's type of it.
LANGUAGES = {"prometheus": PROMQL, "loki": LOGQL}
# Values for Grafana's own variables; to a parser, any value is as good as another.
BUILT_IN = {
    "__auto": "5m",
    "__interval": "1m",
    "__interval_ms": "60000",
    "__range": "1h",
    "__rate_interval": "2m",
}
# Grafana's variable syntax: `$name`, `[[name:format]]`, `${name.field:format}`.
_VARIABLE = re.compile(
    r"\$(?P<plain>\w+)"
    r"|\[\[(?P<old>\w+)(?::(?P<old_format>\w+))?\]\]"
    r"|\$\{(?P<name>\w+)(?:\.[^:}]+)?(?::(?P<format>[^}]+))?\}"
)


@dataclass(frozen=True)
class DashboardQuery:
    """A query of a dashboard, a rule or a runbook.

    Attributes:
        where: The file or object, and the panel or rule.
        lang: `promql` or `logql`.
        expr: The text.
        instant: Whether it is evaluated once, at the end of the time range.
    """

    where: str
    lang: str
    expr: str
    instant: bool = False


def load(root: Path) -> dict[str, Json]:
    """Return the committed dashboards of a tree, by file name.

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


def release_values(root: Path) -> Json:
    """Return the values of Grafana's release."""
    documents = yamlfile.load(root / GRAFANA, root)
    return next(d for d in documents if d["kind"] == "HelmRelease")["spec"]["values"]


def datasources(values: Json) -> list[Json]:
    """Return the data sources that values of Grafana's chart provision."""
    files = (values.get("datasources") or {}).values()
    return [source for file in files for source in file.get("datasources", [])]


def queries(dashboard: Json, chosen: Mapping[str, str] | None = None) -> list[DashboardQuery]:
    """Return every query with its variables filled in: panels, annotations and variables.

    Args:
        dashboard: Its JSON.
        chosen: What stands for some variables, in place of what they open with.
    """
    file = f"{FOLDER}/{dashboard['uid']}.json"
    values = BUILT_IN | {v["name"]: _value(v) for v in dashboard["templating"]["list"]}
    values |= chosen or {}
    return [
        replace(
            query,
            where=f"{file}: {query.where}",
            expr=substitute(query.expr, lambda name, _: values.get(name)),
        )
        for query in (*templates(dashboard), *_of_variables(dashboard))
    ]


def panels(dashboard: Json, *, rows: bool = False) -> Iterator[Json]:
    """Yield panels, also those of collapsed rows; with `rows`, the rows as well."""
    for panel in dashboard.get("panels") or []:
        if panel.get("type") != "row" or rows:
            yield panel
        yield from panel.get("panels") or []


def templates(dashboard: Json) -> Iterator[DashboardQuery]:
    """Yield the queries of panels and annotations, as a committed dashboard has them."""
    for panel in panels(dashboard):
        for target in panel["targets"]:
            place = f"panel {panel['title']!r}, query {target['refId']}"
            lang = LANGUAGES[target["datasource"]["type"]]
            yield DashboardQuery(place, lang, target["expr"], is_instant(target))
    for annotation in dashboard["annotations"]["list"]:
        lang = LANGUAGES[annotation["datasource"]["type"]]
        yield DashboardQuery(
            f"annotation {annotation['name']!r}", lang, annotation["target"]["expr"]
        )


def is_instant(target: Json) -> bool:
    """Say whether a query is only evaluated once, at the end of the time range."""
    if target.get("queryType") == "instant":
        return True
    return bool(target.get("instant")) and not target.get("range")


def substitute(text: str, value: Callable[[str, str], str | None]) -> str:
    """Replace Grafana's variables in a text.

    Args:
        text: Such as a query.
        value: Returns what stands for a variable, by its name and its format, which is empty
            without one; None leaves the variable as it is written.
    """

    def replaced(match: re.Match[str]) -> str:
        found = value(_name(match), match["old_format"] or match["format"] or "")
        return match[0] if found is None else found

    return _VARIABLE.sub(replaced, text)


def variable_names(text: str) -> set[str]:
    """Return the names of the variables that a text uses, Grafana's own among them."""
    # `$1` is a group of label_replace.
    return {n for match in _VARIABLE.finditer(text) if not (n := _name(match)).isdigit()}


def _name(match: re.Match[str]) -> str:
    return match["plain"] or match["old"] or match["name"]


def _of_variables(dashboard: Json) -> Iterator[DashboardQuery]:
    for variable in dashboard["templating"]["list"]:
        query = variable["query"]
        if variable["type"] != "query":
            continue
        place = f"variable {variable['name']!r}"
        if "stream" in query:
            yield DashboardQuery(place, LOGQL, query["stream"])
        else:
            series = re.fullmatch(r"label_values\((.*), \w+\)", query["query"])
            yield DashboardQuery(place, PROMQL, series[1] if series else query["query"])


def _value(variable: Json) -> str:
    current = variable["current"]["value"]
    return str(variable.get("allValue") or (current if isinstance(current, str) else current[0]))
