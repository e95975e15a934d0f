"""Queries of probes and alerts."""

from __future__ import annotations

import json

from dashboards_py.queries import health
from tests.programs.dashboard_files import committed


def test_zero_needs_proof_that_somebody_looked() -> None:
    assert health.alerts_firing(health.CRITICAL).expr.endswith(
        ' or 0 * count(ALERTS{cluster=~"$cluster|", alertname="Watchdog", alertstate="firing"})'
    )
    assert "vector(0)" not in json.dumps(committed())
