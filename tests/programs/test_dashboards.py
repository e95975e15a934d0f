"""Dashboards: what is committed is what the Python makes, and a fault in either is found."""

from __future__ import annotations

import copy
import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from dashboards_py import __main__ as command
from dashboards_py import application, grafana, layout, logql, metrics, panels
from dashboards_py.promql import Kind, Metric, Vector
from dashboards_py.queries import chatbot, cluster, dapr, health, lines, traffic, workloads
from dashboards_py.query import Language, Query, QueryError, Source, not_equal, regex
from scripts.checks.static import dashboards as checks
from scripts.core.findings import RepositoryError, execute
from scripts.core.yamlfile import Json
from scripts.model import dashboards
from tests.fixtures import CODE, FROZEN

FOLDER = FROZEN / "base/dashboards"
DATASOURCES = {"prometheus", "loki", "alertmanager"}


def committed() -> dict[str, Json]:
    return {path.name: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}


def kustomization() -> Json:
    parsed: Json = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
    return parsed


@pytest.fixture
def overview() -> Json:
    return copy.deepcopy(committed()["todo-overview.json"])


def panel(dashboard: Json, title: str) -> Json:
    found: Json = next(p for p in dashboard["panels"] if p["title"] == title)
    return found


# What is committed


# The command


def test_the_same_bytes_whatever_the_hash_seed() -> None:
    script = "from dashboards_py.__main__ import render; print(sorted(render().items()))"
    outputs = {
        subprocess.run(
            [sys.executable, "-c", script],
            cwd=CODE,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "4242")
    }
    assert len(outputs) == 1


def test_write_replaces_what_changed_and_removes_what_is_gone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gone.json").write_text("{}")
    (tmp_path / "same.json").write_text("same\n")
    (tmp_path / "changed.json").write_text("old\n")
    (tmp_path / "kustomization.yaml").write_text("kept\n")
    files = {Path("same.json"): "same\n", Path("changed.json"): "new\n", Path("new.json"): "n\n"}
    command.write(files, tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "same.json": "same\n",
        "changed.json": "new\n",
        "new.json": "n\n",
        "kustomization.yaml": "kept\n",
    }
    words = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert words == ["unchanged", "wrote", "wrote", "removed"]


def test_check_names_each_file_that_differs(tmp_path: Path) -> None:
    (tmp_path / "stale.json").write_text("old")
    (tmp_path / "orphan.json").write_text("{}")
    files = {Path("stale.json"): "new", Path("missing.json"): "x"}
    findings = command.differences(files, tmp_path)
    assert [f.path for f in findings] == [
        "base/dashboards/missing.json",
        "base/dashboards/orphan.json",
        "base/dashboards/stale.json",
    ]


@pytest.fixture
def broken_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Put a module of a dashboard beside the real ones; return what the command then says."""
    from dashboards_py import dashboards as ours

    monkeypatch.setattr(ours, "__path__", [*ours.__path__, str(tmp_path)])
    written = CODE / dashboards.FOLDER
    before = {path.name: path.read_bytes() for path in written.iterdir()}

    def run(source: str, capsys: pytest.CaptureFixture[str]) -> str:
        (tmp_path / "todo_broken.py").write_text(source)
        with pytest.raises(SystemExit, match="1"):
            execute(command.main)
        assert {path.name: path.read_bytes() for path in written.iterdir()} == before
        return capsys.readouterr().err

    yield run
    sys.modules.pop("dashboards_py.dashboards.todo_broken", None)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("DASHBOARD = 1 / 0\n", "ZeroDivisionError"),
        ("DASHBOARD =\n", "SyntaxError"),
        ("", "no attribute 'DASHBOARD'"),
        ("DASHBOARD = 1\n", "not made by dashboard()"),
        (
            "from dashboards_py import metrics as m\nm.POD_READY(pood='x')\n",
            "kube_pod_status_ready has no label 'pood'",
        ),
        (
            "from dashboards_py.queries import traffic\nfrom dashboards_py.panels import show\n"
            "show(traffic.request_rate('app'), '{{pod}}')\n",
            "has no label 'pod'",
        ),
    ],
)
def test_a_broken_module_is_named_and_nothing_is_written(
    broken_module: Callable[..., str], capsys: pytest.CaptureFixture[str], source: str, says: str
) -> None:
    message = broken_module(source, capsys)
    assert "dashboards_py/dashboards/todo_broken.py" in message
    assert says in message
    assert "Traceback" not in message


def test_a_uid_that_is_not_the_modules_name_is_refused(
    broken_module: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    source = "from dashboards_py.dashboards.todo_logs import DASHBOARD\n__all__ = ['DASHBOARD']\n"
    assert "set uid='todo-broken'" in broken_module(source, capsys)


def test_a_missing_inventory_says_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(application, "ROOT", tmp_path)
    application.namespaces.cache_clear()
    try:
        with pytest.raises(RepositoryError, match=r"application\.yaml: no usable data\.NAMESPACES"):
            application.namespaces()
    finally:
        application.namespaces.cache_clear()


# Metrics and queries


def test_a_wrong_label_fails_with_the_labels_there_are() -> None:
    with pytest.raises(QueryError, match=r"kube_pod_info has no label 'pods'; it has: .*pod"):
        metrics.POD_INFO(pods="x")
    with pytest.raises(QueryError, match="has no label 'container'"):
        metrics.POD_INFO().value().sum("container")
    with pytest.raises(QueryError, match="'route'"):
        traffic.request_rate("app").sum("route")


def test_a_rate_needs_a_counter_and_a_value_needs_a_gauge() -> None:
    with pytest.raises(QueryError, match=r"rate\(\) needs a counter; kube_pod_info is a gauge"):
        metrics.POD_INFO().rate()
    with pytest.raises(QueryError, match=r"value\(\) needs a gauge; .* is a counter"):
        metrics.CPU_USAGE().value()


def test_a_counter_gets_grafanas_own_range() -> None:
    expected = 'rate(container_cpu_usage_seconds_total{job="kubelet", '
    assert metrics.CPU_USAGE().rate().expr.startswith(expected)
    assert metrics.CPU_USAGE().rate().expr.endswith("[$__rate_interval])")


def test_a_quantile_keeps_le_until_it_is_used() -> None:
    seconds = Metric("m_seconds", Kind.HISTOGRAM, frozenset({"app"}), Source("s", "none"))
    found = seconds(app="x").quantile(0.95, "app")
    assert found.expr == (
        'histogram_quantile(0.95, sum by (le, app) (rate(m_seconds_bucket{app="x"}'
        "[$__rate_interval])))"
    )
    assert found.labels == {"app"}
    with pytest.raises(QueryError, match=r"quantile\(\) needs a histogram"):
        metrics.POD_INFO().quantile(0.5)


def test_matchers_are_escaped_and_variables_are_not() -> None:
    expr = metrics.ALERTS(alertname='a"b\\c', severity=not_equal("none"), pod=regex("$pod"))
    assert expr.selector() == 'ALERTS{alertname="a\\"b\\\\c", severity!="none", pod=~"$pod"}'


def test_cadvisor_series_always_leave_out_the_pods_own() -> None:
    assert 'container!=""' in metrics.MEMORY_WORKING_SET().selector()


def test_operators_bind_as_written() -> None:
    a, b = (
        Vector(language=Language.PROMQL, expr=n, labels=frozenset({"pod"}), sources=())
        for n in "ab"
    )
    assert a.minus(b).ratio_to(b.where("> 0")).expr == ("(a - on (pod) b) / on (pod) (b > 0)")
    with pytest.raises(QueryError, match="same labels on both sides"):
        a.minus(b.sum())


def vector(name: str, *labels: str) -> Vector:
    return Vector(language=Language.PROMQL, expr=name, labels=frozenset(labels), sources=())


def test_a_label_of_another_query_is_joined_on_all_that_is_common() -> None:
    usage, owners = vector("u", "namespace", "pod"), vector("o", "namespace", "pod", "workload")
    joined = usage.with_label_of("workload", owners)
    assert joined.expr == "u * on (namespace, pod) group_left (workload) o"
    assert joined.labels == {"namespace", "pod", "workload"}
    assert joined.sum("workload").expr.startswith("sum by (workload) (u * on")
    with pytest.raises(QueryError, match="the other query has no label 'node'"):
        usage.with_label_of("node", owners)
    with pytest.raises(QueryError, match="the query has no label 'pod'"):
        vector("u", "namespace").with_label_of("workload", owners)


def test_labels_are_made_of_labels_that_there_are() -> None:
    query = vector("q", "job", "name")
    made = query.extract("job", "part", r"(\w+)-.+").joined("both", "job", "name")
    assert made.labelled("kind", "x").expr == (
        'label_replace(label_join(label_replace(q, "part", "$1", "job", "(\\\\w+)-.+"), '
        '"both", " ", "job", "name"), "kind", "x", "", "")'
    )
    assert made.labels == {"job", "name", "part", "both"}
    with pytest.raises(QueryError, match="has no label 'pod'"):
        query.extract("pod", "a", "(.+)")
    with pytest.raises(QueryError, match="has no label 'pod'"):
        query.joined("a", "pod")


def test_numbers_known_when_built_are_written_in_full() -> None:
    query = vector("a").minus(vector("b"))
    assert query.times(12 * 2**30).expr == "(a - b) * 12884901888"
    assert query.times(0.5).expr == "(a - b) * 0.5"
    assert vector("a").at_least(50 * 2**30).expr == "clamp_min(a, 53687091200)"
    assert query.is_zero().plus(vector("c")).expr == "((a - b) == bool 0) + c"
    assert query.otherwise(vector("c")).expr == "(a - b) or c"
    with pytest.raises(QueryError, match="same labels on both sides"):
        vector("a").otherwise(vector("b", "pod"))


def test_numbers_that_a_series_holds_are_read_from_it() -> None:
    assert vector("a").times(vector("b")).expr == "a * b"
    floor = vector("b").minus(vector("c"))
    assert vector("a", "pod").at_least(floor).expr == "clamp_min(a, scalar(b - c))"
    with pytest.raises(QueryError, match="same labels on both sides"):
        vector("a").times(vector("b", "pod"))
    with pytest.raises(QueryError, match="needs one series, without labels: b"):
        vector("a").at_least(vector("b", "pod"))


@pytest.mark.parametrize(
    ("owner", "workload"),
    [
        ("todo-backend-6b7f9c54d8", "todo-backend"),
        ("todo-backend", "todo-backend"),
        ("kube-prometheus-stack-prometheus", "kube-prometheus-stack-prometheus"),
        ("backup-29361240", "backup"),
        ("backup-2", "backup-2"),
        ("<none>", "<none>"),
    ],
)
def test_a_workload_is_the_owner_s_name_without_its_hash(owner: str, workload: str) -> None:
    match = re.fullmatch(cluster.WORKLOAD, owner)
    assert match
    assert match[1] == workload


def test_zero_needs_proof_that_somebody_looked() -> None:
    assert health.alerts_firing().expr.endswith(
        ' or 0 * count(ALERTS{alertname="Watchdog", alertstate="firing"})'
    )
    assert "vector(0)" not in json.dumps(committed())


def test_a_log_query_names_its_namespace_and_only_stream_labels() -> None:
    with pytest.raises(QueryError, match="must name its namespace"):
        logql.stream(not_equal("kube-system"))
    with pytest.raises(QueryError, match="'pod'"):
        logql.stream(regex("default"), pod="x")


def test_the_whole_range_is_refused_in_a_graph() -> None:
    with pytest.raises(QueryError, match="counts lines many times"):
        panels.timeseries(
            "t", panels.show(lines.log_lines_in_range()), description="d", unit="short"
        )


def test_a_table_refuses_headings_that_no_query_fills() -> None:
    column = panels.Column("Requests", traffic.request_rate("app"))
    with pytest.raises(QueryError, match="'pod'"):
        panels.table("t", {"pod": "Pod"}, column, description="d", sort="Requests")
    with pytest.raises(QueryError, match="no column 'Pods' to sort by"):
        panels.table("t", {"app": "App"}, column, description="d", sort="Pods")


def test_panels_get_letters_a_source_and_a_text_for_its_absence() -> None:
    shown = panels.show(workloads.memory_in_use())
    stat = panels.stat("t", shown, shown, description="What it is.", unit="bytes")
    two = stat.to_json_data()
    assert [target.refId for target in two["targets"]] == ["A", "B"]
    assert two["description"].endswith("Source: cAdvisor in the kubelet.")
    assert two["fieldConfig"]["defaults"]["noValue"] == "no data from the kubelet"


# What the log tells of the chatbot


def matches(query: Query, line: str) -> bool:
    """Whether a line passes all line filters of a LogQL query."""
    return all(re.search(pattern, line) for pattern in re.findall(r"\|~ `([^`]*)`", query.expr))


OPENAI = 'INFO:httpx:HTTP Request: POST https://api.openai.com/v1/chat/completions "HTTP/1.1 {}"'
GEMINI = (
    "2026-03-02 10:00:00,000 - httpx - INFO - HTTP Request: POST https://generativelanguage"
    '.googleapis.com/v1beta/openai/chat/completions "HTTP/1.1 {}"'
)


@pytest.mark.parametrize("call", [OPENAI, GEMINI])
def test_a_model_call_has_one_outcome(call: str) -> None:
    outcomes = {
        "200 OK": chatbot.model_calls_answered(),
        "429 Too Many Requests": chatbot.model_calls_limited(),
        "401 Unauthorized": chatbot.model_calls_failed(),
        "503 Service Unavailable": chatbot.model_calls_failed(),
    }
    for status in outcomes:
        line = call.format(status)
        assert matches(chatbot.model_calls_in_range(), line)
        found = [q.expr for q in dict.fromkeys(outcomes.values()) if matches(q, line)]
        assert found == [outcomes[status].expr]
    other = OPENAI.format("200 OK").replace("api.openai.com", "neon.tech")
    assert not matches(chatbot.model_calls_in_range(), other)


@pytest.mark.parametrize(
    ("query", "line"),
    [
        (
            chatbot.limits(),
            "openai.RateLimitError: Error code: 429 - {'error': {'code': 'insufficient_quota'}}",
        ),
        (chatbot.limits(), "google.api_core.exceptions.ResourceExhausted: RESOURCE_EXHAUSTED"),
        (chatbot.limits(), 'INFO: 10.0.0.1:1 - "POST /api/u/chat HTTP/1.1" 429 Too Many Requests'),
        (chatbot.unreachable(), "openai.APITimeoutError: Request timed out."),
        (chatbot.unreachable(), "ERROR: the model is overloaded"),
        (chatbot.unreachable(), "Traceback\n  File openai/_base_client.py\nhttpx.ReadTimeout"),
        (chatbot.tool_errors(), "ERROR:mcp.server:Tool add_task failed"),
        (chatbot.chat_errors(), "ERROR:app.routes.chat:Error in chat endpoint"),
        (chatbot.model_trouble(), "groq.APIConnectionError: Connection error."),
    ],
)
def test_trouble_with_the_model_is_recognised(query: Query, line: str) -> None:
    assert matches(query, line)


@pytest.mark.parametrize(
    "line",
    [
        'INFO:     10.0.0.1:42912 - "GET /api/user-0123456789ab/tasks/429 HTTP/1.1" 200 OK',
        "ERROR: could not connect to the database of todo-ai-chatbot-backend",
        OPENAI.format("200 OK"),
    ],
)
def test_other_lines_are_no_trouble_with_the_model(line: str) -> None:
    trouble = [chatbot.limits(), chatbot.unreachable(), chatbot.model_trouble()]
    trouble += [chatbot.tool_errors()]
    assert [query.expr for query in trouble if matches(query, line)] == []


def test_the_chatbots_lines_are_the_applications_own() -> None:
    """Each line of a sidecar names its app, and so a chat; events name pods."""
    assert 'container!~"|daprd"' in chatbot.chat_error_lines().expr


def test_a_link_keeps_the_variables_that_it_is_told_to() -> None:
    assert panels.link("t", "todo-api", "app", source="dapr")["url"] == (
        "/d/todo-api?${__url_time_range}&${namespace:queryparam}&${app:queryparam}&var-source=dapr"
    )


def test_a_time_stamp_is_shown_as_what_is_left() -> None:
    assert dapr.issuer_expires_in().expr.endswith('{namespace="dapr-system"}) - time()')
    assert dapr.issuer_expires_in().compound


def test_publishing_that_fails_altogether_is_a_share_of_one() -> None:
    _, whole = dapr.publish_failure_share().expr.rsplit(" / ", 1)
    assert "success" not in whole


def test_a_metric_is_declared_once() -> None:
    with pytest.raises(ValueError, match="metric up is declared twice"):
        metrics._gauge("up", "job", metrics.RULES)


def test_a_lag_that_ends_in_sum_is_no_counter(overview: Json) -> None:
    rewrite("CPU by pod", 'sum(redpanda_kafka_consumer_group_lag_sum{redpanda_group="a"})')(
        overview
    )
    assert checks.counters("todo-overview.json", overview) == []


# Layout


def some_panel(title: str, width: int | None = None) -> grafana.Panel:
    query = panels.show(workloads.memory_in_use())
    return panels.stat(title, query, description="d", unit="bytes", width=width)


@pytest.mark.parametrize("seed", range(40))
def test_rows_of_any_shape_fill_the_grid_without_overlap(seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311
    rows = []
    for number in range(dice.randint(1, 6)):
        widths = [dice.choice([None, None, 1, 3, 6, 8, 12, 24]) for _ in range(dice.randint(1, 9))]
        rows.append(
            layout.row(
                *(some_panel(f"{number}-{i}", width) for i, width in enumerate(widths)),
                height=dice.randint(2, 12),
                title=dice.choice(["", f"row {number}"]),
            )
        )
    placed = layout.place(rows)
    cells: set[tuple[int, int]] = set()
    for p in placed:
        g = p.gridPos
        own = {(x, y) for x in range(g.x, g.x + g.w) for y in range(g.y, g.y + g.h)}
        assert not cells & own
        assert all(0 <= x < layout.COLUMNS for x, _ in own)
        cells |= own
    # No line is left empty, and a line with an open-ended panel is full.
    assert {y for _, y in cells} == set(range(max(y for _, y in cells) + 1))
    assert len({p.id for p in placed}) == len(placed)


def test_open_ended_panels_share_what_is_left() -> None:
    placed = layout.place([layout.row(some_panel("a", 4), some_panel("b"), some_panel("c"))])
    assert [(p.gridPos.x, p.gridPos.w) for p in placed] == [(0, 4), (4, 10), (14, 10)]


def test_ids_stay_when_a_panel_comes_before() -> None:
    before = {p.title: p.id for p in layout.place([layout.row(some_panel("a"), some_panel("b"))])}
    after = {
        p.title: p.id
        for p in layout.place([layout.row(some_panel("new"), some_panel("b"), some_panel("a"))])
    }
    assert before.items() <= after.items()


def test_a_collapsed_row_holds_its_panels_and_the_next_row_follows_it() -> None:
    rows = [
        layout.row(some_panel("inside"), title="closed", collapsed=True),
        layout.row(some_panel("below")),
    ]
    closed, below = layout.place(rows)
    assert [p.title for p in closed.panels] == ["inside"]
    assert below.gridPos.y == 1


def test_a_row_that_cannot_be_placed_is_refused() -> None:
    with pytest.raises(layout.LayoutError, match="'wide' is 25 columns"):
        layout.place([layout.row(some_panel("wide", 25))])
    with pytest.raises(layout.LayoutError, match="give one another title"):
        layout.place([layout.row(some_panel("twice"), some_panel("twice"))])
    with pytest.raises(layout.LayoutError, match="no panel"):
        layout.row()
    with pytest.raises(layout.LayoutError, match="needs a title"):
        layout.row(some_panel("a"), collapsed=True)


# The checks, each against a dashboard with one fault

Fault = Callable[[Json], object]


def rewrite(title: str, expr: str) -> Fault:
    def apply(board: Json) -> None:
        panel(board, title)["targets"][0]["expr"] = expr

    return apply


def overlapping(board: Json) -> None:
    panel(board, "Pods")["gridPos"]["x"] = 3


def too_wide(board: Json) -> None:
    panel(board, "CPU requested")["gridPos"]["w"] = 4


def same_id(board: Json) -> None:
    board["panels"][1]["id"] = board["panels"][0]["id"]


def blank(board: Json) -> None:
    panel(board, "Pods")["description"] = " "


def without_unit(board: Json) -> None:
    del panel(board, "Memory by pod")["fieldConfig"]["defaults"]["unit"]


def column_without_unit(board: Json) -> None:
    for override in panel(board, "Containers")["fieldConfig"]["overrides"]:
        override["properties"] = [p for p in override["properties"] if p["id"] != "unit"]


def other_datasource(board: Json) -> None:
    panel(board, "Pods")["targets"][0]["datasource"]["uid"] = "mimir"


def undefined_variable(board: Json) -> None:
    board["templating"]["list"] = [v for v in board["templating"]["list"] if v["name"] != "app"]


def unused_variable(board: Json) -> None:
    extra = copy.deepcopy(board["templating"]["list"][2]) | {"name": "idle"}
    board["templating"]["list"].append(extra)


def all_without_value(board: Json) -> None:
    del board["templating"]["list"][0]["allValue"]


def dead_link(board: Json) -> None:
    links = panel(board, "Log lines by level")["fieldConfig"]["defaults"]["links"]
    links[0]["url"] = "/d/todo-gone?${__url_time_range}"


def link_to_unknown_variable(board: Json) -> None:
    links = panel(board, "Log lines by level")["fieldConfig"]["defaults"]["links"]
    links[0]["url"] += "&var-colour=red"


def dead_tag(board: Json) -> None:
    board["links"][0]["tags"] = ["nobody"]


CPU = "container_cpu_usage_seconds_total"


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (lambda b: b.update(uid="other"), "uid 'other' is not the file's name"),
        (same_id, "2 panels have id"),
        (overlapping, "panels 'Probes' and 'Pods' overlap"),
        (too_wide, "panel 'CPU requested' ends at column 25"),
        (blank, "has no description"),
        (without_unit, "panel 'Memory by pod' has no unit"),
        (column_without_unit, "column 'Restarts' of 'Containers' has no unit"),
        (other_datasource, "datasource 'mimir' is not provisioned"),
        (undefined_variable, "variable 'app' is not defined"),
        (rewrite("Memory by pod", 'x{y="[[lost:regex]]"}'), "variable 'lost' is not defined"),
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
        (link_to_unknown_variable, "a link sets 'colour', which todo-logs has not"),
        (dead_tag, "tag 'nobody'; none has it"),
    ],
)
def test_each_check_finds_its_fault(overview: Json, fault: Fault, says: str) -> None:
    fault(overview)
    boards = committed() | {"todo-overview.json": overview}
    messages = [f.message for f in checks.faults(boards, DATASOURCES, kustomization())]
    assert any(says in message for message in messages), messages


def test_brackets_and_braces_in_a_matcher_are_no_range_and_no_counter(overview: Json) -> None:
    rewrite("CPU by pod", f'rate({CPU}{{pod=~"[a-z]{{2}}x_total"}}[$__rate_interval])')(overview)
    assert checks.ranges("todo-overview.json", overview) == []
    assert checks.counters("todo-overview.json", overview) == []


def collapsed_beside_its_panels(board: Json) -> None:
    panel(board, "Requests")["collapsed"] = True


def null_as_text(board: Json) -> None:
    panel(board, "Probes")["fieldConfig"]["defaults"]["thresholds"]["steps"][0]["value"] = "null"


@pytest.mark.parametrize(
    ("fault", "says"),
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
    overview: Json, fault: Fault, says: str
) -> None:
    fault(overview)
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
    overview["description"] = "x" * checks.CONFIGMAP_BYTES
    lists = [{"name": "one", "files": ["a.json"]}]
    (finding,) = checks.configmaps({"a.json": overview}, {"configMapGenerator": lists})
    assert "ConfigMap one has" in finding.message


def test_queries_reach_the_parsers_without_grafana_variables() -> None:
    found = [query for board in committed().values() for query in dashboards.queries(board)]
    assert {query.lang for query in found} == {"promql", "logql"}
    assert [query.expr for query in found if "$" in query.expr.replace('"$1"', "")] == []
    places = [query.where for query in found]
    assert len(set(places)) == len(places)
    assert any("annotation" in place for place in places)
    assert any("variable 'app'" in place for place in places)


def test_panels_of_collapsed_rows_are_checked_too(overview: Json) -> None:
    inner = copy.deepcopy(panel(overview, "Probes"))
    row = panel(overview, "Requests")
    row.update(collapsed=True, panels=[inner])
    assert any("2 panels have id" in f.message for f in checks.ids("todo-overview.json", overview))
    assert [p["title"] for p in dashboards.panels(overview)].count("Probes") == 2
