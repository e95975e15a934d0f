"""Queries of Dapr."""

from __future__ import annotations

from dashboards_py.queries import dapr


def test_a_time_stamp_is_shown_as_what_is_left() -> None:
    assert dapr.issuer_expires_in().expr.endswith(', namespace="dapr-system"}) - time()')
    assert dapr.issuer_expires_in().compound


def test_publishing_that_fails_altogether_is_a_share_of_one() -> None:
    _, whole = dapr.publish_failure_share().expr.rsplit(" / ", 1)
    assert "success" not in whole
