"""Log lines, Kubernetes events, and redactions."""

from __future__ import annotations

from dashboards_py import logql
from dashboards_py import metrics as m
from dashboards_py.promql import Vector
from dashboards_py.queries.matchers import APP, LEVEL, NAMESPACE, POD
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


def recent_errors() -> Query:
    """Error lines of the application."""
    return _app_logs(ERROR_LEVELS).lines()


def sidecar_errors() -> Query:
    """Error lines of Dapr's sidecars."""
    return _logs(ERROR_LEVELS, app=APP, container=SIDECAR).lines()


def events() -> Query:
    """Kubernetes events of the application's objects."""
    return _events().lines()


def node_events() -> Query:
    """Kubernetes events of nodes and other objects that are in no namespace."""
    return logql.stream(Matcher("=", ""), app=EVENTS_APP).lines()


# The same of what a reader searches for: `level`, `pod` and `search` beside `app`.


def found_lines() -> Query:
    """Lines of the application."""
    return _found(_app_logs()).lines()


def found_volume(*by: str) -> Query:
    """Lines of the application in each step of the graph."""
    return _found(_app_logs()).count(*by)


def found_in_range() -> Query:
    """Lines of the application in the whole time range."""
    return _found(_app_logs()).count(over=logql.WHOLE_RANGE)


def found_errors_in_range() -> Query:
    """Error lines of the application in the whole time range."""
    return _found(_app_logs(ERROR_LEVELS)).count(over=logql.WHOLE_RANGE)


def found_errors(*by: str) -> Query:
    """Error lines of the application in each step of the graph."""
    return _found(_app_logs(ERROR_LEVELS)).count(*by)


def found_error_apps(number: int) -> Query:
    """Which apps wrote the most error lines in the whole time range."""
    return _found(_app_logs(ERROR_LEVELS)).top(number, "app")


def found_events() -> Query:
    """Kubernetes events of the application's objects."""
    return _found_events().lines()


def found_warnings_in_range() -> Query:
    """Warning events of the application's objects in the whole time range."""
    return _found_events(WARNING_LEVEL).count(over=logql.WHOLE_RANGE)


def found_events_by_reason() -> Query:
    """Events of the application's objects in each step of the graph, by reason."""
    return _found_events().count("reason")


# Redactions, which are counted without pod and level


def redactions() -> Vector:
    """Secrets and personal data that Alloy removed from lines, in each step of the graph."""
    return m.LOG_REDACTIONS(namespace=NAMESPACE, app=APP).increase().sum("app", "kind")


def redactions_so_far() -> Vector:
    """Secrets and personal data that Alloy removed from lines since it started."""
    return m.LOG_REDACTIONS(namespace=NAMESPACE, app=APP).total().sum()


def _found(stream: logql.Stream) -> logql.Stream:
    """Keep what the reader searches for, in the lines of pods."""
    return stream.where(level=LEVEL, pod=POD).containing_text_of("search")


def _found_events(levels: str = "") -> logql.Stream:
    """Keep what the reader searches for, in events; one of a pod names it as its object."""
    return _events(levels).where(level=LEVEL, name=POD).containing_text_of("search")


def _app_logs(levels: str = "") -> logql.Stream:
    """Lines of the application's containers; Kubernetes' events come from no container."""
    return _logs(levels, app=APP, container=regex(".+"))


def _events(levels: str = "") -> logql.Stream:
    return _logs(levels, app=EVENTS_APP)


def _logs(levels: str, **matchers: str | Matcher) -> logql.Stream:
    if levels:
        matchers["level"] = regex(levels)
    return logql.stream(NAMESPACE, **matchers)
