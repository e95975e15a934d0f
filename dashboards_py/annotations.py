"""Annotations: what every graph of a dashboard marks."""

from __future__ import annotations

from dashboards_py.colours import BLUE, RED
from dashboards_py.grafana import Annotation
from dashboards_py.panels import show
from dashboards_py.queries import health, workloads
from dashboards_py.query import Query


def rollouts_and_alerts(rollouts: Query | None = None) -> list[Annotation]:
    """Return the annotations that every dashboard has.

    Args:
        rollouts: The Deployments that changed; by default those of variable `namespace`.
    """
    return [
        _annotation(
            "Rollouts",
            rollouts or workloads.rollouts(),
            "{{deployment}} changed",
            BLUE,
            allow_empty="nobody changed a Deployment",
        ),
        _annotation(
            "Alerts",
            health.alerts_started(),
            "{{severity}}: {{alertname}} {{namespace}}",
            RED,
            allow_empty="no alert fires",
        ),
    ]


def _annotation(name: str, query: Query, title: str, color: str, allow_empty: str) -> Annotation:
    """Mark when a query has a result; `title` may name its labels."""
    shown = show(query, title)
    return Annotation(
        name=name, expr=query.expr, title=shown.legend, color=color, allow_empty=allow_empty
    )
