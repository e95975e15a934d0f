"""Answers of two servers that are not the same are told apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from scripts.grafana import evaluation, model
from scripts.grafana.evaluation import QueryResult
from scripts.grafana.model import Target
from scripts.lab.scale.metrics import panels
from scripts.lab.scale.metrics.panels import Tally
from scripts.model.dashboards import PROMQL
from tests.programs.tsdb_fixtures import board, lines, panel

TARGET = Target("A", "up", PROMQL, "", instant=False, max_lines=0)
VALUES = [1.0, 2.0, 3.0, 4.0]


def result(*series: dict[str, Any], error: str = "") -> QueryResult:
    return QueryResult("Panel", 1, TARGET, "up", 30_000, "matrix", series, error)


def series(values: Sequence[float | None], **labels: str) -> dict[str, Any]:
    """A sample each minute; None is none."""
    points = [[60 * n, str(value)] for n, value in enumerate(values) if value is not None]
    return {"metric": labels, "values": points}


def told(one: QueryResult, other: QueryResult, tolerance: float = panels.EXACT) -> str:
    return panels.difference(one, other, ["cluster"], tolerance)


def test_the_same_but_for_a_label_that_is_left_out() -> None:
    assert not told(result(series(VALUES, job="a")), result(series(VALUES, job="a", cluster="x")))


def test_not_a_number_is_itself_and_sums_may_be_added_up_in_another_order() -> None:
    one = result(series([float("nan"), 0.1 + 0.2]))
    assert not told(one, result(series([float("nan"), 0.3])))


@pytest.mark.parametrize(
    ("other", "text"),
    [
        (result(), "{job=a} is missing"),
        (result(series(VALUES, job="a"), series(VALUES, job="b")), "{job=b} is too much"),
        (
            result(series(VALUES, job="a", cluster="x"), series(VALUES, job="a", cluster="y")),
            "{job=a} is there more than once",
        ),
        (result(series([1, 2, 3, 8], job="a")), "{job=a} is 8, and not 4"),
        (result(series([1, 2, None, 4], job="a")), "{job=a} lacks a point at 120 and 0 after it"),
        (result(series([*VALUES, 5], job="a")), "{job=a} has a point at 240"),
        (result(error="503: no"), "refused: 503: no"),
    ],
)
def test_a_difference_is_told(other: QueryResult, text: str) -> None:
    assert told(result(series(VALUES, job="a")), other) == text


def test_what_both_refuse_proves_nothing() -> None:
    assert told(result(error="no"), result(error="no")) == "refused: no"


def test_with_a_tolerance_values_may_deviate_on_average() -> None:
    one, other = result(series([100.0] * 4)), result(series([100, 102, 98, 100]))
    assert told(one, other) == "{} is 102, and not 100"
    assert not told(one, other, 0.05)
    assert told(one, result(series([100, 200, 100, 100])), 0.05) == "{} is 25.0% apart on average"


def test_with_a_tolerance_only_a_long_gap_is_one() -> None:
    whole: list[float | None] = [1.0] * 20
    brief = [*whole[:5], None, None, *whole[7:]]
    long = [*whole[:5], *[None] * 8, *whole[13:]]
    expected = result(series(whole))
    assert not told(expected, result(series(brief)), 0.05)
    text = told(expected, result(series(long)), 0.05)
    assert text == "{} lacks a point at 300 and 7 after it"
    assert panels.Difference("board", "Panel", "A", text, "up").gap
    assert panels.Difference("board", "Panel", "A", told(expected, result(), 0.05), "up").gap
    assert not panels.Difference("board", "Panel", "A", "{} is 1, and not 2", "up").gap


def test_points_that_are_hours_apart_are_no_run() -> None:
    sparse = [1.0, 1.0, *[None] * 60, 1.0, 1.0, *[None] * 60, 1.0]
    lacking = [1.0, 1.0, *[None] * 61, 1.0, *[None] * 61]
    assert not told(result(series(sparse)), result(series(lacking)), 0.05)


def test_only_metrics_are_asked_at_the_cluster_that_is_chosen() -> None:
    cluster = {
        "name": "cluster",
        "type": "query",
        "query": "label_values(up, cluster)",
        "datasource": {"type": "prometheus", "uid": "prometheus"},
        "includeAll": True,
        "multi": True,
        "allValue": ".*",
        "current": {"value": ["$__all"]},
    }
    app = {
        "name": "app",
        "type": "query",
        "query": {"label": "app", "stream": "", "type": 1},
        "datasource": {"type": "loki", "uid": "loki"},
        "current": {"value": "$__all"},
        "includeAll": True,
    }
    whole = board(
        panel("Up", 'up{app=~"$app"}'),
        lines("Lines", "{}"),
        templating={"list": [cluster, app]},
    )
    read = model.read(whole, model.datasources())
    chosen = panels.of_metrics(read, "x")
    assert [p.title for p in chosen.panels] == ["Up"]
    variables = {v.name: v for v in chosen.variables}
    assert variables["cluster"].current == ("x",)
    # Only Loki knows its options: it stands for all of them, so that queries with it are asked.
    assert (variables["app"].kind, variables["app"].query) == ("constant", ".+")
    assert {v.name: v for v in panels.of_metrics(read).variables}["cluster"].current == ("$__all",)


def test_the_table_has_ratios_and_none_of_nothing() -> None:
    tally = Tally("hub", 2, 5, 1, (0.0, 100), (1.0, 250))
    assert tally.cells[3:5] == ("4", "1")
    assert tally.cells[7] == "-"
    assert tally.cells[10] == "2.5"
    text = panels.table(("a", "b"), [("long name", "1")])
    assert text.splitlines() == ["a          b", "long name  1"]


def test_points_of_a_vector_are_compared_too() -> None:
    one = QueryResult(
        "Panel", 1, TARGET, "up", 30_000, "vector", [{"metric": {}, "value": [1, "1"]}]
    )
    assert list(evaluation.samples(one.data[0])) == [(1.0, 1.0)]
    assert not told(one, one)
