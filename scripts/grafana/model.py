"""Dashboards as they are asked: panels, queries, variables and annotations of Grafana's JSON.

Any classic dashboard is understood, not only this repository's: data sources may be given by a
variable, panels may repeat, and queries may leave out what Grafana has a default for.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import yaml

from dashboards_py import __main__ as definitions
from dashboards_py import grafana
from scripts import tools
from scripts.core.findings import Finding, RepositoryError
from scripts.core.yamlfile import Json
from scripts.grafana.interpolation import LOGQL, PROMQL, milliseconds
from scripts.model import dashboards

GRAFANA = "base/releases/grafana.yaml"
MODULES = "dashboards_py/dashboards"
LANGUAGES = {"prometheus": PROMQL, "loki": LOGQL}


@dataclass(frozen=True)
class Datasource:
    """A data source that Grafana is given.

    Attributes:
        kind: Grafana's type, as `prometheus`.
        scrape: Its scrape interval, in milliseconds.
    """

    uid: str
    kind: str
    scrape: int = 15_000
    default: bool = False


@dataclass(frozen=True)
class Target:
    """A query of a panel, before its variables are replaced.

    Attributes:
        ref: Its letter.
        language: PROMQL or LOGQL.
        instant: Evaluated once, at the end of the time range.
        minimum: Least step, as `1m`; empty for none of its own.
        allow_empty: Why it returns nothing on a day without faults; empty where it must not.
    """

    ref: str
    expr: str
    language: str
    legend: str
    instant: bool
    lines: int
    minimum: str = ""
    factor: int = 1
    allow_empty: str = ""


@dataclass(frozen=True)
class Panel:
    """A panel that asks something.

    Attributes:
        columns: Its width, of 24.
        minimum: Least interval of all its queries; empty for none.
        points: The most points it wants; 0 for as many as it has pixels.
        repeat: The variable for each of whose values Grafana draws the panel again.
    """

    id: int
    title: str
    columns: int
    targets: tuple[Target, ...]
    minimum: str = ""
    points: int = 0
    repeat: str = ""


@dataclass(frozen=True)
class Annotation:
    """A query whose results are marked on every graph."""

    name: str
    target: Target
    title: str
    color: str


@dataclass(frozen=True)
class Variable:
    """A variable of a dashboard.

    Attributes:
        kind: Grafana's type.
        query: What its type wants.
        language: Of the query; empty where no data source is asked.
        several: Whether it may have several values.
        all_value: Value of All; None where All stands for every option.
        include_all: Whether there is an All.
        options: Written in the dashboard.
        current: Value when the dashboard opens; `$__all` is All.
        regex: Which options are kept, and which part of them.
        sort: Grafana's number of an order.
    """

    name: str
    kind: str
    query: str | Json
    language: str
    several: bool
    include_all: bool
    all_value: str | None
    options: tuple[str, ...]
    current: tuple[str, ...]
    regex: str = ""
    sort: int = 0


@dataclass(frozen=True)
class Dashboard:
    """A dashboard as it is asked."""

    uid: str
    title: str
    panels: tuple[Panel, ...]
    variables: tuple[Variable, ...]
    annotations: tuple[Annotation, ...]

    def where(self, text: str = "") -> tuple[str, int | None]:
        """Return the module that makes this dashboard, and the line where a text stands in it."""
        path = f"{MODULES}/{self.uid.replace('-', '_')}.py"
        if not (tools.ROOT / path).is_file():
            return self.uid, None
        lines = (tools.ROOT / path).read_text(encoding="utf-8").splitlines()
        found = (n for n, line in enumerate(lines, 1) if text and f'"{text}"' in line)
        return path, next(found, None)


def datasources() -> tuple[Datasource, ...]:
    """Return the data sources of Grafana's release.

    Raises:
        RepositoryError: Where two share a uid or one has none.
    """
    documents = yaml.safe_load_all((tools.ROOT / GRAFANA).read_text(encoding="utf-8"))
    release = next(d for d in documents if d["kind"] == "HelmRelease")
    found: list[Datasource] = []
    for source in dashboards.datasources(release["spec"]["values"]):
        uid = str(source.get("uid") or "")
        if not uid or uid in {other.uid for other in found}:
            fault = f"has the uid {uid!r} of another one" if uid else "has no uid"
            message = f"data source {source.get('name')!r} {fault}"
            raise RepositoryError(
                Finding(GRAFANA, None, message, "give each data source a uid of its own")
            )
        interval = (source.get("jsonData") or {}).get("timeInterval", "15s")
        kind, default = str(source["type"]), bool(source.get("isDefault"))
        found.append(Datasource(uid, kind, milliseconds(interval), default))
    return tuple(found)


def committed() -> list[Dashboard]:
    """Return the committed dashboards, each query with its mark of the Python definition.

    Raises:
        RepositoryError: Where a definition does not build or a query has an unknown data source.
    """
    sources = datasources()
    built = definitions.build()
    return [
        _marked(read(board, sources), built[board["uid"]].board)
        for board in dashboards.load(tools.ROOT).values()
        if board["uid"] in built
    ]


def read(board: Json, sources: tuple[Datasource, ...]) -> Dashboard:
    """Read a dashboard's JSON.

    Args:
        board: The JSON of a classic dashboard.
        sources: What Grafana is given.

    Raises:
        RepositoryError: For a data source that Grafana is not given.
    """
    return _Reader(board, sources).dashboard()


class _Reader:
    """One dashboard's JSON, and what its data sources are."""

    def __init__(self, board: Json, sources: tuple[Datasource, ...]) -> None:
        self.board = board
        self.sources = sources
        self.uid = str(board.get("uid") or board.get("title"))
        self.variables = (board.get("templating") or {}).get("list") or []
        # Which kind of data source each variable of type `datasource` chooses among.
        self.chosen = {v["name"]: v["query"] for v in self.variables if v["type"] == "datasource"}

    def dashboard(self) -> Dashboard:
        annotations = (self.board.get("annotations") or {}).get("list") or []
        return Dashboard(
            uid=self.uid,
            title=str(self.board["title"]),
            panels=tuple(self._panels()),
            variables=tuple(self._variable(v) for v in self.variables),
            annotations=tuple(self._annotation(a) for a in annotations if self._asks(a)),
        )

    def _panels(self) -> Iterator[Panel]:
        for panel in _all_panels(self.board):
            targets = [t for t in panel.get("targets") or [] if not t.get("hide") and t.get("expr")]
            if not targets:
                continue
            inherited = panel.get("datasource")
            yield Panel(
                id=int(panel["id"]),
                title=str(panel.get("title", "")),
                columns=int((panel.get("gridPos") or {}).get("w", 12)),
                targets=tuple(
                    self._target(t, inherited, f"panel {panel.get('title')!r}") for t in targets
                ),
                minimum=str(panel.get("interval") or ""),
                points=int(panel.get("maxDataPoints") or 0),
                repeat=str(panel.get("repeat") or ""),
            )

    def _target(self, target: Json, inherited: object, where: str) -> Target:
        source = self._source(target.get("datasource") or inherited, where)
        language = LANGUAGES[source.kind]
        if language == LOGQL:
            instant = target.get("queryType") == "instant" or bool(target.get("instant"))
        else:
            # Of a query that is both, the graph's points are what costs.
            instant = bool(target.get("instant")) and not target.get("range")
        return Target(
            ref=str(target.get("refId", "A")),
            expr=str(target["expr"]),
            language=language,
            legend=str(target.get("legendFormat") or ""),
            instant=instant,
            # The Loki data source's own number, where neither says one.
            lines=int(target.get("maxLines") or 1000),
            minimum=str(target.get("step" if language == LOGQL else "interval") or ""),
            factor=int(target.get("intervalFactor") or 1),
        )

    def _annotation(self, annotation: Json) -> Annotation:
        # Grafana 9 and older kept the query beside the name.
        target = {"refId": "Anno", **(annotation.get("target") or {"expr": annotation.get("expr")})}
        where = f"annotation {annotation['name']!r}"
        return Annotation(
            name=str(annotation["name"]),
            target=replace(
                self._target(target, annotation.get("datasource"), where), instant=False
            ),
            title=str(annotation.get("titleFormat") or annotation["name"]),
            color=str(annotation.get("iconColor") or ""),
        )

    @staticmethod
    def _asks(annotation: Json) -> bool:
        query = (annotation.get("target") or {}).get("expr") or annotation.get("expr")
        return bool(annotation.get("enable", True) and query)

    def _variable(self, variable: Json) -> Variable:
        kind, name = str(variable["type"]), str(variable["name"])
        language = ""
        if kind == "query":
            source = self._source(variable.get("datasource"), f"variable {name!r}")
            language = LANGUAGES[source.kind]
        current = (variable.get("current") or {}).get("value")
        options = tuple(str(o["value"]) for o in variable.get("options") or [])
        if kind in ("custom", "interval") and not options:
            options = tuple(_custom(str(variable.get("query", ""))))
        everything = bool(variable.get("includeAll"))
        return Variable(
            name=name,
            kind=kind,
            query=variable.get("query", ""),
            language=language,
            several=bool(variable.get("multi")) or everything,
            include_all=everything,
            all_value=variable.get("allValue") or None,
            options=tuple(o for o in options if o != "$__all"),
            current=tuple(current) if isinstance(current, list) else (str(current or ""),),
            regex=str(variable.get("regex") or ""),
            sort=int(variable.get("sort") or 0),
        )

    def _source(self, named: object, where: str) -> Datasource:
        """Return the data source that a query names by its uid, a variable, or not at all."""
        uid = named.get("uid") if isinstance(named, Mapping) else named
        if uid is None:
            return next(s for s in self.sources if s.default)
        variable = re.fullmatch(r"\$\{?(\w+)\}?", str(uid))
        for source in self.sources:
            wanted = self.chosen.get(variable[1]) == source.kind if variable else uid == source.uid
            if wanted and source.kind in LANGUAGES:
                return source
        known = ", ".join(s.uid for s in self.sources)
        raise RepositoryError(
            Finding(
                self.uid,
                None,
                f"{where} asks data source {uid!r}, which Grafana is not given",
                f"name one of {GRAFANA}: {known}",
            )
        )


def _all_panels(board: Json) -> Iterator[Json]:
    """Yield every panel, also of collapsed rows and of the rows of Grafana 4."""
    panels: list[Json] = list(board.get("panels") or [])
    for row in board.get("rows") or []:
        # Spans of 12 instead of a grid of 24.
        panels += [p | {"gridPos": {"w": 2 * int(p.get("span", 12))}} for p in row["panels"]]
    for panel in panels:
        yield panel
        yield from panel.get("panels") or []


def _custom(query: str) -> Iterable[str]:
    """Return the values of a comma-separated list, each as `value` or `text : value`."""
    for part in re.split(r"(?<!\\),", query):
        text = part.replace("\\,", ",").strip()
        yield text.split(" : ", 1)[-1].strip()


def _marked(dashboard: Dashboard, board: grafana.Dashboard) -> Dashboard:
    """Add `allow_empty` of the queries, which the JSON does not hold."""
    reasons = {
        (panel.id, t.refId): t.allow_empty for panel in _drawn(board.panels) for t in panel.targets
    }
    panels = tuple(
        replace(
            panel,
            targets=tuple(
                replace(t, allow_empty=reasons.get((panel.id, t.ref), "")) for t in panel.targets
            ),
        )
        for panel in dashboard.panels
    )
    marked = {a.name: a.allow_empty for a in board.annotations}
    annotations = tuple(
        replace(a, target=replace(a.target, allow_empty=marked.get(a.name, "")))
        for a in dashboard.annotations
    )
    return replace(dashboard, panels=panels, annotations=annotations)


def _drawn(panels: Iterable[Any]) -> Iterator[grafana.Panel]:
    for panel in panels:
        if isinstance(panel, grafana.RowPanel):
            yield from _drawn(panel.panels)
        elif isinstance(panel, grafana.Panel):
            yield panel


@functools.cache
def scrape_interval() -> int:
    """Return the Prometheus data source's scrape interval, in milliseconds."""
    return next(s.scrape for s in datasources() if s.kind == "prometheus")
