"""Each check of dashboards finds what an edit breaks."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable

import pytest
import yaml

from scripts.checks.static import dashboards as checks
from scripts.checks.validate import validate
from scripts.core.yamlfile import Json
from scripts.model import dashboards
from scripts.model.manifests import CONFIGMAP_BYTES, Repository
from tests.programs.cluster_syncs import assert_says
from tests.programs.dashboard_files import FOLDER, committed

DATASOURCES = {"prometheus", "loki", "alertmanager"}


def kustomization() -> Json:
    parsed: Json = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
    return parsed


@pytest.fixture
def overview() -> Json:
    return copy.deepcopy(committed()["todo-overview.json"])


def panel(dashboard: Json, title: str) -> Json:
    found: Json = next(p for p in dashboard["panels"] if p["title"] == title)
    return found


def test_a_lag_that_ends_in_sum_is_no_counter(overview: Json) -> None:
    rewrite("CPU by pod", 'sum(redpanda_kafka_consumer_group_lag_sum{redpanda_group="a"})')(
        overview
    )
    assert checks.counters("todo-overview.json", overview) == []


Edit = Callable[[Json], object]


def rewrite(title: str, expr: str) -> Edit:
    def apply(board: Json) -> None:
        panel(board, title)["targets"][0]["expr"] = expr

    return apply


def overlapping(board: Json) -> None:
    panel(board, "Pods")["gridPos"]["x"] = 0


def too_wide(board: Json) -> None:
    last = panel(board, "Pods")["gridPos"]
    last["w"] = 25 - last["x"]


def same_id(board: Json) -> None:
    board["panels"][1]["id"] = board["panels"][0]["id"]


def blank(board: Json) -> None:
    panel(board, "Pods")["description"] = " "


def without_unit(board: Json) -> None:
    del panel(board, "Memory by pod")["fieldConfig"]["defaults"]["unit"]


def column_without_unit(board: Json) -> None:
    for override in panel(board, "Containers")["fieldConfig"]["overrides"]:
        override["properties"] = [p for p in override["properties"] if p["id"] != "unit"]


def as_unit(title: str, unit: str, **settings: object) -> Edit:
    def apply(board: Json) -> None:
        panel(board, title)["fieldConfig"]["defaults"].update(unit=unit, **settings)

    return apply


def both(*edits: Edit) -> Edit:
    def apply(board: Json) -> None:
        for edit in edits:
            edit(board)

    return apply


def column_as_percent(board: Json) -> None:
    containers = panel(board, "Containers")
    names = containers["transformations"][-1]["options"]["renameByName"]
    containers["targets"][0]["expr"] = "a / b"
    column = names[f"Value #{containers['targets'][0]['refId']}"]
    for override in containers["fieldConfig"]["overrides"]:
        if override["matcher"]["options"] == column:
            override["properties"] = [{"id": "unit", "value": "percent"}]


def other_datasource(board: Json) -> None:
    panel(board, "Pods")["targets"][0]["datasource"]["uid"] = "mimir"


def undefined_variable(board: Json) -> None:
    board["templating"]["list"].pop()


def unused_variable(board: Json) -> None:
    extra = copy.deepcopy(board["templating"]["list"][0]) | {"name": "idle"}
    board["templating"]["list"].append(extra)


def all_without_value(board: Json) -> None:
    del next(v for v in board["templating"]["list"] if v["name"] == "namespace")["allValue"]


def dead_link(board: Json) -> None:
    links = panel(board, "Log lines by level")["fieldConfig"]["defaults"]["links"]
    links[0]["url"] = "/d/todo-gone?${__url_time_range}"


def link_to_unknown_panel(board: Json) -> None:
    links = panel(board, "Log lines by level")["fieldConfig"]["defaults"]["links"]
    links[0]["url"] += "&viewPanel=panel-7"


def link_to_unknown_variable(board: Json) -> None:
    links = panel(board, "Log lines by level")["fieldConfig"]["defaults"]["links"]
    links[0]["url"] += "&var-colour=red"


def dead_tag(board: Json) -> None:
    board["links"][0]["tags"] = ["nobody"]


CPU = "container_cpu_usage_seconds_total"


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda b: b.update(uid="other"), "uid 'other' is not the file's name"),
        (same_id, "2 panels have id"),
        (overlapping, "panels 'Probes' and 'Pods' overlap"),
        (too_wide, "panel 'Pods' ends at column 25"),
        (blank, "has no description"),
        (without_unit, "panel 'Memory by pod' has no unit"),
        (column_without_unit, "column 'Restarts' of 'Containers' has no unit"),
        (other_datasource, "datasource 'mimir' is not provisioned"),
        (
            both(as_unit("CPU by pod", "percent"), rewrite("CPU by pod", "sum(a) / sum(b)")),
            "panel 'CPU by pod' shows a share from 0 to 1 as percent",
        ),
        (as_unit("CPU by pod", "percent", max=1), "shows a share from 0 to 1 as percent"),
        (
            both(as_unit("CPU by pod", "percentunit"), rewrite("CPU by pod", "100 * a / b")),
            "panel 'CPU by pod' shows what goes to 100 as percentunit",
        ),
        (as_unit("CPU by pod", "percentunit", max=100), "shows what goes to 100 as percentunit"),
        (
            as_unit(
                "CPU by pod",
                "percentunit",
                thresholds={
                    "mode": "absolute",
                    "steps": [{"color": "green", "value": None}, {"color": "red", "value": 95}],
                },
            ),
            "has a threshold of 95, which a share never reaches",
        ),
        (column_as_percent, "of panel 'Containers' shows a share from 0 to 1 as percent"),
        (undefined_variable, "variable 'namespace' is not defined"),
        (unused_variable, "variable 'idle' is not used"),
        (all_without_value, "variable 'namespace' has All without a value"),
        (
            rewrite("Memory by pod", 'sum(x{namespace="$namespace"})'),
            "'namespace' has several values but is compared with =",
        ),
        (
            rewrite("Memory by pod", 'sum(x{namespace="${namespace:regex}"})'),
            "'namespace' has several values but is compared with =",
        ),
        (rewrite("CPU by pod", f'rate({CPU}{{pod=~"[a]"}}[5m])'), "range [5m]"),
        (rewrite("CPU by pod", f"rate({CPU}[$__interval])"), "range [$__interval]"),
        (rewrite("Log lines by level", 'sum(rate({a="b"}[1m]))'), "range [1m]"),
        (rewrite("Log lines by level", 'sum(rate({a="b"}[$__range]))'), "range [$__range]"),
        (rewrite("CPU by pod", f'sum({CPU}{{pod="rate("}})'), f"counter {CPU} without rate"),
        (dead_link, "leads to dashboard 'todo-gone'"),
        (link_to_unknown_panel, "a link leads to panel 7 of 'todo-logs', which does not exist"),
        (link_to_unknown_variable, "a link sets 'colour', which todo-logs has not"),
        (dead_tag, "tag 'nobody'; none has it"),
    ],
)
def test_each_check_finds_what_is_broken(overview: Json, edit: Edit, says: str) -> None:
    edit(overview)
    boards = committed() | {"todo-overview.json": overview}
    messages = [f.message for f in checks.findings(boards, DATASOURCES, kustomization())]
    assert any(says in message for message in messages), messages


@pytest.mark.parametrize(
    ("unit", "expr"),
    [
        ("percent", "100 * sum(a) / sum(b)"),
        ("percent", "sum(a) / sum(b) * 100"),
        ("percent", "a{path='/x'}"),
        ("percent", "a / 100"),
        ("percentunit", "sum(a) / sum(b)"),
        ("percentunit", "1 - sum(a) / (b * 1000)"),
        ("short", "a / b * 100"),
    ],
)
def test_shares_in_their_unit(overview: Json, unit: str, expr: str) -> None:
    both(as_unit("CPU by pod", unit), rewrite("CPU by pod", expr))(overview)
    assert checks.shares_in_matching_unit("todo-overview.json", overview) == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{\n"__inputs": [],\n"title": "x"}', r":2: is not as .+ it has __inputs and lacks annot"),
        ("[]", r":1: is not as .+: it lacks annotations, .+ templating"),
        ("{", r":1: not JSON"),
        (None, r"todo-overview.json:1: is not as .+: it lacks templating"),
        (None, r"todo-overview.json:\d+: schemaVersion: 42 was expected"),
    ],
)
def test_a_dashboard_from_elsewhere_is_told_once(
    text: str | None, says: str, copy: Repository
) -> None:
    board = committed()["todo-overview.json"]
    board.update(schemaVersion=12) if "42" in says else board.pop("templating")
    path = copy.root / dashboards.FOLDER / ("imported.json" if text else "todo-overview.json")
    path.write_text(text or json.dumps(board, indent=2))
    assert_says(validate(copy), says)


def test_brackets_and_braces_in_a_matcher_are_no_range_and_no_counter(overview: Json) -> None:
    rewrite("CPU by pod", f'rate({CPU}{{pod=~"[a-z]{{2}}x_total"}}[$__rate_interval])')(overview)
    assert checks.ranges("todo-overview.json", overview) == []
    assert checks.counters("todo-overview.json", overview) == []


@pytest.mark.parametrize(
    ("expr", "fix"),
    [
        ("rate(a_total[$__interval])", "use [$__rate_interval]"),
        (
            "rate(a_total[1h])",
            "use [$__rate_interval]; what spans 1h whatever the zoom is a rule's, too",
        ),
        (
            "max_over_time((a > 1)[1h:1m])",
            "record what the range is of by a rule, and use [$__rate_interval] of that; "
            "what spans 1h whatever the zoom is a rule's, too",
        ),
    ],
)
def test_what_to_do_about_a_range(overview: Json, expr: str, fix: str) -> None:
    rewrite("CPU by pod", expr)(overview)
    (found,) = checks.ranges("todo-overview.json", overview)
    assert found.fix == fix


def collapsed_beside_its_panels(board: Json) -> None:
    panel(board, "Requests")["collapsed"] = True


def null_as_text(board: Json) -> None:
    panel(board, "Probes")["fieldConfig"]["defaults"]["thresholds"]["steps"][0]["value"] = "null"


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda b: b.update(__inputs=[]), "'__inputs' was unexpected"),
        (lambda b: b.update(schemaVersion=12), "42 was expected"),
        (lambda b: b.update(editable=True), "False was expected"),
        (lambda b: b.pop("time"), "'time' is a required property"),
        (null_as_text, "'null' is not of type 'null'"),
        (collapsed_beside_its_panels, "panels: [] should be non-empty"),
        (lambda b: panel(b, "Pods").update(datasource="Prometheus"), "is not of type 'object'"),
        (lambda b: panel(b, "Pods").update(type="graph"), "'graph' is not one of"),
        (lambda b: panel(b, "Pods")["options"].update(valueName="avg"), "'valueName' was unexp"),
        (lambda b: panel(b, "Pods")["targets"][0].update(step=10), "targets/0"),
        (
            lambda b: panel(b, "CPU by pod")["options"]["legend"].pop("showLegend"),
            "'showLegend' is a required property",
        ),
        (lambda b: panel(b, "Containers").update(columns=[]), "'columns' was unexpected"),
    ],
)
def test_the_schema_refuses_what_grafana_13_would_migrate(
    overview: Json, edit: Edit, says: str
) -> None:
    edit(overview)
    messages = [finding.message for finding in checks.schema("todo-overview.json", overview)]
    assert any(says in message for message in messages), messages


def test_configmaps_hold_each_dashboard_once_and_fit(overview: Json) -> None:
    boards = {"a.json": overview, "b.json": overview, "c.json": overview}
    lists = [{"name": "one", "files": ["a.json", "b.json"]}, {"name": "two", "files": ["b.json"]}]
    lists[1]["files"].append("lost.json")  # type: ignore[attr-defined]
    messages = [f.message for f in checks.configmaps(boards, {"configMapGenerator": lists})]
    assert messages == [
        "b.json is in 2 ConfigMaps",
        "c.json is in 0 ConfigMaps",
        "lost.json does not exist",
    ]
    overview["description"] = "x" * CONFIGMAP_BYTES
    lists = [{"name": "one", "files": ["a.json"]}]
    (finding,) = checks.configmaps({"a.json": overview}, {"configMapGenerator": lists})
    assert "ConfigMap one has" in finding.message


def test_queries_reach_the_parsers_without_grafana_variables() -> None:
    found = [query for board in committed().values() for query in dashboards.queries(board)]
    assert {query.lang for query in found} == {"promql", "logql"}
    assert [query.expr for query in found if re.search(r"\$(?!\d)", query.expr)] == []
    places = [query.where for query in found]
    assert len(set(places)) == len(places)
    assert any("annotation" in place for place in places)
    assert any("variable 'namespace'" in place for place in places)


def test_panels_of_collapsed_rows_are_checked_too(overview: Json) -> None:
    inner = copy.deepcopy(panel(overview, "Probes"))
    row = panel(overview, "Requests")
    row.update(collapsed=True, panels=[inner])
    assert any("2 panels have id" in f.message for f in checks.ids("todo-overview.json", overview))
    assert [p["title"] for p in dashboards.panels(overview)].count("Probes") == 2
