"""Every rule of grafana/dashboard-linter: held by the dashboards, or answered with why not.

The rules are those of the linter's README; most are checks of `make validate`, which must find the
fault that a rule is about. The linter itself is not served as a Go module.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from scripts import tools
from scripts.checks.static import dashboards as checks
from scripts.checks.static import queries
from scripts.core.yamlfile import Json
from scripts.model import dashboards

COMMITTED = dashboards.load(tools.ROOT)
PROVISIONED = {"prometheus", "loki", "alertmanager"}

# Rules of dashboard-linter that these dashboards do not follow, and why.
DIFFERS = {
    "template-datasource-rule": "the data sources' uids are provisioned with the dashboards and "
    "checked against them; a variable would let a reader choose one that has no data",
    "template-job-rule": "each metric is declared with the job that exports it; a variable is for "
    "mixins that do not know their scrape configuration",
    "template-instance-rule": "as of template-job-rule: nodes and pods are chosen by their names",
    "target-job-rule": "as of template-job-rule; every selector narrows in another way, see below",
    "target-instance-rule": "as of template-instance-rule",
}


def board() -> Json:
    """A copy of a dashboard that has graphs, numbers and lines."""
    return copy.deepcopy(dict(COMMITTED["todo-overview.json"]))


def graph(dashboard: Json) -> Any:
    return next(p for p in dashboards.panels(dashboard) if p["type"] == "timeseries")


def lines(dashboard: Json) -> Any:
    graphs = (p for p in dashboards.panels(dashboard) if p["type"] == "timeseries")
    return next(p for p in graphs if p["datasource"]["uid"] == "loki")


def _faults(dashboard: Json) -> list[str]:
    everything = {**COMMITTED, "todo-overview.json": dashboard}
    kustomization = yaml.safe_load(
        (tools.ROOT / dashboards.FOLDER / "kustomization.yaml").read_text()
    )
    found = checks.findings(everything, PROVISIONED, kustomization)
    asked = list(dashboards.queries(dashboard))
    unparsed = [f"{q.where}: {a.error}" for q, a in queries.parse(asked).items() if a.error]
    return [f.message for f in found] + unparsed


@pytest.mark.parametrize(
    ("rule", "break_it"),
    [
        (
            "template-label-promql-rule",
            lambda b: b["templating"]["list"][0]["query"].update(query="label_values(a{, b)"),
        ),
        (
            "template-on-time-change-reload-rule",
            lambda b: b["templating"]["list"][0].update(refresh=1),
        ),
        ("panel-datasource-rule", lambda b: graph(b)["datasource"].update(uid="other")),
        ("panel-title-description-rule", lambda b: graph(b).update(description="")),
        ("panel-units-rule", lambda b: graph(b)["fieldConfig"]["defaults"].pop("unit")),
        ("panel-no-targets-rule", lambda b: graph(b).update(targets=[])),
        ("target-logql-rule", lambda b: lines(b)["targets"][0].update(expr="{app=}")),
        (
            "target-logql-auto-rule",
            lambda b: lines(b)["targets"][0].update(expr='count_over_time({namespace="a"}[5m])'),
        ),
        ("target-promql-rule", lambda b: graph(b)["targets"][0].update(expr="sum(")),
        (
            "target-rate-interval-rule",
            lambda b: graph(b)["targets"][0].update(expr='rate(a_total{namespace="a"}[5m])'),
        ),
        (
            "target-counter-agg-rule",
            lambda b: graph(b)["targets"][0].update(expr='sum(a_total{namespace="a"})'),
        ),
        ("uneditable-dashboard-rule", lambda b: b.update(editable=True)),
    ],
)
def test_what_the_linter_finds_is_found(rule: str, break_it: Callable[[Json], None]) -> None:
    assert rule not in DIFFERS
    broken = board()
    healthy = _faults(broken)
    break_it(broken)
    assert set(_faults(broken)) - set(healthy)


def test_what_is_not_followed_has_a_reason() -> None:
    assert all(len(reason) > 20 for reason in DIFFERS.values())


@pytest.mark.parametrize("name", sorted(COMMITTED))
def test_no_query_reads_every_series_of_a_name(name: str) -> None:
    """A selector by the cluster alone reads all series of a name; it grows with everything."""
    asked = [q for q in dashboards.queries(COMMITTED[name]) if q.lang == "promql"]
    wide = {
        f"{query.where}: {query.expr}"
        for query, answer in queries.parse(asked).items()
        if any({m[0] for m in s.matchers} <= {"cluster"} for s in answer.selectors)
        # One series for each objective, and one for each rule's result or the whole cluster.
        and not all(
            m.startswith(("cluster:", "resource:", "slo:", "sloth_", "todo:"))
            for m in answer.metrics
        )
    }
    assert wide == set()


@pytest.mark.parametrize("name", sorted(COMMITTED))
def test_every_dashboard_marks_rollouts_and_alerts(name: str) -> None:
    marks = json.dumps(COMMITTED[name]["annotations"])
    assert "kube_deployment_status_observed_generation" in marks
    assert "ALERTS" in marks


@pytest.mark.parametrize("name", sorted(COMMITTED))
def test_every_dashboard_leads_on(name: str) -> None:
    """The bar lists the others; at least one panel leads to where its question is answered."""
    assert any(link["keepTime"] and link["includeVars"] for link in COMMITTED[name]["links"])
    assert "/d/" in json.dumps(COMMITTED[name]["panels"])


@pytest.mark.parametrize("name", sorted(COMMITTED))
def test_no_graph_is_narrower_than_a_fifth_of_the_page(name: str) -> None:
    """Of 1366 pixels, less is too narrow for axes and a legend; numbers may be narrower."""
    narrow = [
        panel["title"]
        for panel in dashboards.panels(COMMITTED[name])
        if panel["type"] in ("timeseries", "table", "logs", "state-timeline")
        and panel["gridPos"]["w"] < 5
    ]
    assert narrow == []
