"""A dashboard or a log rule that mixes clusters is found."""

from __future__ import annotations

import copy

import pytest

from scripts.checks.static import several_clusters
from scripts.core.findings import Finding
from scripts.core.yamlfile import Json
from scripts.model import dashboards
from scripts.model.dashboards import LOGQL, DashboardQuery
from scripts.model.manifests import Repository
from tests.programs.cluster_syncs import assert_says
from tests.programs.dashboard_files import committed

HOME = "todo-overview.json"
X = 'x{cluster=~"$cluster|", a="b"}'
Y = 'y{cluster=~"$cluster|"}'


@pytest.fixture
def board() -> Json:
    return copy.deepcopy(committed()[HOME])


def said(board: Json, expr: str, kind: str = "prometheus") -> list[Finding]:
    """What is found of a dashboard whose first panel with such a data source asks this."""
    target = next(
        target
        for panel in dashboards.panels(board)
        for target in panel["targets"]
        if target["datasource"]["type"] == kind
    )
    target["expr"] = expr
    return list(several_clusters.of_dashboard(board))


def test_the_frozen_repository_has_no_finding(repository: Repository) -> None:
    assert several_clusters.check(repository) == []


@pytest.mark.parametrize(
    "expr",
    [
        X,
        f"sum({X}) / sum({Y})",
        f"sum({X}) or on () vector(0)",
        f"sum by (cluster, pod) ({X}) / on (cluster, pod) sum by (cluster, pod) ({Y})",
        f"{X} unless on (cluster, pod) {Y}",
        f"{X} / ignoring (code) group_left () {Y}",
        f"sum without (pod) (rate({X.replace('}', '}[5m])')})",
        f"histogram_quantile(0.9, sum by (le) (rate({X.replace('}', '}[5m])')}))",
    ],
)
def test_what_is_of_one_cluster_is_not_found(board: Json, expr: str) -> None:
    assert said(board, expr) == []


@pytest.mark.parametrize(
    ("expr", "message"),
    [
        ('x{a="b"}', r'x\{a="b"\} is not of the clusters that are chosen'),
        (f"{X} / x", r"x\{\} is not of the clusters that are chosen"),
        ('x{cluster="oke"}', r'x\{cluster="oke"\} is not of the clusters'),
        # Nothing at all for one Prometheus, whatever is chosen but All.
        ('x{cluster=~"$cluster"}', r'x\{cluster=~"\$cluster"\} is not of the clusters'),
        (f"sum by (pod) ({X})", r"sum by \(pod\) mixes what is of different clusters"),
        (f"sum by (le, pod) ({X})", r"sum by \(le, pod\) mixes"),
        (f"sum without (cluster) ({X})", r"sum without \(cluster\) mixes"),
        (f"{X} / on (pod) {Y}", r"/ on \(pod\) mixes"),
        (f"{X} and on (pod) {Y}", r"and on \(pod\) mixes"),
        (f"{X} unless on () {Y}", r"unless on \(\) mixes"),
        (f"{X} * on (pod) group_left (node) {Y}", r"\* on \(pod\) mixes"),
        (f"{X} / ignoring (cluster) {Y}", r"/ ignoring \(cluster\) mixes"),
    ],
)
def test_what_mixes_clusters_is_found(board: Json, expr: str, message: str) -> None:
    assert_says(said(board, expr), message)


def test_lines_are_of_the_clusters_that_are_chosen(board: Json) -> None:
    lines = 'sum by (app) (count_over_time({cluster=~"$cluster|", namespace="a"} [$__auto]))'
    assert said(copy.deepcopy(board), lines, "loki") == []
    found = said(board, lines.replace('cluster=~"$cluster|", ', ""), "loki")
    assert_says(found, r'\{namespace="a"\} is not of the clusters')


def test_other_variables_and_annotations_are_of_the_clusters_that_are_chosen(board: Json) -> None:
    variable = next(v for v in board["templating"]["list"] if v["name"] == "namespace")
    variable["query"]["query"] = "label_values(kube_pod_info, namespace)"
    board["annotations"]["list"][0]["target"]["expr"] = "changes(z[1m])"
    found = list(several_clusters.of_dashboard(board))
    assert_says(found, r"kube_pod_info\{\} is not of", r"z\{\} is not of")


def test_every_dashboard_has_the_variable(board: Json) -> None:
    without = copy.deepcopy(board)
    without["templating"]["list"] = [
        v for v in board["templating"]["list"] if v["name"] != "cluster"
    ]
    found = list(several_clusters.of_dashboard(without))
    assert_says(found, "has no variable 'cluster'")
    assert "dashboard()" in found[0].fix
    (chosen,) = (v for v in board["templating"]["list"] if v["name"] == "cluster")
    # `.+` is what nothing has without Thanos.
    chosen["allValue"] = ".+"
    assert_says(list(several_clusters.of_dashboard(board)), "does not match every cluster")


@pytest.mark.parametrize(
    ("expr", "messages"),
    [
        ('sum by (cluster, app) (count_over_time({app="a"} [5m])) > 1', []),
        (
            'sum by (app) (count_over_time({app="a"} [5m])) > 1',
            [r"sum by \(app\) mixes the lines of clusters"],
        ),
        ('sum(count_over_time({app="a"} [5m])) > 1', ["does not say of which cluster it is"]),
        (
            'sum by (cluster, app) (rate({app="a"} [5m])) '
            '/ on (app) sum by (cluster, app) (rate({app="a"} [1h])) > 1',
            [r"/ on \(app\) mixes the lines of clusters"],
        ),
    ],
)
def test_a_log_rule_says_of_which_cluster_it_is(expr: str, messages: list[str]) -> None:
    assert_says(list(several_clusters.of_log_rules([DashboardQuery("r", LOGQL, expr)])), *messages)
