"""`make prove` finds what is empty, wrong or refused; on a real Prometheus and a real Loki."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts import tools
from scripts.core.findings import Finding, RepositoryError
from scripts.grafana import evaluation, model, no_data
from scripts.grafana.evaluation import OpenedDashboard
from scripts.grafana.model import DashboardModel
from scripts.lab import simulation
from scripts.lab.proof import checks, ground_truth
from scripts.lab.proof.ground_truth import Expected
from scripts.model.rendered import Cluster, rule_files
from scripts.servers import monitoring as real
from scripts.servers.api import ApiError
from scripts.servers.monitoring import Servers
from tests.programs.days import CORES, PODS, board, lines, panel, small_day

pytestmark = pytest.mark.prove

CPU = "sum by (namespace, pod) (rate(cpu_seconds_total[$__rate_interval]))"


@pytest.fixture(scope="session")
def options(rendered: list[Cluster]) -> Cluster:
    """The cluster sync with every opt-in."""
    return next(c for c in rendered if c.name == "options/flux")


@pytest.fixture(scope="session")
def day(tmp_path_factory: pytest.TempPathFactory) -> simulation.Day:
    return small_day(tmp_path_factory.mktemp("healthy"))


@pytest.fixture(scope="session")
def running(options: Cluster, day: simulation.Day) -> Iterator[Servers]:
    with real.servers(options, day.tsdb, day.logs) as both:
        yield both


def opened(running: Servers, day: simulation.Day, json: dict[str, Any]) -> OpenedDashboard:
    dashboard = model.read(json, model.datasources())
    return evaluation.open_dashboard(running, dashboard, evaluation.time_range_at(day.at))


def judged(
    running: Servers, day: simulation.Day, json: dict[str, Any], on: str = "healthy"
) -> list[str]:
    found = checks.check(running, opened(running, day, json), on)
    return [f"{f.message} -> {f.fix}" for f in found]


def marked(json: dict[str, Any]) -> DashboardModel:
    """The dashboard with its first query marked as quiet."""
    dashboard = model.read(json, model.datasources())
    first, *rest = dashboard.panels
    target = dataclasses.replace(first.targets[0], quiet="nothing is broken")
    panels = (dataclasses.replace(first, targets=(target,)), *rest)
    return dataclasses.replace(dashboard, panels=panels)


# Servers


def test_prometheus_has_taken_every_rule_that_the_charts_render(running: Servers) -> None:
    groups = running.prometheus.get("/api/v1/rules")["data"]["groups"]
    assert sum(len(group["rules"]) for group in groups) > 100


def test_the_day_is_not_written_to(running: Servers, day: simulation.Day) -> None:
    assert {path.name for path in day.tsdb.rglob("*")} <= {
        *(path.name for path in day.tsdb.glob("*")),
        *("chunks", "000001", "index", "meta.json", "tombstones"),
    }


def test_a_rule_that_prometheus_refuses_ends_it_with_its_words(
    options: Cluster, day: simulation.Day, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = {"groups": [{"name": "bad", "rules": [{"record": "a:b", "expr": "sum(("}]}]}
    monkeypatch.setattr(real, "rule_files", lambda _: {"bad.yaml": bad})
    with (
        pytest.raises(RepositoryError, match="prometheus ended with 2") as caught,
        real.prometheus(options, day.tsdb),
    ):
        pass
    assert "parse error" in str(caught.value)


def test_servers_end_with_the_block(options: Cluster, day: simulation.Day) -> None:
    with pytest.raises(ZeroDivisionError), real.prometheus(options, day.tsdb) as api:
        raise ZeroDivisionError
    with pytest.raises(ApiError, match="no answer"):
        api.text("/-/ready")


def test_loki_runs_as_rendered_but_for_the_changes_listed(options: Cluster, tmp_path: Path) -> None:
    numbers = {"folder": "f", "http": 1, "grpc": 2, "gossip": 3}
    config = real.loki_config(options, tmp_path, numbers)
    maps = {i.name: i.manifest["data"] for i in options.of("ConfigMap") if i.release == "loki"}
    given = yaml.safe_load(maps["loki"]["config.yaml"])
    listed = {change.key for change in real.LOKI_CHANGES}
    differing = {
        key
        for key in _leaves(config).keys() | _leaves(given).keys()
        if _leaves(config).get(key) != _leaves(given).get(key)
        and not any(key == k or key.startswith(f"{k}.") for k in listed)
    }
    moved = {
        key for key, value in _leaves(given).items() if str(value).startswith(("/var", "/etc"))
    }
    assert differing == moved
    assert all(str(_leaves(config)[key]).startswith(str(tmp_path)) for key in moved)
    assert all(change.reason for change in real.LOKI_CHANGES)


def _leaves(value: Any, path: str = "") -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        return {path: value}
    return {
        key: leaf
        for name, inner in value.items()
        for key, leaf in _leaves(inner, f"{path}.{name}".lstrip(".")).items()
    }


def test_a_line_that_loki_refuses_is_said(
    running: Servers, day: simulation.Day, tmp_path: Path
) -> None:
    entry = json.loads(day.logs.read_text().splitlines()[0])
    old = {**entry, "timestamp": str(int(entry["timestamp"]) - 30 * 86400 * 10**9)}
    path = tmp_path / "old.jsonl"
    path.write_text(json.dumps(old))
    with pytest.raises(RepositoryError, match=r"Loki refuses lines of old\.jsonl"):
        real.push(running.loki, path)


def test_lost_lines_are_counted(running: Servers, day: simulation.Day, tmp_path: Path) -> None:
    path = tmp_path / "twice.jsonl"
    entry = json.loads(day.logs.read_text().splitlines()[-1])
    entry["timestamp"] = str(int(entry["timestamp"]) + 7 * 10**9)
    path.write_text("\n".join([json.dumps(entry)] * 2))
    with pytest.raises(RepositoryError, match=r"Loki has 1 of 2 lines"):
        real.push(running.loki, path)


# Evaluation


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


def test_an_unknown_data_source_is_named() -> None:
    json = board({"title": "P", "datasource": {"uid": "lost"}, "targets": [{"expr": "up"}]})
    with pytest.raises(RepositoryError, match="panel 'P' asks data source 'lost'"):
        model.read(json, model.datasources())


@pytest.mark.parametrize(("uid", "message"), [("prometheus", "of another one"), ("", "no uid")])
def test_a_data_source_needs_a_uid_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uid: str, message: str
) -> None:
    text = (tools.ROOT / model.GRAFANA).read_text().replace("uid: loki", f"uid: {uid!r}")
    (tmp_path / model.GRAFANA).parent.mkdir(parents=True)
    (tmp_path / model.GRAFANA).write_text(text)
    monkeypatch.setattr(tools, "ROOT", tmp_path)
    with pytest.raises(RepositoryError, match=message):
        model.datasources()


# Verdicts


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


def test_a_quiet_query_must_speak_in_the_incident_and_no_other_must(
    running: Servers, day: simulation.Day
) -> None:
    quiet = marked(board(panel("Broken", "broken"), panel("Lost", "lost")))
    found = evaluation.open_dashboard(running, quiet, evaluation.time_range_at(day.at))
    assert [f.message.split(":")[0] for f in checks.check(running, found, "healthy")] == [
        "panel 'Lost', query A"
    ]
    (one,) = checks.check(running, found, "incident")
    assert "panel 'Broken', query A: incident: nothing comes back" in one.message
    summary = checks.summary(found, "healthy")
    assert (summary.queries, summary.with_data, summary.quiet, summary.empty) == (2, 0, 1, 1)


def test_a_quiet_query_speaks_where_something_is_broken(
    options: Cluster, tmp_path: Path, running: Servers
) -> None:
    incident = small_day(tmp_path, "incident")
    quiet = marked(board(panel("Broken", "broken > 0", "{{pod}}")))
    with real.prometheus(options, incident.tsdb) as api:
        both = Servers(api, running.loki)
        found = evaluation.open_dashboard(both, quiet, evaluation.time_range_at(incident.at))
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


# Truth


def check(**changes: Any) -> dict[str, tuple[Expected, ...]]:
    truth = ground_truth._named("cpu/{namespace}/{pod}")
    known = Expected("CPU", "A", truth, 0.01, "why", 120)
    return {"board": (dataclasses.replace(known, **changes),)}


def test_true_values_pass_and_wrong_ones_are_found(running: Servers, day: simulation.Day) -> None:
    right = opened(running, day, board(panel("CPU", CPU)))
    assert ground_truth.compare(right, day, day.truth, check()) == []
    twice = opened(running, day, board(panel("CPU", f"2 * {CPU}")))
    findings: list[Finding] = ground_truth.compare(twice, day, day.truth, check())
    assert ["0.5 is shown, 0.25 is true" in f.message for f in findings] == [True, False]
    late = opened(running, day, board(panel("CPU", f"sum({CPU})")))
    assert "no series is one that the simulation knows" in str(
        ground_truth.compare(late, day, day.truth, check())[0]
    )
    assert "no query B" in ground_truth.compare(right, day, day.truth, check(ref="B"))[0].message


def test_lines_are_counted_without_loki(running: Servers, day: simulation.Day) -> None:
    counted = lines("Lines", 'sum(count_over_time({namespace="default"}[$__range]))')
    counted["targets"][0]["queryType"] = "instant"
    found = opened(running, day, board(counted))
    lines_check = check(
        panel="Lines", expected=ground_truth._lines, relative_tolerance=0.0, mean_over=0.0
    )
    assert ground_truth.compare(found, day, day.truth, lines_check) == []


def test_selectors_are_found_by_the_servers_own_parsers() -> None:
    found = no_data.selectors('rate(a{b="c", d=~"e"}[5m]) / on () group_left () a', "promql")
    assert list(map(str, found)) == ['a{b="c", d=~"e"}', "a"]


@pytest.mark.parametrize("board", model.committed(), ids=lambda board: str(board.uid))
def test_where_nothing_is_deployed_no_query_is_refused(
    running: Servers, day: simulation.Day, board: DashboardModel
) -> None:
    """The small day has none of what they read: they stay empty, and nothing is wrong."""
    answers = evaluation.open_dashboard(running, board, evaluation.time_range_at(day.at))
    assert {r.title: r.error for r in answers.results if r.error} == {}
    assert answers.refused == {}


# Negative control: what reads a metric goes empty with it, and nothing else does.

# Each is read by panels in another way: directly, and through a recorded metric.
RENAMED = ("kube_pod_status_ready", "todo_http_requests_total")


@pytest.mark.parametrize("metric", RENAMED)
def test_exactly_the_queries_that_read_a_renamed_metric_go_empty(
    rendered: list[Cluster], metric: str
) -> None:
    cluster = next(c for c in rendered if c.name == simulation.ENTRY)
    boards = model.committed()
    touched, alone = _readers(metric, cluster)
    before = _with_data(simulation.day("healthy"), cluster, boards)
    renamed = simulation.day("healthy", rename={metric: f"{metric}_renamed"})
    after = _with_data(renamed, cluster, boards)
    lost = before.keys() - after.keys()
    read = {
        key: {s.metric for s in no_data.selectors(expr, "promql")} for key, expr in before.items()
    }
    assert lost
    # Nothing else goes empty, and nothing survives that has no other metric to live on.
    assert {key for key in lost if not read[key] & touched} == set()
    assert {key for key, names in read.items() if names and names <= alone} - lost == set()


def _readers(metric: str, cluster: Cluster) -> tuple[set[str], set[str]]:
    """The metric with what is recorded from it at any depth, and with what has no other source."""
    reads: dict[str, set[str]] = {}
    for file in rule_files(cluster).values():
        for rule in (rule for group in file["groups"] for rule in group["rules"]):
            found = {s.metric for s in no_data.selectors(str(rule["expr"]), "promql")}
            reads.setdefault(rule.get("record", "ALERTS"), set()).update(found)
    touched, alone = {metric}, {metric}
    while more := {name for name, names in reads.items() if names & touched} - touched:
        touched |= more
    while more := {name for name, names in reads.items() if names and names <= alone} - alone:
        alone |= more
    return touched, alone


def _with_data(
    day: simulation.Day, cluster: Cluster, boards: list[DashboardModel]
) -> dict[tuple[str, int, str], str]:
    """Each PromQL query that returned something, and its text."""
    with real.prometheus(cluster, day.tsdb) as api:
        both = Servers(api, api)
        return {
            (board.uid, result.panel_id, result.target.ref): result.expr
            for board in boards
            for result in evaluation.open_dashboard(
                both, board, evaluation.time_range_at(day.at)
            ).results
            if result.finite and result.target.language == "promql"
        }
