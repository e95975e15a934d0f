"""Labels are checked, and matchers are escaped."""

from __future__ import annotations

import pytest

from dashboards_py import metrics
from dashboards_py.queries import traffic
from dashboards_py.query import QueryError, not_equal, regex


def test_a_wrong_label_fails_with_the_labels_there_are() -> None:
    with pytest.raises(QueryError, match=r"kube_pod_info has no label 'pods'; it has: .*pod"):
        metrics.POD_INFO(pods="x")
    with pytest.raises(QueryError, match="has no label 'container'"):
        metrics.POD_INFO().value().sum("container")
    with pytest.raises(QueryError, match="'route'"):
        traffic.request_rate("app").sum("route")


def test_matchers_are_escaped_and_variables_are_not() -> None:
    expr = metrics.ALERTS(alertname='a"b\\c', severity=not_equal("none"), pod=regex("$pod"))
    assert expr.selector() == (
        'ALERTS{cluster=~"$cluster|", alertname="a\\"b\\\\c", severity!="none", pod=~"$pod"}'
    )
