"""Requests to the application, whoever counted them."""

from __future__ import annotations

from dashboards_py import metrics as m
from dashboards_py.promql import Vector
from dashboards_py.queries.variables import APP, NAMESPACE, SOURCE


def request_rate(*by: str) -> Vector:
    """Requests per second from the chosen source."""
    requests = m.HTTP_REQUESTS(namespace=NAMESPACE, app=APP, source=SOURCE)
    return requests.value().sum(*by)


def error_ratio() -> Vector:
    """Share of requests answered with 5xx, from the chosen source, in the worst namespace."""
    ratio = m.HTTP_ERROR_RATIO(namespace=NAMESPACE, app=APP, source=SOURCE)
    return ratio.value().max("app")
