"""Panels refuse queries that do not fit them."""

from __future__ import annotations

import pytest

from dashboards_py import panels
from dashboards_py.queries import lines, traffic, workloads
from dashboards_py.query import QueryError


def test_the_whole_range_is_refused_in_a_graph() -> None:
    with pytest.raises(QueryError, match="counts lines many times"):
        panels.timeseries("t", panels.show(lines.found_in_range()), description="d", unit="short")


def test_a_table_refuses_headings_that_no_query_fills() -> None:
    column = panels.Column("Requests", traffic.request_rate("app"))
    with pytest.raises(QueryError, match="'pod'"):
        panels.table("t", {"pod": "Pod"}, column, description="d", sort="Requests")
    with pytest.raises(QueryError, match="no column 'Pods' to sort by"):
        panels.table("t", {"app": "App"}, column, description="d", sort="Pods")


def test_a_name_ends_in_its_cluster_where_series_have_one() -> None:
    shown = [panels.show(traffic.request_rate("app"), "{{app}}")]
    graph = panels.timeseries("t", *shown, description="d", unit="reqps", colours={"api": "red"})
    (target,) = graph.targets
    assert target.legend == "{{app}}{{in_cluster}}"
    assert target.expr.endswith(', "in_cluster", " · $1", "cluster", "(.+)")')
    assert graph.overrides[-1]["matcher"]["options"] == "/^(api)( · .+)?$/"
    for plain in (workloads.memory_in_use(), lines.log_volume("app")):
        (target,) = panels.timeseries(
            "t", panels.show(plain, "all"), description="d", unit="bytes"
        ).targets
        assert target.legend == "all"
        assert "in_cluster" not in target.expr


def test_the_last_label_of_a_row_is_its_cluster() -> None:
    column = panels.Column("Requests", traffic.request_rate("app"))
    made = panels.table("t", {"app": "App"}, column, description="d", sort="Requests")
    options = made.transformations[-1]["options"]
    assert options["indexByName"] == {"app": 0, "cluster": 1, "Value": 2, "Value #A": 3}
    assert options["renameByName"]["cluster"] == "Cluster"
    assert "in_cluster" not in made.targets[0].expr
    of_lines = panels.Column("Lines", lines.found_error_apps(10))
    made = panels.table("t", {"app": "App"}, of_lines, description="d", sort="Lines")
    assert "cluster" not in made.transformations[-1]["options"]["renameByName"]


def test_panels_get_letters_a_source_and_a_text_for_its_absence() -> None:
    shown = panels.show(workloads.memory_in_use())
    stat = panels.stat("t", shown, shown, description="What it is.", unit="bytes")
    two = stat.to_json_data()
    assert [target.refId for target in two["targets"]] == ["A", "B"]
    assert two["description"].endswith("Source: cAdvisor in the kubelet.")
    assert two["fieldConfig"]["defaults"]["noValue"] == "no data from the kubelet"
