"""Declared metrics."""

from __future__ import annotations

import pytest

from dashboards_py import metrics


def test_cadvisor_series_always_leave_out_the_pods_own() -> None:
    assert 'container!=""' in metrics.MEMORY_WORKING_SET().selector()


def test_a_metric_is_declared_once() -> None:
    with pytest.raises(ValueError, match="metric up is declared twice"):
        metrics._gauge("up", "job", metrics.RULES)
