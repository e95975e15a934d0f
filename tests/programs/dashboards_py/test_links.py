"""Data links."""

from __future__ import annotations

from dashboards_py.links import data_link


def test_a_data_link_keeps_and_sets_variables() -> None:
    assert data_link("t", "todo-api", "namespace", "app", source="dapr")["url"] == (
        "/d/todo-api?${__url_time_range}&${namespace:queryparam}&${app:queryparam}&var-source=dapr"
    )
