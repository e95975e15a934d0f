"""Requests to the application: their rate, errors and duration, by what counts them."""

from __future__ import annotations

from dashboards_py import metrics as m
from dashboards_py.promql import Vector
from dashboards_py.queries import health
from dashboards_py.queries.matchers import APP, NAMESPACE, SOURCE
from dashboards_py.query import Matcher, regex

SERVER_ERROR, CLIENT_ERROR = "5xx", "4xx"
# The source that every installation has, and the only one with the routes of the API.
ACCESS_LOG = "access_log"


def request_rate(*by: str) -> Vector:
    """Requests per second, by variable `source`."""
    return _rate(by)


def requests_by_source() -> Vector:
    """Requests per second by source; sources count the same requests, so never sum them."""
    requests = m.HTTP_REQUESTS(namespace=NAMESPACE, app=APP, source=regex(".+"))
    return requests.value().sum("source")


def error_ratio() -> Vector:
    """Share of requests answered with 5xx, by variable `source`, in the worst namespace."""
    ratio = m.HTTP_ERROR_RATIO(namespace=NAMESPACE, app=APP, source=SOURCE)
    return ratio.value().max("app")


def server_error_rate(*by: str) -> Vector:
    """Requests per second answered with 5xx, by variable `source`."""
    return _rate(by, status_class=SERVER_ERROR)


def server_error_share(*by: str) -> Vector:
    """Share of requests answered with 5xx; no result without requests."""
    return _share(SERVER_ERROR, *by)


def client_error_share(*by: str) -> Vector:
    """Share of requests answered with 4xx; no result without requests."""
    return _share(CLIENT_ERROR, *by)


def routes_failing() -> Vector:
    """Requests per second answered with 5xx on each route, as the access log counts them."""
    requests = m.HTTP_REQUESTS(
        namespace=NAMESPACE, status_class=SERVER_ERROR, source=ACCESS_LOG
    ).value()
    return requests.sum("app", "method", "route").where("> 0")


def duration_p95() -> Vector:
    """Seconds within which 95% of requests are answered, from every source that measures it."""
    duration = m.HTTP_DURATION_P95(namespace=NAMESPACE, app=APP, source=regex(".+"))
    # Without requests the quantile is NaN, which the comparison drops.
    return duration.value().max("app", "source").where(">= 0")


def duration_p95_worst() -> Vector:
    """The same of the slowest app, for each source."""
    return duration_p95().max("source")


def failing() -> Vector:
    """Share of requests answered with 5xx; while nobody asks, of probes without an answer."""
    return server_error_share().or_else(health.probes_failing())


def slowest() -> Vector:
    """The longest of them, with what measures it; where nothing does, of a probe."""
    probe = health.probes_take().with_label("source", "probe")
    return duration_p95_worst().largest().or_else(probe)


def _rate(by: tuple[str, ...], **matchers: str | Matcher) -> Vector:
    requests = m.HTTP_REQUESTS(namespace=NAMESPACE, app=APP, source=SOURCE, **matchers)
    return requests.value().sum(*by)


def _share(status_class: str, *by: str) -> Vector:
    total = _rate(by)
    failed = _rate(by, status_class=status_class).or_zero_for(total)
    return failed.ratio_to(total.where("> 0"))
