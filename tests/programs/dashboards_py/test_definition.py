"""A dashboard is put together of its rows."""

from __future__ import annotations

from dashboards_py import panels
from dashboards_py.annotations import rollouts_and_alerts
from dashboards_py.definition import Folder, dashboard
from dashboards_py.layout import row
from dashboards_py.queries import traffic
from dashboards_py.variables import namespace_variable


def test_a_variable_that_readers_cannot_choose_has_a_value_in_every_query() -> None:
    shown = panels.show(traffic.request_rate("app"), "{{app}}")
    graph = panels.timeseries("t", shown, description="d", unit="reqps")
    made = dashboard(
        uid="u",
        title="t",
        description="d",
        folder=Folder.TODO,
        rows=[row(graph)],
        variables=[namespace_variable()],
        fixed={"app": "a.+", "source": "dapr"},
        annotations=rollouts_and_alerts(),
    ).board
    assert [v.name for v in made.variables] == ["cluster", "namespace"]
    (panel,) = made.panels
    (target,) = panel.targets
    assert 'app=~"a.+"' in target.expr
    assert 'source="dapr"' in target.expr
    assert 'namespace=~"$namespace"' in target.expr
    everywhere = dashboard(
        uid="u",
        title="t",
        description="d",
        folder=Folder.TODO,
        rows=[row(graph)],
        variables=[],
        fixed={"app": ".+", "source": "dapr", "namespace": "ns"},
        annotations=rollouts_and_alerts(),
    ).board
    assert not [a.name for a in everywhere.annotations if "$namespace" in a.expr]
