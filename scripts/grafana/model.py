"""What Grafana reads of a dashboard's JSON: panels, queries, variables and annotations.

Any classic dashboard is understood, not only this repository's: data sources may be given by a
variable, panels may repeat, and queries may leave out what Grafana has a default for.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from scripts import tools
from scripts.core.findings import Finding, RepositoryError
from scripts.core.yamlfile import Json
from scripts.grafana import timing
from scripts.model import dashboards
from scripts.model.dashboards import LANGUAGES, LOGQL

MODULES, ROWS = "dashboards_py/dashboards", "dashboards_py/rows"
# Grafana's own range, in milliseconds, where a dashboard has none.
LENGTH = 6 * timing.HOUR


@dataclass(frozen=True)
class Datasource:
    """A data source that Grafana is given.

    Attributes:
        kind: Grafana's type, as `prometheus`.
        scrape_interval: In milliseconds.
    """

    uid: str
    kind: str
    scrape_interval: int = 15_000
    default: bool = False


@dataclass(frozen=True)
class Target:
    """A query of a panel, before its variables are replaced.

    Attributes:
        ref: Its letter.
        language: PROMQL or LOGQL.
        instant: Evaluated once, at the end of the time range.
        max_lines: Of a query of log lines.
        min_step: As `1m`; empty for none of its own.
        allow_empty: Why it returns nothing on a day without faults; the JSON does not say it.
    """

    ref: str
    expr: str
    language: str
    legend: str
    instant: bool
    max_lines: int
    min_step: str = ""
    interval_factor: int = 1
    allow_empty: str = ""


@dataclass(frozen=True)
class PanelModel:
    """A panel with queries.

    Attributes:
        max_data_points: Of each query.
        min_interval: Of each query, in milliseconds; 0 for none.
        repeat: The variable for each of whose values Grafana draws the panel again.
    """

    id: int
    title: str
    targets: tuple[Target, ...]
    max_data_points: int
    min_interval: int = 0
    repeat: str = ""


@dataclass(frozen=True)
class AnnotationQuery:
    """A query whose results are marked on every graph."""

    name: str
    target: Target
    title: str
    color: str


@dataclass(frozen=True)
class VariableModel:
    """A variable of a dashboard.

    Attributes:
        kind: Grafana's type.
        query: What its type wants.
        language: Of the query; empty where no data source is asked.
        multi: Whether it may have several values.
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
    multi: bool
    include_all: bool
    all_value: str | None
    options: tuple[str, ...]
    current: tuple[str, ...]
    regex: str = ""
    sort: int = 0


@dataclass(frozen=True)
class DashboardModel:
    """What Grafana reads of a dashboard.

    Attributes:
        length: Of the time range with which it opens, in milliseconds.
    """

    uid: str
    title: str
    panels: tuple[PanelModel, ...]
    variables: tuple[VariableModel, ...]
    annotations: tuple[AnnotationQuery, ...]
    length: int = LENGTH

    def source(self, text: str = "") -> tuple[str, int | None]:
        """Return the module that makes this dashboard, and the line where a text stands in it.

        It may be a module of rows that says it.
        """
        path = f"{MODULES}/{self.uid.replace('-', '_')}.py"
        if not (tools.ROOT / path).is_file():
            return self.uid, None
        rows = sorted((tools.ROOT / ROWS).glob("*.py"))
        for module in (tools.ROOT / path, *rows) if text else ():
            lines = module.read_text(encoding="utf-8").splitlines()
            for number, line in enumerate(lines, 1):
                if f'"{text}"' in line:
                    return module.relative_to(tools.ROOT).as_posix(), number
        return path, None


def release_values() -> Json:
    """Return the values of Grafana's release."""
    return dashboards.release_values(tools.ROOT)


def datasources() -> tuple[Datasource, ...]:
    """Return the data sources of Grafana's release.

    Raises:
        RepositoryError: Where two share a uid or one has none.
    """
    found: list[Datasource] = []
    for source in dashboards.datasources(release_values()):
        uid = str(source.get("uid") or "")
        if not uid or uid in {other.uid for other in found}:
            fault = f"has the uid {uid!r} of another one" if uid else "has no uid"
            message = f"data source {source.get('name')!r} {fault}"
            raise RepositoryError(
                Finding(dashboards.GRAFANA, None, message, "give each data source a uid of its own")
            )
        interval = (source.get("jsonData") or {}).get("timeInterval", "15s")
        kind, default = str(source["type"]), bool(source.get("isDefault"))
        found.append(Datasource(uid, kind, timing.milliseconds(interval), default))
    return tuple(found)


def committed() -> list[DashboardModel]:
    """Return the committed dashboards.

    Raises:
        RepositoryError: Where a file is not JSON or a query has an unknown data source.
    """
    sources = datasources()
    return [read(board, sources) for board in dashboards.load(tools.ROOT).values()]


def read(board: Json, sources: tuple[Datasource, ...]) -> DashboardModel:
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

    def dashboard(self) -> DashboardModel:
        annotations = (self.board.get("annotations") or {}).get("list") or []
        return DashboardModel(
            uid=self.uid,
            title=str(self.board["title"]),
            panels=tuple(self._panels()),
            variables=tuple(self._variable(v) for v in self.variables),
            annotations=tuple(self._annotation(a) for a in annotations if self._asks(a)),
            length=self._length(),
        )

    def _length(self) -> int:
        """Return the length of a range up to now; for any other one, Grafana's own."""
        spanned = self.board.get("time") or {}
        found = re.fullmatch(r"now-(\d+[Mwdhms])", str(spanned.get("from")))
        return timing.milliseconds(found[1]) if found else LENGTH

    def _panels(self) -> Iterator[PanelModel]:
        for panel in dashboards.panels(self.board):
            targets = [t for t in panel.get("targets") or [] if not t.get("hide") and t.get("expr")]
            if not targets:
                continue
            inherited = panel.get("datasource")
            columns = int((panel.get("gridPos") or {}).get("w", 12))
            yield PanelModel(
                id=int(panel["id"]),
                title=str(panel.get("title", "")),
                targets=tuple(
                    self._target(t, inherited, f"panel {panel.get('title')!r}") for t in targets
                ),
                max_data_points=int(panel.get("maxDataPoints") or 0)
                or timing.max_data_points(columns),
                min_interval=timing.milliseconds(panel.get("interval") or "0"),
                repeat=str(panel.get("repeat") or ""),
            )

    def _target(self, target: Json, inherited: object, where: str) -> Target:
        source = self._source(target.get("datasource") or inherited, where)
        language = LANGUAGES[source.kind]
        return Target(
            ref=str(target.get("refId", "A")),
            expr=str(target["expr"]),
            language=language,
            legend=str(target.get("legendFormat") or ""),
            instant=dashboards.is_instant(target),
            # The Loki data source's own number, where neither says one.
            max_lines=int(target.get("maxLines") or 1000),
            min_step=str(target.get("step" if language == LOGQL else "interval") or ""),
            interval_factor=int(target.get("intervalFactor") or 1),
        )

    def _annotation(self, annotation: Json) -> AnnotationQuery:
        # Grafana 9 and older kept the query beside the name.
        target = {"refId": "Anno", **(annotation.get("target") or {"expr": annotation.get("expr")})}
        where = f"annotation {annotation['name']!r}"
        return AnnotationQuery(
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

    def _variable(self, variable: Json) -> VariableModel:
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
        return VariableModel(
            name=name,
            kind=kind,
            query=variable.get("query", ""),
            language=language,
            multi=bool(variable.get("multi")) or everything,
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
                f"name one of {dashboards.GRAFANA}: {known}",
            )
        )


def _custom(query: str) -> Iterator[str]:
    """Return the values of a comma-separated list, each as `value` or `text : value`."""
    for part in re.split(r"(?<!\\),", query):
        text = part.replace("\\,", ",").strip()
        yield text.split(" : ", 1)[-1].strip()


@functools.cache
def scrape_interval() -> int:
    """Return the Prometheus data source's scrape interval, in milliseconds."""
    return next(s.scrape_interval for s in datasources() if s.kind == "prometheus")
