"""Probes and alerts."""

from __future__ import annotations

from dashboards_py import metrics as m
from dashboards_py.promql import Series, Vector
from dashboards_py.query import not_equal, regex

# `spec.jobName` of the Probes that decide whether people can use the application.
PROBE_JOBS = "frontend|backend|grafana"


def probes_up() -> Vector:
    """1 for a probe that succeeds, 0 for one that fails."""
    return m.PROBE_SUCCESS(job=regex(PROBE_JOBS)).value().max("job")


def alerts_firing() -> Vector:
    """How many alerts fire, without Watchdog and InfoInhibitor, whose severity is `none`.

    0 only while the Watchdog, which always fires, does: else no rules are evaluated.
    """
    watchdog = m.ALERTS(alertname="Watchdog", alertstate="firing").value().count()
    return _alerts().count().or_zero_for(watchdog)


def alerts_started() -> Vector:
    """1 at the step of the graph in which an alert starts to fire, for annotations.

    A mark at every step at which it fires would cover the graph.
    """
    keys = ("severity", "alertname", "namespace")
    before = _alert_series().previous_value().max(*keys)
    return _alerts().max(*keys).unless(before)


def alerts_by_object() -> Vector:
    """The alerts that fire, by severity, name, namespace and pod."""
    return _alerts().count("severity", "alertname", "namespace", "pod")


def _alerts() -> Vector:
    return _alert_series().value()


def _alert_series() -> Series:
    return m.ALERTS(alertstate="firing", severity=not_equal("none"))
