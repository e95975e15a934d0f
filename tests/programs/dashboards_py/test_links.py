"""Data links."""

from __future__ import annotations

import pytest

from dashboards_py import layout, panels
from dashboards_py.layout import row
from dashboards_py.links import data_link, outside_link, panel_link
from dashboards_py.queries import stack, traffic
from dashboards_py.query import QueryError


def test_a_data_link_keeps_and_sets_variables() -> None:
    assert data_link("t", "todo-api", "namespace", "app", source="dapr")["url"] == (
        "/d/todo-api?${__url_time_range}&${cluster:queryparam}&${namespace:queryparam}"
        "&${app:queryparam}&var-source=dapr"
    )


def test_a_link_may_open_one_panel() -> None:
    opened = panel_link("t", "todo-api", "Duration", "app")["url"]
    wanted = f"&viewPanel=panel-{layout.panel_id('Duration')}"
    kept = "&${cluster:queryparam}&${app:queryparam}"
    assert opened == "/d/todo-api?${__url_time_range}" + kept + wanted


def test_another_page_opens_beside_grafana() -> None:
    assert outside_link("t", "https://example.com")["targetBlank"] is True


def test_a_link_names_labels_that_its_values_have() -> None:
    by_app = panels.show(traffic.request_rate("app"), "{{app}}")
    wrong = data_link("Pod", "todo-logs", pod="${__field.labels.pod}")
    with pytest.raises(
        QueryError, match=r"link 'Pod' of panel 't' has no label 'pod'; it has: app"
    ):
        panels.timeseries("t", by_app, description="d", unit="short", links=[wrong])


def test_panels_of_a_row_share_its_links_unless_they_have_some() -> None:
    common, own = data_link("a", "b"), data_link("c", "d")
    shown = panels.show(stack.series(), "series")
    found = row(
        panels.stat("one", shown, description="d", unit="short"),
        panels.stat("two", shown, description="d", unit="short", links=[own]),
        panels.table(
            "three",
            {"app": "App"},
            panels.Column("N", traffic.request_rate("app")),
            description="d",
            sort="N",
        ),
        links=[common],
    )
    assert [list(panel.dataLinks) for panel in found.panels] == [[common], [own], []]
