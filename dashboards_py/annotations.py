"""Annotations: what every graph of a dashboard marks."""

from __future__ import annotations

from dashboards_py.colours import BLUE, ORANGE, RED
from dashboards_py.grafana import Annotation
from dashboards_py.panels import named_by_cluster, show
from dashboards_py.queries import health, workloads
from dashboards_py.query import Query


def rollouts_and_alerts(rollouts: Query | None = None) -> list[Annotation]:
    """Return the annotations that every dashboard has.

    Warnings are marked once somebody switches them on: on a bad day they would hide the graphs.

    Args:
        rollouts: The Deployments that changed; by default those of variable `namespace`.
    """
    changed = rollouts or workloads.rollouts()
    alert = "{{severity}}: {{alertname}} {{namespace}}"
    return [
        _annotation(
            "Rollouts", changed, "{{deployment}} changed", BLUE, "nobody changed a Deployment"
        ),
        _annotation(
            "Critical alerts", health.alerts_started(health.CRITICAL), alert, RED, "no alert fires"
        ),
        _annotation(
            "Warnings",
            health.alerts_started(health.OTHER),
            alert,
            ORANGE,
            "no alert fires",
            shown=False,
        ),
    ]


def _annotation(
    name: str, query: Query, title: str, color: str, allow_empty: str, *, shown: bool = True
) -> Annotation:
    """Mark when a query has a result; `title` may name its labels."""
    named = named_by_cluster(show(query, title))
    return Annotation(
        name=name,
        expr=named.query.expr,
        title=named.legend,
        color=color,
        shown=shown,
        allow_empty=allow_empty,
    )
