"""The first row of the home dashboard, with its variables and macros replaced."""

from __future__ import annotations

import pytest

from scripts.core.findings import RepositoryError
from scripts.core.yamlfile import Json
from scripts.grafana import model
from scripts.lab.proof import definitions
from scripts.live.verify import home_dashboard


def test_no_query_of_the_first_row_may_rightly_be_empty() -> None:
    page = home_dashboard.of_release(model.release_values())
    defined = next(board for board in definitions.committed() if board.uid == page.uid)
    first = defined.panels[: len(page.panels)]
    assert [panel.id for panel in first] == [panel.id for panel in page.panels]
    assert {target.allow_empty for panel in first for target in panel.targets} == {""}


def board(*variables: Json) -> Json:
    def panel(number: int, y: int, kind: str, **target: Json) -> Json:
        return {
            "id": number,
            "type": "stat",
            "title": kind,
            "gridPos": {"x": 0, "y": y, "w": 12, "h": 4},
            "datasource": {"type": kind, "uid": kind},
            "targets": [{"refId": "A", **target}],
        }

    row = {"id": 9, "type": "row", "gridPos": {"x": 0, "y": 0, "w": 24, "h": 1}, "panels": []}
    rate = "sum(rate(http_requests_total{app=~'$app'}[$__rate_interval]))"
    lines = 'sum(count_over_time({app=~"$app"}[$__auto]))'
    return {
        "uid": "b",
        "title": "b",
        "templating": {"list": list(variables)},
        "panels": [
            row,
            panel(1, 1, "prometheus", expr=rate),
            panel(2, 1, "loki", expr=lines, queryType="instant"),
            panel(3, 5, "prometheus", expr="up"),
        ],
    }


def variable(**changes: Json) -> Json:
    everything = {"includeAll": True, "multi": True, "current": {"value": ["$__all"]}}
    source = {"type": "prometheus", "uid": "prometheus"}
    return {"name": "app", "type": "query", "datasource": source, **everything, **changes}


@pytest.mark.parametrize(
    ("changes", "value"),
    [
        ({"allValue": ".+"}, ".+"),
        ({"current": {"value": ["api", "web"]}}, "(api|web)"),
        ({"current": {"value": "api"}, "multi": False, "includeAll": False}, "api"),
    ],
    ids=["all", "several", "one"],
)
def test_variables_and_macros_are_replaced(changes: Json, value: str) -> None:
    page = home_dashboard.of_dashboard(board(variable(**changes)))
    assert [panel.id for panel in page.panels] == [1, 2]
    metric, lines = (page.queries(panel)["queries"][0] for panel in page.panels)
    assert metric["expr"] == f"sum(rate(http_requests_total{{app=~'{value}'}}[2m0s]))"
    assert (metric["instant"], metric["range"]) == (False, True)
    assert lines["expr"].endswith("[21600s]))")
    assert (lines["queryType"], lines["datasource"]["uid"]) == ("instant", "loki")


def test_a_variable_that_only_grafana_can_resolve_is_refused() -> None:
    with pytest.raises(RepositoryError, match="variable 'app' is at All"):
        home_dashboard.of_dashboard(board(variable()))


def test_the_release_must_name_a_committed_dashboard() -> None:
    path = {"default_home_dashboard_path": "/var/lib/grafana/dashboards/todo/other.json"}
    with pytest.raises(RepositoryError, match="is not in base/dashboards"):
        home_dashboard.of_release({"grafana.ini": {"dashboards": path}})
