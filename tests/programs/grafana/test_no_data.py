"""Why a query is empty: the selector that finds nothing."""

from __future__ import annotations

import pytest

from scripts import simulation
from scripts.grafana import evaluation, model, no_data
from scripts.grafana.model import DashboardModel
from scripts.model.rendered import Cluster, rule_files
from scripts.servers import monitoring as real
from scripts.servers.monitoring import Servers

pytest_plugins = ("tests.programs.small_day_servers",)
pytestmark = pytest.mark.prove


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
