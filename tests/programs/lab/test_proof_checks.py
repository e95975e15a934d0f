"""What a person would miss on a dashboard is found."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from scripts import simulation
from scripts.grafana import evaluation, model
from scripts.grafana.model import DashboardModel
from scripts.lab.proof import checks
from scripts.model.rendered import Cluster
from scripts.servers import monitoring as real
from scripts.servers.monitoring import Servers
from tests.programs.small_day_servers import CPU, opened
from tests.programs.tsdb_fixtures import board, lines, panel, small_day

pytest_plugins = ("tests.programs.small_day_servers",)
pytestmark = pytest.mark.prove


def judged(
    running: Servers, day: simulation.Day, json: dict[str, Any], on: str = "healthy"
) -> list[str]:
    found = checks.check(running, opened(running, day, json), on)
    return [f"{f.message} -> {f.fix}" for f in found]


def marked(json: dict[str, Any]) -> DashboardModel:
    """The dashboard, whose first query now has `allow_empty`."""
    dashboard = model.read(json, model.datasources())
    first, *rest = dashboard.panels
    target = dataclasses.replace(first.targets[0], allow_empty="nothing is broken")
    panels = (dataclasses.replace(first, targets=(target,)), *rest)
    return dataclasses.replace(dashboard, panels=panels)


def test_a_dashboard_with_data_is_well(running: Servers, day: simulation.Day) -> None:
    well = board(
        panel("CPU", CPU, "{{pod}}"),
        panel("Pods", "count(pod_info)", instant=True, range=False),
        lines("Lines", 'sum by (app) (rate({namespace="default"}[$__auto]))', "{{app}}"),
    )
    assert judged(running, day, well) == []


@pytest.mark.parametrize(
    ("expr", "legend", "message"),
    [
        ("cpu_second_total", "", "nothing has the name cpu_second_total"),
        (
            'pod_info{namespace="prod"}',
            "",
            r'pod_info{namespace="prod"} has no series; pod_info alone has 2: '
            "label namespace has values default",
        ),
        ('pod_info{node="a"}', "", "none has a label node"),
        (
            'pod_info{pod="web-1", pod!="web-1"}',
            "",
            "each matcher alone finds some, all together none",
        ),
        (
            "cpu_seconds_total * on (node) group_left () (pod_info > 1)",
            "",
            "2 series of cpu_seconds_total, 2 series of pod_info",
        ),
        ("0 / not_a_number", "", "no finite value comes back"),
        ("pod_info", "{{pod}} {{node}}", "no series has the label 'node' of the legend"),
        ("pod_info", "{{namespace}}", "2 series are all called 'default'"),
        ("sum(", "", "refused: 400: "),
        ('pod_info{pod="$lost"}', "", "variable 'lost' is not defined"),
    ],
)
def test_a_query_is_judged(
    running: Servers, day: simulation.Day, expr: str, legend: str, message: str
) -> None:
    (found,) = judged(running, day, board(panel("P", expr, legend)))
    assert message in found
    assert "panel 'P', query A" in found


@pytest.mark.parametrize(
    ("expr", "message"),
    [
        ('{namespace="prod"}', "label namespace has values default"),
        ('{namespace="default"} |= "nowhere"', "look at the filters after the selector"),
        ('sum(rate({namespace="default", app="lost"}[$__auto]))', "label app has values api, web"),
    ],
)
def test_a_log_query_is_judged(
    running: Servers, day: simulation.Day, expr: str, message: str
) -> None:
    (found,) = judged(running, day, board(lines("P", expr)))
    assert message in found


def test_a_variable_without_values_is_found(running: Servers, day: simulation.Day) -> None:
    variable = {"name": "v", "type": "query", "query": "label_values(lost, pod)"}
    json = board(panel("P", "pod_info"), templating={"list": [variable]})
    (found,) = judged(running, day, json)
    assert "the query of variable 'v' finds no value" in found


def test_a_query_with_allow_empty_must_have_data_in_the_incident_and_no_other_must(
    running: Servers, day: simulation.Day
) -> None:
    allowed = marked(board(panel("Broken", "broken"), panel("Lost", "lost")))
    found = evaluation.open_dashboard(running, allowed, evaluation.time_range_at(day.at))
    assert [f.message.split(":")[0] for f in checks.check(running, found, "healthy")] == [
        "panel 'Lost', query A"
    ]
    (one,) = checks.check(running, found, "incident")
    assert "panel 'Broken', query A: incident: nothing comes back" in one.message
    summary = checks.summary(found, "healthy")
    assert (summary.queries, summary.with_data, summary.allow_empty, summary.empty) == (2, 0, 1, 1)


def test_a_query_with_allow_empty_has_data_where_something_is_broken(
    options: Cluster, tmp_path: Path, running: Servers
) -> None:
    incident = small_day(tmp_path, "incident")
    allowed = marked(board(panel("Broken", "broken > 0", "{{pod}}")))
    with real.prometheus(options, incident.tsdb) as api:
        both = Servers(api, running.loki)
        found = evaluation.open_dashboard(both, allowed, evaluation.time_range_at(incident.at))
        assert checks.check(both, found, "incident") == []


def test_every_option_of_a_fixed_list_is_tried(running: Servers, day: simulation.Day) -> None:
    variable = {
        "name": "f",
        "type": "custom",
        "query": "sum,avg,averag",
        "current": {"value": "sum"},
    }
    json = board(panel("P", "$f(pod_info)"), templating={"list": [variable]})
    found = opened(running, day, json)
    assert checks.check(running, found, "healthy") == []
    (one,) = checks.check_options(running, found)
    assert "refused with f=averag" in one.message


def test_the_table_adds_up() -> None:
    one = checks.Summary("a", 3, 5, 4, 1, 0, 0.5, 1000)
    other = dataclasses.replace(one, uid="b", empty=2)
    text = checks.table({"healthy": {"a": one, "b": other}, "incident": {"a": one}})
    head, _, _, total = text.splitlines()
    assert head.count("samples") == 2
    assert total.split() == [
        *("total", "6", "10", "2"),
        *("8", "2", "1.00", "2,000"),
        *("4", "0", "0.50", "1,000"),
    ]
