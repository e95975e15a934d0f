"""Probes and alerts."""

from __future__ import annotations

from dashboards_py import metrics as m
from dashboards_py.promql import Series, Vector
from dashboards_py.query import not_equal, regex

# Probe.spec.jobName of the addresses that decide whether a person can use the application.
PROBE_JOBS = "frontend|backend|grafana"


def probes_up() -> Vector:
    """1 for an address that answers, 0 for one that does not."""
    return m.PROBE_SUCCESS(job=regex(PROBE_JOBS)).value().max("job")


def alerts_firing() -> Vector:
    """How many alerts fire; Watchdog and InfoInhibitor, which have no severity, do not count.

    0 needs the proof that rules are evaluated at all: the Watchdog, which always fires.
    """
    watchdog = m.ALERTS(alertname="Watchdog", alertstate="firing").value().count()
    return _alerts().count().or_zero_for(watchdog)


def alerts_begun() -> Vector:
    """1 where an alert begins to fire, for the marks on graphs.

    A mark for as long as it fires would paint the graph of a bad day red from end to end.
    """
    keys = ("severity", "alertname", "namespace")
    before = _alert_series().value_a_step_ago().max(*keys)
    return _alerts().max(*keys).unless(before)


def alerts_by_object() -> Vector:
    """The alerts that fire, by severity, name and what they are about."""
    return _alerts().count("severity", "alertname", "namespace", "pod")


def _alerts() -> Vector:
    return _alert_series().value()


def _alert_series() -> Series:
    return m.ALERTS(alertstate="firing", severity=not_equal("none"))
