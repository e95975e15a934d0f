"""Dashboards are opened as Grafana opens them: variables, panels and annotations."""

from __future__ import annotations

import json
from typing import Any

import pytest

from scripts import simulation
from scripts.grafana import evaluation
from scripts.servers.monitoring import Servers
from tests.programs.small_day_servers import CPU, opened
from tests.programs.tsdb_fixtures import CORES, PODS, board, lines, panel

pytest_plugins = ("tests.programs.small_day_servers",)
pytestmark = pytest.mark.prove


def test_a_graph_has_the_values_that_are_true(running: Servers, day: simulation.Day) -> None:
    result = opened(running, day, board(panel("CPU", CPU, "{{pod}}"))).results[0]
    assert {s["metric"]["pod"] for s in result.data} == set(PODS)
    for series in result.data:
        values = [value for _, value in evaluation.samples(series)]
        assert len(values) == 6 * 120 + 1
        assert values == pytest.approx([CORES[series["metric"]["pod"]]] * len(values))
    assert result.samples
    assert result.seconds > 0


def test_log_lines_come_newest_first_and_no_more_than_asked(
    running: Servers, day: simulation.Day
) -> None:
    json = board(lines("Lines", '{namespace="default"} | pod="web-1"', maxLines=5))
    result = opened(running, day, json).results[0]
    found = [int(value[0]) for stream in result.data for value in stream["values"]]
    assert result.type == "streams"
    assert len(found) == 5
    assert found == sorted(found, reverse=True)


def test_variables_are_asked_of_their_servers(running: Servers, day: simulation.Day) -> None:
    def variable(name: str, query: Any, uid: str, **keys: Any) -> dict[str, Any]:
        return {"name": name, "type": "query", "query": query, "datasource": {"uid": uid}, **keys}

    everything = {"includeAll": True, "multi": True, "current": {"value": ["$__all"]}}
    json = board(
        panel("CPU", 'cpu_seconds_total{namespace="$namespace", pod=~"$pod"}', "{{pod}}"),
        templating={
            "list": [
                # Before the one that it needs.
                variable(
                    "pod",
                    {"query": 'label_values(pod_info{namespace="$namespace"}, pod)'},
                    "${datasource}",
                    **everything,
                    sort=2,
                ),
                variable("namespace", "label_values(pod_info, namespace)", "$datasource"),
                variable(
                    "app",
                    {"label": "app", "stream": '{namespace="$namespace"}', "type": 1},
                    "loki",
                    **everything,
                    allValue=".+",
                ),
                variable("names", "metrics(pod)", "prometheus"),
                variable("result", "query_result(sum(pod_info))", "prometheus"),
                variable(
                    "short",
                    "label_values(pod_info, pod)",
                    "prometheus",
                    regex="/web-(?<value>.*)/",
                ),
                {"name": "datasource", "type": "datasource", "query": "prometheus"},
            ]
        },
    )
    board_opened = opened(running, day, json)
    assert board_opened.found["pod"] == ("web-2", "web-1")
    assert board_opened.found["app"] == ("api", "web")
    assert board_opened.found["names"] == ("pod_info",)
    assert board_opened.found["short"] == ("1", "2")
    assert board_opened.found["result"][0].startswith("{} 2 ")
    assert board_opened.values["namespace"].values == "default"
    assert board_opened.values["app"].raw
    assert board_opened.results[0].expr == (
        'cpu_seconds_total{namespace="default", pod=~"(web-2|web-1)"}'
    )
    assert board_opened.results[0].finite


def test_a_panel_that_repeats_is_asked_for_each_value(
    running: Servers, day: simulation.Day
) -> None:
    repeated = panel("CPU", 'cpu_seconds_total{pod="$pod"}') | {"repeat": "pod"}
    variable = {
        "name": "pod",
        "type": "query",
        "query": "label_values(pod_info, pod)",
        "multi": True,
        "includeAll": True,
    }
    results = opened(running, day, board(repeated, templating={"list": [variable]})).results
    assert [result.expr[-8:-2] for result in results] == ["web-1".rjust(6, '"'), '"web-2']


def test_annotations_mark_when_their_query_is_above_zero(
    running: Servers, day: simulation.Day
) -> None:
    start = evaluation.time_range_at(day.at).start // 1000
    times = " + ".join(
        f"(time() > bool {start + begin}) * (time() < bool {start + end})"
        for begin, end in ((600, 1200), (3000, 3300))
    )
    expr = f"vector({times}) * on () group_right () pod_info"
    mark = {
        "name": "Marks",
        "enable": True,
        "iconColor": "blue",
        "target": {"expr": f"sum by (namespace) ({expr})"},
        "titleFormat": "in {{namespace}}",
    }
    found = opened(running, day, board(annotations={"list": [mark]}))
    assert {event["text"] for event in found.events} == {"in default"}
    assert [
        (event["time"] // 1000 - start, event["timeEnd"] // 1000 - start) for event in found.events
    ] == [
        (630, 1170),
        (3030, 3270),
    ]
    document = evaluation.document(found, "healthy")
    assert document["annotations"] == list(found.events)


def test_the_previews_document_holds_the_answers_as_they_came(
    running: Servers, day: simulation.Day
) -> None:
    found = opened(running, day, board(panel("CPU", CPU), lines("Lines", '{app="web"}')))
    document = json.loads(json.dumps(evaluation.document(found, "healthy")))
    cpu, log = document["panels"]["1"]["A"], document["panels"]["2"]["A"]
    assert (cpu["resultType"], cpu["language"], cpu["step"]) == ("matrix", "promql", 30_000)
    assert "[2m0s]" in cpu["expr"]
    assert (log["resultType"], log["error"], log["samples"]) == ("streams", None, None)
    assert (document["to"] - document["from"], document["to"]) == (6 * 3600_000, day.at * 1000)
