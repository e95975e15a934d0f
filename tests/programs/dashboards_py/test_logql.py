"""LogQL selects streams of a namespace."""

from __future__ import annotations

import re

import pytest

from dashboards_py import logql
from dashboards_py.queries import lines
from dashboards_py.query import QueryError, not_equal, regex
from scripts.checks.static.queries import parse
from scripts.grafana.interpolation import VariableValue, interpolate
from scripts.model.dashboards import LOGQL, DashboardQuery


def test_a_log_query_names_its_namespace_and_only_stream_labels() -> None:
    with pytest.raises(QueryError, match="must name its namespace"):
        logql.stream(not_equal("kube-system"))
    with pytest.raises(QueryError, match="'pod'"):
        logql.stream(regex("default"), pod="x")


@pytest.mark.parametrize("typed", ["", "[", "a.b", "(?", "x|y", "back\\slash", "$5 *"])
def test_whatever_is_typed_is_searched_as_it_stands(typed: str) -> None:
    """As regular expressions, half of these would be refused, and the panel show an error."""
    shown = {name: VariableValue(typed) for name in ("search", "pod")}
    several = ("cluster", "namespace", "app", "level")
    shown |= {name: VariableValue(".*", multi=True, raw=True) for name in several}
    for query in (lines.found_lines(), lines.found_events(), lines.found_errors_in_range()):
        expr = interpolate(query.expr, shown, {"__range": "1h"}, LOGQL)
        (parsed,) = parse([DashboardQuery("q", LOGQL, expr)]).values()
        assert parsed.error == ""
        assert re.escape(typed).replace(r"\ ", " ") in expr or typed in expr
