"""Probes and alerts."""

from __future__ import annotations

from dashboards_py import alerts
from dashboards_py import metrics as m
from dashboards_py.promql import Series, Vector
from dashboards_py.query import Matcher, not_equal, regex

# What a page is sent for, and what can wait for the day.
CRITICAL, OTHER = regex("critical"), regex("warning|info")
# Where an alert leads whose specification names no dashboard.
HOME = "todo-overview"

# `spec.jobName` of the Probes that decide whether people can use the application.
APPLICATION = "frontend|backend"
PROBE_JOBS = f"{APPLICATION}|grafana"


def probes_up() -> Vector:
    """1 for a probe that succeeds, 0 for one that fails."""
    return m.PROBE_SUCCESS(job=regex(PROBE_JOBS)).value().max("job")


def probes_failing() -> Vector:
    """Share of the application's probes that fail."""
    return m.PROBE_SUCCESS(job=regex(APPLICATION)).value().average().complement()


def probes_take() -> Vector:
    """Seconds that the slowest of the application's probes takes, as long as its scrape."""
    return m.SCRAPE_SECONDS(job=regex(APPLICATION)).value().max()


def alerts_firing(severity: Matcher) -> Vector:
    """How many alerts fire, of a severity.

    0 only while the Watchdog, which always fires, does: else no rules are evaluated.
    """
    watchdog = m.ALERTS(alertname="Watchdog", alertstate="firing").value().count()
    return _alerts(severity).value().count().or_zero_for(watchdog)


def alerts_started(severity: Matcher) -> Vector:
    """1 at the step of the graph in which an alert starts to fire, for annotations.

    A mark at every step at which it fires would cover the graph.
    """
    keys = ("severity", "alertname", "namespace")
    before = _alerts(severity).previous_value().max(*keys)
    return _alerts(severity).value().max(*keys).unless(before)


def alerts_by_object() -> Vector:
    """The alerts that fire, by severity, name, namespace and pod.

    Without the Watchdog and InfoInhibitor, whose severity is `none`. Labels say where each leads:
    `dashboard` is a uid, the home page where nobody says another one; `runbook` is a file of
    `base/config/runbooks`, or the folder for an alert that has no page of its own there.
    """
    firing = _alerts(not_equal("none")).value().count("severity", "alertname", "namespace", "pod")
    found = firing.with_label("dashboard", HOME).with_label("runbook", ".")
    by_dashboard: dict[str, list[str]] = {}
    for name, uid in alerts.dashboards().items():
        by_dashboard.setdefault(uid, []).append(name)
    for uid, names in sorted(by_dashboard.items()):
        if uid != HOME:
            found = found.with_label_where("dashboard", uid, "alertname", "|".join(sorted(names)))
    own = "|".join(sorted(alerts.dashboards()))
    return found.with_label_where("runbook", "$1.md", "alertname", f"({own})")


def _alerts(severity: Matcher) -> Series:
    return m.ALERTS(alertstate="firing", severity=severity)
