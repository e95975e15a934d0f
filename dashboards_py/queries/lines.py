"""Log lines, Kubernetes events, and redactions."""

from __future__ import annotations

from dashboards_py import logql
from dashboards_py import metrics as m
from dashboards_py.promql import Vector
from dashboards_py.queries.matchers import APP, LEVEL, NAMESPACE
from dashboards_py.query import Matcher, Query, regex

# Values of the label `level`, as Alloy's pipeline writes them.
ERROR_LEVELS = "error|fatal"
WARNING_LEVEL = "warn"
EVENTS_APP = "kubernetes-events"
# Dapr's container, in the pod of each app.
SIDECAR = "daprd"


def log_volume(*by: str) -> Query:
    """Log lines of the application in each step of the graph."""
    return _app_logs().count(*by)


def log_lines_in_range() -> Query:
    """Log lines of the application in the whole time range."""
    return _app_logs().count(over=logql.WHOLE_RANGE)


def log_errors_in_range() -> Query:
    """Error lines of the application in the whole time range."""
    return _app_logs(ERROR_LEVELS).count(over=logql.WHOLE_RANGE)


def log_error_rate() -> Query:
    """Error lines per second of each app."""
    return _app_logs(ERROR_LEVELS).rate("app")


def top_error_apps(number: int) -> Query:
    """Which apps wrote the most error lines in the whole time range."""
    return _app_logs(ERROR_LEVELS).top(number, "app")


def recent_errors() -> Query:
    """Error lines of the application."""
    return _app_logs(ERROR_LEVELS).lines()


def sidecar_errors() -> Query:
    """Error lines of Dapr's sidecars."""
    return _logs(ERROR_LEVELS, app=APP, container=SIDECAR).lines()


def searched_lines() -> Query:
    """Lines that match the variables `level`, `pod` and `search`."""
    return _app_logs(LEVEL).containing("$search").with_metadata(pod=regex("$pod")).lines()


def events() -> Query:
    """Kubernetes events of the application's objects."""
    return _events().lines()


def warnings_in_range() -> Query:
    """Warning events of the application's objects in the whole time range."""
    return _events(WARNING_LEVEL).count(over=logql.WHOLE_RANGE)


def events_by_reason() -> Query:
    """Events of the application's objects in each step of the graph, by reason."""
    return _events().count("reason")


def redactions() -> Vector:
    """Secrets and personal data that Alloy removed from lines, in each step of the graph."""
    return m.LOG_REDACTIONS(namespace=NAMESPACE, app=APP).increase().sum("app", "kind")


def redactions_so_far() -> Vector:
    """Secrets and personal data that Alloy removed from lines since it started."""
    return m.LOG_REDACTIONS(namespace=NAMESPACE, app=APP).total().sum()


def _app_logs(levels: str | Matcher = "") -> logql.Stream:
    """Lines of the application's containers; Kubernetes' events come from no container."""
    return _logs(levels, app=APP, container=regex(".+"))


def _events(levels: str = "") -> logql.Stream:
    return _logs(levels, app=EVENTS_APP)


def _logs(levels: str | Matcher, **matchers: str | Matcher) -> logql.Stream:
    if levels:
        matchers["level"] = regex(levels) if isinstance(levels, str) else levels
    return logql.stream(NAMESPACE, **matchers)
