"""LogQL selects streams of a namespace."""

from __future__ import annotations

import pytest

from dashboards_py import logql
from dashboards_py.query import QueryError, not_equal, regex


def test_a_log_query_names_its_namespace_and_only_stream_labels() -> None:
    with pytest.raises(QueryError, match="must name its namespace"):
        logql.stream(not_equal("kube-system"))
    with pytest.raises(QueryError, match="'pod'"):
        logql.stream(regex("default"), pod="x")
