"""What `make diff` says of dashboards and data sources."""

from __future__ import annotations

import json
from typing import Any

import pytest

from scripts.core.yamlfile import Json
from scripts.diff.analyzers import dashboards
from scripts.diff.model import Flag
from scripts.model.manifests import Release
from scripts.model.rendered import Cluster
from tests.programs.diff.diff_pairs import Edit, cluster, manifest, pair, put


def board(file: str = "b.json", **fields: Any) -> Json:
    query = {"refId": "A", "expr": "up", "legendFormat": "x"}
    panel = {"title": "P", "type": "stat", "targets": [query], "gridPos": {"x": 0}, "id": 1}
    model = {"title": "B", "uid": "b", "panels": [panel], **fields}
    return manifest("ConfigMap", metadata={"name": file}, data={file: json.dumps(model)})


def grafana(*manifests: Json, chart: str = "grafana", **uids: str | None) -> Cluster:
    """Grafana with these objects, and with data sources by their names."""
    sources = [{"name": name, "uid": uid} for name, uid in uids.items()]
    values = {"datasources": {"a.yaml": {"datasources": sources}}}
    release = Release("g", "n", chart, "1", "r", values, ("HelmRelease", "g"))
    return cluster(*manifests, releases=[release])


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
    found = dashboards.analyze(pair(cluster(board()), cluster(board(**model))))
    assert [one.text for one in found if not isinstance(one, Flag)] == expected


OTHER = board("o.json", uid="o", title="O")
NOWHERE = "links, alerts, bookmarks and a home page that name it lead nowhere."


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (grafana(board("other.json")), []),
        (grafana(board(), OTHER), ["O: new, 1 panel"]),
        (grafana(), ["B: removed", f"b is gone: {NOWHERE}"]),
        (grafana(OTHER), ["B: removed", f"b is gone: {NOWHERE}", "O: new, 1 panel"]),
        (grafana(board(uid="c")), ["B: uid b → c", f"b is now c: {NOWHERE}"]),
        (grafana(board("c.json", uid="c")), ["B: uid b → c", f"b is now c: {NOWHERE}"]),
        (
            grafana(board("c.json", uid="c", title="C")),
            ["B: removed", f"b is gone: {NOWHERE}", "C: new, 1 panel"],
        ),
        # A copy beside it, and Grafana itself gone.
        (grafana(board(), board("c.json", uid="c")), ["B: new, 1 panel"]),
        (cluster(), ["B: removed"]),
    ],
)
def test_dashboards_that_come_and_go(after: Cluster, expected: list[str]) -> None:
    found = dashboards.analyze(pair(grafana(board()), after))
    assert [one.why if isinstance(one, Flag) else one.text for one in found] == expected


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (grafana(A="a", B="b", C="c"), []),
        (grafana(L="a", B="b"), []),
        (grafana(A="b", B="a"), []),
        (grafana(B="b"), ["Panels ask the data source a, which is gone: they stay empty."]),
        (
            grafana(A="x", B="b"),
            ["Panels ask the data source a, which is now x: they stay empty."],
        ),
        (
            grafana(A=None, B="b"),
            ["Panels ask the data source a, which is gone: they stay empty."],
        ),
        (
            grafana(),
            [f"Panels ask the data source {u}, which is gone: they stay empty." for u in "ab"],
        ),
        # What goes is Grafana.
        (grafana(chart="other"), []),
    ],
)
def test_a_data_source_that_is_gone_or_another(after: Cluster, expected: list[str]) -> None:
    found = dashboards.datasources(pair(grafana(A="a", B="b", N=None), after))
    assert [one.why for one in found if isinstance(one, Flag)] == expected
