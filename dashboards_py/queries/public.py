"""The public address: whether it answers, its certificate, and who comes to the door."""

from __future__ import annotations

from dashboards_py import metrics as m
from dashboards_py.promql import Vector
from dashboards_py.query import regex

JOBS = regex("grafana-public.*")


def answers() -> Vector:
    """1 while the public address answers as people ask it, else 0."""
    return m.PROBE_SUCCESS(job=JOBS).value().min("instance")


def certificate_left() -> Vector:
    """Seconds until the certificate of the public address ends."""
    return m.PROBE_CERTIFICATE_END(job=JOBS).value().min("instance").seconds_until()


def passwords_refused() -> Vector:
    """Passwords that Grafana refused, by status."""
    refused = m.GRAFANA_REQUESTS(handler=regex("/login/?"), method="POST", status_code=regex("4.."))
    return refused.increase().sum("status_code")


def requests_at_the_door() -> Vector:
    """Requests per second that come to the door, by their class of status."""
    coming = m.TRAEFIK_REQUESTS(namespace="gateway").rate().sum("code")
    return coming.extract("code", "class", "(.)..").sum("class")
