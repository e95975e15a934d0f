"""The home dashboard's first row, as Grafana's API is asked for it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from scripts import tools
from scripts.core.findings import Finding, RepositoryError
from scripts.core.yamlfile import Json
from scripts.grafana import evaluation, interpolation, model
from scripts.grafana.interpolation import VariableValue
from scripts.grafana.model import PanelModel, Target, VariableModel
from scripts.grafana.timing import TimeRange
from scripts.model import dashboards
from scripts.model.dashboards import LOGQL


@dataclass(frozen=True)
class HomeDashboard:
    """What an open home page shows first.

    Attributes:
        uid: Of the dashboard.
        panels: Those of its first row, each of which one scrape is enough for.
        values: What each variable stands for when the page is opened.
        datasources: uid and type of each query's data source, by the panel's id and the query's
            letter.
    """

    uid: str
    panels: tuple[PanelModel, ...]
    values: Mapping[str, VariableValue]
    datasources: Mapping[tuple[int, str], Json]

    def queries(self, panel: PanelModel) -> Json:
        """Return the body of `POST /api/ds/query` that a browser would send for a panel now."""
        asked = evaluation.time_range_at(time.time())
        queries = [self._query(panel, target, asked) for target in panel.targets]
        return {"queries": queries, "from": str(asked.start), "to": str(asked.end)}

    def _query(self, panel: PanelModel, target: Target, time_range: TimeRange) -> Json:
        timing = evaluation.timing_of(panel, target, time_range, model.scrape_interval())
        return {
            "refId": target.ref,
            "datasource": self.datasources[panel.id, target.ref],
            "expr": interpolation.interpolate(
                target.expr, self.values, timing.built_in, target.language
            ),
            "intervalMs": timing.step,
            "maxDataPoints": panel.max_data_points,
            **_kind(target),
        }


def of_release(release: Json) -> HomeDashboard:
    """Return the home page that Grafana's release names.

    Args:
        release: The release's values.

    Raises:
        RepositoryError: Where it names none that is committed, or one whose first row has a
            variable that nobody knows the value of before Grafana is asked.
    """
    path = ((release.get("grafana.ini") or {}).get("dashboards") or {}).get(
        "default_home_dashboard_path"
    )
    name = PurePosixPath(path or "").name
    boards = dashboards.load(tools.ROOT)
    if name not in boards:
        message = f"default_home_dashboard_path is {path!r}, which is not in {dashboards.FOLDER}"
        raise RepositoryError(
            Finding(dashboards.GRAFANA, None, message, "name a committed dashboard")
        )
    return of_dashboard(boards[name])


def of_dashboard(board: Mapping[str, Json]) -> HomeDashboard:
    """Return what the first row of a dashboard's JSON asks.

    Raises:
        RepositoryError: For a variable that nobody knows the value of before Grafana is asked.
    """
    row = list(_first_row(board))
    read = model.read({**board, "panels": row, "annotations": {}}, model.datasources())
    used = {n for p in read.panels for t in p.targets for n in dashboards.variable_names(t.expr)}
    return HomeDashboard(
        uid=read.uid,
        panels=read.panels,
        values={v.name: _value(v) for v in read.variables if v.name in used},
        datasources={
            (int(panel["id"]), str(target["refId"])): target.get("datasource")
            or panel["datasource"]
            for panel in row
            for target in panel.get("targets") or []
        },
    )


def _first_row(board: Mapping[str, Json]) -> Iterator[Json]:
    panels = [p for p in board["panels"] if p["type"] != "row"]
    top = min(p["gridPos"]["y"] for p in panels)
    return (p for p in panels if p["gridPos"]["y"] == top)


def _value(variable: VariableModel) -> VariableValue:
    if variable.current != ("$__all",):
        chosen = variable.current if variable.multi else variable.current[0]
        return VariableValue(chosen, multi=variable.multi)
    if variable.all_value:
        return interpolation.value_of_all((), variable.all_value)
    message = f"variable {variable.name!r} is at All, whose values only its query knows"
    fix = "give it an allValue, as the first row is to show data at once"
    raise RepositoryError(Finding("home dashboard", None, message, fix))


def _kind(target: Target) -> Json:
    """Return whether a query is for one moment, in the terms of its data source."""
    if target.language == LOGQL:
        return {"queryType": "instant" if target.instant else "range", "maxLines": target.max_lines}
    return {"instant": target.instant, "range": not target.instant}
