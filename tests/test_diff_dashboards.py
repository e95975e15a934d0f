"""What `make diff` says of dashboards and data sources."""

from __future__ import annotations

import json
from typing import Any

import pytest

from scripts.diff.model import Flag
from scripts.diff.readers import (
    dashboards,
)
from scripts.manifests import Release
from scripts.rendered import Cluster
from tests.diff_pairs import (
    Edit,
    Json,
    cluster,
    manifest,
    pair,
    put,
    said,
)


def board(**fields: Any) -> Json:
    query = {"refId": "A", "expr": "up", "legendFormat": "x"}
    panel = {"title": "P", "type": "stat", "targets": [query], "gridPos": {"x": 0}, "id": 1}
    model = {"title": "B", "uid": "b", "panels": [panel], **fields}
    return manifest("ConfigMap", data={"b.json": json.dumps(model)})


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (put("panels/0/title", "Q"), ["B: panel “P” is called “Q”"]),
        (put("panels/0/gridPos/x", 3), ["B: 1 panel at another place or of another size"]),
        (put("panels/0/id", 9), []),
        (put("panels/0/targets/0/expr", "down"), ["B: “P”: query A: `up` → `down`"]),
        (
            put("panels/0/targets/0/legendFormat", "y"),
            ["B: “P”: targets[refId=A].legendFormat x → y"],
        ),
        (put("panels/0/targets", []), ["B: “P”: query A removed"]),
        (put("refresh", "5s"), ["B: refresh none → 5s"]),
        (put("panels", []), ["B: panel “P” removed"]),
    ],
)
def test_dashboards(edit: Edit, expected: list[str]) -> None:
    model = json.loads(board()["data"]["b.json"])
    edit(model)
    found = dashboards.read(pair(cluster(board()), cluster(board(**model))))
    assert [one.text for one in found if not isinstance(one, Flag)] == expected


def test_a_data_source_that_is_gone_or_another() -> None:
    def grafana(chart: str = "grafana", **uids: str) -> Cluster:
        sources = [{"name": name, "uid": uid} for name, uid in uids.items()]
        values = {"datasources": {"a.yaml": {"datasources": sources}}}
        return cluster(releases=(Release("g", "n", chart, "1", "r", values, ("HelmRelease", "g")),))

    def why(before: Cluster, after: Cluster) -> list[str]:
        found = dashboards.sources(pair(before, after))
        return [one.why for one in found if isinstance(one, Flag)]

    assert why(grafana(A="a", B="b"), grafana(B="b")) == [
        "Panels ask the data source a, which is gone: they stay empty."
    ]
    assert why(grafana(A="a"), grafana(A="x")) == [
        "Panels ask the data source a, which is now x: they stay empty."
    ]
    assert why(grafana(A="a"), grafana(A="a", B="b")) == []
    assert why(grafana("other", A="a"), grafana("other", A="x")) == []


def test_dashboards_that_come_and_go() -> None:
    assert said(dashboards.read, board(), None) == ["B: removed"]
    found = list(dashboards.read(pair(cluster(), cluster(board()))))
    assert [one.text for one in found if not isinstance(one, Flag)] == ["B: new, 1 panel"]
